//! The generators that operations come from: one, several, a function's, a message.

use super::{Context, Generator, Next, Planned};
use crate::op::{Invocation, Name};

/// Offers `op` on a free thread, where there is one.
fn offer(op: &Invocation, ctx: &Context<'_>) -> Next {
    match ctx.some_free() {
        None => Next::Pending(None),
        Some(thread) => Next::Op(Planned {
            time: ctx.time,
            thread,
            process: ctx.process(thread),
            op: op.clone(),
        }),
    }
}

/// One operation; see [`once`].
#[derive(Clone, Debug)]
pub struct Once(Option<Invocation>);

/// One operation, once.
pub fn once(op: Invocation) -> Once {
    Once(Some(op))
}

/// No operation.
pub fn nothing() -> Once {
    Once(None)
}

impl Generator for Once {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        self.0.as_ref().map_or(Next::Exhausted, |op| offer(op, ctx))
    }
    fn take(&mut self, _: &Context<'_>) {
        self.0 = None;
    }
}

/// The same operation over and over; see [`repeat`].
#[derive(Clone, Debug)]
pub struct Repeat(Invocation);

/// The same operation over and over, on every thread that is free.
pub fn repeat(op: Invocation) -> Repeat {
    Repeat(op)
}

impl Generator for Repeat {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        offer(&self.0, ctx)
    }
    fn take(&mut self, _: &Context<'_>) {}
}

/// The operations that a function gives; see [`from_fn`].
#[derive(Clone, Debug)]
pub struct FromFn<F> {
    /// `None` at the end.
    function: Option<F>,
    offered: Option<Invocation>,
}

/// The operations that `function` gives until it gives none. It is called once for each
/// operation, and only when a thread is free.
///
/// ```
/// # use fuzz_dist::generator::*;
/// # use fuzz_dist::op::Invocation;
/// let mut items = 0..3;
/// let adds = from_fn(move || items.next().map(|n| Invocation::new("add", n)));
/// assert_eq!(Simulator::new(2).run(adds).history.len(), 6);
/// ```
pub fn from_fn<F: FnMut() -> Option<Invocation> + Send>(function: F) -> FromFn<F> {
    FromFn { function: Some(function), offered: None }
}

/// These operations, one after the other.
pub fn ops<I>(ops: I) -> FromFn<impl FnMut() -> Option<Invocation> + Send>
where
    I: IntoIterator<Item = Invocation>,
    I::IntoIter: Send,
{
    let mut ops = ops.into_iter();
    from_fn(move || ops.next())
}

impl<F: FnMut() -> Option<Invocation> + Send> Generator for FromFn<F> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        if self.offered.is_none() {
            let Some(function) = &mut self.function else { return Next::Exhausted };
            self.offered = function();
        }
        match &self.offered {
            Some(op) => offer(op, ctx),
            None => {
                self.function = None;
                Next::Exhausted
            }
        }
    }
    fn take(&mut self, _: &Context<'_>) {
        self.offered = None;
    }
}

/// A message; see [`log`].
#[derive(Clone, Debug)]
pub struct Log(Option<Name>);

/// A message for the people who watch the run; it needs no thread and is not in the history.
pub fn log(text: impl Into<Name>) -> Log {
    Log(Some(text.into()))
}

impl Generator for Log {
    fn next(&mut self, _: &Context<'_>) -> Next {
        self.0.clone().map_or(Next::Exhausted, Next::Log)
    }
    fn take(&mut self, _: &Context<'_>) {
        self.0 = None;
    }
}
