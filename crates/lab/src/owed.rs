//! In simulated time: what connections have lost in a cut and send again once it is over.
//!
//! TCP's timers are the machine's. While a connection catches up time stands still, so that they decide nothing.

use super::link::{Flow, Link};
use super::tcp::Segment;
use fuzz_dist_clock::Clock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often is looked whether everything is acknowledged, and how often in a row it has to be.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const LOOKS: u32 = 3;

/// Connections that have not caught up after so many looks are left to themselves: their peer may be gone.
const LOOKS_MAX: u32 = 2000;

/// How far one direction of a connection is: what was sent, and what was acknowledged.
#[derive(Clone, Copy, Debug)]
struct Sent {
    end: u32,
    acknowledged: u32,
}

pub(super) struct Owed {
    clock: Clock,
    any: AtomicBool,
    flows: Mutex<HashMap<Flow, Sent>>,
}

impl Owed {
    pub(super) fn new(clock: Clock) -> Arc<Owed> {
        Arc::new(Owed { clock, any: AtomicBool::new(false), flows: Mutex::default() })
    }

    fn flows(&self) -> MutexGuard<'_, HashMap<Flow, Sent>> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These frames are about to be delivered by a heal: time stands still until their connections have caught up.
    pub(super) fn begin(self: &Arc<Self>, frames: &[(Link, Vec<u8>)]) {
        let mut flows = self.flows();
        for (link, frame) in frames {
            if let Some(segment) = Segment::of(frame) {
                let sent = Sent { end: segment.end(), acknowledged: segment.sequence };
                flows.insert(Flow { link: *link, ports: segment.ports }, sent);
            }
        }
        if flows.is_empty() || self.any.swap(true, SeqCst) {
            return;
        }
        drop(flows);
        let (owed, held) = (Arc::clone(self), self.clock.hold());
        let settle = move || {
            let _held = held;
            owed.settle();
        };
        // Without a thread time goes on at once.
        let _ = std::thread::Builder::new().name("heal".into()).spawn(settle);
    }

    fn settle(&self) {
        let mut settled = 0;
        for _ in 0..LOOKS_MAX {
            std::thread::sleep(LOOK_EVERY);
            settled = if self.is_settled() { settled + 1 } else { 0 };
            if settled == LOOKS {
                break;
            }
        }
        let mut flows = self.flows();
        flows.clear();
        self.any.store(false, SeqCst);
    }

    fn is_settled(&self) -> bool {
        self.flows().values().all(|sent| sent.acknowledged == sent.end)
    }

    /// A frame is on its way.
    pub(super) fn see(&self, link: Link, frame: &[u8]) {
        if !self.any.load(SeqCst) {
            return;
        }
        let Some(segment) = Segment::of(frame) else { return };
        let own = Flow { link, ports: segment.ports };
        let (from, to) = segment.ports;
        let other = Flow { link: (link.1, link.0), ports: (to, from) };
        let mut flows = self.flows();
        if segment.is_reset() {
            flows.remove(&own);
            flows.remove(&other);
            return;
        }
        if let Some(sent) = flows.get_mut(&own)
            && is_later(segment.end(), sent.end)
        {
            sent.end = segment.end();
        }
        if let Some(sent) = flows.get_mut(&other)
            && is_later(segment.acknowledged, sent.acknowledged)
        {
            sent.acknowledged = segment.acknowledged;
            // The heal may have delivered an older segment than the sender's last.
            if is_later(sent.acknowledged, sent.end) {
                sent.end = sent.acknowledged;
            }
        }
    }
}

/// Whether a number of a stream comes after another; they wrap.
fn is_later(one: u32, other: u32) -> bool {
    one != other && one.wrapping_sub(other) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::is_later;

    #[test]
    fn numbers_of_a_stream_wrap() {
        assert!(is_later(5, 3) && !is_later(3, 5) && !is_later(3, 3));
        assert!(is_later(2, u32::MAX - 1) && !is_later(u32::MAX - 1, 2));
    }
}
