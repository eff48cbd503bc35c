//! Counts, rates and latencies per operation and per node.

use super::Arguments;
use std::collections::BTreeMap;

use serde::Serialize;

use super::dense::place;
use super::evidence::node_name;
use super::latency::{Latencies, Quantiles};
use super::{Checker, Verdict};
use crate::registration::{Judges, Needs, Registration, built};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Kind, Name, NodeId};
use fuzz_dist_history::time::Time;

/// Counts what happened; see [`stats`].
#[derive(Clone, Copy, Debug)]
pub struct Stats;

/// Counts operations by function and by node, with the share that succeeded, what the others
/// failed of, and the latencies of those that completed. Always valid: it only reports.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, stats, histories::Script};
/// let verdict = stats().check(&Script::parse("a1 a1' r r'{1} a2 a2?"));
/// assert_eq!(verdict.results["functions"]["add"]["info_count"], 1);
/// ```
pub fn stats() -> Stats {
    Stats
}

/// What became of the operations of one function on one node.
#[derive(Default)]
struct Cell {
    ok: Latencies,
    fail: u64,
    info: u64,
    errors: BTreeMap<Name, u64>,
}

#[derive(Default, Serialize)]
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

impl Figures {
    /// Those of some cells together, where there was an operation.
    fn of<'a>(cells: impl Iterator<Item = &'a Cell> + Clone) -> Option<Figures> {
        let sum = |figure: fn(&Cell) -> u64| cells.clone().map(figure).sum::<u64>();
        let (ok, fail, info) = (sum(|c| c.ok.len() as u64), sum(|c| c.fail), sum(|c| c.info));
        let mut errors: BTreeMap<Name, u64> = BTreeMap::new();
        for (error, n) in cells.clone().flat_map(|c| &c.errors) {
            *errors.entry(error.clone()).or_default() += n;
        }
        let count = ok + fail + info;
        (count > 0).then(|| Figures {
            count,
            ok_count: ok,
            fail_count: fail,
            info_count: info,
            ok_rate: Some(ok as f64 / count as f64),
            latencies_ns: Quantiles::of(cells.map(|c| &c.ok)),
            errors,
        })
    }
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "stats",
    about: "counts, rates and latencies by function and node; always valid",
    judges: Judges::Anything,
    needs: Needs::Clients,
    options: &[],
    build: |_| built(stats()),
};

impl Checker for Stats {
    fn check(&self, history: &History) -> Verdict {
        // By function and by the place of the node, from 1; operations without one come first.
        let mut cells: Vec<Vec<Cell>> = Vec::new();
        cells.resize_with(history.functions().len(), Vec::new);
        let mut span: Option<(Time, Time)> = None;
        for invoked in history.invocations() {
            let (i, end) = (invoked.event, invoked.completion);
            let (begun, last) = (history.time(i), history.time(end.unwrap_or(i)));
            span = Some(span.map_or((begun, last), |(a, b)| (a, b.max(last))));
            let node = history.node(i).map_or(0, |n| n.index() + 1);
            let cell = place(&mut cells[invoked.function], node);
            match end.map(|c| history.kind(c)) {
                Some(Kind::Ok) => cell.ok.push(last.0.saturating_sub(begun.0)),
                Some(Kind::Fail) => cell.fail += 1,
                _ => cell.info += 1,
            }
        }
        for (i, error) in history.errors() {
            let Some(invoked) = history.invocation(i) else { continue };
            let node = history.node(invoked).map_or(0, |n| n.index() + 1);
            let cell = &mut cells[history.function_index(invoked)][node];
            *cell.errors.entry(error.kind.clone()).or_default() += 1;
        }
        let by_function: BTreeMap<String, Figures> = (history.functions().iter().zip(&cells))
            .filter_map(|(f, row)| Some((f.to_string(), Figures::of(row.iter())?)))
            .collect();
        let nodes = cells.iter().map(Vec::len).max().unwrap_or(0);
        let by_node: BTreeMap<String, Figures> = (0..nodes)
            .filter_map(|n| {
                let id = n.checked_sub(1).map(|n| NodeId(n as u16));
                let column = cells.iter().filter_map(|row| row.get(n));
                Some((node_name(history, id), Figures::of(column)?))
            })
            .collect();
        let all = Figures::of(cells.iter().flatten());
        let seconds = span.map(|(from, to)| to.since(from).as_secs_f64()).filter(|s| *s > 0.0);
        let done = all.as_ref().map_or(0, |all| all.ok_count);
        Verdict::valid("stats")
            .with("all", all.unwrap_or_default())
            .with("functions", by_function)
            .with("nodes", by_node)
            .with("ok_per_second", seconds.map(|s| done as f64 / s))
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of("stats"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::histories::Script;
    use super::*;
    use fuzz_dist_history::op::{Event, OpError, Phase, Value};

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

    #[test]
    fn errors_are_counted_where_they_were_met() {
        let mut history = Script::parse("a1 a2 r@2");
        for (open, node, kind, f, error) in [
            (0, 0, Kind::Fail, "add", "aborted"),
            (1, 0, Kind::Info, "add", "timeout"),
            (2, 1, Kind::Info, "read", "timeout"),
        ] {
            history
                .push(Event {
                    time: Time(9),
                    process: history.process(open),
                    node: Some(NodeId(node)),
                    kind,
                    f: f.into(),
                    value: Value::Nil,
                    error: Some(OpError::new(error, "said")),
                    phase: Phase::Main,
                })
                .unwrap();
        }
        let results = stats().check(&history).results;
        assert_eq!(results["all"]["errors"], json!({"aborted": 1, "timeout": 2}));
        assert_eq!(results["functions"]["add"]["errors"], json!({"aborted": 1, "timeout": 1}));
        assert_eq!(results["nodes"]["n2"]["errors"], json!({"timeout": 1}));
    }
}
