//! What each client of an add-wins set must see of its own adds and removes.
//!
//! After its own add was acknowledged, a client reads the element until some remove that may
//! have seen the add was invoked. After its own remove was acknowledged, it does not read the
//! element until an add was invoked that is not its own earlier one.

use super::super::calls::Call;
use super::super::sets::{AllRuns, Stream};
use super::{Element, Facts, Finding};
use fuzz_dist_history::History;
use fuzz_dist_history::hash::FastMap;

/// The kinds of findings about sessions.
pub(super) const KINDS: [&str; 2] = ["own_add_unread", "own_remove_unread"];

impl Facts<'_> {
    /// Violations of read-your-writes, one per operation and node at most.
    pub(super) fn sessions(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (stream, view) in self.views.iter().enumerate() {
            for (id, element) in self.elements.iter().enumerate() {
                let mut add = |read: Option<u32>, kind| {
                    findings.extend(read.map(|read| Finding { kind, id: id as u32, stream, read }));
                };
                let stream = &self.streams.streams[stream];
                own_adds(element, |p, from, until| {
                    add(view.first(stream, id, p, from, until, false), KINDS[0]);
                });
                own_removes(element, |p, from, until| {
                    add(view.first(stream, id, p, from, until, true), KINDS[1]);
                });
            }
        }
        findings.sort_by_key(|f| (f.read, f.id));
        findings
    }
}

/// For each acknowledged add: whose, and the events between which it must be read.
fn own_adds(element: &Element<'_>, mut each: impl FnMut(u32, usize, usize)) {
    // A remove may have seen the add unless it ended before; the earliest such one counts.
    let mut removes: Vec<(usize, usize)> =
        element.removes.iter().map(|r| (r.end(), r.invoked)).collect();
    removes.sort_unstable();
    let mut earliest = usize::MAX;
    for (_, invoked) in removes.iter_mut().rev() {
        earliest = earliest.min(*invoked);
        *invoked = earliest;
    }
    for add in element.adds {
        let Some(done) = add.acknowledged() else { continue };
        let next = removes.partition_point(|(end, _)| *end <= add.invoked);
        each(add.process.0, done, removes.get(next).map_or(usize::MAX, |(_, i)| *i));
    }
}

/// For each acknowledged remove: whose, and the events between which nothing may be read.
fn own_removes(element: &Element<'_>, mut each: impl FnMut(u32, usize, usize)) {
    if element.removes.is_empty() {
        return;
    }
    let mut own: FastMap<u32, Vec<&Call>> = FastMap::default();
    for add in element.adds {
        own.entry(add.process.0).or_default().push(add);
    }
    let mut firsts: Vec<(usize, u32)> = own.iter().map(|(p, adds)| (adds[0].invoked, *p)).collect();
    firsts.sort_unstable();
    for remove in element.removes {
        let Some(done) = remove.acknowledged() else { continue };
        let process = remove.process.0;
        let other = firsts.iter().take(2).find(|(_, p)| *p != process).map(|(i, _)| *i);
        let later = own.get(&process).and_then(|adds| {
            let next =
                adds.partition_point(|a| a.acknowledged().is_some_and(|d| d < remove.invoked));
            adds.get(next).map(|a| a.invoked)
        });
        let until = [other, later].into_iter().flatten().min().unwrap_or(usize::MAX);
        each(process, done, until);
    }
}

/// One node's reads by client, and the runs of them that have each element.
pub(super) struct View {
    places: FastMap<u32, Vec<u32>>,
    runs: AllRuns,
}

impl View {
    pub(super) fn of(history: &History, stream: &Stream, elements: usize) -> View {
        let mut places: FastMap<u32, Vec<u32>> = FastMap::default();
        for (place, completed) in stream.completed.iter().enumerate() {
            let process = history.process(*completed as usize).0;
            places.entry(process).or_default().push(place as u32);
        }
        View { places, runs: AllRuns::of(stream, elements) }
    }

    /// The client's first read that was invoked after `from`, completed before `until`, and has
    /// the element or has it not, as asked.
    fn first(
        &self,
        stream: &Stream,
        id: usize,
        process: u32,
        from: usize,
        until: usize,
        has: bool,
    ) -> Option<u32> {
        let places = self.places.get(&process)?;
        let begin = places.partition_point(|p| (stream.invoked[*p as usize] as usize) < from);
        let end = places.partition_point(|p| (stream.completed[*p as usize] as usize) < until);
        let place = self.find(places.get(begin..end)?, id, has)?;
        Some(stream.completed[place as usize])
    }

    /// Did the client read the element in a read that completed between the two events?
    pub(super) fn read_between(
        &self,
        stream: &Stream,
        id: usize,
        process: u32,
        from: usize,
        until: usize,
    ) -> bool {
        let Some(places) = self.places.get(&process) else { return false };
        let place =
            |event| places.partition_point(|p| (stream.completed[*p as usize] as usize) < event);
        places.get(place(from)..place(until)).is_some_and(|p| self.find(p, id, true).is_some())
    }

    /// The first of these places that is in a run of reads with the element, or in none.
    fn find(&self, places: &[u32], id: usize, has: bool) -> Option<u32> {
        let runs = self.runs.get(id);
        let mut at = *places.first()?;
        let mut run = runs.partition_point(|r| r.1 <= at);
        // Each step goes to the next run, so this costs no more than there are changes.
        loop {
            let (from, to) = runs.get(run).copied().unwrap_or((u32::MAX, u32::MAX));
            let inside = from <= at;
            if inside == has {
                return Some(at);
            }
            if !inside && from == u32::MAX {
                return None;
            }
            let target = if inside { to } else { from };
            let next = places.partition_point(|p| *p < target);
            at = *places.get(next)?;
            run += runs[run..].partition_point(|r| r.1 <= at);
        }
    }
}
