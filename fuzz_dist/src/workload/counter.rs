//! Counters that go up and down: increments of many sizes, reads of the whole.

use std::future::Future;
use std::sync::Arc;

use super::functions::{Asking, Called, Functions, WithArgument, asking, with_argument};
use super::{Failure, Workload};
use crate::checker::{convergence, pn_counter as judge};
use crate::generator::{Generator, from_fn, mix, repeat};
use crate::history::History;
use crate::node::Node;
use crate::op::{Invocation, Kind, Value};
use crate::random::{Seed, Stream};

/// Increments are at most this large: sparse enough that a difference shows which are missing,
/// and a counter of 32 bits holds hours of them.
const LARGEST: u64 = 5_000;
/// How long a swing goes in one direction, in increments.
const SWING: u32 = 40;

/// How increments are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Only upwards: no read may be smaller than the same client's former one.
    Grow,
    /// For a while upwards, then as long downwards.
    Swing,
    /// Up and down at random.
    #[default]
    Rand,
}

/// A counter with increments and decrements at random, over the database's own client; see
/// [`pn_counter_with`].
#[fuzz_dist::workload("pn_counter")]
pub fn pn_counter() -> Workload {
    pn_counter_with(Strategy::Rand)
}

/// A counter that only grows; see [`pn_counter_with`].
#[fuzz_dist::workload("pn_counter_grow", aliases = ["g_counter"])]
pub fn pn_counter_grow() -> Workload {
    pn_counter_with(Strategy::Grow)
}

/// A counter that swings up and down; see [`pn_counter_with`].
#[fuzz_dist::workload("pn_counter_swing")]
pub fn pn_counter_swing() -> Workload {
    pn_counter_with(Strategy::Swing)
}

/// A counter of which each node has its own part, under a key of its own, and whose value is the
/// sum: increments of different nodes never meet in one key.
#[fuzz_dist::workload("pn_counter_spread")]
pub fn pn_counter_spread() -> Workload {
    named("pn_counter_spread", Strategy::Rand)
}

/// A counter over the database's own client: as many `add`s, of sizes drawn by the strategy, as
/// reads of the value, judged by [`pn_counter`](crate::checker::pn_counter) and
/// [`convergence`].
///
/// No read may have a value that no increments explain, and every node's last read has to have
/// all that were acknowledged. What sessions are promised is judged by who asks for it.
///
/// ```
/// use fuzz_dist::workload::{CounterStrategy, pn_counter_with};
/// let ups_and_downs = pn_counter_with(CounterStrategy::Swing);
/// ```
pub fn pn_counter_with(strategy: Strategy) -> Workload {
    named("pn_counter", strategy)
}

fn named(name: &str, strategy: Strategy) -> Workload {
    let operations = move |seed: Seed| {
        let mut random = seed.stream("pn_counter/sizes");
        let mut count = 0;
        let adds = from_fn(move || {
            count += 1;
            Some(Invocation::new("add", size(strategy, count - 1, &mut random)))
        });
        let reads = repeat(Invocation::new("read", ()));
        mix(seed.stream("pn_counter"), [(1, adds.boxed()), (1, reads.boxed())]).boxed()
    };
    Workload::new(name, ["add", "read"], operations)
        .pure(["read"])
        .read(Invocation::new("read", ()))
        .complete(may_hold_every_acknowledged_add)
        .checker(Arc::new(judge().sessions(false)))
        .checker(Arc::new(convergence()))
}

fn size(strategy: Strategy, count: u32, random: &mut Stream) -> i64 {
    let size = 1 + random.below(LARGEST) as i64;
    let up = match strategy {
        Strategy::Grow => true,
        Strategy::Swing => (count / SWING).is_multiple_of(2),
        Strategy::Rand => random.chance(0.5),
    };
    if up { size } else { -size }
}

/// Starts a workload of a counter over functions of your own; see [`CounterWorkload`].
pub fn counter_workload() -> CounterWorkload<(), ()> {
    CounterWorkload { strategy: Strategy::default(), add: (), read: () }
}

/// A counter over two functions: how to add a number to it, which may be negative, and how to read it. Judged as
/// [`pn_counter_with`] is.
///
/// ```
/// use fuzz_dist::prelude::*;
/// use fuzz_dist::workload::{CounterStrategy, counter_workload};
///
/// let likes: Workload = counter_workload()
///     .strategy(CounterStrategy::Grow)
///     .add(|node, by| node.call::<()>("Shop.Likes", "add", args![by]))
///     .read(|node| node.call::<i64>("Shop.Likes", "count", args![]))
///     .into();
/// ```
pub struct CounterWorkload<A, R> {
    strategy: Strategy,
    add: A,
    read: R,
}

impl<A, R> CounterWorkload<A, R> {
    /// How the numbers are chosen; up and down at random unless set.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }
}

impl<R> CounterWorkload<(), R> {
    /// How to add a number through a node.
    #[expect(clippy::should_implement_trait, reason = "it is what counters are about")]
    pub fn add<F, Fut, E>(self, add: F) -> CounterWorkload<WithArgument<i64, ()>, R>
    where
        F: Fn(Node, i64) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Failure>,
    {
        CounterWorkload { strategy: self.strategy, add: with_argument(add), read: self.read }
    }
}

impl<A> CounterWorkload<A, ()> {
    /// How to read the value through a node.
    pub fn read<F, Fut, E>(self, read: F) -> CounterWorkload<A, Asking<i64>>
    where
        F: Fn(Node) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<i64, E>> + Send + 'static,
        E: Into<Failure>,
    {
        CounterWorkload { strategy: self.strategy, add: self.add, read: asking(read) }
    }
}

impl From<CounterWorkload<WithArgument<i64, ()>, Asking<i64>>> for Workload {
    fn from(counter: CounterWorkload<WithArgument<i64, ()>, Asking<i64>>) -> Workload {
        let CounterWorkload { strategy, add, read } = counter;
        pn_counter_with(strategy).client(move |node| {
            let (add, read) = (add.clone(), read.clone());
            let call = move |node: &Node, f: &str, value: &Value| match (f, value) {
                ("add", Value::Int(by)) => {
                    let (adding, by) = (add(node.clone(), *by), *by);
                    Called::Answer(Box::pin(async move { adding.await.map(|()| by.into()) }))
                }
                ("add", _) => Called::BadArgument,
                ("read", _) => {
                    let reading = read(node.clone());
                    Called::Answer(Box::pin(async move { reading.await.map(Value::Int) }))
                }
                _ => Called::Unsupported,
            };
            Box::new(Functions {
                node: node.clone(),
                known: &["add", "read"],
                call: Arc::new(call),
            })
        })
    }
}

/// Lies the value between all that was acknowledged with everything unknown that lowers it, and
/// with everything unknown that raises it?
fn may_hold_every_acknowledged_add(history: &History, value: &Value) -> bool {
    let (Some(value), Some(add)) = (value.as_int(), history.find_function("add")) else {
        return true;
    };
    let (mut low, mut high) = (0_i64, 0_i64);
    for i in 0..history.len() {
        if history.function_index(i) != add || history.kind(i) != Kind::Invoke {
            continue;
        }
        let size = history.int(i).unwrap_or(0);
        match history.completion(i).map(|c| history.kind(c)) {
            Some(Kind::Ok) => (low, high) = (low + size, high + size),
            Some(Kind::Fail) => {}
            _ => (low, high) = (low + size.min(0), high + size.max(0)),
        }
    }
    (low..=high).contains(&value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::histories::Recorder;

    fn sizes(strategy: Strategy) -> Vec<i64> {
        let mut random = Seed(3).stream("sizes");
        (0..200).map(|count| size(strategy, count, &mut random)).collect()
    }

    #[test]
    fn strategies_grow_swing_and_wander() {
        assert!(sizes(Strategy::Grow).iter().all(|n| *n > 0));
        let swing = sizes(Strategy::Swing);
        assert!(swing[..40].iter().all(|n| *n > 0) && swing[40..80].iter().all(|n| *n < 0));
        let rand = sizes(Strategy::Rand);
        assert!(rand[..40].iter().any(|n| *n > 0) && rand[..40].iter().any(|n| *n < 0));
    }

    #[test]
    fn a_value_is_complete_when_only_unknown_increments_can_be_missing() {
        let mut r = Recorder::new(["n1"]);
        for (size, known) in [(10, true), (5, false), (-3, false)] {
            r.invoke(0, "add", size);
            if known {
                r.done(0)
            } else {
                r.info(0)
            };
        }
        let history = r.history();
        let complete = |n: i64| may_hold_every_acknowledged_add(&history, &Value::Int(n));
        assert!(complete(10) && complete(15) && complete(7));
        assert!(!complete(6) && !complete(16));
    }
}
