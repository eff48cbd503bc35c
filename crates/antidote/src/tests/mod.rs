//! The client against a scripted peer, against bytes of a real server, and against nonsense.

mod answers;
mod decoding;
mod faults;
mod recorded;
mod transactions;
