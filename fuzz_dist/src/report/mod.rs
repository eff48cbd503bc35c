//! The screenful that people read.
