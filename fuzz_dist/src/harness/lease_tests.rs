//! Leases between threads and processes.
