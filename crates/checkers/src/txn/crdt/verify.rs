//! The verification of a read that is called impossible: what it must have seen is looked up again,
//! transaction by transaction, and everything that it may have seen is tried.
//!
//! It shares the parsed operations and the specifications of the data types with the judge, and
//! nothing else: no clocks, no rules for each kind of object.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use super::parse::{Micro, Parsed};
use super::{Act, Crdt, evaluate};
use crate::calls::{Call, Outcome, call};
use crate::verify::Sums;
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Kind, Value};

/// So many things that may be so or not are tried in all combinations.
const CHOICES_MAX: usize = 12;
/// Objects, or elements of them, with more updates are not tried.
const UPDATES_MAX: usize = 32;
/// So many sums are kept.
const SUMS_MAX: usize = 1 << 14;

pub(super) struct Verifier<'a> {
    pub(super) parsed: &'a Parsed,
    /// Per transaction, in the order of invocation.
    pub(super) calls: Vec<Call>,
    process: Vec<u32>,
    previous: Vec<Option<usize>>,
    /// The transactions that put an element of a key.
    writers: HashMap<(u32, &'a Value), Vec<usize>>,
    pasts: RefCell<HashMap<usize, Rc<HashSet<usize>>>>,
}

/// An update: its transaction, its place there, and what it does.
type Update<'a> = (usize, usize, &'a Act);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    Must,
    May,
    Cannot,
}

impl<'a> Verifier<'a> {
    pub(super) fn new(history: &History, parsed: &'a Parsed) -> Verifier<'a> {
        let invoked: Vec<usize> = (0..history.len())
            .filter(|i| history.kind(*i) == Kind::Invoke && history.process(*i).is_client())
            .filter(|i| &**history.function(*i) == "txn")
            .collect();
        let process: Vec<u32> = invoked.iter().map(|i| history.process(*i).0).collect();
        let mut last: HashMap<u32, usize> = HashMap::new();
        let calls: Vec<Call> = invoked.iter().map(|i| call(history, *i)).collect();
        // Whether what comes after an unknown outcome saw it, nobody knows.
        let is_known = |t: &usize| calls[*t].outcome != Outcome::Open;
        let previous = process.iter().enumerate();
        let previous = previous.map(|(t, p)| last.insert(*p, t).filter(is_known)).collect();
        let mut writers: HashMap<(u32, &Value), Vec<usize>> = HashMap::new();
        for (t, ops) in parsed.txns.iter().enumerate() {
            for op in ops {
                if let Micro::Update { key, act: Act::Put(element) } = op {
                    writers.entry((*key, element)).or_default().push(t);
                }
            }
        }
        Verifier { parsed, calls, process, previous, writers, pasts: RefCell::default() }
    }

    /// Can the read at that place of a transaction not have had its value, whatever it saw, be it for
    /// this element of a set alone? `None` where too much would have to be tried, and for registers
    /// of which the last writer wins: no order of writers is tried.
    pub(super) fn impossible(&self, t: usize, place: usize, element: &Value) -> Option<bool> {
        let Micro::Read { key, value } = &self.parsed.txns[t][place] else { return Some(false) };
        let kind = self.parsed.kinds[*key as usize];
        if kind == Crdt::LwwRegister {
            return None;
        }
        let is_set = matches!(kind, Crdt::GrowSet | Crdt::AddWinsSet | Crdt::RemoveWinsSet);
        let is_about = |act: &Act| match act {
            Act::Put(e) | Act::Take(e) => !is_set || e == element,
            Act::Count(_) => true,
        };
        let updates: Vec<Update<'_>> = (0..self.parsed.txns.len())
            .filter(|o| self.calls[*o].outcome != Outcome::Failed)
            .flat_map(|o| self.updates(o, *key))
            .filter(|(_, _, act)| is_about(act))
            .filter(|(o, p, _)| self.sight((t, place), (*o, *p)) != Sight::Cannot)
            .collect();
        if kind == Crdt::PnCounter {
            let sums = self.sums((t, place), &updates);
            let possible = sums.contains(value.as_int()?.into());
            // Among sums that are not kept apart it may be none of them.
            return (!possible || sums.is_exact()).then_some(!possible);
        }
        let shown = value.as_list().filter(|_| is_set);
        let value = shown.map_or_else(
            || sorted(value),
            |shown| Value::list(shown.iter().filter(|e| *e == element).cloned()),
        );
        self.none_gives(kind, (t, place), &updates, &value)
    }

    /// Did one transaction read an element that another one put, and nobody else?
    pub(super) fn reads_from(&self, reader: usize, writer: usize) -> bool {
        let mut seen = self.parsed.txns[reader].iter().filter_map(|op| match op {
            Micro::Read { key, value } => Some((key, value)),
            Micro::Update { .. } => None,
        });
        seen.any(|(key, value)| {
            let shown = value.as_list().unwrap_or(std::slice::from_ref(value));
            shown.iter().any(|e| self.writers.get(&(*key, e)).is_some_and(|w| *w == [writer]))
        })
    }

    /// Does no choice of what was seen, and of what the updates knew of each other, give the value?
    fn none_gives(
        &self,
        kind: Crdt,
        reader: (usize, usize),
        updates: &[Update<'_>],
        value: &Value,
    ) -> Option<bool> {
        if updates.len() > UPDATES_MAX {
            return None;
        }
        let at = |u: usize| (updates[u].0, updates[u].1);
        let may_see = |u: &usize| self.sight(reader, at(*u)) == Sight::May;
        let may: Vec<usize> = (0..updates.len()).filter(may_see).collect();
        let pairs = (0..updates.len()).flat_map(|a| (0..updates.len()).map(move |b| (a, b)));
        let unsure: Vec<(usize, usize)> =
            pairs.filter(|(a, b)| a != b && self.sight(at(*a), at(*b)) == Sight::May).collect();
        if may.len() + unsure.len() > CHOICES_MAX {
            return None;
        }
        let all = 0..updates.len();
        let possible = (0..1u32 << (may.len() + unsure.len())).any(|choice| {
            let chosen = |bit: usize| choice >> bit & 1 == 1;
            let sees = |u: usize| may.iter().position(|m| *m == u).is_none_or(chosen);
            let knows = |a: usize, b: usize| match unsure.iter().position(|p| *p == (a, b)) {
                Some(bit) => chosen(may.len() + bit),
                None => a != b && self.sight(at(a), at(b)) == Sight::Must,
            };
            // Who knows of an update knows what that one knew.
            let closed = |a: usize, b: usize| {
                !knows(a, b)
                    || (sees(b) || !sees(a)) && all.clone().all(|c| knows(a, c) || !knows(b, c))
            };
            if !all.clone().all(|a| all.clone().all(|b| closed(a, b))) {
                return false;
            }
            let seen: Vec<usize> = all.clone().filter(|u| sees(*u)).collect();
            let acts: Vec<&Act> = seen.iter().map(|u| updates[*u].2).collect();
            evaluate(kind, &acts, |a, b| knows(seen[a], seen[b])) == *value
        });
        Some(!possible)
    }

    /// The sums of what must be seen, and of each client's first so many that may be.
    fn sums(&self, reader: (usize, usize), updates: &[Update<'_>]) -> Sums {
        let mut of: BTreeMap<u32, BTreeMap<usize, (i128, bool)>> = BTreeMap::new();
        for (t, place, act) in updates {
            let Act::Count(n) = act else { continue };
            let may = self.sight(reader, (*t, *place)) == Sight::May;
            let txn = of.entry(self.process[*t]).or_default().entry(*t).or_insert((0, may));
            txn.0 += i128::from(*n);
        }
        let mut all = Sums::zero(SUMS_MAX);
        for txns in of.values() {
            let mut prefixes = Vec::new();
            let mut sum = 0;
            for (n, may) in txns.values() {
                if *may {
                    prefixes.push(sum);
                }
                sum += n;
            }
            prefixes.push(sum);
            all.one_of(&prefixes);
        }
        all
    }

    pub(super) fn updates(&self, t: usize, key: u32) -> impl Iterator<Item = Update<'a>> {
        self.parsed.txns[t].iter().enumerate().filter_map(move |(place, op)| match op {
            Micro::Update { key: of, act } if *of == key => Some((t, place, act)),
            _ => None,
        })
    }

    /// What an operation at `(transaction, place)` can know of an update.
    fn sight(&self, (t, place): (usize, usize), (of, at): (usize, usize)) -> Sight {
        if t == of {
            return if at < place { Sight::Must } else { Sight::Cannot };
        }
        if self.past(t).contains(&of) {
            return Sight::Must;
        }
        let (reader, writer) = (&self.calls[t], &self.calls[of]);
        // What ended before a transaction began cannot have seen it.
        let later = reader.end() < writer.invoked
            || writer.end() > reader.invoked && self.past(of).contains(&t);
        if later { Sight::Cannot } else { Sight::May }
    }

    /// All transactions that happened before one: what its client did before, and whose elements it
    /// read, and so on.
    pub(super) fn past(&self, t: usize) -> Rc<HashSet<usize>> {
        if let Some(past) = self.pasts.borrow().get(&t) {
            return past.clone();
        }
        let mut past = HashSet::new();
        let mut left = vec![t];
        while let Some(at) = left.pop() {
            let read = self.parsed.txns[at].iter().filter_map(|op| match op {
                Micro::Read { key, value } => Some((*key, value)),
                Micro::Update { .. } => None,
            });
            let shown = read.flat_map(|(key, value)| {
                let shown = value.as_list().unwrap_or(std::slice::from_ref(value));
                shown.iter().filter_map(move |e| self.writers.get(&(key, e)))
            });
            let one = shown.filter(|w| w.len() == 1).flatten().copied();
            let before: Vec<usize> = one.chain(self.previous[at]).filter(|b| *b != at).collect();
            left.extend(before.into_iter().filter(|b| past.insert(*b)));
        }
        let past = Rc::new(past);
        self.pasts.borrow_mut().insert(t, past.clone());
        past
    }
}

/// Lists of elements are the same in any order.
pub(super) fn sorted(value: &Value) -> Value {
    let Some(items) = value.as_list() else { return value.clone() };
    let mut items = items.to_vec();
    items.sort_unstable();
    Value::list(items)
}
