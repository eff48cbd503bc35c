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

/// For each of these nodes a generator of its own, on the threads that speak to it. That of a node
/// without any thread, such as one that left, has ended.
///
/// ```
/// # use fuzz_dist::generator::*;
/// # use fuzz_dist::op::{Invocation, NodeId};
/// let reads = each_node([NodeId(0), NodeId(1)], |_| once(Invocation::new("read", ())));
/// assert_eq!(Simulator::new(4).nodes(2).run(reads).history.len(), 4);
/// ```
pub fn each_node<G: Generator + 'static>(
    nodes: impl IntoIterator<Item = NodeId>,
    mut make: impl FnMut(NodeId) -> G,
) -> Any {
    any(nodes.into_iter().map(|node| OnNode { inner: make(node), node }.boxed()))
}

/// Only on the threads that speak to a node.
struct OnNode<G> {
    inner: G,
    node: NodeId,
}

impl<G> OnNode<G> {
    fn narrowed<'a>(&self, ctx: &Context<'a>) -> Context<'a> {
        let threads = ctx.all.iter().filter(|thread| ctx.node(*thread) == self.node);
        ctx.narrowed(&threads.collect())
    }
}

impl<G: Generator> Generator for OnNode<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let narrowed = self.narrowed(ctx);
        // Without any thread it would be pending for ever.
        if narrowed.all.is_empty() {
            return Next::Exhausted;
        }
        self.inner.next(&narrowed)
    }
    fn take(&mut self, ctx: &Context<'_>) {
        let narrowed = self.narrowed(ctx);
        self.inner.take(&narrowed);
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        if ctx.node(update.thread) == self.node {
            let narrowed = self.narrowed(ctx);
            self.inner.update(&narrowed, update);
        }
    }
}

/// One generator per thread or per process; see [`each_thread`] and [`each_process`].
pub struct Each<K, F> {
    make: F,
    key: fn(Thread, Process) -> K,
    /// Whose turn each thread is at, with the generator, until that has ended.
    parts: BTreeMap<Thread, (K, Option<Boxed>)>,
    soonest: Soonest,
    order: Vec<Thread>,
}

/// On every thread a generator of its own; it ends when all have ended and every thread is free.
///
/// ```
/// # use fuzz_dist::generator::*;
/// # use fuzz_dist::op::Invocation;
/// let reads = each_thread(|_| once(Invocation::new("read", ())));
/// assert_eq!(Simulator::new(3).run(reads).history.len(), 6);
/// ```
pub fn each_thread<G, F>(make: F) -> Each<Thread, impl FnMut(Thread) -> Boxed + Send>
where
    G: Generator + 'static,
    F: FnMut(Thread) -> G + Send,
{
    each(make, |thread, _| thread)
}

/// For every process a generator of its own: where a thread gets a new process, it begins with
/// a new generator. It ends when those of all present processes have ended.
///
/// ```
/// # use fuzz_dist::generator::*;
/// # use fuzz_dist::op::Invocation;
/// let hello = each_process(|_| once(Invocation::new("hello", ())));
/// assert_eq!(Simulator::new(3).run(hello).history.len(), 6);
/// ```
pub fn each_process<G, F>(make: F) -> Each<Process, impl FnMut(Process) -> Boxed + Send>
where
    G: Generator + 'static,
    F: FnMut(Process) -> G + Send,
{
    each(make, |_, process| process)
}

fn each<K, G, F>(
    mut make: F,
    key: fn(Thread, Process) -> K,
) -> Each<K, impl FnMut(K) -> Boxed + Send>
where
    G: Generator + 'static,
    F: FnMut(K) -> G + Send,
{
    let make = move |key| make(key).boxed();
    let (parts, soonest, order) = (BTreeMap::new(), Soonest::default(), Vec::new());
    Each { make, key, parts, soonest, order }
}

impl<K, F> Generator for Each<K, F>
where
    K: Copy + PartialEq + Send,
    F: FnMut(K) -> Boxed + Send,
{
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        self.order.clear();
        self.order.extend(ctx.all.iter());
        let Each { make, key, parts, soonest, order } = self;
        soonest.next(
            order.len(),
            ctx,
            |_| 1,
            |i| {
                let thread = order[i];
                // Whoever is busy has nothing to offer yet, and may come back as a new process.
                if !ctx.free.contains(thread) {
                    return None;
                }
                let present = key(thread, ctx.process(thread));
                let entry = parts.entry(thread).or_insert_with(|| (present, Some(make(present))));
                if entry.0 != present {
                    *entry = (present, Some(make(present)));
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
        if let Some((_, Some(part))) = self.parts.get_mut(&thread) {
            part.take(&ctx.narrowed(&ThreadSet::one(thread)));
        }
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        let key = (self.key)(update.thread, update.process);
        if let Some((present, Some(part))) = self.parts.get_mut(&update.thread)
            && *present == key
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::generator::repeat;
    use crate::op::{Invocation, Value};
    use crate::time::Time;

    #[test]
    fn who_speaks_to_a_node_is_asked_at_that_moment() {
        let processes = [Process(0), Process(1), Process(2)];
        let ctx = Context::new(Time::ZERO, &processes, 2);
        let moved = ctx.with_bound(&[NodeId(0), NodeId(3), NodeId(3)]);
        assert_eq!(moved.node(Thread(2)), NodeId(3));
        let mut each = each_node([NodeId(0), NodeId(1), NodeId(3)], |node| {
            repeat(Invocation::new("r", i64::from(node.0)))
        });
        let mut asked = BTreeMap::new();
        for free in [Thread(0), Thread(1), Thread(2)] {
            let ctx = moved.with_free(ThreadSet::one(free));
            let Next::Op(planned) = each.next(&ctx) else { panic!("a free thread has a node") };
            each.take(&ctx);
            asked.insert(planned.thread.0, planned.op.value);
        }
        let expected = [(0, 0), (1, 3), (2, 3)].map(|(thread, node)| (thread, Value::Int(node)));
        assert_eq!(asked, BTreeMap::from(expected), "a node without threads has nothing to do");
    }
}
