//! Timers that are set more than once.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use fuzz_dist_history::time::Time;

use super::manual::Wait;
use super::{Clock, Source};

/// A timer of a clock. A new one has run out already.
pub struct Timer {
    clock: Clock,
    kind: Kind,
}

enum Kind {
    System(Pin<Box<tokio::time::Sleep>>),
    Manual(Wait),
}

impl Timer {
    pub(super) fn new(clock: &Clock) -> Timer {
        let kind = match &clock.source {
            Source::System => Kind::System(Box::pin(tokio::time::sleep(Duration::ZERO))),
            Source::Manual(shared) => Kind::Manual(Wait::new(shared.clone(), 0)),
        };
        Timer { clock: clock.clone(), kind }
    }

    /// Sets it: it runs out at `time`, whatever it was set to before.
    pub fn set(&mut self, time: Time) {
        match &mut self.kind {
            Kind::System(sleep) => sleep.as_mut().reset(self.clock.instant(time)),
            Kind::Manual(wait) => wait.set(self.clock.monotonic_ns(time)),
        }
    }

    /// Has it run out?
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.kind {
            Kind::System(sleep) => sleep.as_mut().poll(cx),
            Kind::Manual(wait) => wait.poll(cx),
        }
    }
}

/// Moments with the same distance, see [`Clock::every`].
pub struct Every {
    clock: Clock,
    period: Duration,
    next: Time,
}

impl Every {
    pub(super) fn new(clock: &Clock, period: Duration) -> Every {
        Every { clock: clock.clone(), period, next: clock.now() + period }
    }

    /// Waits for the next moment. Those that passed before anybody waited for them are left out.
    pub async fn tick(&mut self) {
        self.clock.sleep_until(self.next).await;
        self.next = (self.next + self.period).max(self.clock.now());
    }
}
