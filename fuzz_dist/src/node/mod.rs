//! The handle to one node of the cluster that databases, clients and nemeses use.
