//! Many small tests in one: independent keys, one after the other or in groups of threads.
//!
//! An operation of a key carries the list `[key value]`; see [`keyed`].

use super::choice::Soonest;
use super::{Boxed, Context, Generator, Next, Planned, Thread, ThreadSet, Update};
use crate::op::{Invocation, Value};

/// The value of an operation on an independent key: the list `[key value]`.
pub fn keyed(key: Value, value: Value) -> Value {
    Value::List([key, value].into())
}

/// The value within [`keyed`], where `value` is one for `key`.
fn unkeyed<'v>(value: &'v Value, key: &Value) -> Option<&'v Value> {
    match value.as_list()? {
        [k, v] if k == key => Some(v),
        _ => None,
    }
}

type Source = Box<dyn FnMut() -> Option<(Value, Boxed)> + Send>;

fn source<G, K, F>(keys: K, mut make: F) -> Source
where
    G: Generator + 'static,
    K: IntoIterator<Item: Into<Value>>,
    K::IntoIter: Send + 'static,
    F: FnMut(&Value) -> G + Send + 'static,
{
    let mut keys = keys.into_iter();
    Box::new(move || {
        let key: Value = keys.next()?.into();
        let generator = make(&key).boxed();
        Some((key, generator))
    })
}

/// A key and the generator of its operations.
struct Keyed {
    key: Value,
    inner: Boxed,
}

impl Keyed {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        match self.inner.next(ctx) {
            Next::Op(planned) => {
                let Invocation { f, value } = planned.op;
                let op = Invocation { f, value: keyed(self.key.clone(), value) };
                Next::Op(Planned { op, ..planned })
            }
            next => next,
        }
    }

    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        // The inner generator hears of its own key only, in its own words.
        if let Some(value) = unkeyed(&update.op.value, &self.key) {
            let op = Invocation { f: update.op.f.clone(), value: value.clone() };
            self.inner.update(ctx, &Update { op: &op, ..*update });
        }
    }
}

/// Key after key; see [`sequential_keys`].
pub struct SequentialKeys {
    source: Source,
    current: Option<Keyed>,
    ended: bool,
}

/// The generator of the first key until it ends, then that of the second and so on.
pub fn sequential_keys<G, K, F>(keys: K, make: F) -> SequentialKeys
where
    G: Generator + 'static,
    K: IntoIterator<Item: Into<Value>>,
    K::IntoIter: Send + 'static,
    F: FnMut(&Value) -> G + Send + 'static,
{
    SequentialKeys { source: source(keys, make), current: None, ended: false }
}

impl Generator for SequentialKeys {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        while !self.ended {
            if let Some(current) = &mut self.current {
                match current.next(ctx) {
                    Next::Exhausted => self.current = None,
                    next => return next,
                }
            }
            self.current = (self.source)().map(|(key, inner)| Keyed { key, inner });
            self.ended = self.current.is_none();
        }
        Next::Exhausted
    }
    fn take(&mut self, ctx: &Context<'_>) {
        if let Some(current) = &mut self.current {
            current.inner.take(ctx);
        }
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        if let Some(current) = &mut self.current {
            current.update(ctx, update);
        }
    }
}

/// Keys in groups of threads; see [`concurrent_keys`].
pub struct ConcurrentKeys {
    source: Source,
    group_size: usize,
    groups: Vec<Group>,
    no_more_keys: bool,
    soonest: Soonest,
}

struct Group {
    threads: ThreadSet,
    current: Option<Keyed>,
}

/// Groups of `group_size` threads, each on a key of its own; a group whose key has ended goes
/// on with the next key. Threads that fill no group take part in the last one.
///
/// # Panics
///
/// When `group_size` is 0.
///
/// ```
/// # use fuzz_dist::generator::*;
/// # use fuzz_dist::op::Invocation;
/// let generator = concurrent_keys(2, 0..5, |_| repeat(Invocation::new("read", ())).limit(10));
/// assert_eq!(Simulator::new(4).run(generator).history.len(), 5 * 10 * 2);
/// ```
pub fn concurrent_keys<G, K, F>(group_size: usize, keys: K, make: F) -> ConcurrentKeys
where
    G: Generator + 'static,
    K: IntoIterator<Item: Into<Value>>,
    K::IntoIter: Send + 'static,
    F: FnMut(&Value) -> G + Send + 'static,
{
    assert!(group_size > 0, "a group has at least one thread");
    ConcurrentKeys {
        source: source(keys, make),
        group_size,
        groups: Vec::new(),
        no_more_keys: false,
        soonest: Soonest::default(),
    }
}

impl ConcurrentKeys {
    /// Cuts the context's threads into groups, at the first call.
    fn form_groups(&mut self, ctx: &Context<'_>) {
        if !self.groups.is_empty() {
            return;
        }
        let threads: Vec<Thread> = ctx.all.iter().collect();
        let whole = (threads.len() / self.group_size).max(1);
        for i in 0..whole {
            let last = i + 1 == whole;
            let end = if last { threads.len() } else { (i + 1) * self.group_size };
            let members = &threads[i * self.group_size..end];
            self.groups.push(Group { threads: members.iter().copied().collect(), current: None });
        }
    }
}

impl Generator for ConcurrentKeys {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        self.form_groups(ctx);
        let ConcurrentKeys { source, groups, no_more_keys, soonest, .. } = self;
        soonest.next(
            groups.len(),
            ctx,
            |_| 1,
            |i| {
                let group = &mut groups[i];
                let narrowed = ctx.narrowed(&group.threads);
                loop {
                    if group.current.is_none() && !*no_more_keys {
                        group.current = source().map(|(key, inner)| Keyed { key, inner });
                        *no_more_keys = group.current.is_none();
                    }
                    let Some(current) = &mut group.current else {
                        return Some(Next::Exhausted);
                    };
                    match current.next(&narrowed) {
                        Next::Exhausted => group.current = None,
                        next => return Some(next),
                    }
                }
            },
        )
    }
    fn take(&mut self, ctx: &Context<'_>) {
        let Some(i) = self.soonest.take(|_| 1) else { return };
        let group = &mut self.groups[i];
        if let Some(current) = &mut group.current {
            current.inner.take(&ctx.narrowed(&group.threads));
        }
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        for group in self.groups.iter_mut().filter(|g| g.threads.contains(update.thread)) {
            if let Some(current) = &mut group.current {
                current.update(&ctx.narrowed(&group.threads), update);
            }
        }
    }
}
