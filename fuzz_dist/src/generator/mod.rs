//! What to do next: pure values that are asked for operations.
//!
//! A generator is asked for the next operation in a [`Context`]. Asking commits to nothing:
//! only [`Generator::take`] uses the answer up, so one may ask again, later and in another
//! context, and nothing is lost. There is no clock and no I/O here; the interpreter and the
//! [`Simulator`] run the same generators.
//!
//! ```
//! use fuzz_dist::generator::*;
//! use fuzz_dist::op::Invocation;
//! use fuzz_dist::random::Seed;
//! use fuzz_dist::time::{millis, secs};
//!
//! let seed = Seed(7);
//! let mut next = 0;
//! let adds = from_fn(move || {
//!     next += 1;
//!     Some(Invocation::new("add", next))
//! });
//! let reads = repeat(Invocation::new("read", ()));
//! let main = mix(seed.stream("mix"), [(3, adds.boxed()), (1, reads.boxed())])
//!     .stagger(millis(10), seed.stream("stagger"))
//!     .time_limit(secs(1));
//! let run = Simulator::new(4).run(main);
//! assert!(run.history.len() > 100);
//! ```

use crate::op::{Completion, Invocation, Name, Process};
use crate::time::Time;

mod bounds;
mod choice;
mod context;
mod independent;
mod keys;
mod leaf;
mod sequence;
mod shape;
mod simulate;
mod threads;
mod timing;

pub use bounds::{ConcurrencyLimit, ProcessLimit, UntilOk};
pub use choice::{Any, FlipFlop, Mix, any, flip_flop, mix};
pub use context::{Context, Thread, ThreadSet};
pub use independent::{ConcurrentKeys, SequentialKeys, concurrent_keys, keyed, sequential_keys};
pub use keys::{Keys, KeysError};
pub use leaf::{FromFn, Log, Once, Repeat, from_fn, log, nothing, once, ops, repeat};
pub use sequence::{Cycle, Sequence, Synchronize, cycle, phases, sequence};
pub use shape::{FMap, Filter, Limit, Map};
pub use simulate::{Simulation, SimulationEnd, Simulator};
pub use threads::{Each, OnThreads, Reserve, each_node, each_process, each_thread, reserve};
pub use timing::{CycleTimes, Delay, Sleep, Stagger, TimeLimit, cycle_times, sleep};

/// An operation that a generator offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Not before this time; where it lies ahead, ask again then.
    pub time: Time,
    /// The thread that shall run it.
    pub thread: Thread,
    /// The process on that thread.
    pub process: Process,
    /// What to do.
    pub op: Invocation,
}

/// A generator's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This operation.
    Op(Planned),
    /// Nothing to run, but a message for the people who watch.
    Log(Name),
    /// Nothing now: ask again at the time given, if any, and after each completion.
    Pending(Option<Time>),
    /// Nothing any more.
    Exhausted,
}

/// What became of an operation, as generators get it: it was invoked, or it completed.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// The thread that runs it.
    pub thread: Thread,
    /// The process that ran it: after an unknown outcome the thread has another one already.
    pub process: Process,
    /// The operation.
    pub op: &'a Invocation,
    /// How it completed; `None` when it was invoked.
    pub completion: Option<&'a Completion>,
}

impl Update<'_> {
    /// Did the operation complete, whatever the outcome?
    pub fn is_completion(&self) -> bool {
        self.completion.is_some()
    }
}

/// A boxed generator.
pub type Boxed = Box<dyn Generator>;

/// Something that gives operations.
///
/// Rules that every generator keeps:
/// - [`next`](Generator::next) may be called any number of times; only
///   [`take`](Generator::take) uses up what the last call offered.
/// - Whether and which operations come depends on the seed and on the contexts alone.
/// - An operation's thread is free and one of the context's.
/// - [`Next::Exhausted`] is final.
///
/// The provided methods are Jepsen's combinators.
pub trait Generator: Send {
    /// What comes next.
    fn next(&mut self, ctx: &Context<'_>) -> Next;

    /// The operation or message that the last call of [`next`](Generator::next) offered is
    /// used.
    fn take(&mut self, ctx: &Context<'_>);

    /// Something was invoked or completed; not necessarily one of this generator's operations.
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        let _ = (ctx, update);
    }

    /// In a box, to stand in a list beside others.
    fn boxed(self) -> Boxed
    where
        Self: Sized + 'static,
    {
        Box::new(self)
    }

    /// At most `n` operations.
    fn limit(self, n: u64) -> Limit<Self>
    where
        Self: Sized,
    {
        Limit::new(self, n)
    }

    /// Only the operations that `keep` holds for; the others are thrown away.
    fn filter<P>(self, keep: P) -> Filter<Self, P>
    where
        Self: Sized,
        P: Fn(&Invocation) -> bool + Send,
    {
        Filter::new(self, keep)
    }

    /// Each operation changed by `change`, a pure function.
    fn map<F>(self, change: F) -> Map<Self, F>
    where
        Self: Sized,
        F: Fn(Invocation) -> Invocation + Send,
    {
        Map::new(self, change)
    }

    /// Functions renamed by pairs of (this generator's name, the outer name).
    fn f_map<N: Into<Name>>(self, names: impl IntoIterator<Item = (N, N)>) -> FMap<Self>
    where
        Self: Sized,
    {
        FMap::new(self, names)
    }

    /// Ends `limit` after the first operation.
    fn time_limit(self, limit: std::time::Duration) -> TimeLimit<Self>
    where
        Self: Sized,
    {
        TimeLimit::new(self, limit)
    }

    /// A total rate of one operation per `mean`, at irregular times: each comes
    /// `uniform(0, 2·mean)` after the one before.
    fn stagger(self, mean: std::time::Duration, stream: crate::random::Stream) -> Stagger<Self>
    where
        Self: Sized,
    {
        Stagger::new(self, mean, stream)
    }

    /// Operations exactly `gap` apart.
    fn delay(self, gap: std::time::Duration) -> Delay<Self>
    where
        Self: Sized,
    {
        Delay::new(self, gap)
    }

    /// This one, and after its end `next`.
    fn then(self, next: impl Generator + 'static) -> Sequence
    where
        Self: Sized + 'static,
    {
        sequence([self.boxed(), next.boxed()])
    }

    /// Begins when all threads are free.
    fn synchronize(self) -> Synchronize<Self>
    where
        Self: Sized,
    {
        Synchronize::new(self)
    }

    /// Ends as soon as one of its operations completes ok.
    fn until_ok(self) -> UntilOk<Self>
    where
        Self: Sized,
    {
        UntilOk::new(self)
    }

    /// Only on these threads.
    fn on_threads(self, threads: impl IntoIterator<Item = Thread>) -> OnThreads<Self>
    where
        Self: Sized,
    {
        OnThreads::new(self, threads.into_iter().collect())
    }

    /// Ends before more than `n` processes could have taken part: operations of unknown
    /// outcome burn processes, and checkers pay for each.
    fn process_limit(self, n: usize) -> ProcessLimit<Self>
    where
        Self: Sized,
    {
        ProcessLimit::new(self, n)
    }

    /// At most `n` of its operations in flight.
    fn concurrency_limit(self, n: usize) -> ConcurrencyLimit<Self>
    where
        Self: Sized,
    {
        ConcurrencyLimit::new(self, n)
    }
}

impl<G: Generator + ?Sized> Generator for Box<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        (**self).next(ctx)
    }
    fn take(&mut self, ctx: &Context<'_>) {
        (**self).take(ctx);
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        (**self).update(ctx, update);
    }
}

impl<G: Generator + ?Sized> Generator for &mut G {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        (**self).next(ctx)
    }
    fn take(&mut self, ctx: &Context<'_>) {
        (**self).take(ctx);
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        (**self).update(ctx, update);
    }
}

/// When an answer wants something done: an operation's time, at once for a message.
fn due(next: &Next, ctx: &Context<'_>) -> Option<Time> {
    match next {
        Next::Op(planned) => Some(planned.time.max(ctx.time)),
        Next::Log(_) => Some(ctx.time),
        Next::Pending(_) | Next::Exhausted => None,
    }
}

/// The earlier of two times to ask again, where `None` is "never by itself".
fn earlier(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests;
