//! Operations and what becomes of them.
