//! Generators side by side: mixed at random, the soonest first, in turns.

use super::{Boxed, Context, Generator, Next, Update, due, earlier};
use crate::random::Stream;
use crate::time::Time;

/// A weighted random mixture; see [`mix`].
pub struct Mix {
    parts: Vec<(u32, Boxed)>,
    stream: Stream,
    chosen: usize,
    offered: usize,
}

/// For each operation one of `parts` at random, in proportion to its weight.
///
/// Where the chosen one has nothing at the moment, the others are asked in its place. It ends
/// when all have ended.
///
/// # Panics
///
/// When a weight is 0.
pub fn mix(stream: Stream, parts: impl IntoIterator<Item = (u32, Boxed)>) -> Mix {
    let parts: Vec<(u32, Boxed)> = parts.into_iter().collect();
    assert!(parts.iter().all(|(weight, _)| *weight > 0), "weights of a mix are above 0");
    let mut mix = Mix { parts, stream, chosen: 0, offered: 0 };
    mix.draw();
    mix
}

impl Mix {
    fn draw(&mut self) {
        let total: u64 = self.parts.iter().map(|(weight, _)| u64::from(*weight)).sum();
        if total == 0 {
            return;
        }
        let mut left = self.stream.below(total);
        for (i, (weight, _)) in self.parts.iter().enumerate() {
            if left < u64::from(*weight) {
                self.chosen = i;
                return;
            }
            left -= u64::from(*weight);
        }
    }
}

impl Generator for Mix {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let mut wake: Option<Time> = None;
        let mut step = 0;
        while step < self.parts.len() {
            let i = (self.chosen + step) % self.parts.len();
            match self.parts[i].1.next(ctx) {
                Next::Exhausted => {
                    self.parts.remove(i);
                    self.draw();
                    (wake, step) = (None, 0);
                }
                Next::Pending(time) => {
                    wake = earlier(wake, time);
                    step += 1;
                }
                next => {
                    self.offered = i;
                    return next;
                }
            }
        }
        if self.parts.is_empty() { Next::Exhausted } else { Next::Pending(wake) }
    }
    fn take(&mut self, ctx: &Context<'_>) {
        if let Some((_, part)) = self.parts.get_mut(self.offered) {
            part.take(ctx);
            self.draw();
        }
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        self.parts.iter_mut().for_each(|(_, part)| part.update(ctx, update));
    }
}

/// Chooses the soonest of several answers; equal ones take turns in proportion to weights
/// (smooth weighted round robin), so that no seed is needed and nobody starves.
#[derive(Clone, Debug, Default)]
pub(super) struct Soonest {
    credit: Vec<i64>,
    offered: Option<usize>,
}

impl Soonest {
    /// Asks `n` parts through `ask`, and gives the soonest answer.
    pub(super) fn next(
        &mut self,
        n: usize,
        ctx: &Context<'_>,
        weight: impl Fn(usize) -> i64,
        mut ask: impl FnMut(usize) -> Option<Next>,
    ) -> Next {
        self.credit.resize(n, 0);
        self.offered = None;
        let mut best: Option<(Time, i64, usize, Next)> = None;
        let (mut wake, mut alive) = (None, false);
        for i in 0..n {
            let Some(next) = ask(i) else {
                alive = true;
                continue;
            };
            match &next {
                Next::Exhausted => continue,
                Next::Pending(time) => wake = earlier(wake, *time),
                Next::Op(_) | Next::Log(_) => {
                    let time = due(&next, ctx).unwrap_or(ctx.time);
                    let credit = self.credit[i] + weight(i);
                    if best.as_ref().is_none_or(|b| time < b.0 || (time == b.0 && credit > b.1)) {
                        best = Some((time, credit, i, next));
                    }
                }
            }
            alive = true;
        }
        match best {
            Some((_, _, i, next)) => {
                self.offered = Some(i);
                next
            }
            None if alive => Next::Pending(wake),
            None => Next::Exhausted,
        }
    }

    /// The part whose answer was given last; its turn is over.
    pub(super) fn take(&mut self, weight: impl Fn(usize) -> i64) -> Option<usize> {
        let taken = self.offered.take()?;
        let total: i64 = (0..self.credit.len()).map(&weight).sum();
        for (i, credit) in self.credit.iter_mut().enumerate() {
            let spent = if i == taken { total } else { 0 };
            // Who has nothing for a while must neither save up for a monopoly nor, as the only
            // one with work, run into debt.
            *credit = (*credit + weight(i) - spent).clamp(-total, total);
        }
        Some(taken)
    }
}

/// The soonest of several; see [`any`].
pub struct Any {
    parts: Vec<Boxed>,
    soonest: Soonest,
}

/// The operation of whichever part has one soonest; it ends when all have ended.
pub fn any(parts: impl IntoIterator<Item = Boxed>) -> Any {
    Any { parts: parts.into_iter().collect(), soonest: Soonest::default() }
}

impl Generator for Any {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let parts = &mut self.parts;
        self.soonest.next(parts.len(), ctx, |_| 1, |i| Some(parts[i].next(ctx)))
    }
    fn take(&mut self, ctx: &Context<'_>) {
        if let Some(i) = self.soonest.take(|_| 1) {
            self.parts[i].take(ctx);
        }
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        self.parts.iter_mut().for_each(|part| part.update(ctx, update));
    }
}

/// Two generators in turns; see [`flip_flop`].
#[derive(Clone, Debug)]
pub struct FlipFlop<A, B> {
    flip: A,
    flop: B,
    second: bool,
}

/// An operation of `flip`, one of `flop`, one of `flip` and so on, until the one whose turn it
/// is has none.
pub fn flip_flop<A: Generator, B: Generator>(flip: A, flop: B) -> FlipFlop<A, B> {
    FlipFlop { flip, flop, second: false }
}

impl<A: Generator, B: Generator> Generator for FlipFlop<A, B> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        if self.second { self.flop.next(ctx) } else { self.flip.next(ctx) }
    }
    fn take(&mut self, ctx: &Context<'_>) {
        if self.second {
            self.flop.take(ctx);
        } else {
            self.flip.take(ctx);
        }
        self.second = !self.second;
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        self.flip.update(ctx, update);
        self.flop.update(ctx, update);
    }
}
