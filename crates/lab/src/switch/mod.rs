//! The network between the hosts: a thread for every port reads its packets and sends them through the
//! pipeline to their receivers' devices.

mod ports;
#[cfg(test)]
mod tests;

use super::link::LinkSet;
use super::packet::HOSTS_MAX;
use super::pipeline::{Hold, Next, Pipeline, Rule, Shared, Stage};
use super::recorder::Recording;
use super::rules::connections::Connections;
use super::rules::cuts::Cuts;
use super::rules::watch::{Watch, Watcher};
use fuzz_dist_clock::Clock;
use fuzz_dist_env::wire::{Action, Progress, Protocol, Trigger};
use fuzz_dist_env::{Error, Heal, HostId, LinkCounters, LinkMatrix};
use fuzz_dist_sys::epoch::{EpochCell, EpochReader, Replaced};
use ports::{Port, Ports, Worker, end};
use rustix::event::{EventfdFlags, eventfd};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What the next pipeline is made of.
#[derive(Default)]
struct Wanted {
    rules: BTreeMap<Stage, Arc<dyn Rule>>,
    links: LinkMatrix,
    ports: BTreeMap<usize, Arc<Port>>,
    hosts: usize,
}

pub(super) struct Switch {
    /// Replaced as a whole, so that none of the old rules is acted on afterwards.
    pipeline: Arc<EpochCell<Pipeline<Ports>>>,
    shared: Arc<Shared>,
    wanted: Mutex<Wanted>,
    connections: Arc<Connections>,
    /// For frames that go on from outside of the ports' threads.
    outside: Mutex<EpochReader<Pipeline<Ports>>>,
}

impl Switch {
    pub(super) fn new(
        heal: Heal,
        protocol: Option<Arc<dyn Protocol>>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared::new(heal, clock.clone()));
        let empty = Pipeline::new(&BTreeMap::new(), Ports::default(), Arc::clone(&shared));
        // One for each host, one from outside, and one for what is due.
        let pipeline = EpochCell::new(empty, HOSTS_MAX + 2);
        let reader = || pipeline.reader().ok_or_else(|| Error::Invalid("too many readers".into()));
        let (outside, due) = (Mutex::new(reader()?), reader()?);
        let serving = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("switch delays".into())
            .spawn(move || serve(&serving, due))
            .map_err(Error::io("start the thread of delayed packets"))?;
        let connections = Arc::new(Connections::new(protocol, clock));
        Ok(Switch { pipeline, shared, wanted: Mutex::default(), connections, outside })
    }

    /// Plugs in a host's device and starts to serve it.
    pub(super) fn plug(&self, host: HostId, tun: OwnedFd) -> Result<(), Error> {
        let what = format!("plug host {host:?} into the switch");
        let nonblocking = rustix::fs::fcntl_getfl(&tun)
            .and_then(|flags| rustix::fs::fcntl_setfl(&tun, flags | rustix::fs::OFlags::NONBLOCK));
        nonblocking.map_err(|error| Error::io(&*what)(error.into()))?;
        let stop =
            eventfd(0, EventfdFlags::CLOEXEC).map_err(|error| Error::io(&*what)(error.into()))?;
        let reader =
            self.pipeline.reader().ok_or_else(|| Error::Invalid("too many hosts".into()))?;
        let port = Arc::new(Port { tun, stop: Arc::new(stop) });
        let worker = Worker { from: host, port: Arc::clone(&port), reader };
        let mut wanted = self.wanted();
        std::thread::Builder::new()
            .name(format!("switch {host:?}"))
            .spawn(move || worker.run())
            .map_err(Error::io(what))?;
        wanted.hosts = wanted.hosts.max(host.index() + 1);
        wanted.ports.insert(host.index(), port);
        self.publish(&wanted)
    }

    /// Takes a host's device out. It is closed elsewhere, later: closing takes 30 ms.
    pub(super) fn unplug(&self, host: HostId) -> Result<(), Error> {
        let mut wanted = self.wanted();
        let Some(port) = wanted.ports.remove(&host.index()) else { return Ok(()) };
        let published = self.publish(&wanted);
        drop(wanted);
        end([port]);
        published
    }

    /// Puts a rule in place of the one at a stage, or nothing. When it returns, the former rule decides on
    /// no packet any more; without a successor, what waits for a time because of it has gone on.
    pub(super) fn install(&self, stage: Stage, rule: Option<Arc<dyn Rule>>) -> Result<(), Error> {
        let removed = rule.is_none();
        let mut wanted = self.wanted();
        match rule {
            Some(rule) => wanted.rules.insert(stage, rule),
            None => wanted.rules.remove(&stage),
        };
        self.publish(&wanted)?;
        drop(wanted);
        if removed {
            let waiting = self.shared.delays.give_up(stage);
            self.outside(|pipeline| waiting.iter().for_each(|one| pipeline.go_on(one)));
        }
        Ok(())
    }

    /// Puts a matrix into force; when it returns, nothing of the former one is.
    pub(super) fn set_links(&self, links: &LinkMatrix) -> Result<(), Error> {
        let mut wanted = self.wanted();
        wanted.links.clone_from(links);
        wanted.rules.insert(Stage::Links, Arc::new(Cuts::new(links)));
        self.publish(&wanted)?;
        drop(wanted);
        self.outside(Pipeline::heal);
        Ok(())
    }

    /// Shows the packets of these links to a watcher, and of no others. Where heals are prompt, what the former
    /// watcher dropped last is shown to this one.
    pub(super) fn watch(
        &self,
        links: LinkSet,
        watcher: Option<Arc<dyn Watcher>>,
    ) -> Result<(), Error> {
        let rule = watcher.map(|watcher| Arc::new(Watch::new(links, watcher)) as Arc<dyn Rule>);
        self.install(Stage::Watcher, rule)?;
        self.outside(Pipeline::heal);
        Ok(())
    }

    /// Follows connections from now on.
    pub(super) fn follow(&self) -> Result<(), Error> {
        if self.wanted().rules.contains_key(&Stage::Connections) {
            return Ok(());
        }
        self.install(Stage::Connections, Some(Arc::clone(&self.connections) as Arc<dyn Rule>))
    }

    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Arms a trigger; gives its number and how far it is.
    pub(super) fn arm(
        &self,
        trigger: &Trigger,
        action: &Action,
        find: impl Fn(&str) -> Option<HostId>,
    ) -> Result<(Hold, watch::Receiver<Progress>), Error> {
        self.follow()?;
        let hold = self.shared.delays.begin();
        let armed = self.connections.arm(hold, trigger, action, find);
        if armed.is_err() {
            self.release(hold);
        }
        Ok((hold, armed?))
    }

    /// Ends what a trigger began, and delivers what it held.
    pub(super) fn release(&self, hold: Hold) {
        self.connections.end(hold);
        self.outside(|pipeline| pipeline.release(hold));
    }

    /// The same for all triggers.
    pub(super) fn release_all(&self) {
        let holds = self.connections.end_all();
        self.outside(|pipeline| holds.iter().for_each(|hold| pipeline.release(*hold)));
    }

    /// An operation is about to be sent to a host.
    pub(super) fn before_operation(&self, host: HostId, f: &str, hosts: &[HostId]) {
        let ended = self.connections.before_operation(host, f, hosts);
        self.outside(|pipeline| ended.iter().for_each(|hold| pipeline.release(*hold)));
    }

    fn outside<R>(&self, act: impl FnOnce(&Pipeline<Ports>) -> R) -> R {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner).with(act)
    }

    pub(super) fn links(&self) -> LinkMatrix {
        self.wanted().links.clone()
    }

    pub(super) fn counters(&self) -> LinkCounters {
        self.shared.recorder.counters(self.wanted().hosts)
    }

    pub(super) fn recording(&self) -> Recording {
        self.shared.recorder.recording()
    }

    fn publish(&self, wanted: &Wanted) -> Result<(), Error> {
        let mut ports = vec![None; wanted.hosts];
        for (index, port) in &wanted.ports {
            ports[*index] = Some(Arc::clone(port));
        }
        self.replace(&wanted.rules, Ports(ports))
    }

    fn replace(&self, rules: &BTreeMap<Stage, Arc<dyn Rule>>, ports: Ports) -> Result<(), Error> {
        let pipeline = Pipeline::new(rules, ports, Arc::clone(&self.shared));
        match self.pipeline.replace(pipeline) {
            Replaced::Drained => Ok(()),
            Replaced::StillRead => Err(Error::TimedOut {
                what: "a packet on its way under the former links".into(),
                limit: std::time::Duration::from_secs(1),
            }),
        }
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let ports = std::mem::take(&mut self.wanted().ports);
        // The pipeline holds the devices, too; they shall be closed in the background.
        let _ = self.replace(&BTreeMap::new(), Ports::default());
        self.shared.delays.close();
        end(ports.into_values());
    }
}

/// The thread that lets delayed packets go on when they are due.
fn serve(shared: &Shared, mut reader: EpochReader<Pipeline<Ports>>) {
    shared.delays.serve(std::thread::current());
    loop {
        let (due, next) = shared.delays.due(shared.clock.reading_ns());
        if !due.is_empty() {
            reader.with(|pipeline| due.iter().for_each(|waiting| pipeline.go_on(waiting)));
        }
        match next {
            Next::At(due_ns) => shared.clock.park_until(shared.clock.at(due_ns)),
            Next::Idle => std::thread::park(),
            Next::Closed => return,
        }
    }
}
