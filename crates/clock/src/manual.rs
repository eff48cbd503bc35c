//! A clock that stands still until somebody moves it, or its runtime has nothing to do.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use super::{Clock, Preload};

/// What a manual clock reads first, so that there is a time before its start.
const FIRST_NS: u64 = 1_000_000_000;

/// A clock that a test moves: by hand, or by itself to the next timer whenever the runtime of
/// [`Manual::runtime`] is idle.
///
/// Timers run out in the order of their times, and those of the same time in the order in which they were first
/// waited for. So what happens on one such runtime happens in the same order every time, as long as it depends
/// on nothing else: not on sockets, not on other threads, not on a random choice of a `select!`.
#[derive(Clone)]
pub struct Manual(Arc<Shared>);

/// The state of a manual clock.
pub(super) struct Shared {
    now_ns: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Who waits, by time and number.
    waiting: BTreeMap<(u64, u64), Waker>,
    next: u64,
    /// How many want the clock to stand still.
    holds: usize,
    /// The runtime that moves the clock where it is idle.
    runtime: Option<Handle>,
    /// What moves it where other processes have it, too.
    preload: Option<Weak<dyn Preload>>,
}

impl Default for Manual {
    fn default() -> Manual {
        Manual::new()
    }
}

impl Manual {
    /// A clock that stands still.
    pub fn new() -> Manual {
        let state = Mutex::default();
        Manual(Arc::new(Shared { now_ns: AtomicU64::new(FIRST_NS), state }))
    }

    /// The clock, which starts now.
    pub fn clock(&self) -> Clock {
        Clock::manual(self.0.clone())
    }

    /// Moves the clock at once. What runs out meanwhile is woken in order, and sees the new time.
    pub fn advance(&self, by: Duration) {
        let by_ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.0.advance_to(self.0.now_ns().saturating_add(by_ns));
    }

    /// Moves the clock to the time of the next timer; is there one?
    pub fn advance_to_next(&self) -> bool {
        self.0.advance_to_next()
    }

    /// Moves the clock to a reading, if that is later; was anybody waiting for it?
    pub fn advance_to_ns(&self, reading_ns: u64) -> bool {
        self.0.advance_to(reading_ns)
    }

    /// The reading at which the next timer runs out.
    pub fn next_ns(&self) -> Option<u64> {
        self.0.state().waiting.first_key_value().map(|((time_ns, _), _)| *time_ns)
    }

    /// Whether anybody wants the clock to stand still, see [`Clock::hold`].
    pub fn is_held(&self) -> bool {
        self.0.state().holds > 0
    }

    /// Names what simulates this clock for other processes. It is not kept alive.
    pub fn attach(&self, preload: Weak<dyn Preload>) {
        self.0.state().preload = Some(preload);
    }

    /// A runtime of one thread, on which the clock moves to the next timer whenever no task can go on.
    ///
    /// What the runtime does not see (sockets, other threads, `spawn_blocking`) does not keep the clock from
    /// moving; [`Clock::hold`] does.
    ///
    /// # Errors
    ///
    /// When the system refuses what a runtime needs.
    pub fn runtime(&self) -> std::io::Result<Runtime> {
        // Not kept alive by the runtime, which it keeps.
        let clock = Arc::downgrade(&self.0);
        let idle = move || {
            if let Some(clock) = clock.upgrade() {
                clock.idle();
            }
        };
        let runtime = Builder::new_current_thread().enable_all().on_thread_park(idle).build()?;
        self.0.state().runtime = Some(runtime.handle().clone());
        Ok(runtime)
    }

    /// Runs a future on such a runtime of a new clock to its end.
    ///
    /// # Panics
    ///
    /// When the system refuses what a runtime needs.
    pub fn run<F: Future>(make: impl FnOnce(Clock) -> F) -> F::Output {
        let manual = Manual::new();
        let runtime = manual.runtime().expect("a runtime of one thread");
        runtime.block_on(make(manual.clock()))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(super) fn now_ns(&self) -> u64 {
        self.now_ns.load(Ordering::Acquire)
    }

    /// The runtime has nothing to do.
    fn idle(&self) {
        if self.state().holds == 0 {
            self.advance_to_next();
        }
    }

    fn advance_to_next(&self) -> bool {
        let next = self.state().waiting.first_key_value().map(|((time_ns, _), _)| *time_ns);
        next.is_some_and(|time_ns| self.advance_to(time_ns))
    }

    pub(super) fn preload(&self) -> Option<Arc<dyn Preload>> {
        self.state().preload.as_ref()?.upgrade()
    }

    fn advance_to(&self, to_ns: u64) -> bool {
        let mut over = Vec::new();
        {
            let mut state = self.state();
            self.now_ns.fetch_max(to_ns, Ordering::AcqRel);
            while let Some(entry) = state.waiting.first_entry()
                && entry.key().0 <= to_ns
            {
                over.push(entry.remove());
            }
        }
        let any = !over.is_empty();
        over.into_iter().for_each(Waker::wake);
        any
    }

    /// Blocks the thread until that reading.
    pub(super) fn block_until(self: &Arc<Self>, time_ns: u64) {
        let mut wait = Wait::new(self.clone(), time_ns);
        while wait.poll(&mut Context::from_waker(&unparks())).is_pending() {
            std::thread::park();
        }
    }

    /// Parks the thread until that reading, or until somebody unparks it.
    pub(super) fn park_until(self: &Arc<Self>, time_ns: u64) {
        let mut wait = Wait::new(self.clone(), time_ns);
        if wait.poll(&mut Context::from_waker(&unparks())).is_pending() {
            std::thread::park();
        }
    }
}

/// Unparks the thread that asks for it.
fn unparks() -> Waker {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    Waker::from(Arc::new(Unpark(std::thread::current())))
}

/// Somebody who waits for a time.
pub(super) struct Wait {
    shared: Arc<Shared>,
    time_ns: u64,
    /// Its number, once it was asked whether it is over.
    number: Option<u64>,
}

impl Wait {
    pub(super) fn new(shared: Arc<Shared>, time_ns: u64) -> Wait {
        Wait { shared, time_ns, number: None }
    }

    pub(super) fn set(&mut self, time_ns: u64) {
        self.forget();
        self.time_ns = time_ns;
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.state();
        // Read with the state locked: whoever moves the clock after this finds the waker.
        if self.shared.now_ns() >= self.time_ns {
            return Poll::Ready(());
        }
        let number = *self.number.get_or_insert_with(|| {
            state.next += 1;
            state.next
        });
        state.waiting.insert((self.time_ns, number), cx.waker().clone());
        Poll::Pending
    }

    fn forget(&mut self) {
        if let Some(number) = self.number.take() {
            self.shared.state().waiting.remove(&(self.time_ns, number));
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Keeps a manual clock from leaping, see [`Clock::hold`].
pub struct Hold(Option<Arc<Shared>>);

impl Hold {
    pub(super) fn of_nothing() -> Hold {
        Hold(None)
    }

    pub(super) fn new(shared: Arc<Shared>) -> Hold {
        shared.state().holds += 1;
        Hold(Some(shared))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(shared) = self.0.take() else { return };
        let runtime = {
            let mut state = shared.state();
            state.holds -= 1;
            state.runtime.clone().filter(|_| state.holds == 0)
        };
        // It may be idle already: then it has to find that out once more.
        if let Some(runtime) = runtime {
            drop(runtime.spawn(async {}));
        }
    }
}
