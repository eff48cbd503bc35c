//! Simulated time for unmodified programs: a preloaded library gives them a clock, which a governor moves when
//! everybody waits.

mod governor;
mod library;
mod look;
#[allow(dead_code, reason = "the library's half uses the rest")]
mod page;
mod shared;
mod status;
mod wake;
mod without;

use fuzz_dist_clock::{Clock, Manual, Preload};
use governor::Governor;
use page::{NEVER, ORDER_VARIABLE, PAGE_VARIABLE, state};
use shared::{Shared, machine_now};
use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use status::Counts;
pub use status::Status;

/// The page's file name.
const PAGE: &str = "page";

/// How long a process may take to register, in the machine's time.
const REGISTRATION_MAX: Duration = Duration::from_secs(20);

/// How virtual time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It stands still while anybody works, and leaps to the next deadline when everybody waits.
    Still,
    /// It passes at the machine's speed while anybody works, and leaps when everybody waits.
    Natural,
    /// It passes so many times as fast as the machine's, in millionths, and never leaps.
    Flowing(i64),
}

impl Pace {
    fn speed(self) -> i64 {
        match self {
            Pace::Still => 0,
            Pace::Natural => 1_000_000,
            Pace::Flowing(millionths) => millionths,
        }
    }

    fn leaps(self) -> bool {
        !matches!(self, Pace::Flowing(_))
    }
}

/// Simulated time for the processes that are started with its [`environment`](Simulation::environment), and for this
/// process by its [`clock`](Simulation::clock).
pub struct Simulation {
    inner: Arc<Inner>,
    thread: Option<JoinHandle<()>>,
}

pub(crate) struct Inner {
    shared: Shared,
    manual: Manual,
    folder: PathBuf,
    /// This process's pid namespace.
    space: u64,
    control: Mutex<Control>,
    changed: Condvar,
    stopping: AtomicBool,
    counts: Counts,
}

/// What the governor is asked for.
struct Control {
    pace: Pace,
    /// Time goes no further.
    limit: i64,
    /// How often it was set: what the governor saw before may be out of date.
    round: u64,
    /// Where time stood when everybody waited and the limit was reached.
    reached: Option<i64>,
    /// Processes that shall be watched from now on.
    watch: Vec<i32>,
    ended: bool,
    /// Why the governor ended before it was told to.
    broken: Option<String>,
    /// What the last look found, where somebody did not wait.
    busy: Option<governor::Busy>,
}

impl Control {
    fn set_limit(&mut self, limit: i64) {
        (self.limit, self.reached) = (limit, None);
        self.round += 1;
    }
}

impl Simulation {
    /// Writes the library and the page into an empty folder, and starts the governor. Time stands still until
    /// [`run`](Simulation::run) or [`until`](Simulation::until).
    ///
    /// # Errors
    /// When the folder cannot be written to, where the machine has no /proc, and on other machines than x86_64.
    pub fn start(folder: &Path, pace: Pace) -> io::Result<Simulation> {
        let space = look::space("self").ok_or_else(|| {
            io::Error::other("simulated time needs /proc, which is not mounted; mount it")
        })?;
        library::write(folder)?;
        let manual = Manual::new();
        let clock = manual.clock();
        let first = i64::try_from(clock.reading_ns()).unwrap_or(NEVER);
        let control = Control {
            pace,
            limit: first,
            round: 0,
            reached: None,
            watch: Vec::new(),
            ended: false,
            broken: None,
            busy: None,
        };
        let inner = Arc::new(Inner {
            shared: Shared::create(&folder.join(PAGE), first)?,
            manual,
            folder: folder.to_owned(),
            space,
            control: Mutex::new(control),
            changed: Condvar::new(),
            stopping: AtomicBool::new(false),
            counts: Counts::default(),
        });
        let weak = Arc::downgrade(&inner);
        inner.manual.attach(weak);
        let governed = Arc::clone(&inner);
        let thread = std::thread::Builder::new().name("time governor".into()).spawn(move || {
            let governor = Governor::new(Arc::clone(&governed));
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| governor.run())) {
                governed.broke(&*panic);
                without::go_on(&governed);
            }
        })?;
        Ok(Simulation { inner, thread: Some(thread) })
    }

    /// The clock for this process: its waits are deadlines like those of all others, and while one of this process's
    /// threads works, time stands still.
    pub fn clock(&self) -> Clock {
        self.inner.manual.clock()
    }

    /// What the environment of a process must have that sees the folder as `at`; `order` is its host's: of those that
    /// wait for the same instant, the least is woken first.
    pub fn environment(&self, at: &Path, order: u32) -> Vec<(String, String)> {
        self.inner.environment(at, order)
    }

    /// Lets time go on without a limit.
    pub fn run(&self) {
        self.inner.control().set_limit(NEVER);
    }

    /// Lets time go on for so long, and waits until it is there and everybody waits; gives the time of the clock's
    /// reading.
    pub fn advance(&self, by: Duration) -> u64 {
        let now = self.inner.shared.now();
        self.until(now.unsigned_abs().saturating_add(by.as_nanos() as u64))
    }

    /// Lets time go on until the clock reads so many nanoseconds, and waits until it does and everybody waits.
    pub fn until(&self, reading_ns: u64) -> u64 {
        let mut control = self.inner.control();
        control.set_limit(i64::try_from(reading_ns).unwrap_or(NEVER));
        loop {
            if let Some(reached) = control.reached {
                return reached.unsigned_abs();
            }
            if control.ended {
                return self.inner.shared.now().unsigned_abs();
            }
            control = self.inner.changed.wait(control).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Changes the pace from now on.
    pub fn set_pace(&self, pace: Pace) {
        self.inner.control().pace = pace;
    }

    /// Time also stands still while a thread of this process works, which need not be registered.
    pub fn watch(&self, pid: i32) {
        self.inner.watch(pid);
    }

    /// Waits until a process has registered or has ended, by its id as this process knows it; so long at most, in the
    /// machine's time.
    ///
    /// # Errors
    /// What may have kept it from registering, in words.
    pub fn registered(&self, pid: i32, limit: Duration) -> Result<(), String> {
        self.inner.registered_within(pid, limit)
    }

    /// How far time is, and who holds it.
    pub fn status(&self) -> Status {
        self.inner.status()
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.inner.stopping.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Inner {
    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The limit of this round is reached, and everybody waits.
    fn reached(&self, now: i64, round: u64) {
        let mut control = self.control();
        if control.reached.is_none() && control.round == round && now >= control.limit {
            control.reached = Some(now);
            self.changed.notify_all();
        }
    }

    /// The governor panicked.
    fn broke(&self, panic: &(dyn Any + Send)) {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        let text = text.unwrap_or_else(|| "it left no message".into());
        self.control().broken = Some(format!(
            "what moves simulated time broke ({text}); from then on time passed at the machine's speed"
        ));
    }

    /// The governor has ended.
    fn ended(&self) {
        self.control().ended = true;
        self.changed.notify_all();
    }
}

impl Preload for Inner {
    fn folder(&self) -> &Path {
        &self.folder
    }

    fn environment(&self, at: &Path, order: u32) -> Vec<(String, String)> {
        let text = |name: &str| at.join(name).to_string_lossy().into_owned();
        vec![
            ("LD_PRELOAD".into(), text(library::NAME)),
            (PAGE_VARIABLE.into(), text(PAGE)),
            (ORDER_VARIABLE.into(), order.to_string()),
        ]
    }

    fn watch(&self, pid: i32) {
        self.control().watch.push(pid);
    }

    fn registered(&self, pid: i32) -> Result<(), String> {
        self.registered_within(pid, REGISTRATION_MAX)
    }

    fn broken(&self) -> Option<String> {
        self.control().broken.clone()
    }

    fn epoch_ns(&self) -> u64 {
        page::EPOCH_NS.unsigned_abs()
    }
}

impl Inner {
    fn registered_within(&self, pid: i32, limit: Duration) -> Result<(), String> {
        let begun = machine_now();
        let inner = look::inner_id(pid);
        while let (Some(space), Some(inner)) = (look::space(&pid.to_string()), inner) {
            let is_it = |slot: &&page::Slot| {
                slot.pid.load(SeqCst) == inner
                    && slot.space.load(SeqCst) == space
                    && slot.tid.load(SeqCst) > 0
                    && slot.state.load(SeqCst) != state::ADOPTED
            };
            if self.shared.used().iter().any(|slot| is_it(&slot)) {
                return Ok(());
            }
            if machine_now() - begun > limit.as_nanos() as i64 {
                let who = look::describe(pid, pid);
                return Err(format!(
                    "{who} has not registered with the simulated clock within {limit:?}: it may be linked statically, \
                     setuid, for another machine or C library, or started with an environment without LD_PRELOAD; \
                     use `time = \"real\"`"
                ));
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        // It has ended already.
        Ok(())
    }
}

// The example of the page is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
