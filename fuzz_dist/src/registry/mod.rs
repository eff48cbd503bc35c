//! Names for databases, nemeses, workloads and checkers.
