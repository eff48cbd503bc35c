//! The distribution protocol and the Erlang runtime, tried with real Erlang nodes on this machine's loopback.

mod agent;
mod announcer;
mod applications;
mod calls;
mod faults;
mod kept_faults;
mod protocols;
mod provision;
mod sampler;
mod support;
mod terms;
