//! Registers whose written values are distinct: linearizability without a search.
//!
//! Gibbons and Korach, "Testing shared memories", 1997, theorem 4.1: group each write with the
//! reads of its value. A group's *zone* spans from the earliest completion to the latest
//! invocation of its operations; it is *forward* where the completion comes first (the register
//! certainly had the value in all of it), else *backward*. The history is linearizable exactly
//! if every read follows the invocation of a write of its value, no two forward zones overlap,
//! and no backward zone lies inside a forward one. That costs O(n), whatever the number of
//! clients.

use super::super::Arguments;
use super::super::calls::{Call, Outcome, call};
use super::super::dense::{Dense, NONE};
use super::super::evidence::{count, node_of};
use super::super::online::OnlineRegister;
use super::super::verify::{self, verified};
use super::super::{Anomaly, Checker, Online, Verdict};
use crate::registration::{Judges, Needs, Registration, built};
use fuzz_dist_history::op::{Kind, Value};
use fuzz_dist_history::{History, Word};

/// Judges registers with distinct values; see [`distinct_register`].
#[derive(Clone, Copy, Debug, Default)]
pub struct DistinctRegister;

/// Judges whether a register under `write v` and `read` is linearizable, where no value is
/// written twice; it begins as nil. Any concurrency, in O(n).
///
/// ```
/// # use fuzz_dist_checkers::{Checker, distinct_register, histories::Recorder};
/// # use fuzz_dist_history::op::Value;
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
#[derive(Clone, Copy, Debug)]
struct Group {
    /// The write's invocation; [`NONE`] for the initial value, which is older than everything.
    written: u32,
    /// One more than the event of the earliest completion; 0 is before everything, [`NONE`] for
    /// never.
    end: u32,
    /// One more than the event of the latest invocation.
    begin: u32,
    /// The read that completed first, or [`NONE`].
    first_read: u32,
}

impl Group {
    /// A write of unknown outcome that nobody read need not have happened.
    fn exists(&self) -> bool {
        self.end != NONE || self.was_read()
    }

    fn was_read(&self) -> bool {
        self.first_read != NONE
    }

    fn forward(&self) -> bool {
        self.end < self.begin
    }
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "distinct_register",
    about: "a linearizable register whose values are distinct, without a search",
    judges: Judges::Itself,
    needs: Needs::Order,
    options: &[],
    build: |_| built(distinct_register()),
};

impl Checker for DistinctRegister {
    fn check(&self, history: &History) -> Verdict {
        let values = match Values::of(history) {
            Ok(values) => values,
            Err(why) => return Verdict::unknown("distinct_register", why),
        };
        let all = values.groups.iter().filter(|g| g.exists()).count();
        let reads = values.groups.iter().filter(|g| g.was_read()).count();
        let mut found = values.thin_air();
        if found.is_empty() {
            found = values.crossings();
        }
        let total = found.len();
        let mut verdict = match (total, all) {
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
        verdict.sample(found);
        let verdict = verdict.with("value_count", all).with("values_read", reads);
        verified(history, verdict, verify::distinct_register)
    }

    fn online(&self, _: &History) -> Option<Box<dyn Online>> {
        Some(Box::<OnlineRegister>::default())
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of("distinct_register"))
    }
}

/// The values of a register, by their numbers.
struct Values<'a> {
    history: &'a History,
    numbers: Dense<'a>,
    groups: Vec<Group>,
}

impl<'a> Values<'a> {
    fn of(history: &'a History) -> Result<Values<'a>, String> {
        let (read, write) = (history.find_function("read"), history.find_function("write"));
        let mut writes: Vec<Call> = Vec::new();
        for i in 0..history.len() {
            if history.kind(i) != Kind::Invoke || !history.process(i).is_client() {
                continue;
            }
            let f = Some(history.function_index(i));
            if f == write {
                writes.push(call(history, i));
            } else if f != read {
                return Err(format!(
                    "a register does not know `{}` (event {i})",
                    history.function(i)
                ));
            }
        }
        writes.retain(|call| call.outcome != Outcome::Failed);
        let words = writes.iter().map(|c| history.word(c.invoked));
        let numbers = Dense::expecting(history, words.collect());
        let groups = Vec::with_capacity(writes.len());
        let mut values = Values { history, numbers, groups };
        // Writes first, as a read may complete before the write that it saw does.
        for call in writes {
            let i = call.invoked;
            if history.word(i) == Word::NIL {
                return Err(format!("the initial value nil is written at event {i}"));
            }
            let id = values.numbers.event(i) as usize;
            if let Some(former) = values.groups.get(id) {
                let (value, first) = (history.value(i), former.written);
                return Err(format!("{value} is written twice, at events {first} and {i}"));
            }
            let end = call.acknowledged().map_or(NONE, |c| c as u32 + 1);
            let (written, begin) = (i as u32, i as u32 + 1);
            values.groups.push(Group { written, end, begin, first_read: NONE });
        }
        for i in 0..history.len() {
            if Some(history.function_index(i)) == read && history.kind(i) == Kind::Ok {
                values.read(i);
            }
        }
        Ok(values)
    }

    fn read(&mut self, i: usize) {
        let Some(began) = self.history.invocation(i) else { return };
        let id = self.numbers.event(i) as usize;
        if id == self.groups.len() {
            // Nil was there before everything; anything else is thin air, found out later.
            let end = if self.history.word(i) == Word::NIL { 0 } else { NONE };
            self.groups.push(Group { written: NONE, end, begin: 0, first_read: NONE });
        }
        let group = &mut self.groups[id];
        group.end = group.end.min(i as u32 + 1);
        group.begin = group.begin.max(began as u32 + 1);
        group.first_read = group.first_read.min(i as u32);
    }

    /// Reads of what nobody had begun to write.
    fn thin_air(&self) -> Vec<Anomaly> {
        let history = self.history;
        let mut found = Vec::new();
        for (id, group) in self.groups.iter().enumerate() {
            let initial = group.written == NONE && group.end == 0;
            if !group.was_read() || initial || group.written < group.first_read {
                continue;
            }
            let (value, read) = (self.numbers.value(id as u32), group.first_read as usize);
            let (kind, why) = match group.written {
                NONE => ("thin_air", "no client wrote it".into()),
                w => {
                    let time = history.time(w as usize);
                    ("early", format!("its write was invoked only at {time}"))
                }
            };
            let text = format!(
                "{value} was read on {} at {}, but {why}",
                node_of(history, read),
                history.time(read)
            );
            let written = (group.written != NONE).then_some(group.written as usize);
            found.push(
                Anomaly::new(kind, value)
                    .explained(text)
                    .on(history.node(read))
                    .at(history.time(read))
                    .proved_by(written.into_iter().chain([read])),
            );
        }
        found
    }

    /// Zones that contradict one another.
    fn crossings(&self) -> Vec<Anomaly> {
        let mut found = Vec::new();
        // An event completes one operation, so forward zones are put in order by their ends
        // without comparing any.
        let mut at = vec![NONE; self.history.len() + 1];
        for (id, group) in self.groups.iter().enumerate().filter(|(_, g)| g.forward()) {
            at[group.end as usize] = id as u32;
        }
        // From here on: the last of the forward zones that reach ever further and end by then.
        let mut last = NONE;
        for place in &mut at {
            if *place != NONE {
                let group = self.groups[*place as usize];
                let former = self.groups.get(last as usize);
                if former.is_some_and(|f| f.begin > group.end) {
                    found.push(self.crossing(last, *place));
                }
                if former.is_none_or(|f| f.begin < group.begin) {
                    last = *place;
                }
            }
            *place = last;
        }
        for (id, group) in self.groups.iter().enumerate() {
            if group.forward() || !group.exists() || group.begin == 0 {
                continue;
            }
            // A backward zone spans from its latest invocation to its earliest completion.
            let around = at[group.begin as usize - 1];
            if self.groups.get(around as usize).is_some_and(|f| f.begin > group.end) {
                found.push(self.crossing(around, id as u32));
            }
        }
        found
    }

    fn crossing(&self, a: u32, b: u32) -> Anomaly {
        let history = self.history;
        let (first, second) = (self.groups[a as usize], self.groups[b as usize]);
        let (a, b) = (self.numbers.value(a), self.numbers.value(b));
        let at = |place: u32| history.time((place as usize).clamp(1, history.len()) - 1);
        let sure = |value: &Value, g: &Group| {
            let (end, begin) = (at(g.end), at(g.begin));
            match g.end {
                0 => {
                    format!(
                        "{value} was there from the start, and some read of it began at {begin}"
                    )
                }
                _ => {
                    format!(
                        "an operation with {value} completed by {end}, and one began at {begin}"
                    )
                }
            }
        };
        let text = format!(
            "{a} and {b} cannot have followed one another: {}; {}",
            sure(&a, &first),
            sure(&b, &second)
        );
        let mut events = vec![first.end, first.begin, second.end, second.begin];
        events.retain(|e| (1..=history.len() as u32).contains(e));
        let mut events: Vec<usize> = events.into_iter().map(|e| e as usize - 1).collect();
        events.sort_unstable();
        events.dedup();
        Anomaly::new("not_linearizable", b)
            .explained(text)
            .on(history.node(second.begin.max(1) as usize - 1))
            .at(at(second.begin))
            .proved_by(events)
    }
}
