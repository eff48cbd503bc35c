//! One test's life, from resolve to verdict.
