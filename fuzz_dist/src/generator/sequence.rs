//! Generators one after the other: sequences, cycles, phases that wait for all threads.

use std::collections::VecDeque;

use super::{Boxed, Context, Generator, Next, Update};

/// Several generators, one after the other; see [`sequence`].
pub struct Sequence(VecDeque<Boxed>);

/// Several generators, each after the end of the one before.
pub fn sequence(parts: impl IntoIterator<Item = Boxed>) -> Sequence {
    Sequence(parts.into_iter().collect())
}

/// Several generators, each after the end of the one before *and* when all threads are free.
pub fn phases(parts: impl IntoIterator<Item = Boxed>) -> Sequence {
    sequence(parts.into_iter().map(|part| part.synchronize().boxed()))
}

impl Generator for Sequence {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        while let Some(first) = self.0.front_mut() {
            match first.next(ctx) {
                Next::Exhausted => self.0.pop_front(),
                next => return next,
            };
        }
        Next::Exhausted
    }
    fn take(&mut self, ctx: &Context<'_>) {
        if let Some(first) = self.0.front_mut() {
            first.take(ctx);
        }
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        // Those that have not begun hear of nothing that came before them.
        if let Some(first) = self.0.front_mut() {
            first.update(ctx, update);
        }
    }
}

/// Rounds of a generator; see [`cycle`].
pub struct Cycle<F> {
    make: F,
    round: u64,
    current: Option<Boxed>,
    took: bool,
}

/// Round after round of the generator that `make` gives for the round's number, without end.
///
/// A round that gives no operation at all ends it, or it would never come to rest.
pub fn cycle<G, F>(mut make: F) -> Cycle<impl FnMut(u64) -> Boxed + Send>
where
    G: Generator + 'static,
    F: FnMut(u64) -> G + Send,
{
    let mut make = move |round| make(round).boxed();
    let current = Some(make(0));
    Cycle { make, round: 0, current, took: false }
}

impl<F: FnMut(u64) -> Boxed + Send> Generator for Cycle<F> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        while let Some(current) = &mut self.current {
            match current.next(ctx) {
                Next::Exhausted if self.took => {
                    self.round += 1;
                    self.took = false;
                    self.current = Some((self.make)(self.round));
                }
                Next::Exhausted => self.current = None,
                next => return next,
            }
        }
        Next::Exhausted
    }
    fn take(&mut self, ctx: &Context<'_>) {
        self.took = true;
        if let Some(current) = &mut self.current {
            current.take(ctx);
        }
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        if let Some(current) = &mut self.current {
            current.update(ctx, update);
        }
    }
}

/// Waits for all threads; see [`Generator::synchronize`].
#[derive(Clone, Debug)]
pub struct Synchronize<G> {
    inner: G,
    begun: bool,
}

impl<G> Synchronize<G> {
    pub(super) fn new(inner: G) -> Synchronize<G> {
        Synchronize { inner, begun: false }
    }
}

impl<G: Generator> Generator for Synchronize<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        if !self.begun && !ctx.all_free() {
            return Next::Pending(None);
        }
        self.begun = true;
        self.inner.next(ctx)
    }
    fn take(&mut self, ctx: &Context<'_>) {
        self.inner.take(ctx);
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        self.inner.update(ctx, update);
    }
}
