//! What to do next: pure values that are asked for operations.
