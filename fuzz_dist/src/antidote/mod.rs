//! AntidoteDB, the transactional database of replicated data types: as a database under test
//! ([`Antidote`]), and a client of its protocol-buffer port (8087 by default) that needs no Erlang
//! and can be used by itself.
//!
//! [`Client`] runs transactions of one request and starts interactive ones ([`Transaction`]);
//! an [`Error`] knows whether the request certainly had no effect. [`frame`] is the protocol's
//! lowest layer. Facts about the protocol: AntidoteDB 0.2.2.

mod admin;
mod answer;
mod client;
mod connection;
mod db;
mod error;
mod form;
pub mod frame;
mod fuzzing;
mod object;
mod operations;
mod proto;
mod release;
#[cfg(test)]
mod tests;
mod token;
mod topology;
mod transaction;

pub use admin::ConnectionDescriptor;
pub use client::Client;
pub use db::Antidote;
pub use error::{Ending, Error, Refusal, RequestKind};
#[doc(hidden)]
pub use fuzzing::judge_answer;
pub use object::{DataType, MapKey, Object, Update, Value};
pub use token::Token;
pub use topology::Topology;
pub use transaction::Transaction;
