//! The folder that keeps what a run found.
