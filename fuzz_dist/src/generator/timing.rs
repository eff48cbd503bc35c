//! When operations come: time limits, rates, pauses, schedules.

use std::time::Duration;

use super::{Boxed, Context, Generator, Next, Update, earlier};
use crate::random::Stream;
use crate::time::Time;

/// Ends after a time; see [`Generator::time_limit`].
#[derive(Clone, Debug)]
pub struct TimeLimit<G> {
    inner: G,
    limit: Duration,
    end: Option<Time>,
    offered: Option<Time>,
}

impl<G> TimeLimit<G> {
    pub(super) fn new(inner: G, limit: Duration) -> TimeLimit<G> {
        TimeLimit { inner, limit, end: None, offered: None }
    }
}

impl<G: Generator> Generator for TimeLimit<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        if self.end.is_some_and(|end| ctx.time >= end) {
            return Next::Exhausted;
        }
        match self.inner.next(ctx) {
            Next::Op(planned) if self.end.is_some_and(|end| planned.time >= end) => {
                // It lies beyond the end, but another context may give an earlier one.
                Next::Pending(self.end)
            }
            Next::Op(planned) => {
                self.offered = Some(planned.time);
                Next::Op(planned)
            }
            Next::Pending(wake) => Next::Pending(earlier(wake, self.end)),
            next => {
                self.offered = None;
                next
            }
        }
    }
    fn take(&mut self, ctx: &Context<'_>) {
        // A message starts no clock.
        if let Some(first) = self.offered {
            self.end.get_or_insert(first + self.limit);
        }
        self.inner.take(ctx);
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        self.inner.update(ctx, update);
    }
}

/// A schedule of operations: when the next one is due, given gaps between them.
///
/// A timer fires late, and a thread may be missing for a while. The schedule goes on from the
/// time that was *planned*, so that the rate stays true; but what could not be sent within
/// `backlog` is given up, or an outage would be followed by a burst.
#[derive(Clone, Debug, Default)]
struct Schedule {
    due: Option<Time>,
    offered: Option<Time>,
}

const BACKLOG: Duration = Duration::from_millis(50);

impl Schedule {
    fn offer(&mut self, next: Next) -> Next {
        let Next::Op(mut planned) = next else {
            self.offered = None;
            return next;
        };
        planned.time = planned.time.max(self.due.unwrap_or(planned.time));
        self.offered = Some(planned.time);
        Next::Op(planned)
    }

    fn taken(&mut self, ctx: &Context<'_>, gap: Duration, mean: Duration) {
        let Some(offered) = self.offered else { return };
        let backlog = BACKLOG.max(mean * 2);
        let floor = Time(ctx.time.0.saturating_sub(backlog.as_nanos() as u64));
        let base = self.due.unwrap_or(offered).max(floor);
        self.due = Some(base + gap);
    }
}

/// A total rate at irregular times; see [`Generator::stagger`].
#[derive(Clone, Debug)]
pub struct Stagger<G> {
    inner: G,
    mean: Duration,
    stream: Stream,
    schedule: Schedule,
}

impl<G> Stagger<G> {
    pub(super) fn new(inner: G, mean: Duration, stream: Stream) -> Stagger<G> {
        Stagger { inner, mean, stream, schedule: Schedule::default() }
    }
}

impl<G: Generator> Generator for Stagger<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        self.schedule.offer(self.inner.next(ctx))
    }
    fn take(&mut self, ctx: &Context<'_>) {
        let gap = self.stream.duration(Duration::ZERO, self.mean * 2);
        self.schedule.taken(ctx, gap, self.mean);
        self.inner.take(ctx);
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        self.inner.update(ctx, update);
    }
}

/// Operations exactly so far apart; see [`Generator::delay`].
#[derive(Clone, Debug)]
pub struct Delay<G> {
    inner: G,
    gap: Duration,
    schedule: Schedule,
}

impl<G> Delay<G> {
    pub(super) fn new(inner: G, gap: Duration) -> Delay<G> {
        Delay { inner, gap, schedule: Schedule::default() }
    }
}

impl<G: Generator> Generator for Delay<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        self.schedule.offer(self.inner.next(ctx))
    }
    fn take(&mut self, ctx: &Context<'_>) {
        self.schedule.taken(ctx, self.gap, self.gap);
        self.inner.take(ctx);
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        self.inner.update(ctx, update);
    }
}

/// A pause; see [`sleep`].
#[derive(Clone, Debug)]
pub struct Sleep {
    duration: Duration,
    end: Option<Time>,
}

/// Nothing for a while, counted from when it is first asked; it occupies no thread.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep { duration, end: None }
}

impl Generator for Sleep {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let end = *self.end.get_or_insert(ctx.time + self.duration);
        if ctx.time >= end { Next::Exhausted } else { Next::Pending(Some(end)) }
    }
    fn take(&mut self, _: &Context<'_>) {}
}

/// Generators that take turns by the clock; see [`cycle_times`].
pub struct CycleTimes {
    parts: Vec<(Duration, Option<Boxed>)>,
    start: Option<Time>,
    offered: usize,
}

/// Each part for its duration, in turns, counted from when it is first asked. A part goes on
/// where it stopped when its turn comes again; one that has ended leaves its turns empty, and
/// all ends when every part has ended.
///
/// # Panics
///
/// When a duration is zero.
pub fn cycle_times(parts: impl IntoIterator<Item = (Duration, Boxed)>) -> CycleTimes {
    let parts: Vec<_> = parts.into_iter().map(|(d, part)| (d, Some(part))).collect();
    assert!(parts.iter().all(|(d, _)| !d.is_zero()), "turns of a cycle last longer than nothing");
    CycleTimes { parts, start: None, offered: 0 }
}

impl CycleTimes {
    /// Whose turn it is at `time`, and until when.
    fn turn(&self, start: Time, time: Time) -> (usize, Time) {
        let nanos = |d: Duration| d.as_nanos() as u64;
        let period: u64 = self.parts.iter().map(|(d, _)| nanos(*d)).sum();
        let passed = time.since(start).as_nanos() as u64;
        let mut end = start.0 + passed / period * period;
        for (i, (duration, _)) in self.parts.iter().enumerate() {
            end += nanos(*duration);
            if time.0 < end {
                return (i, Time(end));
            }
        }
        unreachable!("the turns add up to the period")
    }
}

impl Generator for CycleTimes {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        if self.parts.iter().all(|(_, part)| part.is_none()) {
            return Next::Exhausted;
        }
        let start = *self.start.get_or_insert(ctx.time);
        let (i, end) = self.turn(start, ctx.time);
        self.offered = i;
        let Some(part) = &mut self.parts[i].1 else { return Next::Pending(Some(end)) };
        match part.next(ctx) {
            Next::Op(planned) if planned.time >= end => Next::Pending(Some(end)),
            Next::Pending(wake) => Next::Pending(earlier(wake, Some(end))),
            Next::Exhausted => {
                self.parts[i].1 = None;
                // Were that all? Then there is nothing to wait for.
                let more = self.parts.iter().any(|(_, part)| part.is_some());
                if more { Next::Pending(Some(end)) } else { Next::Exhausted }
            }
            next => next,
        }
    }
    fn take(&mut self, ctx: &Context<'_>) {
        if let Some(part) = &mut self.parts[self.offered].1 {
            part.take(ctx);
        }
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        self.parts.iter_mut().filter_map(|(_, part)| part.as_mut()).for_each(|part| {
            part.update(ctx, update);
        });
    }
}
