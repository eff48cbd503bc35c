//! What the faults of a run were, for checkers that explain what they found.

use serde_json::json;

use super::Verdict;
use fuzz_dist_history::op::{NodeId, Phase, Value};
use fuzz_dist_history::time::Time;
use fuzz_dist_history::{FaultSpan, FaultStatus, History};

/// Faults that silence a link for as long as they last.
const CUTS: [&str; 11] = [
    "majority_minority",
    "majority_ring",
    "bridge",
    "halves",
    "isolate_node",
    "isolate_dc",
    "isolate_all",
    "one_way",
    "link",
    "primaries",
    "custom",
];

/// Faults after which a node learns at once that its peer is gone.
const BREAKS: [&str; 5] = ["blip", "kill", "power_failure", "kill_epmd", "tick_trigger"];

/// The faults of a run, asked by time.
pub(crate) struct Faults {
    spans: Vec<FaultSpan>,
    end: Time,
}

impl Faults {
    pub(crate) fn of(history: &History) -> Faults {
        let end = history.len().checked_sub(1).map_or(Time::ZERO, |i| history.time(i));
        Faults { spans: history.faults(), end }
    }

    /// All of them.
    pub(crate) fn spans(&self) -> &[FaultSpan] {
        &self.spans
    }

    /// Those that could be felt at some time from `from` to `to`, in words; empty for none.
    pub(crate) fn between(&self, from: Time, to: Time) -> String {
        let active = self.spans.iter().filter(|f| f.felt_between(from, to));
        let mut words: Vec<String> = Vec::new();
        for fault in active {
            let word = match fault.shape.is_empty() {
                true => fault.name.to_string(),
                false => format!("{} {}", fault.name, fault.shape),
            };
            if !words.contains(&word) {
                words.push(word);
            }
        }
        let more = words.len().saturating_sub(3);
        words.truncate(3);
        let mut text = words.join(", ");
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        text
    }

    /// The longest time in ms for which a partition was in force.
    pub(crate) fn longest_cut_ms(&self) -> Option<u64> {
        let cuts = self.spans.iter().filter(|f| {
            f.status != FaultStatus::Ineffective
                && (CUTS.contains(&&*f.name) || f.shape.contains(" | "))
        });
        cuts.map(|f| {
            let end = f.stopped.or(f.stop).unwrap_or(self.end);
            end.since(f.start).as_millis() as u64
        })
        .max()
    }

    /// States net_ticktime and the longest cut, and says where no nodedown was possible.
    pub(crate) fn state(&self, history: &History, verdict: Verdict) -> Verdict {
        let ticktime = history.meta("net_ticktime_ms").and_then(Value::as_int);
        let cut = self.longest_cut_ms();
        let verdict = verdict.with("net_ticktime_ms", ticktime).with("longest_cut_ms", cut);
        let (Some(ticktime), Some(cut)) = (ticktime, cut) else { return verdict };
        let broken = self
            .spans
            .iter()
            .any(|f| BREAKS.contains(&&*f.name) && f.status != FaultStatus::Ineffective);
        let possible = broken || i128::from(cut) >= i128::from(ticktime);
        let verdict = verdict.with("nodedown_possible", possible);
        match possible {
            true => verdict,
            false => verdict.with(
                "note",
                json!(format!(
                    "no nodedown was possible: the longest cut took {} and net_ticktime is {}",
                    seconds_ms(cut),
                    seconds_ms(ticktime.max(0) as u64)
                )),
            ),
        }
    }
}

/// The event after which the network is healed: the last `heal` of the nemesis, or else the
/// first event of a phase after the main one.
pub(crate) fn healed_at(history: &History) -> Option<usize> {
    let heal = (0..history.len()).rev().find(|i| {
        !history.process(*i).is_client()
            && &**history.function(*i) == "heal"
            && history.view(*i).and_then(|v| v.get("proved")?.as_bool()) == Some(true)
    });
    heal.or_else(|| (0..history.len()).find(|i| history.phase(*i) >= Phase::Quiesce))
}

/// The nodes of which operations and final reads are expected: those that take part at the end, but for
/// those that serve nothing by design (`idle_nodes`).
pub(crate) fn serving(history: &History) -> Vec<NodeId> {
    let idle = history.meta("idle_nodes").and_then(Value::as_list).unwrap_or(&[]);
    let is_idle = |n: &NodeId| idle.iter().any(|v| v.as_text() == Some(history.node_name(*n)));
    history.members().into_iter().filter(|n| !is_idle(n)).collect()
}

/// The name of a node for people.
pub(crate) fn node_name(history: &History, node: Option<NodeId>) -> String {
    node.map_or_else(|| "an unnamed node".into(), |n| history.node_name(n).into())
}

/// The node of an event for people.
pub(crate) fn node_of(history: &History, event: usize) -> String {
    node_name(history, history.node(event))
}

/// More nodes than this are counted, not named.
const NAMED_MAX: usize = 5;

/// `n2 or n4`; a number where they are many.
pub(crate) fn any_of<'a>(
    history: &History,
    nodes: impl Iterator<Item = &'a Option<NodeId>>,
) -> String {
    let names: Vec<String> = nodes.map(|node| node_name(history, *node)).collect();
    match names.split_last() {
        Some(_) if names.len() > NAMED_MAX => format!("{} nodes", names.len()),
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// ` between 10.247 s and 14.368 s`
pub(crate) fn between(from: Time, to: Time) -> String {
    if from == to { format!(" at {from}") } else { format!(" between {from} and {to}") }
}

/// A duration in ms for people.
pub(crate) fn seconds_ms(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

/// "1 element", "2 elements".
pub(crate) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// The first few items, and how many more there are.
pub(crate) fn listed<T: std::fmt::Display>(items: &[T]) -> String {
    const SHOWN: usize = 8;
    let mut text: Vec<String> = items.iter().take(SHOWN).map(ToString::to_string).collect();
    if items.len() > SHOWN {
        text.push(format!("and {} more", items.len() - SHOWN));
    }
    text.join(" ")
}
