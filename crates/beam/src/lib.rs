//! The Erlang distribution protocol from Rust: a hidden node that calls, watches and listens.
//!
//! An application needs nothing for it: every function of every module and every process of a
//! running node can be called over the same protocol that nodes speak between each other.
//! Terms, messages and handshake ([`Term`], [`decode`], [`frame`], [`handshake`]) are free of I/O; a
//! [`Connection`] joins them to a socket.

mod big;
mod call;
mod connection;
pub mod control;
pub mod decode;
mod display;
mod elixir;
mod encode;
pub mod epmd;
mod error;
mod exception;
pub mod follow;
pub mod frame;
mod from_term;
pub mod handshake;
mod inbox;
mod into_term;
mod mailbox;
mod monitor;
mod name;
mod options;
mod order;
mod outbox;
mod shared;
mod stream;
mod term;
#[cfg(feature = "history")]
mod value;

pub use big::BigInt;
pub use call::Call;
pub use connection::Connection;
pub use control::Process;
pub use decode::{DecodeError, decode_whole};
pub use elixir::keyword;
pub use encode::{EncodeError, encode};
pub use error::{CallError, Class, CloseReason, ConnectError};
pub use from_term::{ConvertError, FromTerm};
pub use into_term::{Args, Bytes, IntoArgs};
pub use mailbox::{Event, Mailbox};
pub use monitor::{Down, Monitor};
pub use options::{Connect, Options};
pub use term::{Atom, Bits, Export, Float, Pid, Port, Reference, Term, atom, charlist};

#[cfg(test)]
mod tests;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
