//! Fewer operations, or other ones: limit, filter, map, renamed functions.

use super::{Context, Generator, Next, Planned, Update};
use crate::op::{Invocation, Name};

/// At most so many operations; see [`Generator::limit`].
#[derive(Clone, Debug)]
pub struct Limit<G> {
    inner: G,
    left: u64,
    op_offered: bool,
}

impl<G> Limit<G> {
    pub(super) fn new(inner: G, left: u64) -> Limit<G> {
        Limit { inner, left, op_offered: false }
    }
}

impl<G: Generator> Generator for Limit<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        if self.left == 0 {
            return Next::Exhausted;
        }
        let next = self.inner.next(ctx);
        self.op_offered = matches!(next, Next::Op(_));
        next
    }
    fn take(&mut self, ctx: &Context<'_>) {
        // Messages do not count.
        self.left -= u64::from(self.op_offered);
        self.inner.take(ctx);
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        self.inner.update(ctx, update);
    }
}

/// So many operations in a row may be thrown away before the generator counts as pending for
/// the moment: a filter that lets nothing through must not hang the run.
const FILTER_TRIES: u32 = 10_000;

/// Some of the operations; see [`Generator::filter`].
#[derive(Clone, Debug)]
pub struct Filter<G, P> {
    inner: G,
    keep: P,
}

impl<G, P> Filter<G, P> {
    pub(super) fn new(inner: G, keep: P) -> Filter<G, P> {
        Filter { inner, keep }
    }
}

impl<G: Generator, P: Fn(&Invocation) -> bool + Send> Generator for Filter<G, P> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        for _ in 0..FILTER_TRIES {
            match self.inner.next(ctx) {
                Next::Op(planned) if !(self.keep)(&planned.op) => self.inner.take(ctx),
                next => return next,
            }
        }
        Next::Pending(Some(ctx.time + std::time::Duration::from_millis(1)))
    }
    fn take(&mut self, ctx: &Context<'_>) {
        self.inner.take(ctx);
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        self.inner.update(ctx, update);
    }
}

/// Changed operations; see [`Generator::map`].
#[derive(Clone, Debug)]
pub struct Map<G, F> {
    inner: G,
    change: F,
}

impl<G, F> Map<G, F> {
    pub(super) fn new(inner: G, change: F) -> Map<G, F> {
        Map { inner, change }
    }
}

impl<G: Generator, F: Fn(Invocation) -> Invocation + Send> Generator for Map<G, F> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        match self.inner.next(ctx) {
            Next::Op(planned) => {
                let op = (self.change)(planned.op);
                Next::Op(Planned { op, ..planned })
            }
            next => next,
        }
    }
    fn take(&mut self, ctx: &Context<'_>) {
        self.inner.take(ctx);
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        self.inner.update(ctx, update);
    }
}

/// Renamed functions; see [`Generator::f_map`].
#[derive(Clone, Debug)]
pub struct FMap<G> {
    inner: G,
    names: Vec<(Name, Name)>,
}

impl<G> FMap<G> {
    pub(super) fn new<N: Into<Name>>(inner: G, names: impl IntoIterator<Item = (N, N)>) -> FMap<G> {
        let names = names.into_iter().map(|(from, to)| (from.into(), to.into())).collect();
        FMap { inner, names }
    }
}

impl<G: Generator> Generator for FMap<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let mut next = self.inner.next(ctx);
        if let Next::Op(planned) = &mut next
            && let Some((_, to)) = self.names.iter().find(|(from, _)| *from == planned.op.f)
        {
            planned.op.f = to.clone();
        }
        next
    }
    fn take(&mut self, ctx: &Context<'_>) {
        self.inner.take(ctx);
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        // The inner generator hears its own names.
        match self.names.iter().find(|(_, to)| *to == update.op.f) {
            None => self.inner.update(ctx, update),
            Some((from, _)) => {
                let op = Invocation { f: from.clone(), value: update.op.value.clone() };
                self.inner.update(ctx, &Update { op: &op, ..*update });
            }
        }
    }
}
