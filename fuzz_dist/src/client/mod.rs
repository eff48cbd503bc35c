//! How operations reach the system under test.
