//! Registers whose written values are distinct: linearizability without a search.
//!
//! Gibbons and Korach, "Testing shared memories", 1997, theorem 4.1: group each write with the
//! reads of its value. A group's *zone* spans from the earliest completion to the latest
//! invocation of its operations; it is *forward* where the completion comes first (the register
//! certainly had the value in all of it), else *backward*. The history is linearizable exactly
//! if every read follows the invocation of a write of its value, no two forward zones overlap,
//! and no backward zone lies inside a forward one. Sorting costs O(n log n), whatever the
//! number of clients.

use std::collections::{BTreeMap, HashMap};

use super::super::calls::{Outcome, call};
use super::super::evidence::{count, node_of};
use super::super::recheck::{self, rechecked};
use super::super::{ANOMALIES_MAX, Anomaly, Checker, Verdict};
use crate::history::History;
use crate::op::{Kind, Value};

/// Judges registers with distinct values; see [`distinct_register`].
#[derive(Clone, Copy, Debug, Default)]
pub struct DistinctRegister;

/// Judges whether a register under `write v` and `read` is linearizable, where no value is
/// written twice; it begins as nil. Any concurrency, in O(n log n).
///
/// ```
/// # use fuzz_dist::checker::{Checker, distinct_register, histories::Recorder};
/// # use fuzz_dist::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// for n in [1, 2] {
///     r.invoke(0, "write", n);
///     r.done(0);
/// }
/// r.invoke(1, "read", Value::Nil);
/// r.ok(1, 1);
/// let verdict = distinct_register().check(&r.history());
/// assert_eq!(&*verdict.anomalies[0].kind, "not_linearizable");
/// ```
pub fn distinct_register() -> DistinctRegister {
    DistinctRegister
}

/// A value's write and reads, as the events that bound them.
#[derive(Clone, Debug)]
struct Group {
    value: Value,
    /// The write's invocation; `None` for the initial value, which is older than everything.
    written: Option<usize>,
    /// One more than the event of the earliest completion; 0 is before everything.
    end: usize,
    /// One more than the event of the latest invocation.
    begin: usize,
    /// The read that completed first.
    first_read: Option<usize>,
}

impl Group {
    fn forward(&self) -> bool {
        self.end < self.begin
    }
}

impl Checker for DistinctRegister {
    fn check(&self, history: &History) -> Verdict {
        let groups = match groups(history) {
            Ok(groups) => groups,
            Err(why) => return Verdict::unknown("distinct_register", why),
        };
        let reads = groups.iter().filter(|g| g.first_read.is_some()).count();
        let mut found = thin_air(history, &groups);
        if found.is_empty() {
            found = crossings(history, &groups);
        }
        let total = found.len();
        found.truncate(ANOMALIES_MAX);
        let mut verdict = match (total, groups.len()) {
            (0, 0) => Verdict::unknown("distinct_register", "no operation succeeded"),
            (0, _) => Verdict::valid("distinct_register"),
            (n, _) => Verdict::invalid(
                "distinct_register",
                format!(
                    "{} in which the values cannot have followed one another",
                    count(n, "place")
                ),
            ),
        };
        verdict.anomalies = found;
        let verdict = verdict.with("value_count", groups.len()).with("values_read", reads);
        rechecked(history, verdict, recheck::distinct_register)
    }
}

fn groups(history: &History) -> Result<Vec<Group>, String> {
    let (read, write) = (history.find_function("read"), history.find_function("write"));
    let mut groups: Vec<Group> = Vec::new();
    let mut ids: HashMap<Value, usize> = HashMap::new();
    // Writes first, as a read may complete before the write that it saw does.
    for i in 0..history.len() {
        if history.kind(i) != Kind::Invoke || !history.process(i).is_client() {
            continue;
        }
        let f = Some(history.function_index(i));
        if f != read && f != write {
            return Err(format!("a register does not know `{}` (event {i})", history.function(i)));
        }
        let call = call(history, i);
        if f == read || call.outcome == Outcome::Failed {
            continue;
        }
        let value = history.value(i);
        if value.is_nil() {
            return Err(format!("the initial value nil is written at event {i}"));
        }
        if let Some(former) = ids.insert(value.clone(), groups.len()) {
            let first = groups[former].written.unwrap_or(0);
            return Err(format!("{value} is written twice, at events {first} and {i}"));
        }
        let end = call.acknowledged().map_or(usize::MAX, |c| c + 1);
        groups.push(Group { value, written: Some(i), end, begin: i + 1, first_read: None });
    }
    for i in 0..history.len() {
        let Some(began) = history.invocation(i) else { continue };
        if Some(history.function_index(i)) != read || history.kind(i) != Kind::Ok {
            continue;
        }
        let value = history.value(i);
        let id = *ids.entry(value.clone()).or_insert_with(|| {
            // Nil was there before everything; anything else is thin air, found out later.
            let end = if value.is_nil() { 0 } else { usize::MAX };
            groups.push(Group { value, written: None, end, begin: 0, first_read: None });
            groups.len() - 1
        });
        let group = &mut groups[id];
        group.end = group.end.min(i + 1);
        group.begin = group.begin.max(began + 1);
        group.first_read = group.first_read.or(Some(i));
    }
    // A write of unknown outcome that nobody read need not have happened.
    groups.retain(|g| g.end != usize::MAX || g.first_read.is_some());
    Ok(groups)
}

/// Reads of what nobody had begun to write.
fn thin_air(history: &History, groups: &[Group]) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for group in groups.iter().filter(|g| !g.value.is_nil()) {
        let Some(read) = group.first_read else { continue };
        if group.written.is_some_and(|w| w < read) {
            continue;
        }
        let value = &group.value;
        let (kind, why) = match group.written {
            None => ("thin_air", "nobody wrote it".into()),
            Some(w) => ("early", format!("its write was invoked only at {}", history.time(w))),
        };
        let text = format!(
            "{value} was read on {} at {}, but {why}",
            node_of(history, read),
            history.time(read)
        );
        let events = [group.written, Some(read)].into_iter().flatten();
        found.push(
            Anomaly::new(kind, value.clone())
                .explained(text)
                .on(history.node(read))
                .at(history.time(read))
                .proved_by(events),
        );
    }
    found
}

/// Zones that contradict one another.
fn crossings(history: &History, groups: &[Group]) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut forward: Vec<&Group> = groups.iter().filter(|g| g.forward()).collect();
    forward.sort_unstable_by_key(|g| g.end);
    let mut disjoint: BTreeMap<usize, &Group> = BTreeMap::new();
    let mut last: Option<&Group> = None;
    for group in forward {
        if let Some(former) = last.filter(|l| l.begin > group.end) {
            found.push(crossing(history, former, group));
        }
        if last.is_none_or(|l| l.begin < group.begin) {
            disjoint.insert(group.end, group);
            last = Some(group);
        }
    }
    for group in groups.iter().filter(|g| !g.forward()) {
        // A backward zone spans from its latest invocation to its earliest completion.
        let around = disjoint.range(..group.begin).next_back().map(|(_, f)| *f);
        if let Some(forward) = around.filter(|f| f.begin > group.end) {
            found.push(crossing(history, forward, group));
        }
    }
    found
}

fn crossing(history: &History, a: &Group, b: &Group) -> Anomaly {
    let at = |place: usize| history.time(place.clamp(1, history.len()) - 1);
    let sure = |g: &Group| {
        let (value, end, begin) = (&g.value, at(g.end), at(g.begin));
        match (g.end, g.begin) {
            (0, _) => {
                format!("{value} was there from the start, and some read of it began at {begin}")
            }
            _ => format!("an operation with {value} completed by {end}, and one began at {begin}"),
        }
    };
    let text = format!(
        "{} and {} cannot have followed one another: {}; {}",
        a.value,
        b.value,
        sure(a),
        sure(b)
    );
    let mut events = vec![a.end, a.begin, b.end, b.begin];
    events.retain(|e| (1..=history.len()).contains(e));
    events.iter_mut().for_each(|e| *e -= 1);
    events.sort_unstable();
    events.dedup();
    Anomaly::new("not_linearizable", b.value.clone())
        .explained(text)
        .on(history.node(b.begin.max(1) - 1))
        .at(at(b.begin))
        .proved_by(events)
}
