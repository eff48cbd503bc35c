//! Who runs what: generators bound to threads, nodes and processes.

use std::collections::BTreeMap;

use super::choice::Soonest;
use super::{Any, Boxed, Context, Generator, Next, Thread, ThreadSet, Update, any};
use crate::op::{NodeId, Process};

/// Only on some threads; see [`Generator::on_threads`].
#[derive(Clone, Debug)]
pub struct OnThreads<G> {
    inner: G,
    threads: ThreadSet,
}

impl<G> OnThreads<G> {
    pub(super) fn new(inner: G, threads: ThreadSet) -> OnThreads<G> {
        OnThreads { inner, threads }
    }
}

impl<G: Generator> Generator for OnThreads<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        self.inner.next(&ctx.narrowed(&self.threads))
    }
    fn take(&mut self, ctx: &Context<'_>) {
        self.inner.take(&ctx.narrowed(&self.threads));
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        if self.threads.contains(update.thread) {
            self.inner.update(&ctx.narrowed(&self.threads), update);
        }
    }
}

/// One generator per node; see [`each_node`].
pub fn each_node<G: Generator + 'static>(
    nodes: u16,
    concurrency: usize,
    mut make: impl FnMut(NodeId) -> G,
) -> Any {
    any((0..nodes).map(|node| {
        let threads = (node as usize..concurrency).step_by(nodes.into());
        make(NodeId(node)).on_threads(threads.map(|t| Thread(t as u16))).boxed()
    }))
}

/// One generator per thread; see [`each_thread`].
pub struct EachThread<F> {
    make: F,
    threads: BTreeMap<Thread, Boxed>,
    done: ThreadSet,
    soonest: Soonest,
    order: Vec<Thread>,
}

/// On every thread a generator of its own; it ends when all have ended.
///
/// ```
/// # use fuzz_dist::generator::*;
/// # use fuzz_dist::op::Invocation;
/// let reads = each_thread(|_| once(Invocation::new("read", ())));
/// assert_eq!(Simulator::new(3).run(reads).history.len(), 6);
/// ```
pub fn each_thread<G, F>(mut make: F) -> EachThread<impl FnMut(Thread) -> Boxed + Send>
where
    G: Generator + 'static,
    F: FnMut(Thread) -> G + Send,
{
    EachThread {
        make: move |thread| make(thread).boxed(),
        threads: BTreeMap::new(),
        done: ThreadSet::empty(),
        soonest: Soonest::default(),
        order: Vec::new(),
    }
}

impl<F: FnMut(Thread) -> Boxed + Send> Generator for EachThread<F> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        self.order.clear();
        self.order.extend(ctx.all.iter());
        let EachThread { make, threads, done, soonest, order } = self;
        soonest.next(
            order.len(),
            ctx,
            |_| 1,
            |i| {
                let thread = order[i];
                if done.contains(thread) {
                    return Some(Next::Exhausted);
                }
                // Whoever is busy has nothing to offer, and need not be asked.
                if !ctx.free.contains(thread) {
                    return None;
                }
                let part = threads.entry(thread).or_insert_with(|| make(thread));
                let next = part.next(&ctx.narrowed(&ThreadSet::one(thread)));
                if next == Next::Exhausted {
                    done.insert(thread);
                    threads.remove(&thread);
                }
                Some(next)
            },
        )
    }
    fn take(&mut self, ctx: &Context<'_>) {
        let Some(thread) = self.soonest.take(|_| 1).map(|i| self.order[i]) else { return };
        if let Some(part) = self.threads.get_mut(&thread) {
            part.take(&ctx.narrowed(&ThreadSet::one(thread)));
        }
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        if let Some(part) = self.threads.get_mut(&update.thread) {
            part.update(&ctx.narrowed(&ThreadSet::one(update.thread)), update);
        }
    }
}

/// One generator per process; see [`each_process`].
pub struct EachProcess<F> {
    make: F,
    threads: BTreeMap<Thread, (Process, Option<Boxed>)>,
    soonest: Soonest,
    order: Vec<Thread>,
}

/// For every process a generator of its own: where a thread gets a new process, it begins with
/// a new generator. It ends when those of all present processes have ended.
pub fn each_process<G, F>(mut make: F) -> EachProcess<impl FnMut(Process) -> Boxed + Send>
where
    G: Generator + 'static,
    F: FnMut(Process) -> G + Send,
{
    EachProcess {
        make: move |process| make(process).boxed(),
        threads: BTreeMap::new(),
        soonest: Soonest::default(),
        order: Vec::new(),
    }
}

impl<F: FnMut(Process) -> Boxed + Send> Generator for EachProcess<F> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        self.order.clear();
        self.order.extend(ctx.all.iter());
        let EachProcess { make, threads, soonest, order } = self;
        soonest.next(
            order.len(),
            ctx,
            |_| 1,
            |i| {
                let thread = order[i];
                if !ctx.free.contains(thread) {
                    return None;
                }
                let process = ctx.process(thread);
                let entry = threads.entry(thread).or_insert_with(|| (process, Some(make(process))));
                if entry.0 != process {
                    *entry = (process, Some(make(process)));
                }
                let Some(part) = &mut entry.1 else { return Some(Next::Exhausted) };
                let next = part.next(&ctx.narrowed(&ThreadSet::one(thread)));
                if next == Next::Exhausted {
                    entry.1 = None;
                }
                Some(next)
            },
        )
    }
    fn take(&mut self, ctx: &Context<'_>) {
        let Some(thread) = self.soonest.take(|_| 1).map(|i| self.order[i]) else { return };
        if let Some((_, Some(part))) = self.threads.get_mut(&thread) {
            part.take(&ctx.narrowed(&ThreadSet::one(thread)));
        }
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        if let Some((process, Some(part))) = self.threads.get_mut(&update.thread)
            && *process == update.process
        {
            part.update(&ctx.narrowed(&ThreadSet::one(update.thread)), update);
        }
    }
}

/// Ranges of threads; see [`reserve`].
pub struct Reserve {
    ranges: Vec<ThreadSet>,
    parts: Vec<Boxed>,
    soonest: Soonest,
}

/// The first `n` threads for the first generator, the next for the second and so on, and all
/// that are left for `rest`: readers and writers that do not get into each other's way.
///
/// ```
/// # use fuzz_dist::generator::*;
/// # use fuzz_dist::op::Invocation;
/// let write = repeat(Invocation::new("write", 1));
/// let read = repeat(Invocation::new("read", ()));
/// let both = reserve([(2, write.boxed())], read).limit(10);
/// assert_eq!(Simulator::new(5).run(both).history.len(), 20);
/// ```
pub fn reserve(
    ranges: impl IntoIterator<Item = (usize, Boxed)>,
    rest: impl Generator + 'static,
) -> Reserve {
    let (mut from, mut sets, mut parts) = (0, Vec::new(), Vec::new());
    for (n, part) in ranges {
        sets.push(ThreadSet::range(from, from + n));
        parts.push(part);
        from += n;
    }
    sets.push(ThreadSet::range(from, ThreadSet::CAPACITY));
    parts.push(rest.boxed());
    Reserve { ranges: sets, parts, soonest: Soonest::default() }
}

impl Generator for Reserve {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let Reserve { ranges, parts, soonest } = self;
        soonest.next(
            parts.len(),
            ctx,
            |i| ctx.all.and(&ranges[i]).len() as i64,
            |i| {
                let narrowed = ctx.narrowed(&ranges[i]);
                // A range without any thread would be pending for ever.
                if narrowed.all.is_empty() {
                    return Some(Next::Exhausted);
                }
                Some(parts[i].next(&narrowed))
            },
        )
    }
    fn take(&mut self, ctx: &Context<'_>) {
        let Reserve { ranges, parts, soonest } = self;
        if let Some(i) = soonest.take(|i| ctx.all.and(&ranges[i]).len() as i64) {
            parts[i].take(&ctx.narrowed(&ranges[i]));
        }
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        for (range, part) in self.ranges.iter().zip(&mut self.parts) {
            if range.contains(update.thread) {
                part.update(&ctx.narrowed(range), update);
            }
        }
    }
}
