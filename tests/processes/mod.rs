//! A second place for clusters: plain processes of this machine, whose hosts are addresses of its
//! loopback. It can pause processes and add and remove hosts, and has no other facet.

mod machine;
mod running;

use std::sync::Arc;

use fuzz_dist::env::{
    BoxFuture, Capabilities, Environment, EnvironmentSpec, Error, Facet, Provider,
};

/// `env = "processes"`.
#[fuzz_dist::env("processes")]
#[derive(Debug, Default)]
pub(crate) struct Processes;

impl Provider for Processes {
    fn name(&self) -> &str {
        "processes"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::of([Facet::Pause, Facet::Membership])
    }

    fn start(&self, spec: EnvironmentSpec) -> BoxFuture<'_, Result<Arc<dyn Environment>, Error>> {
        Box::pin(async move {
            let machine = machine::Machine::start(spec)?;
            Ok(Arc::new(machine) as Arc<dyn Environment>)
        })
    }
}
