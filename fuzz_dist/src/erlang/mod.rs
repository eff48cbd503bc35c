//! The BEAM as the runtime system of the nodes under test: calls into nodes, and what the library has
//! inside of them.

mod calls;
pub(crate) mod modules;
mod runtime;

pub use runtime::{Beam, beam};
