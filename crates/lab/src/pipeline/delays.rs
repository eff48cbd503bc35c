//! Packets that wait: a queue for every directed link, ordered by the time at which they go on.

use super::Stage;
use crate::link::Link;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;

/// Bytes that wait on one link at most; what does not fit is dropped, and TCP sends it again.
const BYTES_MAX: usize = 64 << 20;

/// The time of packets that wait for the end of a hold.
const NEVER: u64 = u64::MAX;

/// Something that packets wait for; it begins once and ends once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hold(pub(crate) u64);

/// How long a packet waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Until the lab's clock reads so many nanoseconds. Packets of one link with the same time go on in
    /// the order in which they came.
    At(u64),
    /// Until all of these have ended.
    Released(Vec<Hold>),
}

/// A packet that waits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) link: Link,
    pub(crate) number: u64,
    /// It goes on after this stage.
    pub(crate) stage: Stage,
    pub(crate) frame: Vec<u8>,
}

/// What became of a packet that is to wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Waits,
    /// What it waits for has ended already.
    Now(Waiting),
    /// There is no room for it.
    Full,
}

/// When the next packet is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    At(u64),
    /// None is.
    Idle,
    /// None ever will be.
    Closed,
}

/// All queues, behind one lock that only packets which wait, or have waited, take.
#[derive(Debug, Default)]
pub(crate) struct Delays {
    state: Mutex<State>,
    /// The thread that lets packets go on when they are due.
    sleeper: OnceLock<Thread>,
}

#[derive(Debug, Default)]
struct State {
    links: BTreeMap<Link, Queue>,
    /// When the first packet of each link is due.
    firsts: BTreeSet<(u64, Link)>,
    /// Holds that have not ended.
    holds: BTreeSet<Hold>,
    last_hold: u64,
    /// Packets that have ever waited.
    count: u64,
    closed: bool,
}

/// When a packet is due, and its number among all that have waited.
type Place = (u64, u64);

#[derive(Debug, Default)]
struct Queue {
    waiting: BTreeMap<Place, (Vec<Hold>, Waiting)>,
    bytes: usize,
}

impl Delays {
    /// A new hold.
    pub(crate) fn begin(&self) -> Hold {
        let mut state = self.state();
        state.last_hold += 1;
        let hold = Hold(state.last_hold);
        state.holds.insert(hold);
        hold
    }

    /// Lets a packet wait.
    pub(crate) fn put(&self, until: Until, waiting: Waiting) -> Put {
        let mut state = self.state();
        let (due_ns, holds) = match until {
            Until::At(due_ns) => (due_ns.min(NEVER - 1), Vec::new()),
            Until::Released(holds) => {
                let holds: Vec<Hold> =
                    holds.into_iter().filter(|hold| state.holds.contains(hold)).collect();
                if holds.is_empty() {
                    return Put::Now(waiting);
                }
                (NEVER, holds)
            }
        };
        let link = waiting.link;
        let bytes = state.links.get(&link).map_or(0, |queue| queue.bytes);
        if state.closed || bytes + waiting.frame.len() > BYTES_MAX {
            return Put::Full;
        }
        state.count += 1;
        let place = (due_ns, state.count);
        let earlier = state.firsts.first().is_none_or(|(first, _)| due_ns < *first);
        state.change(link, |queue| {
            queue.bytes += waiting.frame.len();
            queue.waiting.insert(place, (holds, waiting));
        });
        if earlier
            && due_ns != NEVER
            && let Some(sleeper) = self.sleeper.get()
        {
            sleeper.unpark();
        }
        Put::Waits
    }

    /// Ends a hold; gives the packets that wait for nothing else, in the order in which they came.
    pub(crate) fn end(&self, hold: Hold) -> Vec<Waiting> {
        let mut state = self.state();
        if !state.holds.remove(&hold) {
            return Vec::new();
        }
        state.take(|(due_ns, _), (holds, _)| {
            holds.retain(|one| *one != hold);
            *due_ns == NEVER && holds.is_empty()
        })
    }

    /// The packets of a stage that wait for a time, in the order in which they are due.
    pub(crate) fn give_up(&self, stage: Stage) -> Vec<Waiting> {
        self.state().take(|(due_ns, _), (_, waiting)| *due_ns != NEVER && waiting.stage == stage)
    }

    /// The packets that are due, in that order, and when the next one is.
    pub(crate) fn due(&self, now_ns: u64) -> (Vec<Waiting>, Next) {
        let mut state = self.state();
        let mut due = Vec::new();
        while let Some((first_ns, link)) = state.firsts.first().copied()
            && first_ns <= now_ns
            && first_ns != NEVER
        {
            state.change(link, |queue| {
                while let Some(first) = queue.waiting.first_entry()
                    && first.key().0 <= now_ns
                {
                    let (place, (_, waiting)) = first.remove_entry();
                    queue.bytes -= waiting.frame.len();
                    due.push((place, waiting));
                }
            });
        }
        let next = match state.firsts.first() {
            _ if state.closed => Next::Closed,
            Some((due_ns, _)) if *due_ns != NEVER => Next::At(*due_ns),
            _ => Next::Idle,
        };
        drop(state);
        (in_order(due), next)
    }

    /// Names the thread that asks for what is due.
    pub(crate) fn serve(&self, sleeper: Thread) {
        // There is one in a lab.
        let _ = self.sleeper.set(sleeper);
    }

    /// Forgets everything, and ends the thread.
    pub(crate) fn close(&self) {
        *self.state() = State { closed: true, ..State::default() };
        if let Some(sleeper) = self.sleeper.get() {
            sleeper.unpark();
        }
    }

    /// The number of packets that wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> u64 {
        self.state().links.values().map(|queue| queue.waiting.len() as u64).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Changes a link's queue, and keeps in order when its first packet is due.
    fn change(&mut self, link: Link, change: impl FnOnce(&mut Queue)) {
        let queue = self.links.entry(link).or_default();
        let before = queue.first();
        change(queue);
        let after = queue.first();
        if queue.waiting.is_empty() {
            self.links.remove(&link);
        }
        if before != after {
            before.map(|due_ns| self.firsts.remove(&(due_ns, link)));
            after.map(|due_ns| self.firsts.insert((due_ns, link)));
        }
    }

    /// Takes packets out of all queues, in order.
    fn take(
        &mut self,
        mut which: impl FnMut(&Place, &mut (Vec<Hold>, Waiting)) -> bool,
    ) -> Vec<Waiting> {
        let links: Vec<Link> = self.links.keys().copied().collect();
        let mut taken = Vec::new();
        for link in links {
            self.change(link, |queue| {
                let mut fits = |(place, one): (&Place, &mut _)| which(place, one).then_some(*place);
                let places: Vec<Place> = queue.waiting.iter_mut().filter_map(&mut fits).collect();
                for place in places {
                    if let Some((_, waiting)) = queue.waiting.remove(&place) {
                        queue.bytes -= waiting.frame.len();
                        taken.push((place, waiting));
                    }
                }
            });
        }
        in_order(taken)
    }
}

impl Queue {
    /// When its first packet is due.
    fn first(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|((due_ns, _), _)| *due_ns)
    }
}

fn in_order(mut packets: Vec<(Place, Waiting)>) -> Vec<Waiting> {
    packets.sort_by_key(|(place, _)| *place);
    packets.into_iter().map(|(_, waiting)| waiting).collect()
}
