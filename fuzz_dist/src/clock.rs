//! The one clock of a run.

use crate::time::Time;

/// The monotonic clock of a test.
///
/// It keeps the reading of `CLOCK_MONOTONIC` at its start, since that is what
/// `os:perf_counter(nanosecond)` of an Erlang node on the same machine gives: events of nodes
/// need no alignment there.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start_ns: u64,
}

impl Clock {
    /// Starts now.
    pub fn start() -> Clock {
        Clock { start_ns: monotonic_ns() }
    }

    /// The time since the start.
    pub fn now(&self) -> Time {
        self.at(monotonic_ns())
    }

    /// A reading of `CLOCK_MONOTONIC` in nanoseconds, as time of this test; readings from
    /// before the start become its start.
    pub fn at(&self, monotonic_ns: u64) -> Time {
        Time(monotonic_ns.saturating_sub(self.start_ns))
    }

    /// The reading of `CLOCK_MONOTONIC` in nanoseconds that stands for `time`.
    pub fn monotonic_ns(&self, time: Time) -> u64 {
        self.start_ns.saturating_add(time.0)
    }

    /// The instant of the runtime's timers that stands for `time`.
    pub fn instant(&self, time: Time) -> tokio::time::Instant {
        let now = self.now();
        let base = tokio::time::Instant::now();
        if time >= now {
            base + time.since(now)
        } else {
            base.checked_sub(now.since(time)).unwrap_or(base)
        }
    }
}

fn monotonic_ns() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_runs_backwards_and_clamps_what_came_before_it() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(clock.now() >= first);
        assert_eq!(clock.at(0), Time::ZERO);
    }
}
