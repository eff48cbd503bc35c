//! How fast the machine lets a run go on. Where its threads wait for a core most of the time, since many
//! others compute or a quota is small, what it may take is counted in the time that it gets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::waiting::{Look, Waiting};
use crate::clock::Clock;
use crate::time::Time;

/// So many tasks for each core are an ordinary busy machine, on which limits hold as they are.
const ORDINARY: f64 = 4.0;

/// A limit is never stretched by more than this.
pub(super) const STRETCH_MAX: u32 = 4;

/// A run that went slower than this was on an overloaded machine: what is stretched by less has
/// been given the time that it lacks, and a loss on a busy machine is still called one.
const OVERLOADED: f64 = STRETCH_MAX as f64;

/// More of its time than this no thread counts as waiting.
const WAITING_MAX: f64 = 0.999;

/// The scale of the slowness that is kept.
const MILLI: f64 = 1000.0;

/// A clock that goes slower while the machine is overloaded.
///
/// Somebody has to [`look`](Pace::look) now and then; as long as nobody does, it is the clock below it.
#[derive(Clone)]
pub(crate) struct Pace(Arc<Inner>);

struct Inner {
    clock: Clock,
    /// When somebody looked last, on the machine's clock and on this one, in nanoseconds.
    looked_ns: AtomicU64,
    paced_ns: AtomicU64,
    slowness_milli: AtomicU64,
    waiting: Mutex<Waiting>,
}

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) wall: Duration,
    pub(super) paced: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace::on(Clock::system())
    }
}

impl Pace {
    /// The pace of this clock, which goes as it does until somebody looks.
    fn on(clock: Clock) -> Pace {
        Pace(Arc::new(Inner {
            clock: clock.restarted(),
            looked_ns: AtomicU64::new(0),
            paced_ns: AtomicU64::new(0),
            slowness_milli: AtomicU64::new(MILLI as u64),
            waiting: Mutex::new(Waiting::of(std::process::id())),
        }))
    }

    /// The pace of a run with this clock: a clock that is not the machine's does not go on while the
    /// machine lets the run wait.
    pub(super) fn of_run(&self, clock: &Clock) -> Pace {
        match clock.is_system() {
            true => self.clone(),
            false => Pace::on(clock.clone()),
        }
    }

    /// Looks how long the threads of the test wait for a core; one thread does it, several times a
    /// second. A thread that waits for three quarters of the time shares its core with three others.
    pub(crate) fn look(&self) {
        let look = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).look();
        match look {
            Look::Share(share) => self.looked(1.0 / (1.0 - share.min(WAITING_MAX))),
            Look::TooSoon => {}
            // On a kernel that does not count their waiting, all tasks of the machine stand for it.
            Look::Unknown => {
                let stat = std::fs::read_to_string("/proc/stat");
                self.looked(stat.ok().and_then(|stat| tasks_for_each_core(&stat)).unwrap_or(1.0));
            }
        }
    }

    fn looked(&self, tasks_for_each_core: f64) {
        let Moment { wall, paced } = self.now();
        let slowness = (tasks_for_each_core / ORDINARY).max(1.0);
        self.0.paced_ns.store(paced.as_nanos() as u64, Ordering::Relaxed);
        self.0.looked_ns.store(wall.as_nanos() as u64, Ordering::Relaxed);
        self.0.slowness_milli.store((slowness * MILLI) as u64, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> Moment {
        let inner = &self.0;
        let wall = inner.clock.now().since(Time::ZERO);
        let looked = Duration::from_nanos(inner.looked_ns.load(Ordering::Relaxed));
        let slowness = inner.slowness_milli.load(Ordering::Relaxed) as f64 / MILLI;
        let since = wall.saturating_sub(looked).div_f64(slowness);
        Moment { wall, paced: Duration::from_nanos(inner.paced_ns.load(Ordering::Relaxed)) + since }
    }

    /// Has this limit passed since then? On an overloaded machine that takes longer.
    pub(super) fn has_passed(&self, limit: Duration, since: Moment) -> bool {
        let now = self.now();
        now.paced.saturating_sub(since.paced) >= limit
            || now.wall.saturating_sub(since.wall) >= limit * STRETCH_MAX
    }

    /// That the machine has been overloaded since then, in a sentence.
    pub(super) fn overloaded(&self, since: Moment) -> Option<String> {
        let now = self.now();
        let wall = now.wall.saturating_sub(since.wall).as_secs_f64();
        let slowness = wall / now.paced.saturating_sub(since.paced).as_secs_f64().max(1e-9);
        (slowness >= OVERLOADED).then(|| {
            format!(
                "the machine was overloaded (threads of the test waited for a core {:.0} % of the time): \
                 use fewer nodes or clients, run fewer tests at once, or raise the CPU quota where \
                 there is one",
                100.0 * (1.0 - 1.0 / (slowness * ORDINARY))
            )
        })
    }
}

/// How many tasks run or want to, for each core, by what `/proc/stat` says.
fn tasks_for_each_core(stat: &str) -> Option<f64> {
    let is_core = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let cores = stat.lines().filter(is_core).count();
    let running = stat.lines().find_map(|line| line.strip_prefix("procs_running "))?;
    let running: f64 = running.trim().parse().ok()?;
    (cores > 0).then(|| running / cores as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_counted_for_each_core() {
        let stat =
            "cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\nintr 7\nprocs_running 65\nprocs_blocked 0\n";
        assert_eq!(tasks_for_each_core(stat), Some(32.5));
        assert_eq!(tasks_for_each_core("procs_running 65\n"), None);
        let real = std::fs::read_to_string("/proc/stat").unwrap();
        assert!(tasks_for_each_core(&real).unwrap() > 0.0);
    }

    #[test]
    fn a_limit_takes_longer_on_an_overloaded_machine_but_not_for_ever() {
        let pace = Pace::default();
        let limit = Duration::from_millis(20);
        let begun = pace.now();
        pace.looked(1000.0 * ORDINARY);
        std::thread::sleep(limit * 2);
        let now = pace.now();
        assert!(now.paced - begun.paced < limit, "{begun:?} {now:?}");
        assert!(pace.overloaded(begun).unwrap().contains("for a core 100 % of the time"));
        std::thread::sleep(limit * STRETCH_MAX);
        assert!(pace.has_passed(limit, begun), "it is stretched by so much and no more");
    }

    #[test]
    fn an_ordinary_machine_is_not_overloaded() {
        let pace = Pace::default();
        let begun = pace.now();
        pace.looked(ORDINARY);
        let limit = Duration::from_millis(20);
        std::thread::sleep(limit);
        assert!(pace.has_passed(limit, begun));
        assert_eq!(pace.overloaded(begun), None);
    }
}
