//! One clock that everything in a run takes its time and its waits from: [`Clock::system`] is the machine's, and
//! [`Manual`] is one that a test moves.

mod manual;
mod preload;
#[cfg(test)]
mod tests;
mod timer;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use fuzz_dist_history::time::Time;

pub use manual::{Hold, Manual};
use manual::{Shared, Wait};
pub use preload::Preload;
pub use timer::{Every, Timer};

/// The clock of a run: the time since its start, and every wait.
///
/// A handle; clones are the same clock. [`Clock::restarted`] gives the same clock with another start, so that
/// times of one must not be compared with times of the other.
#[derive(Clone)]
pub struct Clock {
    start_ns: u64,
    source: Source,
}

/// Where time comes from. An enum, so that reading the machine's clock needs no dynamic dispatch.
#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<Shared>),
}

/// A wait was longer than its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit has passed")
    }
}

impl std::error::Error for Elapsed {}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::System => "system",
            Source::Manual(_) => "manual",
        };
        write!(f, "Clock({source}, {})", self.now())
    }
}

impl Clock {
    /// The machine's clock, which starts now. Its waits need a tokio runtime with timers.
    ///
    /// It keeps the reading of `CLOCK_MONOTONIC` at its start, since that is what
    /// `os:perf_counter(nanosecond)` of an Erlang node on the same machine gives: events of nodes
    /// need no alignment there.
    pub fn system() -> Clock {
        Clock { start_ns: system_ns(), source: Source::System }
    }

    fn manual(shared: Arc<Shared>) -> Clock {
        Clock { start_ns: shared.now_ns(), source: Source::Manual(shared) }
    }

    /// The same clock, which starts now.
    #[must_use]
    pub fn restarted(&self) -> Clock {
        Clock { start_ns: self.reading_ns(), source: self.source.clone() }
    }

    /// Is it the machine's clock?
    pub fn is_system(&self) -> bool {
        matches!(self.source, Source::System)
    }

    /// What gives this clock to other processes, where they live in its time: simulated time.
    pub fn preload(&self) -> Option<Arc<dyn Preload>> {
        match &self.source {
            Source::System => None,
            Source::Manual(shared) => shared.preload(),
        }
    }

    /// The time since the start.
    #[inline]
    pub fn now(&self) -> Time {
        self.at(self.reading_ns())
    }

    /// A reading of `CLOCK_MONOTONIC` in nanoseconds, as time of this clock; readings from
    /// before the start become its start.
    #[inline]
    pub fn at(&self, monotonic_ns: u64) -> Time {
        Time(monotonic_ns.saturating_sub(self.start_ns))
    }

    /// The reading of `CLOCK_MONOTONIC` in nanoseconds that stands for `time`.
    #[inline]
    pub fn monotonic_ns(&self, time: Time) -> u64 {
        self.start_ns.saturating_add(time.0)
    }

    /// What `CLOCK_MONOTONIC` reads now, in nanoseconds: the same for clocks of different starts.
    #[inline]
    pub fn reading_ns(&self) -> u64 {
        match &self.source {
            Source::System => system_ns(),
            Source::Manual(shared) => shared.now_ns(),
        }
    }

    /// The date and time of day, for people: to say when a run began. A manual clock begins in 1970.
    pub fn wall(&self) -> SystemTime {
        match &self.source {
            Source::System => SystemTime::now(),
            Source::Manual(shared) => {
                let epoch_ns = shared.preload().map_or(0, |preload| preload.epoch_ns());
                SystemTime::UNIX_EPOCH + Duration::from_nanos(epoch_ns + shared.now_ns())
            }
        }
    }

    /// Waits so long.
    pub async fn sleep(&self, duration: Duration) {
        match &self.source {
            Source::System => tokio::time::sleep(duration).await,
            Source::Manual(_) => self.sleep_until(self.now() + duration).await,
        }
    }

    /// Waits until `time`; not at all where that has passed.
    pub async fn sleep_until(&self, time: Time) {
        match &self.source {
            Source::System => tokio::time::sleep_until(self.instant(time)).await,
            Source::Manual(shared) => {
                let mut wait = Wait::new(shared.clone(), self.monotonic_ns(time));
                poll_fn(|cx| wait.poll(cx)).await;
            }
        }
    }

    /// What the future gives, or an error where it takes longer than `limit`.
    ///
    /// # Errors
    ///
    /// When the limit has passed; then the future is dropped.
    pub async fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        match &self.source {
            Source::System => tokio::time::timeout(limit, future).await.map_err(|_| Elapsed(())),
            Source::Manual(_) => self.timeout_at(self.now() + limit, future).await,
        }
    }

    /// What the future gives, or an error where it is not done at `end`.
    ///
    /// # Errors
    ///
    /// When the end has come; then the future is dropped.
    pub async fn timeout_at<F: Future>(&self, end: Time, future: F) -> Result<F::Output, Elapsed> {
        // Tokio's own ends also a future that leaves its task no budget.
        if let Source::System = &self.source {
            return tokio::time::timeout_at(self.instant(end), future)
                .await
                .map_err(|_| Elapsed(()));
        }
        let mut future = pin!(future);
        let mut end = pin!(self.sleep_until(end));
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => end.as_mut().poll(cx).map(|()| Err(Elapsed(()))),
        })
        .await
    }

    /// A timer that can be set again and again, which is cheaper than a new one each time.
    pub fn timer(&self) -> Timer {
        Timer::new(self)
    }

    /// Something to do every `period`, for the first time after one.
    pub fn every(&self, period: Duration) -> Every {
        Every::new(self, period)
    }

    /// Blocks the thread so long: for threads that no runtime runs.
    pub fn block(&self, duration: Duration) {
        match &self.source {
            Source::System => std::thread::sleep(duration),
            Source::Manual(shared) => {
                shared.block_until(self.monotonic_ns(self.now() + duration));
            }
        }
    }

    /// Parks the thread until `time`, or until somebody unparks it, or for no reason: for threads that no
    /// runtime runs, and that look again at what they wait for.
    pub fn park_until(&self, time: Time) {
        match &self.source {
            Source::System => {
                let now = self.now();
                if time > now {
                    std::thread::park_timeout(time.since(now));
                }
            }
            Source::Manual(shared) => shared.park_until(self.monotonic_ns(time)),
        }
    }

    /// Keeps a manual clock from leaping as long as the result lives: something goes on that the runtime does
    /// not see, such as another thread. The machine's clock does not care.
    #[must_use = "the clock may leap once this is dropped"]
    pub fn hold(&self) -> Hold {
        match &self.source {
            Source::System => Hold::of_nothing(),
            Source::Manual(shared) => Hold::new(shared.clone()),
        }
    }

    /// The instant of tokio's timers that stands for `time`.
    fn instant(&self, time: Time) -> tokio::time::Instant {
        let now = self.now();
        let base = tokio::time::Instant::now();
        if time >= now {
            // A time that is too far away for the timers never comes.
            let far = || base + Duration::from_secs(86_400 * 365 * 30);
            base.checked_add(time.since(now)).unwrap_or_else(far)
        } else {
            base.checked_sub(now.since(time)).unwrap_or(base)
        }
    }
}

fn system_ns() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

// The example of the page is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
