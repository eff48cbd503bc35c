//! A client of AntidoteDB, the transactional database of replicated data types, over its
//! protocol-buffer port (8087 by default). It needs no Erlang and can be used by itself.
//!
//! [`Client`] runs transactions of one request and starts interactive ones ([`Transaction`]);
//! an [`Error`] knows whether the request certainly had no effect. [`frame`] is the protocol's
//! lowest layer. Facts about the protocol: AntidoteDB 0.2.2.

mod admin;
mod client;
mod connection;
mod error;
pub mod frame;
mod object;
mod proto;
#[cfg(test)]
mod tests;
mod transaction;

pub use admin::ConnectionDescriptor;
pub use client::{Client, Token};
pub use error::{Ending, Error, Refusal, RequestKind};
pub use object::{DataType, MapKey, Object, Update, Value};
pub use transaction::Transaction;
