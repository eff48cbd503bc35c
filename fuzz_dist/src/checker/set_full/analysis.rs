//! The life of every element: known when, present and absent last when, and what follows.

use std::iter::once;

use super::super::calls::Outcome;
use super::super::latency::{Latencies, Quantiles};
use super::super::sets::{Adds, NONE, Streams};
use crate::history::History;
use crate::op::Phase;

/// What became of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its add failed; it must never be read.
    Failed,
    /// Neither acknowledged for long enough, nor read.
    NeverRead,
    /// The reads that were invoked last have it.
    Stable,
    /// Some nodes' final reads have it and some have not.
    Missing,
    /// Known, and gone.
    Lost,
    /// Known, and lacking when the run ended early: it may merely not have been replicated yet.
    Undecided,
}

/// What all reads together say about each element.
#[derive(Debug, Default)]
pub(super) struct Analysis {
    /// The event by which the element was known to be in the set.
    pub(super) known: Vec<u32>,
    /// The invocation of the read that has it and was invoked last.
    pub(super) last_present: Vec<u32>,
    /// The invocation of the read that lacks it and was invoked last.
    pub(super) last_absent: Vec<u32>,
    /// What became of it.
    pub(super) fate: Vec<Fate>,
    /// Elements of the streams, in the same order as those.
    pub(super) nodes: Vec<NodeAnalysis>,
    /// Element, stream and read that has it though its add was invoked later.
    pub(super) early: Vec<(u32, usize, u32)>,
    /// Element and the first read that has it, for elements that nobody added.
    pub(super) unexpected: Vec<(u32, u32)>,
    /// Element and the first read that has it, for elements whose add failed.
    pub(super) resurrected: Vec<(u32, u32)>,
    /// Elements whose add has no known outcome and that were read.
    pub(super) recovered: Vec<u32>,
    /// Elements whose add has no known outcome, which were read only from the final reads on, and
    /// which the final read of some node lacks: the add may have taken effect in between.
    pub(super) unsure: Vec<u32>,
    /// Stable elements that a read invoked after they were known lacks.
    pub(super) stale: Vec<u32>,
}

/// What one node's reads say.
#[derive(Debug, Default)]
pub(super) struct NodeAnalysis {
    /// The invocation of its last read without the element.
    pub(super) last_absent: Vec<u32>,
    /// Known elements that its final read lacks.
    pub(super) missing: Vec<u32>,
    /// Elements that it lacked after the heal, and has in its final read.
    pub(super) late: Vec<u32>,
    /// Stable elements that it lacked after they were known.
    pub(super) stale: usize,
    /// How long after they were known it still lacked stable elements, in ns.
    pub(super) latencies_ns: Quantiles,
}

/// Judges every element.
pub(super) fn analyse(
    history: &History,
    adds: &Adds,
    streams: &Streams,
    elements: usize,
    healed: Option<usize>,
) -> Analysis {
    let mut a = Analysis {
        known: (0..adds.len()).map(|id| adds.acknowledged(id)).collect(),
        last_present: vec![NONE; adds.len()],
        last_absent: vec![NONE; adds.len()],
        ..Analysis::default()
    };
    first_sights(&mut a, adds, streams, elements);
    let mut misses = vec![0u32; adds.len()];
    let mut finals = 0;
    let first_final = (0..history.len()).find(|i| history.phase(*i) == Phase::Final);
    let first_final = first_final.map_or(NONE, |i| i as u32);
    let late =
        (0..adds.len()).map(|id| adds.outcome[id] == Outcome::Open && a.known[id] > first_final);
    let late: Vec<bool> = late.enumerate().map(|(id, late)| late && a.known[id] != NONE).collect();
    for s in 0..streams.streams.len() {
        finals += u32::from(walk(&mut a, history, adds, streams, s, healed, &late, &mut misses));
    }
    a.unsure.sort_unstable();
    a.unsure.dedup();
    let fate_of = |id| fate(&a, adds, id, late[id], misses[id], finals);
    a.fate = (0..adds.len()).map(fate_of).collect();
    staleness(&mut a, history);
    a
}

impl Analysis {
    /// The run has no end: nothing is lost or missing then.
    pub(super) fn leave_open(&mut self) {
        for fate in &mut self.fate {
            if matches!(fate, Fate::Lost | Fate::Missing) {
                *fate = Fate::Undecided;
            }
        }
        for node in &mut self.nodes {
            node.missing.clear();
        }
    }
}

/// When was each element read for the first time, and was that allowed?
fn first_sights(a: &mut Analysis, adds: &Adds, streams: &Streams, elements: usize) {
    let n = adds.len();
    let mut first = vec![NONE; elements];
    for (s, stream) in streams.streams.iter().enumerate() {
        for change in stream.changes.iter().filter(|c| c.appears()) {
            let (id, completed) = (change.id as usize, stream.completed[change.read() as usize]);
            if id < n && completed < adds.invoked[id] {
                a.early.push((change.id, s, change.read()));
            }
            first[id] = first[id].min(completed);
        }
    }
    a.early
        .sort_unstable_by_key(|(id, s, read)| (*id, streams.streams[*s].completed[*read as usize]));
    a.early.dedup_by_key(|(id, ..)| *id);
    for (id, completed) in first.into_iter().enumerate().filter(|(_, c)| *c != NONE) {
        match adds.outcome.get(id) {
            None => a.unexpected.push((id as u32, completed)),
            Some(Outcome::Failed) => a.resurrected.push((id as u32, completed)),
            Some(outcome) => {
                a.known[id] = a.known[id].min(completed);
                if *outcome == Outcome::Open {
                    a.recovered.push(id as u32);
                }
            }
        }
    }
    a.unexpected.sort_unstable_by_key(|(_, completed)| *completed);
}

const PRESENT: u32 = 1 << 31;

#[expect(clippy::too_many_arguments, reason = "one node, and what is known of all of them")]
/// Walks one node's reads; tells whether it gave a final one.
fn walk(
    a: &mut Analysis,
    history: &History,
    adds: &Adds,
    streams: &Streams,
    s: usize,
    healed: Option<usize>,
    late: &[bool],
    misses: &mut [u32],
) -> bool {
    let stream = &streams.streams[s];
    let n = adds.len();
    let mut node = NodeAnalysis { last_absent: vec![NONE; n], ..NodeAnalysis::default() };
    // Only reads that complete after the add was invoked count; both ascend, so one pass does.
    let mut read = 0;
    let mut since: Vec<u32> = Vec::with_capacity(n);
    for invoked in &adds.invoked {
        while read < stream.len() && stream.completed[read] < *invoked {
            read += 1;
        }
        since.push(read as u32);
    }
    let first = since.clone();
    let mut close = |since: u32, until: u32, id: usize, absent: &mut [u32]| {
        let from = since & !PRESENT;
        let Some(last) = stream.last_invoked(from, until) else { return };
        let list: &mut [u32] = if since & PRESENT != 0 { &mut a.last_present } else { absent };
        latest(&mut list[id], stream.invoked[last as usize]);
    };
    let final_read = stream.final_read(history);
    let mut in_final = vec![false; n];
    for change in &stream.changes {
        let id = change.id as usize;
        if id >= n {
            continue;
        }
        close(since[id], change.read(), id, &mut node.last_absent);
        let from = change.read().max(first[id]);
        since[id] = if change.appears() { from | PRESENT } else { from };
        if final_read.is_some_and(|f| change.read() <= f) {
            in_final[id] = change.appears();
        }
    }
    for (id, since) in since.iter().enumerate() {
        close(*since, stream.len() as u32, id, &mut node.last_absent);
        if node.last_absent[id] != NONE {
            latest(&mut a.last_absent[id], node.last_absent[id]);
        }
    }
    if let Some(f) = final_read {
        let invoked = stream.invoked[f as usize];
        for id in (0..n).filter(|id| adds.outcome[*id] != Outcome::Failed) {
            let (known, absent) = (a.known[id], node.last_absent[id]);
            if !in_final[id] && known < invoked && late[id] {
                a.unsure.push(id as u32);
            } else if !in_final[id] && known < invoked {
                misses[id] += 1;
                node.missing.push(id as u32);
            } else if in_final[id]
                && absent != NONE
                && absent > known
                && healed.is_some_and(|h| absent as usize > h)
            {
                node.late.push(id as u32);
            }
        }
    }
    a.nodes.push(node);
    final_read.is_some()
}

fn latest(slot: &mut u32, event: u32) {
    if *slot == NONE || *slot < event {
        *slot = event;
    }
}

/// Is `a` later than `b`, where `NONE` is before everything?
fn after(a: u32, b: u32) -> bool {
    a != NONE && (b == NONE || a > b)
}

fn fate(a: &Analysis, adds: &Adds, id: usize, late: bool, misses: u32, finals: u32) -> Fate {
    let (known, present, absent) = (a.known[id], a.last_present[id], a.last_absent[id]);
    if adds.outcome[id] == Outcome::Failed {
        Fate::Failed
    } else if misses > 0 {
        if misses == finals { Fate::Lost } else { Fate::Missing }
    } else if after(present, absent) {
        Fate::Stable
    } else if known != NONE && !late && after(absent, present) && absent > known {
        Fate::Lost
    } else {
        Fate::NeverRead
    }
}

fn staleness(a: &mut Analysis, history: &History) {
    let stable: Vec<u32> =
        (0..a.fate.len() as u32).filter(|id| a.fate[*id as usize] == Fate::Stable).collect();
    a.stale = stable
        .iter()
        .copied()
        .filter(|id| after(a.last_absent[*id as usize], a.known[*id as usize]))
        .collect();
    for node in &mut a.nodes {
        let mut latencies = Latencies::default();
        for id in &stable {
            let (absent, known) = (node.last_absent[*id as usize], a.known[*id as usize]);
            node.stale += usize::from(after(absent, known));
            latencies.push(latency_ns(history, absent, known));
        }
        node.latencies_ns = Quantiles::of(once(&latencies));
    }
}

/// From when an element was known until just after the invocation `last`; 0 for no `last`.
pub(super) fn latency_ns(history: &History, last: u32, known: u32) -> u64 {
    if last == NONE {
        return 0;
    }
    (history.time(last as usize).0 + 1).saturating_sub(history.time(known as usize).0)
}
