//! When did all nodes agree on everything that was acknowledged?

use super::super::evidence::healed_at;
use super::super::sets::{Adds, Sights, Streams};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{NodeId, Phase, Value};
use fuzz_dist_history::time::Time;

/// What the reads after the heal say about convergence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Convergence {
    /// Did two successive rounds of reads agree and have everything acknowledged?
    pub(super) converged: bool,
    /// From the heal to the end of the first of the two rounds, in ms.
    pub(super) time_ms: Option<u64>,
}

/// Rounds are counted from the heal on: a round ends when every node that serves has completed
/// a read that was invoked after the round before it ended. `None` where the history has no
/// reads after a heal.
pub(super) fn convergence(
    history: &History,
    adds: &Adds,
    streams: &Streams<Sights>,
) -> Option<Convergence> {
    let start = healed_at(history)?;
    let acknowledged = (0..adds.len()).filter(|id| adds.is_acknowledged(*id)).count() as u32;
    // Reads after the heal by completion: (completed, invoked, stream, place).
    let mut reads: Vec<(u32, u32, usize, usize)> = Vec::new();
    let (counted, serving) = serving(history, streams);
    for (s, stream) in streams.streams.iter().enumerate().filter(|(s, _)| counted[*s]) {
        for place in (0..stream.len()).rev() {
            if (stream.completed[place] as usize) < start {
                break;
            }
            let phase = history.phase(stream.invoked[place] as usize);
            if stream.invoked[place] as usize > start && phase >= Phase::Quiesce {
                reads.push((stream.completed[place], stream.invoked[place], s, place));
            }
        }
    }
    if reads.is_empty() {
        return None;
    }
    reads.sort_unstable();
    let mut former_good: Option<Time> = None;
    let mut round: Vec<Option<(u64, u32)>> = vec![None; streams.streams.len()];
    let mut round_start = start as u32;
    for (completed, invoked, s, place) in reads {
        if invoked < round_start {
            continue;
        }
        let stream = &streams.streams[s];
        round[s].get_or_insert((stream.fingerprint[place], stream.acknowledged[place]));
        if round.iter().flatten().count() < serving {
            continue;
        }
        let mut sets = round.iter().flatten();
        let first = *sets.next()?;
        let good = first.1 == acknowledged && sets.all(|set| *set == first);
        let end = history.time(completed as usize);
        if let (true, Some(at)) = (good, former_good) {
            let time_ms = at.since(history.time(start)).as_millis() as u64;
            return Some(Convergence { converged: true, time_ms: Some(time_ms) });
        }
        former_good = good.then_some(end);
        round.fill(None);
        round_start = completed;
    }
    Some(Convergence { converged: false, time_ms: None })
}

/// Which streams count, and how many a round needs: one for every node that serves, or that of
/// reads whose node is not known where that is all there is.
fn serving(history: &History, streams: &Streams<Sights>) -> (Vec<bool>, usize) {
    let idle = history.meta("idle_nodes").and_then(Value::as_list).unwrap_or(&[]);
    let serves = |n: NodeId| !idle.iter().any(|v| v.as_text() == Some(history.node_name(n)));
    let named = streams.streams.iter().any(|s| s.node.is_some());
    let counted: Vec<bool> =
        streams.streams.iter().map(|s| s.node.map_or(!named, serves)).collect();
    let nodes = (0..history.nodes().len() as u16).filter(|n| serves(NodeId(*n))).count();
    (counted, if named { nodes } else { 1 })
}
