//! Erlang nodes: the protocol that they speak ([`fuzz_dist_beam`]), and what the library has in them.

mod agent;
mod announcer;
mod node_spec;
mod resident;
mod sampler;

pub use crate::runtime::{Announced, Announcement, Report, Sample};
pub use agent::{AGENT_MODULE, AGENT_SOURCE, Agent};
pub use announcer::{ANNOUNCER_MODULE, ANNOUNCER_SOURCE, Announcer};
pub use fuzz_dist_beam::*;
pub use node_spec::{NodeSpec, net_setuptime};
pub use sampler::{SAMPLER_MODULE, SAMPLER_SOURCE, Sampler};
