//! What a test needs on the machine before it can start: the Erlang runtime, compiled sources.

mod apt;
pub(crate) mod cache;
pub(crate) mod command;
mod compile;
mod erlang;
mod error;
mod find;
pub(crate) mod given;
mod manifest;
mod modules;
pub(crate) mod packages;
pub(crate) mod tools;

pub use command::CommandLine;
pub use erlang::Runtime;
pub use error::ProvisionError;
