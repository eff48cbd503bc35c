//! Time relative to the start of a test.
