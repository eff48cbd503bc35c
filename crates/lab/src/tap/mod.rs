//! What the switch's threads ask about packets once connections are followed: what of a packet is
//! delivered, what is kept, what is dropped, and what else is delivered with it.
//!
//! It does no I/O: frames that are to be delivered are handed back. All links share one lock, since
//! what is seen on one decides about another; acknowledgements without data pass without it.

mod followed;
mod held;
mod inner;
#[cfg(test)]
mod tests;

use super::tcp::Segment;
use super::triggers::{Link, Rule};
use fuzz_dist_clock::Clock;
use fuzz_dist_env::wire::{Action, Connection, Progress, Protocol, Trigger};
use fuzz_dist_env::{Error, HostId};
use inner::Inner;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A frame for a host.
pub(super) type Out = (Link, Vec<u8>);

/// What becomes of a packet that does not simply pass.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Passage {
    /// Frames that were kept, to be delivered before it.
    pub(super) before: Vec<Out>,
    /// What of it is delivered.
    pub(super) own: Own,
    /// Frames that were kept, to be delivered after it.
    pub(super) after: Vec<Out>,
    /// Some of it was lost.
    pub(super) lost: bool,
    /// A link was opened.
    pub(super) opened: bool,
}

/// What of a packet is delivered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Own {
    #[default]
    Nothing,
    Whole,
    /// This frame in its stead.
    Part(Vec<u8>),
}

#[derive(Debug)]
pub(super) struct Tap {
    inner: Mutex<Inner>,
    /// Is any link cut? If not, packets without data pass at once.
    cutting: AtomicBool,
}

impl Tap {
    /// One that follows connections by this protocol.
    pub(super) fn new(protocol: Option<Arc<dyn Protocol>>, clock: Clock) -> Tap {
        Tap { inner: Mutex::new(Inner::new(protocol, clock)), cutting: AtomicBool::new(false) }
    }

    /// Decides on a frame; `None` if it simply passes.
    pub(super) fn see(&self, link: Link, frame: &[u8]) -> Option<Passage> {
        let segment = Segment::of(frame).filter(|segment| !segment.is_empty());
        if segment.is_none() && !self.cutting.load(SeqCst) {
            return None;
        }
        let mut inner = self.lock();
        if inner.cuts.contains(link.0.index(), link.1.index()) {
            return Some(Passage { lost: true, ..Passage::default() });
        }
        let passage = inner.pass(link, &segment?);
        self.cutting.store(!inner.cuts.is_empty(), SeqCst);
        passage
    }

    /// Arms a trigger; gives its number and how far it is. A host that nobody has, or a kind of message
    /// that the protocol does not have, is an error.
    pub(super) fn arm(
        &self,
        trigger: &Trigger,
        action: &Action,
        find: impl Fn(&str) -> Option<HostId>,
    ) -> Result<(u64, watch::Receiver<Progress>), Error> {
        let mut inner = self.lock();
        let (clock, protocol) = (inner.clock.clone(), inner.protocol.clone());
        let (id, protocol) = (inner.last_id + 1, protocol.as_deref());
        let (rule, progress) = Rule::new(id, trigger, action, protocol, find, clock)?;
        inner.last_id += 1;
        inner.rules.push(rule);
        Ok((inner.last_id, progress))
    }

    /// Why no connection on a rule's links can be followed, where that is certain.
    pub(super) fn in_vain(&self, id: u64) -> Option<String> {
        let inner = self.lock();
        let trigger = inner.rules.iter().find(|rule| rule.id == id)?.trigger();
        if trigger.is_operation() {
            return None;
        }
        let flows = inner.flows.iter().filter(|(flow, _)| trigger.concerns(flow.link));
        let connections: Vec<Connection> =
            flows.filter_map(|(flow, f)| f.connection(flow)).collect();
        let all = !connections.is_empty() && connections.iter().all(|c| c.unfollowed.is_some());
        connections.into_iter().find_map(|c| c.unfollowed).filter(|_| all)
    }

    /// Ends a rule; gives what it held.
    pub(super) fn release(&self, id: u64) -> Vec<Out> {
        let mut inner = self.lock();
        let released = inner.release(id);
        self.cutting.store(!inner.cuts.is_empty(), SeqCst);
        released
    }

    /// Ends all rules, in the order in which they were armed.
    pub(super) fn release_all(&self) -> Vec<Out> {
        let ids: Vec<u64> = self.lock().rules.iter().map(|rule| rule.id).collect();
        ids.into_iter().flat_map(|id| self.release(id)).collect()
    }

    /// An operation is about to be sent to a host; gives what was held until then.
    pub(super) fn before_operation(&self, host: HostId, f: &str, hosts: &[HostId]) -> Vec<Out> {
        let mut inner = self.lock();
        let released = inner.before_operation(host, f, hosts);
        self.cutting.store(!inner.cuts.is_empty(), SeqCst);
        released
    }

    /// Does anybody wait for anything?
    pub(super) fn is_armed(&self) -> bool {
        !self.lock().rules.is_empty()
    }

    pub(super) fn is_cut(&self, link: Link) -> bool {
        self.cutting.load(SeqCst) && self.lock().cuts.contains(link.0.index(), link.1.index())
    }

    pub(super) fn cuts(&self) -> Vec<Link> {
        self.lock().rules.iter().flat_map(|rule| rule.cuts.iter().copied()).collect()
    }

    /// How often the cuts have changed.
    pub(super) fn changes(&self) -> u64 {
        self.lock().changes
    }

    pub(super) fn connections(&self) -> Vec<Connection> {
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
