//! The local environment: hosts in namespaces on this machine, with this process as their network.
