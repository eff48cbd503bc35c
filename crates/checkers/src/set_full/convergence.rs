//! When did all nodes agree on everything that was acknowledged?

use super::super::evidence::{healed_at, serving};
use super::super::sets::{Adds, Sights, Streams};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{NodeId, Phase};
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
    let (counted, serving) = counted(history, streams);
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
fn counted(history: &History, streams: &Streams<Sights>) -> (Vec<bool>, usize) {
    let serving = serving(history);
    let serves = |n: NodeId| serving.contains(&n);
    let named = streams.streams.iter().any(|s| s.node.is_some());
    let counted: Vec<bool> =
        streams.streams.iter().map(|s| s.node.map_or(!named, serves)).collect();
    (counted, if named { serving.len() } else { 1 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::histories::Recorder;
    use crate::set_full::set_full;
    use crate::{Checker, Validity};
    use fuzz_dist_history::op::{Kind, NodeId, Phase, Process, Value};
    use fuzz_dist_history::{History, MemberState};

    #[test]
    fn members_of_the_end_give_final_reads_and_have_to_agree() {
        let with = |changes: &[(u16, &str, MemberState)], answers: &[u32]| {
            let mut r = Recorder::new(["n1", "n2"]);
            r.bind(2, 2);
            r.invoke(0, "add", 0);
            r.done(0);
            for (node, name, state) in changes {
                let (f, value) = History::member_event(name, *state);
                r.event(Process::RUNTIME, Some(NodeId(*node)), Kind::Info, f, value);
            }
            r.phase = Phase::Heal;
            r.heal(true);
            for phase in [Phase::Quiesce, Phase::Quiesce, Phase::Final] {
                r.phase = phase;
                for n in answers {
                    r.invoke(*n, "read", Value::Nil);
                    r.ok(*n, Value::set([0]));
                }
            }
            r.status(2, true, true);
            let verdict = set_full().check(&r.history());
            (verdict.validity, verdict.results.get("converged").cloned())
        };
        let converged = Some(json!(true));
        let joined = (2, "n3", MemberState::Member);
        let left = (1, "n2", MemberState::Left);
        assert_eq!(with(&[joined, left], &[0, 2]), (Validity::Valid, converged.clone()));
        assert_eq!(with(&[joined], &[0, 1, 2]), (Validity::Valid, converged));
        assert_eq!(with(&[joined, left], &[0]).0, Validity::Invalid, "n3 gave no final read");
        assert_ne!(with(&[], &[0]).0, Validity::Valid, "n2 gave none");
    }
}
