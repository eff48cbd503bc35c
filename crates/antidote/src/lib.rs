//! A client of AntidoteDB's protocol-buffer port (8087 by default), which needs no Erlang.
//!
//! [`Client`] runs transactions of one request and starts interactive ones ([`Transaction`]);
//! an [`Error`] knows whether the request certainly had no effect. [`frame`] is the protocol's
//! lowest layer. Facts about the protocol: AntidoteDB 0.2.2.

mod admin;
mod answer;
mod client;
mod connection;
mod error;
pub mod frame;
mod fuzzing;
mod object;
#[cfg(any(test, feature = "peer"))]
#[doc(hidden)]
pub mod peer;
#[cfg(any(test, feature = "peer"))]
#[doc(hidden)]
pub mod proto;
#[cfg(not(any(test, feature = "peer")))]
#[allow(unreachable_pub, reason = "a scripted peer has it, too")]
mod proto;
#[cfg(test)]
mod tests;
mod token;
mod transaction;

pub use admin::ConnectionDescriptor;
pub use client::Client;
pub use error::{Ending, Error, Refusal, RequestKind};
#[doc(hidden)]
pub use fuzzing::judge_answer;
pub use object::{DataType, MapKey, Object, Update, Value};
pub use token::Token;
pub use transaction::Transaction;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
