//! What a counter's final reads prove: increments lost or counted twice, nodes that disagree.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value as Json, json};

use super::super::Anomaly;
use super::super::calls::Outcome;
use super::super::evidence::{Faults, listed, node_name, node_of};
use super::super::finals::Finals;
use super::{Add, Adds, Ranges, SoFar};
use fuzz_dist_history::History;
use fuzz_dist_history::op::NodeId;

/// How many increments an explanation names.
const NAMED: usize = 4;

/// Figures by name.
type Figures = Vec<(&'static str, Json)>;

/// What the final reads prove.
pub(super) struct Judged {
    /// Reasons with anomalies.
    pub(super) found: Vec<(String, Anomaly)>,
    /// Why nobody knows whether they are as they should be.
    pub(super) unsure: Option<String>,
    pub(super) figures: Figures,
}

/// Judges the final reads.
pub(super) fn judge(
    history: &History,
    adds: &Adds<'_>,
    all: &SoFar,
    finals: &Finals,
    faults: &Faults,
) -> Judged {
    let (acknowledged, (unknown, open)) = (all.acknowledged, &all.open);
    // Only explanations look at each of them.
    let mut kept: Option<Vec<Add>> = None;
    let reads: Vec<(NodeId, usize, i64)> =
        finals.reads.iter().filter_map(|(n, i)| Some((*n, *i, history.int(*i)?))).collect();
    let mut found = Vec::new();
    for (node, event, value) in &reads {
        // Relative to what was acknowledged; writes end before the final reads begin.
        let difference = i128::from(*value) - acknowledged;
        if !open.contains(difference) {
            let off = difference - open.nearest(difference);
            let adds = kept.get_or_insert_with(|| adds.all().unwrap_or_default());
            found.push(explain(history, adds, faults, open, *node, *event, *value, off));
        }
    }
    let mut groups: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (node, _, value) in &reads {
        groups.entry(*value).or_default().push(node_name(history, Some(*node)));
    }
    // Where each read is possible by itself, increments of unknown outcome took effect between.
    let explained = found.is_empty() && *unknown > 0;
    let unsure = (groups.len() > 1 && explained).then(|| {
        format!(
            "the final reads differ ({}), which indeterminate (`info`) increments may explain: each can take effect between two of them",
            shown(&groups)
        )
    });
    if groups.len() > 1 && !explained {
        let text = format!("the final reads differ: {}", shown(&groups));
        let anomaly = Anomaly::new("final_reads_differ", reads[0].2)
            .explained(text.clone())
            .proved_by(reads.iter().map(|(_, i, _)| *i));
        found.push((text, anomaly));
    }
    let values: BTreeMap<String, i64> =
        reads.iter().map(|(n, _, v)| (node_name(history, Some(*n)), *v)).collect();
    let figures = vec![
        ("acknowledged_sum", json!(acknowledged.to_string().parse::<i64>().ok())),
        ("final_values", json!(values)),
        ("unknown_adds", json!(unknown)),
    ];
    Judged { found, unsure, figures }
}

fn shown(groups: &BTreeMap<i64, Vec<String>>) -> String {
    let group = |(value, nodes): (&i64, &Vec<String>)| format!("{value} on {}", nodes.join(" "));
    groups.iter().map(group).collect::<Vec<_>>().join(", ")
}

#[expect(clippy::too_many_arguments, reason = "one read and what it is compared with")]
fn explain(
    history: &History,
    adds: &[Add],
    faults: &Faults,
    open: &Ranges,
    node: NodeId,
    event: usize,
    value: i64,
    off: i128,
) -> (String, Anomaly) {
    let name = node_name(history, Some(node));
    let acked = || adds.iter().filter(|a| a.outcome == Outcome::Acknowledged);
    let sum: i128 = acked().map(|a| i128::from(a.delta)).sum();
    let difference = i128::from(value) - sum;
    // Which single increment, had it not been lost (or not been counted twice), explains it?
    let lost: Vec<&Add> =
        acked().filter(|a| open.contains(difference + i128::from(a.delta))).collect();
    let twice: Vec<&Add> =
        acked().filter(|a| open.contains(difference - i128::from(a.delta))).collect();
    let grows = off < 0;
    let kind = if lost.is_empty() && !grows { "surplus" } else { "lost_increments" };
    let mut text = format!(
        "the final read on {name} at {} gave {value}, which is {} too {}",
        history.time(event),
        off.unsigned_abs(),
        if grows { "low" } else { "high" }
    );
    let mut named: Vec<&Add> = Vec::new();
    if !lost.is_empty() {
        text.push_str("; the loss of one of these explains it: ");
        named.extend(&lost);
    } else if !twice.is_empty() {
        text.push_str("; counting one of these twice explains it: ");
        named.extend(&twice);
    } else if let Some((a, b)) = pair(&acked().collect::<Vec<_>>(), -off) {
        text.push_str("; the loss of these two explains it: ");
        named.extend([a, b]);
    } else {
        text.push_str("; no one or two increments explain it");
    }
    let shown: Vec<String> =
        named.iter().take(NAMED).map(|a| describe(history, faults, a)).collect();
    text.push_str(&shown.join(", "));
    if named.len() > NAMED {
        text.push_str(&format!(" and {} more", named.len() - NAMED));
    }
    let sizes: Vec<i64> = named.iter().map(|a| a.delta).collect();
    let candidates =
        if sizes.is_empty() { String::new() } else { format!(" (candidates: {})", listed(&sizes)) };
    let direction = if grows { "lacks" } else { "has" };
    let reason = format!(
        "the final read on {name} {direction} {}{}{candidates}",
        off.unsigned_abs(),
        if grows { "" } else { " too much" }
    );
    let mut events: Vec<usize> =
        named.iter().take(NAMED).filter_map(|a| history.completion(a.invoked as usize)).collect();
    events.push(event);
    let anomaly = Anomaly::new(kind, value)
        .explained(text)
        .on(Some(node))
        .at(history.time(event))
        .proved_by(events);
    (reason, anomaly)
}

fn describe(history: &History, faults: &Faults, add: &Add) -> String {
    let invoked = add.invoked as usize;
    let end = history.time(history.completion(invoked).unwrap_or(invoked));
    let mut text = format!(
        "{:+} by client {}, acknowledged by {} at {end}",
        add.delta,
        add.process,
        node_of(history, invoked)
    );
    let active = faults.between(history.time(invoked), end);
    if !active.is_empty() {
        text.push_str(&format!(" under {active}"));
    }
    text
}

/// Two increments with this sum.
fn pair<'a>(adds: &[&'a Add], sum: i128) -> Option<(&'a Add, &'a Add)> {
    let mut seen: HashMap<i128, &Add> = HashMap::new();
    for add in adds {
        let delta = i128::from(add.delta);
        if let Some(other) = seen.get(&(sum - delta)) {
            return Some((*other, *add));
        }
        seen.insert(delta, add);
    }
    None
}
