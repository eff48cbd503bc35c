//! What each client saw: its own writes, and nothing vanishing from one read to the next.
//!
//! Session guarantees as Terry et al. define them ("Session Guarantees for Weakly Consistent
//! Replicated Data", 1994), for the elements of a set: *read your writes* (a read invoked
//! after the client's own add was acknowledged has the element) and *monotonic reads* (what a
//! client has read is in its later reads). *Flutter* is a monotonic-reads violation whose
//! element comes back. Reads on different nodes are compared node by node.

use super::super::sets::{Adds, Sights, Stream, Streams};
use fuzz_dist_history::History;
use fuzz_dist_history::hash::FastMap;

/// How many runs of presence are looked at before the count becomes a lower bound.
const BUDGET: usize = 20_000_000;

/// A violation: whose, which element, and the events that show it in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) process: u32,
    pub(super) id: u32,
    pub(super) events: Vec<u32>,
}

/// All violations, one per client and element and kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions {
    pub(super) read_your_writes: Vec<Finding>,
    pub(super) monotonic_reads: Vec<Finding>,
    pub(super) flutter: Vec<Finding>,
    /// Was the budget used up, so that there may be more?
    pub(super) cut_short: bool,
}

/// Finds the violations of session guarantees.
pub(super) fn sessions(history: &History, adds: &Adds, streams: &Streams<Sights>) -> Sessions {
    let mut found = Sessions::default();
    let mut by_adder: FastMap<u32, Vec<u32>> = FastMap::default();
    for id in (0..adds.len()).filter(|id| adds.is_acknowledged(*id)) {
        by_adder.entry(adds.process(history, id).0).or_default().push(id as u32);
    }
    let mut budget = BUDGET;
    for stream in &streams.streams {
        let mut places: FastMap<u32, Vec<u32>> = FastMap::default();
        for (place, completed) in stream.completed.iter().enumerate() {
            let process = history.process(*completed as usize).0;
            places.entry(process).or_default().push(place as u32);
        }
        let mut places: Vec<(u32, Vec<u32>)> = places.into_iter().collect();
        places.sort_unstable();
        let vanishing = stream.changes.vanishing().iter();
        let mut vanishing: Vec<(u32, &[(u32, u32)])> =
            vanishing.map(|(id, runs)| (*id, &runs[..])).collect();
        vanishing.retain(|(id, _)| (*id as usize) < adds.len());
        vanishing.sort_unstable_by_key(|(id, _)| *id);
        for (process, places) in &places {
            let view = View { stream, vanishing: &vanishing, process: *process, places };
            if let Some(own) = by_adder.get(process) {
                view.own_writes(history, adds, own, &mut found);
            }
            view.vanishing(&mut found, &mut budget);
        }
    }
    found.read_your_writes.sort_by_key(|f| f.events[1]);
    found.monotonic_reads.sort_by_key(|f| f.events[1]);
    found.flutter.sort_by_key(|f| f.events[2]);
    found
}

/// One client's reads of one node.
struct View<'a> {
    stream: &'a Stream<Sights>,
    /// The elements that some read lacks after an earlier one had them, and the runs of reads with them.
    vanishing: &'a [(u32, &'a [(u32, u32)])],
    process: u32,
    places: &'a [u32],
}

impl View<'_> {
    fn own_writes(&self, history: &History, adds: &Adds, own: &[u32], found: &mut Sessions) {
        for id in own {
            let acknowledged = adds.acknowledged(history, *id as usize);
            let next =
                self.places.partition_point(|p| self.stream.invoked[*p as usize] < acknowledged);
            let later = &self.places[next..];
            let all = self.stream.len() as u32;
            let lacks = self.stream.changes.with_runs(*id, |runs| match runs {
                [] => later.first().copied(),
                // What stays once it is there may lack in the first one only.
                [(from, to)] if *to == all => later.first().copied().filter(|p| p < from),
                runs => later.iter().copied().find(|p| !runs.iter().any(|r| r.0 <= *p && *p < r.1)),
            });
            if let Some(place) = lacks {
                let events = vec![acknowledged, self.stream.completed[place as usize]];
                found.read_your_writes.push(Finding { process: self.process, id: *id, events });
            }
        }
    }

    fn vanishing(&self, found: &mut Sessions, budget: &mut usize) {
        let (Some(first), Some(last)) = (self.places.first(), self.places.last()) else { return };
        for (id, runs) in self.vanishing {
            if runs[0].0 > *last || runs[0].1 == self.stream.len() as u32 {
                continue;
            }
            if *budget < runs.len() {
                found.cut_short = true;
                return;
            }
            *budget -= runs.len();
            self.one(*id, runs, *first, found);
        }
    }

    /// The client's first read of `id`, its first read without it afterwards, and the first
    /// that has it again.
    fn one(&self, id: u32, runs: &[(u32, u32)], first: u32, found: &mut Sessions) {
        let next = |from: u32| {
            let i = self.places.partition_point(|p| *p < from);
            self.places.get(i).copied()
        };
        let mut seen: Option<u32> = None;
        let mut gone: Option<u32> = None;
        for (i, (from, to)) in runs.iter().enumerate() {
            if *to <= first {
                continue;
            }
            if let Some(place) = next(*from).filter(|p| p < to) {
                if let (Some(seen), Some(gone)) = (seen, gone) {
                    let events = [seen, gone, place].map(|p| self.stream.completed[p as usize]);
                    found.flutter.push(Finding {
                        process: self.process,
                        id,
                        events: events.to_vec(),
                    });
                    return;
                }
                seen = seen.or(Some(place));
            }
            let until = runs.get(i + 1).map_or(u32::MAX, |r| r.0);
            if let (Some(seen), None) = (seen, gone)
                && let Some(place) = next(*to).filter(|p| *p < until)
            {
                gone = Some(place);
                let events = [seen, place].map(|p| self.stream.completed[p as usize]);
                found.monotonic_reads.push(Finding {
                    process: self.process,
                    id,
                    events: events.to_vec(),
                });
            }
        }
    }
}
