//! What vanished elements have in common: who acknowledged them, when, and when they vanished.

use std::collections::BTreeMap;

use super::super::evidence::{any_of, between};
use super::explain::{Facts, Life};
use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::NodeId;
use fuzz_dist_history::time::Time;

/// A few words about many elements: `of 737 acknowledged; all of these by n2 or n4 between 10.247 s
/// and 14.368 s; n3 had 200 of them and lost them between 14.4 s and 20.2 s, and never had 46`.
pub(super) fn shared(
    facts: &Facts<'_>,
    ids: &[u32],
    lives: &FastMap<u32, Life>,
    streams: &[usize],
) -> String {
    let history = facts.history;
    let acknowledged = |id: &u32| facts.adds.is_acknowledged(*id as usize);
    let all = (0..facts.adds.len() as u32).filter(acknowledged).count();
    let mut parts = vec![format!("of {all} acknowledged")];
    let mut by: BTreeMap<Option<NodeId>, usize> = BTreeMap::new();
    let mut when: Option<(Time, Time)> = None;
    for id in ids.iter().filter(|id| acknowledged(id)) {
        let at = facts.adds.completed(history, *id as usize) as usize;
        *by.entry(history.node(at)).or_default() += 1;
        let time = history.time(at);
        when = Some(when.map_or((time, time), |(a, b)| (a.min(time), b.max(time))));
    }
    if let Some((from, to)) = when {
        let known: usize = by.values().sum();
        let all =
            if known == ids.len() { "all of these".into() } else { format!("{known} of these") };
        parts.push(format!("{all} by {}{}", any_of(history, by.keys()), between(from, to)));
    }
    parts.extend(fate(facts, ids, lives, streams));
    parts.join("; ")
}

/// *Had it once* and *never had it*, apart, with the time of vanishing. For lost elements, of which
/// no node is named, it is about wherever they were seen last.
fn fate(
    facts: &Facts<'_>,
    ids: &[u32],
    lives: &FastMap<u32, Life>,
    streams: &[usize],
) -> Option<String> {
    let mut gone: Vec<(Time, Time)> = Vec::new();
    let (mut had, mut never) = (0usize, 0usize);
    for id in ids {
        let life = lives.get(id)?;
        let place = match streams {
            [] => facts.last_seen(life).map(|(stream, _)| stream as usize),
            some => some.iter().copied().find(|s| life.is_known_to(*s)),
        };
        match place {
            None => never += 1,
            Some(stream) => {
                had += 1;
                gone.extend(facts.vanished(life, stream));
            }
        }
    }
    let when = match (gone.iter().map(|g| g.0).min(), gone.iter().map(|g| g.1).max()) {
        (Some(from), Some(to)) => between(from, to),
        _ => String::new(),
    };
    Some(match (had, never) {
        (0, _) if streams.is_empty() => "none was ever read".into(),
        (0, _) => "never read there".into(),
        (_, 0) => format!("all had been read there, and vanished{when}"),
        _ => format!("{had} had been read there and vanished{when}, {never} never were"),
    })
}

/// The first of every group in turn, at most `max` of them: a sample that is spread.
pub(super) fn spread<T: Copy, G: Ord>(
    items: impl IntoIterator<Item = T>,
    group: impl Fn(T) -> G,
    max: usize,
) -> Vec<T> {
    let mut groups: BTreeMap<G, Vec<T>> = BTreeMap::new();
    for item in items {
        groups.entry(group(item)).or_default().push(item);
    }
    let longest = groups.values().map(Vec::len).max().unwrap_or(0);
    let turns = (0..longest).flat_map(|i| groups.values().filter_map(move |g| g.get(i).copied()));
    turns.take(max).collect()
}
