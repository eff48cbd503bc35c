//! Generators that watch what becomes of their operations.

use std::collections::BTreeSet;

use super::{Context, Generator, Next, ThreadSet, Update};
use crate::op::{Completion, Process};

/// The threads on which operations of one generator are in flight.
#[derive(Clone, Debug)]
struct Mine {
    offered: ThreadSet,
    in_flight: ThreadSet,
}

impl Mine {
    fn new() -> Mine {
        Mine { offered: ThreadSet::empty(), in_flight: ThreadSet::empty() }
    }

    fn offer(&mut self, next: &Next) {
        self.offered = match next {
            Next::Op(planned) => ThreadSet::one(planned.thread),
            _ => ThreadSet::empty(),
        };
    }

    fn taken(&mut self) {
        self.offered.iter().for_each(|thread| self.in_flight.insert(thread));
        self.offered = ThreadSet::empty();
    }

    /// Is this the completion of one of ours?
    fn completed<'u>(&mut self, update: &Update<'u>) -> Option<&'u Completion> {
        let completion = update.completion?;
        self.in_flight.remove(update.thread).then_some(completion)
    }
}

/// Until one is ok; see [`Generator::until_ok`].
#[derive(Clone, Debug)]
pub struct UntilOk<G> {
    inner: G,
    mine: Mine,
    done: bool,
}

impl<G> UntilOk<G> {
    pub(super) fn new(inner: G) -> UntilOk<G> {
        UntilOk { inner, mine: Mine::new(), done: false }
    }
}

impl<G: Generator> Generator for UntilOk<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        if self.done {
            return Next::Exhausted;
        }
        let next = self.inner.next(ctx);
        self.mine.offer(&next);
        next
    }
    fn take(&mut self, ctx: &Context<'_>) {
        self.mine.taken();
        self.inner.take(ctx);
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        self.done |= matches!(self.mine.completed(update), Some(Completion::Ok(_)));
        self.inner.update(ctx, update);
    }
}

/// So many in flight; see [`Generator::concurrency_limit`].
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit<G> {
    inner: G,
    mine: Mine,
    limit: usize,
}

impl<G> ConcurrencyLimit<G> {
    pub(super) fn new(inner: G, limit: usize) -> ConcurrencyLimit<G> {
        assert!(limit > 0, "a limit of 0 operations in flight would never let one through");
        ConcurrencyLimit { inner, mine: Mine::new(), limit }
    }
}

impl<G: Generator> Generator for ConcurrencyLimit<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let next = self.inner.next(ctx);
        if matches!(next, Next::Op(_)) && self.mine.in_flight.len() >= self.limit {
            return Next::Pending(None);
        }
        self.mine.offer(&next);
        next
    }
    fn take(&mut self, ctx: &Context<'_>) {
        self.mine.taken();
        self.inner.take(ctx);
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        self.mine.completed(update);
        self.inner.update(ctx, update);
    }
}

/// So many processes; see [`Generator::process_limit`].
#[derive(Clone, Debug)]
pub struct ProcessLimit<G> {
    inner: G,
    limit: usize,
    seen: BTreeSet<Process>,
}

impl<G> ProcessLimit<G> {
    pub(super) fn new(inner: G, limit: usize) -> ProcessLimit<G> {
        ProcessLimit { inner, limit, seen: BTreeSet::new() }
    }
}

impl<G: Generator> Generator for ProcessLimit<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        // Every process of the context counts, and not just those that ran: otherwise the last
        // process that is allowed would trickle on alone.
        let fresh = ctx.all.iter().filter(|t| !self.seen.contains(&ctx.process(*t))).count();
        if self.seen.len() + fresh > self.limit {
            return Next::Exhausted;
        }
        self.inner.next(ctx)
    }
    fn take(&mut self, ctx: &Context<'_>) {
        self.seen.extend(ctx.all.iter().map(|t| ctx.process(t)));
        self.inner.take(ctx);
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        self.inner.update(ctx, update);
    }
}
