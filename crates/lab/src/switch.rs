//! The network between the hosts: a thread for every port reads its packets and writes them to
//! their receiver's device.

use super::counters::Counters;
use super::last_dropped::LastDropped;
use super::owed::Owed;
use super::packet::{self, FRAME_MAX, HOSTS_MAX, To};
use super::policy::{Decision, LinkSet, Policy};
use super::tap::{Out, Own, Passage, Tap};
use super::triggers::Link;
use super::watch::{Fate, Sighting, Watcher};
use fuzz_dist_clock::Clock;
use fuzz_dist_env::wire::Protocol;
use fuzz_dist_env::{Error, Heal, HostId, LinkCounters, LinkMatrix};
use fuzz_dist_sys::epoch::{EpochCell, EpochReader, Replaced};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a port's thread needs for a packet: replaced as a whole, so that a change of many links
/// is one change, and so that none of the old is acted on afterwards.
struct Table {
    policy: Policy,
    ports: Vec<Option<Arc<Port>>>,
    watcher: Option<Arc<dyn Watcher>>,
    /// Where connections are followed.
    tap: Option<Arc<Tap>>,
    /// Where heals are prompt.
    last: Option<Arc<LastDropped>>,
    /// In simulated time.
    owed: Option<Arc<Owed>>,
}

impl Table {
    fn empty() -> Table {
        let (policy, ports) = (Policy::default(), Vec::new());
        Table { policy, ports, watcher: None, tap: None, last: None, owed: None }
    }
}

/// A host's end of the network.
struct Port {
    tun: OwnedFd,
    /// Wakes the port's thread for its end.
    stop: Arc<OwnedFd>,
}

/// What the next table is made of.
#[derive(Default)]
struct Wanted {
    links: LinkMatrix,
    watched: LinkSet,
    watcher: Option<Arc<dyn Watcher>>,
    ports: BTreeMap<usize, Arc<Port>>,
    hosts: usize,
    follow: bool,
}

pub(super) struct Switch {
    table: Arc<EpochCell<Table>>,
    counters: Arc<Counters>,
    wanted: Mutex<Wanted>,
    tap: Arc<Tap>,
    last: Option<Arc<LastDropped>>,
    owed: Option<Arc<Owed>>,
    /// For frames that are delivered from outside of the ports' threads.
    outside: Mutex<EpochReader<Table>>,
}

impl Switch {
    pub(super) fn new(
        heal: Heal,
        protocol: Option<Arc<dyn Protocol>>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let table = EpochCell::new(Table::empty(), HOSTS_MAX + 1);
        let outside = table.reader().ok_or_else(|| Error::Invalid("too many hosts".into()))?;
        Ok(Switch {
            table,
            counters: Arc::new(Counters::new()),
            wanted: Mutex::default(),
            owed: clock.preload().map(|_| Owed::new(clock.clone())),
            tap: Arc::new(Tap::new(protocol, clock)),
            last: (heal == Heal::Prompt).then(Arc::default),
            outside: Mutex::new(outside),
        })
    }

    /// Plugs in a host's device and starts to serve it.
    pub(super) fn plug(&self, host: HostId, tun: OwnedFd) -> Result<(), Error> {
        let what = format!("plug host {host:?} into the switch");
        let nonblocking = rustix::fs::fcntl_getfl(&tun)
            .and_then(|flags| rustix::fs::fcntl_setfl(&tun, flags | rustix::fs::OFlags::NONBLOCK));
        nonblocking.map_err(|error| Error::io(&*what)(error.into()))?;
        let stop =
            eventfd(0, EventfdFlags::CLOEXEC).map_err(|error| Error::io(&*what)(error.into()))?;
        let reader = self.table.reader().ok_or_else(|| Error::Invalid("too many hosts".into()))?;
        let port = Arc::new(Port { tun, stop: Arc::new(stop) });
        let worker = Worker {
            from: host,
            port: Arc::clone(&port),
            reader,
            counters: Arc::clone(&self.counters),
        };
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

    /// Puts a matrix into force; when it returns, nothing of the former one is.
    pub(super) fn set_links(&self, links: &LinkMatrix) -> Result<(), Error> {
        let mut wanted = self.wanted();
        wanted.links.clone_from(links);
        self.publish(&wanted)?;
        drop(wanted);
        self.heal();
        Ok(())
    }

    /// Follows connections from now on.
    pub(super) fn follow(&self) -> Result<(), Error> {
        let mut wanted = self.wanted();
        if std::mem::replace(&mut wanted.follow, true) {
            return Ok(());
        }
        self.publish(&wanted)
    }

    pub(super) fn tap(&self) -> &Tap {
        &self.tap
    }

    /// Ends what a trigger began, and delivers what it held.
    pub(super) fn release(&self, id: u64) {
        self.deliver(self.tap.release(id));
        self.heal();
    }

    /// The same for all triggers.
    pub(super) fn release_all(&self) {
        self.deliver(self.tap.release_all());
        self.heal();
    }

    /// An operation is about to be sent to a host.
    pub(super) fn before_operation(&self, host: HostId, f: &str, hosts: &[HostId]) {
        self.deliver(self.tap.before_operation(host, f, hosts));
        self.heal();
    }

    /// Where heals are prompt: delivers the last segments that were dropped on links which are
    /// open now.
    fn heal(&self) {
        if self.last.is_some() {
            let mut outside = self.outside.lock().unwrap_or_else(PoisonError::into_inner);
            outside.with(|table| table.heal(&self.counters));
        }
    }

    fn deliver(&self, frames: Vec<Out>) {
        let mut outside = self.outside.lock().unwrap_or_else(PoisonError::into_inner);
        outside.with(|table| table.release(&self.counters, frames));
    }

    /// Shows the packets of these links to a watcher, and of no others.
    pub(super) fn watch(
        &self,
        links: LinkSet,
        watcher: Option<Arc<dyn Watcher>>,
    ) -> Result<(), Error> {
        let mut wanted = self.wanted();
        (wanted.watched, wanted.watcher) = (links, watcher);
        self.publish(&wanted)
    }

    pub(super) fn links(&self) -> LinkMatrix {
        self.wanted().links.clone()
    }

    pub(super) fn counters(&self) -> LinkCounters {
        self.counters.snapshot(self.wanted().hosts)
    }

    fn publish(&self, wanted: &Wanted) -> Result<(), Error> {
        let mut ports = vec![None; wanted.hosts];
        for (index, port) in &wanted.ports {
            ports[*index] = Some(Arc::clone(port));
        }
        let policy = Policy::new(&wanted.links, &wanted.watched);
        let table = Table {
            policy,
            ports,
            watcher: wanted.watcher.clone(),
            tap: wanted.follow.then(|| Arc::clone(&self.tap)),
            last: self.last.clone(),
            owed: self.owed.clone(),
        };
        match self.table.replace(table) {
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
        // The table holds the devices, too; they shall be closed in the background.
        let _ = self.table.replace(Table::empty());
        end(ports.into_values());
    }
}

/// Ends the ports' threads. Each closes its own device when it ends, in the background and all at
/// the same time, since most of the 30 ms that one takes are spent waiting.
fn end(ports: impl IntoIterator<Item = Arc<Port>>) {
    // First all shares in the devices are given up, so that the threads have the last ones.
    let stops: Vec<_> = ports.into_iter().map(|port| Arc::clone(&port.stop)).collect();
    for stop in stops {
        let _ = rustix::io::write(&*stop, &1_u64.to_ne_bytes());
    }
}

/// The thread of one port.
struct Worker {
    from: HostId,
    port: Arc<Port>,
    reader: EpochReader<Table>,
    counters: Arc<Counters>,
}

impl Worker {
    fn run(mut self) {
        let port = Arc::clone(&self.port);
        let mut frame = vec![0; FRAME_MAX];
        loop {
            match rustix::io::read(&port.tun, &mut frame) {
                Ok(length) => self.forward(&frame[..length]),
                Err(Errno::AGAIN) => {
                    let mut ends = [
                        PollFd::new(&port.tun, PollFlags::IN),
                        PollFd::new(&*port.stop, PollFlags::IN),
                    ];
                    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
                    let _ = poll(&mut ends, Some(&second));
                    if !ends[1].revents().is_empty() {
                        return;
                    }
                }
                Err(Errno::INTR) => {}
                // The device is gone or was switched off within the host.
                Err(_) => {
                    let mut ends = [PollFd::new(&*port.stop, PollFlags::IN)];
                    let pause = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
                    if poll(&mut ends, Some(&pause)).is_ok_and(|ready| ready > 0) {
                        return;
                    }
                }
            }
        }
    }

    fn forward(&mut self, frame: &[u8]) {
        let (from, counters) = (self.from.index(), &self.counters);
        match packet::destination(packet::ip(frame)) {
            To::Host(to) => self.reader.with(|table| table.pass(counters, from, to, frame)),
            To::All => self.reader.with(|table| {
                for to in (0..table.ports.len()).filter(|to| *to != from) {
                    if table.ports[to].is_some() {
                        table.pass(counters, from, to, frame);
                    }
                }
            }),
            To::Nobody => {}
        }
    }
}

impl Table {
    /// Decides on one frame for one receiver, and carries the decision out.
    fn pass(&self, counters: &Counters, from: usize, to: usize, frame: &[u8]) {
        let link = counters.link(from, to);
        let number = link.next_packet();
        let deliver = match self.policy.decide(from, to) {
            Decision::Deliver => true,
            Decision::Drop => false,
            Decision::Show => self.watcher.as_ref().is_none_or(|watcher| {
                let [from, to] = [host(from), host(to)];
                let packet = packet::ip(frame);
                watcher.see(Sighting { from, to, number, packet }) == Fate::Deliver
            }),
        };
        if !deliver {
            self.lost(counters, from, to, frame);
        } else if let Some(tap) = &self.tap
            && let Some(passage) = tap.see((host(from), host(to)), frame)
        {
            self.carry_out(counters, from, to, frame, passage);
        } else {
            self.write(counters, from, to, frame);
        }
    }

    fn write(&self, counters: &Counters, from: usize, to: usize, frame: &[u8]) {
        let link = counters.link(from, to);
        match self.ports.get(to).and_then(Option::as_ref) {
            Some(port) if rustix::io::write(&port.tun, frame).is_ok() => {
                link.delivered(packet::ip(frame).len());
                if let Some(owed) = &self.owed {
                    owed.see((host(from), host(to)), frame);
                }
            }
            _ => link.failed(),
        }
    }

    fn lost(&self, counters: &Counters, from: usize, to: usize, frame: &[u8]) {
        counters.link(from, to).dropped();
        if let Some(last) = &self.last {
            last.keep((host(from), host(to)), frame);
        }
    }

    /// Does with a packet what the tap has decided.
    fn carry_out(
        &self,
        counters: &Counters,
        from: usize,
        to: usize,
        frame: &[u8],
        passage: Passage,
    ) {
        self.release(counters, passage.before);
        match &passage.own {
            Own::Whole => self.write(counters, from, to, frame),
            Own::Part(part) => self.write(counters, from, to, part),
            Own::Nothing => {}
        }
        if passage.lost {
            self.lost(counters, from, to, frame);
        }
        self.release(counters, passage.after);
        if passage.opened {
            self.heal(counters);
        }
    }

    /// Delivers frames that were kept, unless their link is cut by now.
    fn release(&self, counters: &Counters, frames: Vec<Out>) {
        for (link, frame) in frames {
            let (from, to) = (link.0.index(), link.1.index());
            match self.is_open(link) {
                true => self.write(counters, from, to, &frame),
                false => self.lost(counters, from, to, &frame),
            }
        }
    }

    /// Where heals are prompt: delivers what was dropped last on links that are open now.
    fn heal(&self, counters: &Counters) {
        if let Some(last) = &self.last {
            let frames = last.take(|link| self.is_open(link));
            if let Some(owed) = &self.owed {
                owed.begin(&frames);
            }
            self.release(counters, frames);
        }
    }

    fn is_open(&self, link: Link) -> bool {
        let dropped = self.policy.decide(link.0.index(), link.1.index()) == Decision::Drop;
        !dropped && self.tap.as_ref().is_none_or(|tap| !tap.is_cut(link))
    }
}

const fn host(index: usize) -> HostId {
    HostId::new(index as u16)
}
