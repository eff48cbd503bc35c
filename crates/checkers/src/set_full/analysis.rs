//! The life of every element: known when, present and absent last when, and what follows.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::super::calls::Outcome;
use super::super::latency::Quantiles;
use super::super::sets::{Adds, NONE, Sights, Stream, Streams};
use super::super::threads::in_threads;
use fuzz_dist_history::op::Phase;
use fuzz_dist_history::{Column, History};

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
    /// The invocation of the read that lacks it and was invoked last.
    pub(super) last_absent: Vec<u32>,
    /// What became of it.
    pub(super) fate: Vec<Fate>,
    /// Of lost elements: the invocation of the read that has it and was invoked last.
    pub(super) lost_present: Vec<(u32, u32)>,
    /// Elements of the streams, in the same order as those.
    pub(super) nodes: Vec<NodeAnalysis>,
    /// Element, stream and read that has it though its add was invoked later.
    pub(super) early: Vec<(u32, usize, u32)>,
    /// Element and the first read that has it, for elements that no client added.
    pub(super) unexpected: Vec<(u32, u32)>,
    /// Element and the first read that has it, for elements whose add failed and that were not added
    /// again before.
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
    /// Per [`CHUNK`] of elements, and element: one more than the place of the read without it that was
    /// invoked last, 0 where there is none.
    absent: Vec<Column<u16, u32>>,
    /// Known elements that its final read lacks.
    pub(super) missing: Vec<u32>,
    /// Elements that it lacked after the heal, and has in its final read.
    pub(super) late: Vec<u32>,
    /// Stable elements that it lacked after they were known.
    pub(super) stale: usize,
    /// How long after they were known it still lacked stable elements, in ns.
    pub(super) latencies_ns: Quantiles,
}

/// So many elements at a time are judged by one thread; few, where that is what tests are about.
const CHUNK: usize = if cfg!(test) { 8 } else { 1 << 16 };

/// Judges every element.
pub(super) fn analyse(
    history: &History,
    adds: &Adds,
    streams: &Streams<Sights>,
    elements: usize,
    healed: Option<usize>,
) -> Analysis {
    let (n, nodes) = (adds.len(), streams.streams.len());
    let first_final = (0..history.len()).find(|i| history.phase(*i) == Phase::Final);
    let finals = streams.streams.iter().map(|stream| {
        let place = stream.final_read(history)?;
        Some((place, stream.invoked[place as usize]))
    });
    let judge = Judge {
        history,
        adds,
        streams,
        finals: finals.collect(),
        first_final: first_final.map_or(NONE, |i| i as u32),
        healed: healed.map_or(NONE, |i| i as u32),
    };
    let mut a = Analysis {
        known: vec![NONE; n],
        last_absent: vec![NONE; n],
        fate: vec![Fate::NeverRead; n],
        nodes: (0..nodes).map(|_| NodeAnalysis::default()).collect(),
        ..Analysis::default()
    };
    let known = a.known.chunks_mut(CHUNK).zip(a.last_absent.chunks_mut(CHUNK));
    let parts =
        known.zip(a.fate.chunks_mut(CHUNK)).enumerate().map(|(i, ((known, last), fate))| Part {
            from: i * CHUNK,
            known,
            last_absent: last,
            fate,
            found: Found::new(nodes),
        });
    let left: Mutex<Vec<Part<'_>>> = Mutex::new(parts.collect());
    let take = || left.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let work = || {
        let mut done = Vec::new();
        while let Some(mut part) = take() {
            judge.elements(&mut part);
            done.push((part.from, part.found));
        }
        done
    };
    let mut found: Vec<(usize, Found)> =
        in_threads(n.div_ceil(CHUNK).max(1), &work).into_iter().flatten().collect();
    drop(left);
    found.sort_unstable_by_key(|(from, _)| *from);
    found.into_iter().for_each(|(_, found)| a.join(found));
    for id in n..elements {
        if let Some(completed) = first_sight(streams, id as u32) {
            a.unexpected.push((id as u32, completed));
        }
    }
    a.unexpected.sort_unstable_by_key(|(_, completed)| *completed);
    staleness(&mut a, streams, history);
    a
}

/// The completion of the first read that has an element.
fn first_sight(streams: &Streams<Sights>, id: u32) -> Option<u32> {
    let firsts = streams.streams.iter();
    firsts.filter_map(|s| Some(s.completed[s.changes.first(id)? as usize])).min()
}

impl NodeAnalysis {
    /// The invocation of the last read of this stream without an element, by invocation.
    #[inline]
    fn last_absent(&self, stream: &Stream<Sights>, id: u32) -> u32 {
        let id = id as usize;
        match self.absent[id / CHUNK].get(id % CHUNK) {
            0 => NONE,
            place => stream.invoked[place as usize - 1],
        }
    }
}

/// Some elements that follow one another: what is known of each, and what was found of them.
struct Part<'a> {
    from: usize,
    known: &'a mut [u32],
    last_absent: &'a mut [u32],
    fate: &'a mut [Fate],
    found: Found,
}

/// What is known of each by stream, and what only few elements are.
#[derive(Default)]
struct Found {
    lost_present: Vec<(u32, u32)>,
    early: Vec<(u32, usize, u32)>,
    resurrected: Vec<(u32, u32)>,
    recovered: Vec<u32>,
    unsure: Vec<u32>,
    /// Per stream, see [`NodeAnalysis`].
    absent: Vec<Column<u16, u32>>,
    missing: Vec<Vec<u32>>,
    late: Vec<Vec<u32>>,
}

impl Found {
    fn new(streams: usize) -> Found {
        let lists = || vec![Vec::new(); streams];
        let absent = vec![Column::default(); streams];
        Found { absent, missing: lists(), late: lists(), ..Found::default() }
    }
}

impl Analysis {
    /// What was found of the elements that come next.
    fn join(&mut self, next: Found) {
        self.lost_present.extend(next.lost_present);
        self.early.extend(next.early);
        self.resurrected.extend(next.resurrected);
        self.recovered.extend(next.recovered);
        self.unsure.extend(next.unsure);
        for ((s, node), absent) in self.nodes.iter_mut().enumerate().zip(next.absent) {
            node.absent.push(absent);
            node.missing.extend(&next.missing[s]);
            node.late.extend(&next.late[s]);
        }
    }

    /// The run has no end: nothing is lost or missing then.
    pub(super) fn leave_open(&mut self) {
        for fate in &mut self.fate {
            if matches!(fate, Fate::Lost | Fate::Missing) {
                *fate = Fate::Undecided;
            }
        }
        self.lost_present.clear();
        for node in &mut self.nodes {
            node.missing.clear();
        }
    }
}

/// What is known of all elements.
struct Judge<'a> {
    history: &'a History,
    adds: &'a Adds,
    streams: &'a Streams<Sights>,
    /// Per stream: its final read and the invocation of that.
    finals: Vec<Option<(u32, u32)>>,
    /// The first event of the final phase, and the one of the heal.
    first_final: u32,
    healed: u32,
}

/// An element on one node.
struct OnNode {
    last_present: u32,
    last_absent: u32,
    /// The place of the read that `last_absent` is the invocation of.
    absent_at: u32,
    in_final: bool,
}

impl Judge<'_> {
    fn elements(&self, part: &mut Part<'_>) {
        let streams = &self.streams.streams;
        let Some(begin) = self.adds.invoked.get(part.from) else { return };
        // Only reads that complete after the add was invoked count; both ascend.
        let mut first: Vec<u32> = (streams.iter())
            .map(|s| s.completed.partition_point(|completed| completed < begin) as u32)
            .collect();
        for at in 0..part.fate.len() {
            let invoked = self.adds.invoked[part.from + at];
            for (first, stream) in first.iter_mut().zip(streams) {
                while stream.completed.get(*first as usize).is_some_and(|c| *c < invoked) {
                    *first += 1;
                }
            }
            self.element(at, &first, part);
        }
    }

    fn element(&self, at: usize, first: &[u32], part: &mut Part<'_>) {
        let id = (part.from + at) as u32;
        let found = &mut part.found;
        let outcome = self.adds.outcome[id as usize];
        let mut known = self.adds.acknowledged(self.history, id as usize);
        if let Some(seen) = self.sight(id, found) {
            match outcome {
                Outcome::Failed => found.resurrected.push((id, seen)),
                _ => known = known.min(seen),
            }
            if outcome == Outcome::Open {
                found.recovered.push(id);
            }
        }
        let late = outcome == Outcome::Open && known > self.first_final && known != NONE;
        let (mut last_present, mut last_absent) = (NONE, NONE);
        let (mut misses, mut finals, mut unsure) = (0, 0, false);
        for (s, stream) in self.streams.streams.iter().enumerate() {
            let on = on_node(stream, id, first[s], self.finals[s].map(|(place, _)| place));
            latest(&mut last_present, on.last_present);
            latest(&mut last_absent, on.last_absent);
            found.absent[s].push(on.absent_at.wrapping_add(1));
            let Some((_, invoked)) = self.finals[s] else { continue };
            finals += 1;
            if outcome == Outcome::Failed {
                continue;
            }
            if !on.in_final && known < invoked {
                unsure |= late;
                if !late {
                    misses += 1;
                    found.missing[s].push(id);
                }
            } else if on.in_final
                && after(on.last_absent, self.healed)
                && on.last_absent > known
                && self.healed != NONE
            {
                found.late[s].push(id);
            }
        }
        if unsure {
            found.unsure.push(id);
        }
        let fate = if outcome == Outcome::Failed {
            Fate::Failed
        } else if misses > 0 {
            if misses == finals { Fate::Lost } else { Fate::Missing }
        } else if after(last_present, last_absent) {
            Fate::Stable
        } else if known != NONE && !late && after(last_absent, last_present) && last_absent > known
        {
            Fate::Lost
        } else {
            Fate::NeverRead
        };
        if fate == Fate::Lost {
            found.lost_present.push((id, last_present));
        }
        (part.known[at], part.last_absent[at], part.fate[at]) = (known, last_absent, fate);
    }

    /// The completion of the first read that has it. Was that allowed?
    fn sight(&self, id: u32, found: &mut Found) -> Option<u32> {
        let mut seen: Option<(u32, usize, u32)> = None;
        for (s, stream) in self.streams.streams.iter().enumerate() {
            let Some(read) = stream.changes.first(id) else { continue };
            let completed = stream.completed[read as usize];
            if seen.is_none_or(|(earliest, ..)| completed < earliest) {
                seen = Some((completed, s, read));
            }
        }
        let (completed, s, read) = seen?;
        if completed < self.adds.invoked[id as usize] {
            let first = self.adds.former(id).first().copied();
            if first.is_none_or(|first| completed < first) {
                found.early.push((id, s, read));
            }
            if let Some(between) = first.and_then(|first| self.between(id, first)) {
                found.resurrected.push((id, between));
            }
        }
        Some(completed)
    }

    /// The completion of the first read that has an element after the event `first`, a failed add of
    /// it, and before it was added again. Where the last add failed, too, any read is wrong.
    fn between(&self, id: u32, first: u32) -> Option<u32> {
        if self.adds.outcome[id as usize] == Outcome::Failed {
            return None;
        }
        let of_stream = |stream: &Stream<Sights>| {
            let after = stream.completed.partition_point(|completed| *completed < first) as u32;
            stream.changes.with_runs(id, |runs| {
                let run = runs.iter().find(|(_, to)| *to > after)?;
                stream.completed.get(run.0.max(after) as usize).copied()
            })
        };
        let first = self.streams.streams.iter().filter_map(of_stream).min()?;
        (first < self.adds.invoked[id as usize]).then_some(first)
    }
}

/// What the reads of a node say from the one at `first` on.
#[inline]
fn on_node(stream: &Stream<Sights>, id: u32, first: u32, final_read: Option<u32>) -> OnNode {
    let mut on = OnNode { last_present: NONE, last_absent: NONE, absent_at: NONE, in_final: false };
    let absent = |on: &mut OnNode, from: u32, to: u32| {
        if let Some(read) = stream.last_invoked(from, to)
            && after(stream.invoked[read as usize], on.last_absent)
        {
            (on.last_absent, on.absent_at) = (stream.invoked[read as usize], read);
        }
    };
    stream.changes.with_runs(id, |runs| {
        let mut since = first;
        for (from, to) in runs {
            absent(&mut on, since, *from);
            if let Some(read) = stream.last_invoked((*from).max(first), *to) {
                latest(&mut on.last_present, stream.invoked[read as usize]);
            }
            since = (*to).max(first);
            on.in_final |= final_read.is_some_and(|read| (*from..*to).contains(&read));
        }
        absent(&mut on, since, stream.len() as u32);
    });
    on
}

/// Keeps the later one of two events, where there are any.
fn latest(slot: &mut u32, event: u32) {
    if after(event, *slot) {
        *slot = event;
    }
}

/// Is `a` later than `b`, where `NONE` is before everything?
fn after(a: u32, b: u32) -> bool {
    a != NONE && (b == NONE || a > b)
}

fn staleness(a: &mut Analysis, streams: &Streams<Sights>, history: &History) {
    let stable = |id: &u32| a.fate[*id as usize] == Fate::Stable;
    let all = || (0..a.fate.len() as u32).filter(stable);
    a.stale =
        all().filter(|id| after(a.last_absent[*id as usize], a.known[*id as usize])).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((s, node)) = {
            let s = next.fetch_add(1, Ordering::Relaxed);
            a.nodes.get(s).map(|node| (s, node))
        } {
            let stream = &streams.streams[s];
            let both = || all().map(|id| (node.last_absent(stream, id), a.known[id as usize]));
            // Elements are walked for the quantiles anyway, each time from the first one on.
            let stale = Cell::new(0);
            let latency = |(absent, known)| {
                stale.set(stale.get() + usize::from(after(absent, known)));
                latency_ns(history, absent, known)
            };
            let quantiles = Quantiles::of_each(|| {
                stale.set(0);
                both().map(latency)
            });
            done.push((s, stale.get(), quantiles));
        }
        done
    };
    let threads = if a.fate.len() > CHUNK { a.nodes.len().max(1) } else { 1 };
    for (s, stale, latencies) in in_threads(threads, &work).into_iter().flatten() {
        (a.nodes[s].stale, a.nodes[s].latencies_ns) = (stale, latencies);
        a.nodes[s].absent = Vec::new();
    }
}

/// From when an element was known until just after the invocation `last`; 0 for no `last`.
pub(super) fn latency_ns(history: &History, last: u32, known: u32) -> u64 {
    if last == NONE {
        return 0;
    }
    (history.time(last as usize).0 + 1).saturating_sub(history.time(known as usize).0)
}
