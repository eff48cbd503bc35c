//! Two reads of a counter, one after the other, that no increments between them explain.
//!
//! Between two reads lies at least what was invoked after the first one and acknowledged before the
//! second one, and at most what was neither acknowledged before the first one nor invoked after the
//! second one. That takes no search, however many increments have no known outcome.

use super::super::Anomaly;
use super::super::calls::{Outcome, calls};
use super::super::evidence::node_of;
use super::CounterModel;
use super::model::{CounterOp, Model as _};
use fuzz_dist_history::History;
use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::Kind;

/// A read, and one that was invoked after it completed: their completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) first: usize,
    pub(super) second: usize,
}

/// Sums of increments that grow, and of the others, without their sign.
#[derive(Clone, Copy, Default)]
struct Sums {
    up: i128,
    down: i128,
}

impl Sums {
    fn add(&mut self, n: i64) {
        self.up += i128::from(n.max(0));
        self.down += i128::from(n.min(0)).abs();
    }
}

/// The best bound that some read gives, and its completion.
type Bound = Option<(i128, usize)>;

/// Of the reads that have completed: the least upper bounds for what is read next, and the greatest
/// lower ones; without what certainly lies between the reads, and with it.
#[derive(Clone, Copy, Default)]
struct Former {
    most: [Bound; 2],
    least: [Bound; 2],
}

impl Former {
    fn add(&mut self, read: usize, value: i128, acknowledged: Sums, begun: Sums) {
        let most = value - acknowledged.up;
        let least = value + acknowledged.down;
        for (bound, new) in self.most.iter_mut().zip([most, most + begun.down]) {
            *bound = Some(bound.map_or((new, read), |old| old.min((new, read))));
        }
        for (bound, new) in self.least.iter_mut().zip([least, least - begun.up]) {
            *bound = Some(bound.map_or((new, read), |old| old.max((new, read))));
        }
    }

    /// A read that excludes `value`, which a read gave that was invoked when `acknowledged` was, and
    /// completed when `begun` was.
    fn excludes(&self, value: i128, acknowledged: Sums, begun: Sums) -> Option<usize> {
        let most = self.most.iter().zip([0, acknowledged.down]).filter_map(|(bound, between)| {
            let (bound, read) = (*bound)?;
            (value > bound + begun.up - between).then_some(read)
        });
        let least = self.least.iter().zip([0, acknowledged.up]).filter_map(|(bound, between)| {
            let (bound, read) = (*bound)?;
            (value < bound - begun.down + between).then_some(read)
        });
        most.chain(least).next()
    }
}

/// Increments that may have happened, by event: what each invocation or completion is about.
fn increments(history: &History) -> impl Iterator<Item = (usize, Option<usize>, i64)> + '_ {
    let all = calls(history, &["add", "increment", "inc", "decrement", "dec"]);
    all.filter(|c| c.outcome != Outcome::Failed).filter_map(|c| {
        let decoded =
            CounterModel.decode(history.function(c.invoked), &history.value(c.invoked), None);
        let Some(CounterOp::Add(n)) = decoded else { return None };
        Some((c.invoked, c.acknowledged(), n))
    })
}

/// The first read that contradicts an earlier one by these bounds, in one pass.
pub(super) fn contradiction(history: &History) -> Option<Pair> {
    // Per event: the increment that it invokes or acknowledges.
    let mut size = vec![0i64; history.len()];
    let mut certain = vec![false; history.len()];
    for (invoked, acknowledged, n) in increments(history) {
        size[invoked] = n;
        certain[invoked] = acknowledged.is_some();
        if let Some(done) = acknowledged {
            size[done] = n;
        }
    }
    let read = history.find_function("read")?;
    let (mut begun, mut begun_certain, mut acknowledged) =
        (Sums::default(), Sums::default(), Sums::default());
    let mut former = Former::default();
    // Per client that reads: what was known when its read was invoked.
    let mut open: FastMap<u32, (Former, Sums)> = FastMap::default();
    for i in (0..history.len()).filter(|i| history.process(*i).is_client()) {
        let process = history.process(i).0;
        match (history.function_index(i) == read, history.kind(i)) {
            (true, Kind::Invoke) => drop(open.insert(process, (former, acknowledged))),
            (true, kind) => {
                let Some((before, then)) = open.remove(&process).filter(|_| kind == Kind::Ok)
                else {
                    continue;
                };
                let value = i128::from(history.int(i)?);
                if let Some(first) = before.excludes(value, then, begun) {
                    return Some(Pair { first, second: i });
                }
                former.add(i, value, then, begun_certain);
            }
            (false, Kind::Invoke) => {
                begun.add(size[i]);
                if certain[i] {
                    begun_certain.add(size[i]);
                }
            }
            (false, Kind::Ok) => acknowledged.add(size[i]),
            (false, _) => {}
        }
    }
    None
}

impl Pair {
    /// By how much the counter can have changed from the first read to the second one.
    fn between(self, history: &History) -> (i128, i128) {
        let ends = |read: usize| (history.invocation(read).unwrap_or(read), read);
        let (first, second) = (ends(self.first), ends(self.second));
        let (mut low, mut high) = (0, 0);
        for (invoked, acknowledged, n) in increments(history) {
            let n = i128::from(n);
            if acknowledged.is_some_and(|done| done < first.0) || invoked > second.1 {
                continue;
            }
            let must = invoked > first.1 && acknowledged.is_some_and(|done| done < second.0);
            low += if must { n } else { n.min(0) };
            high += if must { n } else { n.max(0) };
        }
        (low, high)
    }

    pub(super) fn explained(self, history: &History) -> Anomaly {
        let (low, high) = self.between(history);
        let read = |i: usize| {
            let (who, on) = (history.process(i), node_of(history, i));
            format!("client {who} read {} on {on} at {}", history.value(i), history.time(i))
        };
        let text = format!(
            "{}, and in a read invoked later {}; what was acknowledged and under way between them can only change the counter by {low} to {high}",
            read(self.first),
            read(self.second)
        );
        let began = |i: usize| history.invocation(i).unwrap_or(i);
        let mut events = vec![began(self.first), self.first, began(self.second), self.second];
        events.sort_unstable();
        Anomaly::new("not_linearizable", history.value(self.second))
            .explained(text)
            .on(history.node(self.second))
            .at(history.time(self.second))
            .proved_by(events)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::histories::Recorder;
    use super::super::super::{Checker as _, counter};
    use super::*;
    use fuzz_dist_history::op::Value;
    use fuzz_dist_random::Seed;

    /// What the bounds exclude, between the two reads that they name, by trying all.
    fn excluded(history: &History, pair: Pair) -> bool {
        let value = |i: usize| i128::from(history.int(i).unwrap_or_default());
        let (low, high) = pair.between(history);
        !(low..=high).contains(&(value(pair.second) - value(pair.first)))
    }

    #[test]
    fn a_pair_is_found_only_where_its_bounds_exclude_it() {
        let mut found = 0;
        for seed in 0..4_000 {
            let mut s = Seed(seed).stream("pairs");
            let mut r = Recorder::new(["n1"]);
            let (mut sum, mut next) = (0, 100);
            for _ in 0..s.index(30) {
                let n = [1, 2, 5, -2][s.index(4)];
                match s.index(4) {
                    0 => {
                        r.invoke(next, "add", n);
                        r.info(next);
                        next += 1;
                        sum += if s.chance(0.5) { n } else { 0 };
                    }
                    1 => {
                        r.invoke(0, "add", n);
                        r.done(0);
                        sum += n;
                    }
                    _ => {
                        r.invoke(1, "read", Value::Nil);
                        r.ok(1, sum + if s.chance(0.1) { s.below(20) as i64 - 10 } else { 0 });
                    }
                }
            }
            let history = r.history();
            let reads: Vec<usize> =
                (0..history.len()).filter(|i| &**history.function(*i) == "read").collect();
            let reads: Vec<usize> =
                reads.into_iter().filter(|i| history.kind(*i) == Kind::Ok).collect();
            let pairs = reads.iter().enumerate().flat_map(|(at, second)| {
                reads[..at].iter().map(|first| Pair { first: *first, second: *second })
            });
            // Nothing is under way throughout, so that both ways to look are equally sharp.
            let any = pairs.clone().any(|pair| excluded(&history, pair));
            let pair = contradiction(&history);
            assert_eq!(pair.is_some(), any, "seed {seed}");
            assert!(pair.is_none_or(|pair| excluded(&history, pair)), "seed {seed}");
            found += usize::from(any);
        }
        assert!(found > 500, "{found}");
    }

    /// So many increments of unknown outcome, of so many sizes, that no search ends.
    fn many(sizes: i64, reads: &[i64]) -> History {
        let mut r = Recorder::new(["n1"]);
        for n in 0..300 {
            r.invoke(100 + n as u32, "add", 1 + n * n % sizes);
            r.info(100 + n as u32);
        }
        for read in reads {
            r.invoke(0, "read", Value::Nil);
            r.ok(0, *read);
            r.invoke(1, "add", 7);
            r.done(1);
        }
        r.history()
    }

    #[test]
    fn many_unknown_increments_are_no_excuse() {
        for sizes in [1, 5, 251] {
            let verdict = counter().check(&many(sizes, &[0, 7, 60, 71, 90]));
            assert!(verdict.is_valid(), "{sizes}: {:?}", verdict.reasons);
            let verdict = counter().check(&many(sizes, &[0, 7, 60, 66, 90]));
            assert!(verdict.is_invalid(), "{sizes}: {:?}", verdict.reasons);
            let kind = &*verdict.anomalies[0].kind;
            assert_eq!(kind, "not_linearizable");
        }
    }
}
