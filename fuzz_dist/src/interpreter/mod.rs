//! Drives a generator against clients and records what happens.
