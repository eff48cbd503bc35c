//! What the history proves: pure functions from a history to a verdict.
