//! The local environment: hosts in namespaces on this machine, with this process as their network.
//!
//! A lab needs neither root nor any program: [`Lab::start`] executes the running program once more
//! as the lab's *outer agent*, which moves into a user namespace and starts the *lab's init*, which
//! starts an *init of every host* in namespaces of its own. The agents hand out descriptors (TUN
//! devices, sockets, pidfds), and everything else is done here with them. When this process ends,
//! however it does, the agents end, and with them every process, mount and interface of the lab.

mod agent;
mod control;
mod environment;
mod exec;
mod follow;
mod host;
mod host_init;
mod init;
mod kernel;
mod link;
mod logs;
mod mounts;
mod packet;
mod pipeline;
mod plans;
mod probe;
mod protocol;
mod provider;
mod recorder;
mod remedy;
mod root;
mod rules;
mod simulated;
mod start;
mod switch;
mod tcp;
mod wire;

pub use agent::agent_main_if_asked;
pub use probe::probe;
pub use provider::Local;
pub use recorder::{Outcome, Reason, Recorded, Recording};
pub use rules::watch::{Fate, Sighting, Watcher};
pub use start::LabOptions;

use control::{Connection, Control};
use fuzz_dist_clock::Clock;
use fuzz_dist_env::{Error, HostId, Latency};
use host::Host;
use pipeline::Stage;
use rules::latency::Latencies;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use switch::Switch;

/// Hosts in namespaces on this machine, which see each other through this process.
///
/// It is used through [`fuzz_dist_env::Environment`]. Dropping it ends all of its processes before it
/// returns, and closes its network devices in the background; the hosts' folders stay.
pub struct Lab {
    name: String,
    folder: PathBuf,
    visible: Vec<PathBuf>,
    plans: plans::Plans,
    /// First of all that is dropped, since it hears the agents' end.
    control: Control,
    init: Arc<Connection>,
    agent: Mutex<Child>,
    switch: Arc<Switch>,
    clock: Clock,
    hosts: Arc<Mutex<Hosts>>,
    /// Closed after everything that writes to them has ended.
    logs: logs::Logs,
    /// One change of membership at a time; work on the disk for one may outlive who asked for it.
    membership: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Hosts {
    present: BTreeMap<HostId, Arc<Host>>,
    /// Hosts ever added.
    added: u16,
}

impl fmt::Debug for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lab({}, {} hosts)", self.name, lock(&self.hosts).present.len())
    }
}

impl Lab {
    /// Shows the packets of the given directed links to a watcher, before they are delivered;
    /// replaces the former watcher.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if the former watcher does not return within a second.
    pub fn watch(
        &self,
        links: impl IntoIterator<Item = (HostId, HostId)>,
        watcher: Arc<dyn Watcher>,
    ) -> Result<(), Error> {
        self.switch.watch(links.into_iter().collect(), Some(watcher))
    }

    /// Shows no more packets to anybody.
    ///
    /// # Errors
    /// As [`Lab::watch`].
    pub fn unwatch(&self) -> Result<(), Error> {
        self.switch.watch(std::iter::empty().collect(), None)
    }

    /// The last packets that passed between hosts or were dropped, with their times and outcomes.
    pub fn recording(&self) -> Recording {
        self.switch.recording()
    }

    /// Gives every directed link a constant latency between the two, drawn from the seed, or takes it away.
    /// Not part of the interface yet.
    ///
    /// # Errors
    /// As [`Lab::watch`].
    #[doc(hidden)]
    pub fn set_latency(&self, latency: Option<Latency>) -> Result<(), Error> {
        let rule =
            latency.map(|drawn| Arc::new(Latencies::drawn(drawn)) as Arc<dyn pipeline::Rule>);
        self.switch.install(Stage::Latency, rule)
    }

    fn host(&self, id: HostId) -> Result<Arc<Host>, Error> {
        let hosts = lock(&self.hosts);
        hosts.present.get(&id).cloned().ok_or_else(|| Error::UnknownHost(format!("{id:?}")))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.end_hosts();
    }
}

impl Lab {
    /// Ends the agents, and waits until the hosts have ended with them.
    fn end_hosts(&self) {
        end(&mut lock(&self.agent));
        let inits: Vec<_> = std::mem::take(&mut lock(&self.hosts).present).into_values().collect();
        let until = Instant::now() + Duration::from_secs(5);
        for host in inits {
            host.ended_within(until.saturating_duration_since(Instant::now()));
        }
    }
}

/// Ends the outer agent, and with it the lab.
fn end(agent: &mut Child) {
    // It may have ended by itself.
    let _ = agent.kill();
    let _ = agent.wait();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
