//! AntidoteDB, the transactional database of replicated data types, as a database under test
//! ([`Antidote`]); its client is [`fuzz_dist_antidote`], whose items are here as well.

mod db;
mod form;
mod operations;
mod release;
#[cfg(test)]
mod sessions_tests;
mod topology;

pub use db::Antidote;
pub use fuzz_dist_antidote::*;
pub use topology::Topology;
