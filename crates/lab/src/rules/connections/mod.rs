//! The rule that follows connections: what of a packet goes on, what waits, what is dropped, and what
//! goes on with it, by the triggers that are armed.
//!
//! It does no I/O. All links share one lock, since what is seen on one decides about another;
//! acknowledgements without data pass without it.

mod followed;
mod held;
mod inner;
#[cfg(test)]
mod tests;
mod triggers;

use crate::link::{Link, LinkSet};
use crate::pipeline::{Decision, Hold, Packet, Rule};
use crate::recorder::Reason;
use fuzz_dist_clock::Clock;
use fuzz_dist_env::wire::{Action, Connection, Progress, Protocol, Trigger};
use fuzz_dist_env::{Error, HostId};
use inner::Inner;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use triggers::ArmedTrigger;

#[derive(Debug)]
pub(crate) struct Connections {
    inner: Mutex<Inner>,
    /// Is any link cut? If not, packets without data pass at once.
    cutting: AtomicBool,
}

impl Rule for Connections {
    fn links(&self) -> LinkSet {
        LinkSet::all()
    }

    fn decide(&self, packet: &Packet<'_>) -> Decision {
        let segment = packet.segment().filter(|segment| !segment.is_empty());
        if segment.is_none() && !self.cutting.load(SeqCst) {
            return Decision::Pass;
        }
        let mut inner = self.lock();
        if inner.cuts.contains(packet.link) {
            return Decision::Drop(Reason::Trigger);
        }
        let Some(segment) = segment else { return Decision::Pass };
        let decision = inner.pass(packet, segment);
        self.cutting.store(!inner.cuts.is_empty(), SeqCst);
        decision
    }

    fn cut(&self, link: Link) -> Option<Reason> {
        let cut = self.cutting.load(SeqCst) && self.lock().cuts.contains(link);
        cut.then_some(Reason::Trigger)
    }
}

impl Connections {
    /// One that follows connections by this protocol.
    pub(crate) fn new(protocol: Option<Arc<dyn Protocol>>, clock: Clock) -> Connections {
        let inner = Mutex::new(Inner::new(protocol, clock));
        Connections { inner, cutting: AtomicBool::new(false) }
    }

    /// Arms a trigger, whose action packets wait for as `hold`; gives how far it is. A host that nobody
    /// has, or a kind of message that the protocol does not have, is an error.
    pub(crate) fn arm(
        &self,
        hold: Hold,
        trigger: &Trigger,
        action: &Action,
        find: impl Fn(&str) -> Option<HostId>,
    ) -> Result<watch::Receiver<Progress>, Error> {
        let mut inner = self.lock();
        let (clock, protocol) = (inner.clock.clone(), inner.protocol.clone());
        let (armed, progress) =
            ArmedTrigger::new(hold, trigger, action, protocol.as_deref(), find, clock)?;
        inner.armed.push(armed);
        Ok(progress)
    }

    /// Why no connection on a trigger's links can be followed, where that is certain.
    pub(crate) fn in_vain(&self, hold: Hold) -> Option<String> {
        let inner = self.lock();
        let trigger = inner.armed.iter().find(|armed| armed.hold == hold)?.trigger();
        if trigger.is_operation() {
            return None;
        }
        let flows = inner.flows.iter().filter(|(flow, _)| trigger.concerns(flow.link));
        let connections: Vec<Connection> =
            flows.filter_map(|(flow, f)| f.connection(flow)).collect();
        let all = !connections.is_empty() && connections.iter().all(|c| c.unfollowed.is_some());
        connections.into_iter().find_map(|c| c.unfollowed).filter(|_| all)
    }

    /// Ends a trigger and its action, except for what waits.
    pub(crate) fn end(&self, hold: Hold) {
        let mut inner = self.lock();
        inner.end(hold);
        self.cutting.store(!inner.cuts.is_empty(), SeqCst);
    }

    /// Ends all triggers; gives them in the order in which they were armed.
    pub(crate) fn end_all(&self) -> Vec<Hold> {
        let holds: Vec<Hold> = self.lock().armed.iter().map(|armed| armed.hold).collect();
        holds.iter().for_each(|hold| self.end(*hold));
        holds
    }

    /// An operation is about to be sent to a host; gives the triggers whose actions it ends.
    pub(crate) fn before_operation(&self, host: HostId, f: &str, hosts: &[HostId]) -> Vec<Hold> {
        let mut inner = self.lock();
        let ended = inner.before_operation(host, f, hosts);
        self.cutting.store(!inner.cuts.is_empty(), SeqCst);
        ended
    }

    /// Does anybody wait for anything?
    pub(crate) fn is_armed(&self) -> bool {
        !self.lock().armed.is_empty()
    }

    pub(crate) fn cuts(&self) -> Vec<Link> {
        self.lock().armed.iter().flat_map(|armed| armed.cuts.iter().copied()).collect()
    }

    /// How often the cuts have changed.
    pub(crate) fn changes(&self) -> u64 {
        self.lock().changes
    }

    pub(crate) fn connections(&self) -> Vec<Connection> {
        let inner = self.lock();
        let mut connections: Vec<_> =
            inner.flows.iter().filter_map(|(flow, f)| f.connection(flow)).collect();
        connections.sort_by_key(|c| (c.from, c.to, c.ports));
        connections
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
