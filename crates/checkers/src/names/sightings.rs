//! Who was seen under which name, and when.

use std::collections::{BTreeMap, BTreeSet};

use super::super::calls::{Outcome, calls};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Phase, Value};

/// A process that was found under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) process: Value,
    /// The first completion that shows it: it was there at some time before.
    pub(super) first: usize,
    /// The latest invocation of a read that shows it: it was there at some time after.
    pub(super) last_invoked: usize,
    /// The completion of that read.
    pub(super) last: usize,
    /// Did a final read show it?
    pub(super) is_final: bool,
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The processes of each name, by when they were first seen.
    pub(super) holders: BTreeMap<Value, Vec<Holder>>,
    /// Names that certainly were registered, and the first event that says so.
    pub(super) known: BTreeMap<Value, usize>,
    /// Names that may have been given up.
    pub(super) unregistered: BTreeSet<Value>,
}

impl Names {
    /// Gathers them; gives the read that is none.
    pub(super) fn of(history: &History) -> Result<Names, usize> {
        let mut names = Names::default();
        let mut seen: BTreeMap<(Value, Value), Holder> = BTreeMap::new();
        for call in calls(history, &["register", "unregister", "lookup", "names"]) {
            let name = || history.value(call.invoked);
            let f = &**history.function(call.invoked);
            if f == "unregister" && call.outcome != Outcome::Failed {
                names.unregistered.insert(name());
            }
            let Some(done) = call.acknowledged() else { continue };
            let found = match f {
                "register" => {
                    names.known.entry(name()).or_insert(done);
                    continue;
                }
                "lookup" => vec![(name(), history.value(done))],
                "names" => pairs(history, done).ok_or(done)?,
                _ => continue,
            };
            for (name, process) in found.into_iter().filter(|(_, process)| !process.is_nil()) {
                let known = names.known.entry(name.clone()).or_insert(done);
                *known = done.min(*known);
                let holder = seen.entry((name, process.clone())).or_insert(Holder {
                    process,
                    first: done,
                    last_invoked: call.invoked,
                    last: done,
                    is_final: false,
                });
                holder.first = holder.first.min(done);
                if holder.last_invoked < call.invoked {
                    (holder.last_invoked, holder.last) = (call.invoked, done);
                }
                holder.is_final |= history.phase(call.invoked) == Phase::Final;
            }
        }
        for ((name, _), holder) in seen {
            names.holders.entry(name).or_default().push(holder);
        }
        names.holders.values_mut().for_each(|holders| holders.sort_by_key(|h| h.first));
        Ok(names)
    }
}

/// Pairs of processes that certainly had the name at the same time: each was seen before the other
/// was seen for the last time. For each process the earliest such other one.
pub(super) fn overlaps(holders: &[Holder]) -> Vec<(&Holder, &Holder)> {
    let mut active: Vec<&Holder> = Vec::new();
    let mut found = Vec::new();
    for holder in holders {
        active.retain(|other| other.last_invoked > holder.first);
        let other = active.iter().find(|other| other.first < holder.last_invoked);
        found.extend(other.map(|other| (*other, holder)));
        active.push(holder);
    }
    found
}

/// What `names` gave: names and processes; `None` where it is no list of pairs.
pub(in super::super) fn pairs(history: &History, event: usize) -> Option<Vec<(Value, Value)>> {
    let value = history.value(event);
    let pair = |item: &Value| match item.as_list()? {
        [name, process] => Some((name.clone(), process.clone())),
        _ => None,
    };
    value.as_list()?.iter().map(pair).collect()
}
