//! The lab as the provider `local`.

use super::{Lab, LabOptions, agent_main_if_asked};
use fuzz_dist_env::{
    BoxFuture, Capabilities, Environment, EnvironmentSpec, Error, Provider, threads,
};
use std::sync::Arc;

/// Processes and threads of a lab and of the run that it is for: two agents, and threads for control,
/// logs and the history.
const OWN_THREADS: usize = 5;

/// Those of a host, at least: its init, its thread in the switch, and one process.
const THREADS_OF_A_HOST: usize = 3;

/// Hosts in namespaces on this machine; see [`Lab`]. It has every facet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

impl Provider for Local {
    fn name(&self) -> &str {
        "local"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    fn start(&self, spec: EnvironmentSpec) -> BoxFuture<'_, Result<Arc<dyn Environment>, Error>> {
        Box::pin(async move {
            let hosts = spec.hosts.len();
            let what = format!("a cluster of {hosts} hosts");
            if let Some(why) = threads::refused(&what, OWN_THREADS + hosts * THREADS_OF_A_HOST) {
                return Err(Error::Insufficient(why));
            }
            let options = LabOptions::new(spec.folder, spec.hosts);
            let options = LabOptions {
                heal: spec.heal,
                clock: spec.clock,
                latency: spec.latency,
                protocol: spec.protocol,
                follow: spec.follow,
                log_limit: spec.log_limit.unwrap_or(options.log_limit),
                ..options
            };
            let started = tokio::task::spawn_blocking(move || Lab::start(options)).await;
            let lab = started.unwrap_or_else(|e| {
                Err(Error::Invalid(format!("internal error: starting the lab ended: {e}")))
            })?;
            Ok(Arc::new(lab) as Arc<dyn Environment>)
        })
    }

    fn main_if_asked(&self) {
        agent_main_if_asked();
    }
}
