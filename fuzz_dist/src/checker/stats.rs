//! Counts, rates and latencies per operation and per node.

use std::collections::BTreeMap;

use serde::Serialize;

use super::evidence::node_name;
use super::latency::Quantiles;
use super::{Checker, Verdict};
use crate::history::History;
use crate::op::{Kind, Name, NodeId};
use crate::time::Time;

/// Counts what happened; see [`stats`].
#[derive(Clone, Copy, Debug)]
pub struct Stats;

/// Counts operations by function and by node, with the share that succeeded, what the others
/// failed of, and the latencies of those that completed. Always valid: it only tells.
///
/// ```
/// # use fuzz_dist::checker::{Checker, stats, histories::Script};
/// let verdict = stats().check(&Script::parse("a1 a1' r r'{1} a2 a2?"));
/// assert_eq!(verdict.results["functions"]["add"]["info_count"], 1);
/// ```
pub fn stats() -> Stats {
    Stats
}

#[derive(Default)]
struct Tally {
    ok: u64,
    fail: u64,
    info: u64,
    ok_ns: Vec<u64>,
    errors: BTreeMap<Name, u64>,
}

#[derive(Serialize)]
struct Figures {
    count: u64,
    ok_count: u64,
    fail_count: u64,
    info_count: u64,
    ok_rate: Option<f64>,
    latencies_ns: Quantiles,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    errors: BTreeMap<Name, u64>,
}

impl Tally {
    fn is_empty(&self) -> bool {
        self.ok + self.fail + self.info == 0
    }

    fn add(&mut self, other: &Tally) {
        self.ok += other.ok;
        self.fail += other.fail;
        self.info += other.info;
        self.ok_ns.extend_from_slice(&other.ok_ns);
        for (error, n) in &other.errors {
            *self.errors.entry(error.clone()).or_default() += n;
        }
    }

    fn figures(self) -> Figures {
        let count = self.ok + self.fail + self.info;
        Figures {
            count,
            ok_count: self.ok,
            fail_count: self.fail,
            info_count: self.info,
            ok_rate: (count > 0).then(|| self.ok as f64 / count as f64),
            latencies_ns: Quantiles::of(self.ok_ns),
            errors: self.errors,
        }
    }
}

impl Checker for Stats {
    fn check(&self, history: &History) -> Verdict {
        let mut functions: Vec<Tally> = Vec::new();
        functions.resize_with(history.functions().len(), Tally::default);
        // By the place of the node, from 1; operations without one come first.
        let mut nodes: Vec<Tally> = Vec::new();
        let mut span: Option<(Time, Time)> = None;
        let calls = (0..history.len())
            .filter(|i| history.kind(*i) == Kind::Invoke && history.process(*i).is_client());
        for i in calls {
            let end = history.completion(i);
            let last = history.time(end.unwrap_or(i));
            span = Some(span.map_or((history.time(i), last), |(a, b)| (a, b.max(last))));
            let node = history.node(i).map_or(0, |n| n.index() + 1);
            if nodes.len() <= node {
                nodes.resize_with(node + 1, Tally::default);
            }
            let kind = end.map_or(Kind::Info, |c| history.kind(c));
            let error = end.and_then(|c| history.error(c));
            for tally in [&mut functions[history.function_index(i)], &mut nodes[node]] {
                match kind {
                    Kind::Ok => {
                        tally.ok += 1;
                        tally.ok_ns.push(last.0.saturating_sub(history.time(i).0));
                    }
                    Kind::Fail => tally.fail += 1,
                    _ => tally.info += 1,
                }
                if let Some(error) = error {
                    *tally.errors.entry(error.kind.clone()).or_default() += 1;
                }
            }
        }
        let mut all = Tally::default();
        functions.iter().for_each(|t| all.add(t));
        let by_function: BTreeMap<String, Figures> = (history.functions().iter())
            .zip(functions)
            .filter(|(_, t)| !t.is_empty())
            .map(|(f, t)| (f.to_string(), t.figures()))
            .collect();
        let by_node: BTreeMap<String, Figures> = (nodes.into_iter().enumerate())
            .filter(|(_, t)| !t.is_empty())
            .map(|(n, t)| (n.checked_sub(1).map(|n| NodeId(n as u16)), t))
            .map(|(n, t)| (node_name(history, n), t.figures()))
            .collect();
        let seconds = span.map(|(from, to)| to.since(from).as_secs_f64()).filter(|s| *s > 0.0);
        let done = all.ok;
        Verdict::valid("stats")
            .with("all", all.figures())
            .with("functions", by_function)
            .with("nodes", by_node)
            .with("ok_per_second", seconds.map(|s| done as f64 / s))
    }
}

#[cfg(test)]
mod tests {
    use super::super::histories::Script;
    use super::*;

    #[test]
    fn operations_are_counted_by_function_and_node() {
        let verdict = stats().check(&Script::parse("a1 a1' r@2 a2 a2! r'{1} a3 a3? a4"));
        let (all, f, n) =
            (&verdict.results["all"], &verdict.results["functions"], &verdict.results["nodes"]);
        assert_eq!(all["count"], 5);
        assert_eq!((&f["add"]["ok_count"], &f["add"]["fail_count"]), (&1.into(), &1.into()));
        assert_eq!(f["add"]["info_count"], 2, "an add that never completes is unknown, too");
        assert_eq!(f["add"]["ok_rate"], 0.25);
        assert_eq!((&n["n1"]["count"], &n["n2"]["count"]), (&4.into(), &1.into()));
        assert_eq!(n["n2"]["latencies_ns"]["1"], 3_000_000);
    }
}
