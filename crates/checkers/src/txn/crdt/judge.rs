//! Is each read the value of its object for some snapshot that the clocks allow?

use std::cell::OnceCell;

use super::parse::{Micro, Parsed};
use super::verify::Verifier;
use super::{Act, Crdt};
use crate::Anomaly;
use crate::sums::Ranges;
use crate::txn::core::intern::FastMap;
use crate::txn::core::txns::NONE;
use crate::txn::weak::Findings;
use crate::txn::weak::base::Base;
use crate::txn::weak::causal::Clocks;
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;

/// So many ranges of sums of a counter are kept apart; beyond, the closest ones are joined.
const RANGES_MAX: usize = 1 << 14;

/// An update of a key: who did it, at which place of the transaction, and what.
struct Update<'a> {
    node: u32,
    place: usize,
    act: &'a Act,
}

/// What a read can know of an update.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    Must,
    May,
    Cannot,
}

struct Judge<'a> {
    history: &'a History,
    base: &'a Base<'a>,
    clocks: &'a Clocks,
    parsed: &'a Parsed,
    verifier: OnceCell<Verifier<'a>>,
}

/// Adds what is wrong with each read; `false` where the verification would have taken too long.
pub(super) fn judge(
    history: &History,
    parsed: &Parsed,
    base: &Base<'_>,
    clocks: &Clocks,
    findings: &mut Findings,
) -> bool {
    let mut updates: Vec<Vec<Update<'_>>> = (0..parsed.keys.len()).map(|_| Vec::new()).collect();
    for (t, ops) in parsed.txns.iter().enumerate().filter(|(t, _)| base.node[*t] != NONE) {
        for (place, op) in ops.iter().enumerate() {
            if let Micro::Update { key, act } = op {
                updates[*key as usize].push(Update { node: base.node[t], place, act });
            }
        }
    }
    updates.iter_mut().for_each(|u| u.sort_by_key(|u| (u.node, u.place)));
    // Which updates of a key concern each element: by key, then by element.
    let elements: Vec<FastMap<&Value, Vec<usize>>> =
        updates.iter().map(|u| by_element(u)).collect();
    let judge = Judge { history, base, clocks, parsed, verifier: OnceCell::new() };
    let mut all_checked = true;
    judge.early(findings);
    for (t, ops) in parsed.txns.iter().enumerate() {
        if base.node[t] == NONE || !base.txns.is_ok(t as u32) {
            continue;
        }
        for (place, op) in ops.iter().enumerate() {
            let Micro::Read { key, value } = op else { continue };
            let of_key = &updates[*key as usize];
            let reader = (base.node[t], place);
            let wrong = match parsed.kinds[*key as usize] {
                Crdt::LwwRegister => None,
                Crdt::PnCounter => judge.counter(of_key, reader, value),
                Crdt::MvRegister => judge.values(of_key, reader, value),
                kind => judge.elements(kind, of_key, &elements[*key as usize], reader, value),
            };
            if let Some(wrong) = wrong {
                findings.add(wrong.name, || {
                    let held = judge.verified(t, place, &wrong);
                    all_checked &= held.is_some();
                    (held != Some(false)).then(|| judge.explain(*key, t as u32, value, wrong))
                });
            }
        }
    }
    all_checked
}

fn by_element<'a>(updates: &[Update<'a>]) -> FastMap<&'a Value, Vec<usize>> {
    let mut map: FastMap<&Value, Vec<usize>> = FastMap::default();
    for (i, update) in updates.iter().enumerate() {
        if let Act::Put(e) | Act::Take(e) = update.act {
            map.entry(e).or_default().push(i);
        }
    }
    map
}

/// What is wrong with a read.
struct Wrong {
    name: &'static str,
    why: String,
    /// Of which element, where it is one.
    element: Value,
    /// An update that shows it.
    witness: Option<u32>,
}

fn wrong(name: &'static str, why: String, element: &Value, witness: Option<u32>) -> Option<Wrong> {
    Some(Wrong { name, why, element: element.clone(), witness })
}

impl<'a> Judge<'a> {
    fn verifier(&self) -> &Verifier<'a> {
        self.verifier.get_or_init(|| Verifier::new(self.history, self.parsed))
    }

    /// The result of the verification, if there is one.
    fn verified(&self, t: usize, place: usize, wrong: &Wrong) -> Option<bool> {
        if wrong.name == "duplicate-elements" {
            let Micro::Read { value, .. } = &self.parsed.txns[t][place] else { return Some(false) };
            let shown = value.as_list().unwrap_or_default();
            return Some(shown.iter().filter(|e| **e == wrong.element).count() > 1);
        }
        self.verifier().impossible(t, place, &wrong.element)
    }

    /// Reads of what had not been begun when they ended.
    fn early(&self, findings: &mut Findings) {
        let txns = self.base.txns;
        for node in 0..self.base.len() as u32 {
            let reader = self.base.txn[node as usize];
            for read in self.base.reads_of(node).iter().filter(|r| r.from != NONE) {
                let writer = self.base.txn[read.from as usize];
                if txns.complete[reader as usize] >= txns.invoke[writer as usize] {
                    continue;
                }
                findings.add("early-read", || {
                    if !self.verifier().reads_from(reader as usize, writer as usize) {
                        return None;
                    }
                    let key = txns.key(read.key).clone();
                    let text = format!(
                        "{}T1 read from T2, which began only after T1 had ended",
                        txns.cast(&[reader, writer])
                    );
                    Some(
                        Anomaly::new("early-read", Value::list([key]))
                            .explained(text)
                            .proved_by(txns.events_of(&[reader, writer])),
                    )
                });
            }
        }
    }

    /// Does `a` happen before `b`?
    fn before(&self, a: u32, b: u32) -> bool {
        a != b && self.clocks.precedes(self.base, a, b)
    }

    /// What an operation at `(node, place)` can know of an update.
    fn sight(&self, (node, place): (u32, usize), update: &Update<'_>) -> Sight {
        if update.node == node {
            return if update.place < place { Sight::Must } else { Sight::Cannot };
        }
        if self.before(update.node, node) {
            return Sight::Must;
        }
        let txns = self.base.txns;
        let (reader, writer) = (self.base.txn[node as usize], self.base.txn[update.node as usize]);
        // What begins after a transaction has ended cannot have been seen by it.
        let later = txns.end(reader) < txns.invoke[writer as usize];
        if later || self.before(node, update.node) { Sight::Cannot } else { Sight::May }
    }

    fn knows(&self, a: &Update<'_>, b: &Update<'_>) -> Sight {
        self.sight((a.node, a.place), b)
    }

    fn elements(
        &self,
        kind: Crdt,
        updates: &[Update<'_>],
        elements: &FastMap<&Value, Vec<usize>>,
        reader: (u32, usize),
        value: &Value,
    ) -> Option<Wrong> {
        let put_wins = !matches!(kind, Crdt::RemoveWinsSet | Crdt::DisableWinsFlag);
        if let Value::Bool(on) = value {
            let of = elements.get(&Value::Nil).map_or(&[][..], |o| o);
            return match on {
                true => self.present(put_wins, updates, of, reader, value),
                false => self.absent(put_wins, updates, of, reader, value),
            };
        }
        let shown = value.as_list().unwrap_or_default();
        let mut sorted: Vec<&Value> = shown.iter().collect();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|w| w[0] == w[1]) {
            let why = format!("{} is there twice", twice[0]);
            return wrong("duplicate-elements", why, twice[0], None);
        }
        for (element, of) in elements {
            let there = sorted.binary_search(element).is_ok();
            let wrong = match there {
                true => self.present(put_wins, updates, of, reader, element),
                false => self.absent(put_wins, updates, of, reader, element),
            };
            if wrong.is_some() {
                return wrong;
            }
        }
        None
    }

    /// Some put that may be visible must survive all removals that are.
    fn present(
        &self,
        put_wins: bool,
        updates: &[Update<'_>],
        of: &[usize],
        reader: (u32, usize),
        element: &Value,
    ) -> Option<Wrong> {
        let takes = || of.iter().map(|i| &updates[*i]).filter(|u| matches!(u.act, Act::Take(_)));
        let mut killer = None;
        for put in of.iter().map(|i| &updates[*i]).filter(|u| matches!(u.act, Act::Put(_))) {
            if self.sight(reader, put) == Sight::Cannot {
                continue;
            }
            let kills = |take: &&Update<'_>| {
                self.sight(reader, take) == Sight::Must
                    && match put_wins {
                        true => self.knows(take, put) == Sight::Must,
                        false => self.knows(put, take) == Sight::Cannot,
                    }
            };
            match takes().find(kills) {
                Some(take) => killer = Some(self.base.txn[take.node as usize]),
                None => return None,
            }
        }
        match killer {
            Some(_) => {
                let why =
                    format!("{element} is there, though a removal that it must see covers it");
                wrong("removed-element", why, element, killer)
            }
            None => {
                let why =
                    format!("{element} is there, though nothing that it can see put it there");
                wrong("unexpected-element", why, element, None)
            }
        }
    }

    /// Every put that must be visible needs a removal that may be.
    fn absent(
        &self,
        put_wins: bool,
        updates: &[Update<'_>],
        of: &[usize],
        reader: (u32, usize),
        element: &Value,
    ) -> Option<Wrong> {
        let all = || of.iter().map(|i| &updates[*i]);
        for put in all().filter(|u| matches!(u.act, Act::Put(_))) {
            if self.sight(reader, put) != Sight::Must {
                continue;
            }
            let excuses = |take: &Update<'_>| {
                matches!(take.act, Act::Take(_))
                    && self.sight(reader, take) != Sight::Cannot
                    && match put_wins {
                        true => self.knows(take, put) != Sight::Cannot,
                        false => self.knows(put, take) != Sight::Must,
                    }
            };
            if !all().any(excuses) {
                let writer = self.base.txn[put.node as usize];
                let why = format!(
                    "{element} is not there, though it must see what put it there, and no removal can explain it"
                );
                return wrong("missing-element", why, element, Some(writer));
            }
        }
        None
    }

    fn values(&self, updates: &[Update<'_>], reader: (u32, usize), value: &Value) -> Option<Wrong> {
        let shown = value.as_list().unwrap_or_default();
        let is_shown = |u: &Update<'_>| matches!(u.act, Act::Put(v) if shown.contains(v));
        for update in updates {
            let Act::Put(v) = update.act else { continue };
            let writer = self.base.txn[update.node as usize];
            let mut others = updates.iter().filter(|o| !std::ptr::eq(*o, update));
            if is_shown(update) {
                let over = others.find(|o| {
                    self.sight(reader, o) == Sight::Must && self.knows(o, update) == Sight::Must
                });
                if let Some(over) = over {
                    let by = self.base.txn[over.node as usize];
                    let why = format!("{v} is there, though it must see what overwrote it");
                    return wrong("overwritten-value", why, v, Some(by));
                }
            } else if self.sight(reader, update) == Sight::Must
                && !others.any(|o| is_shown(o) && self.knows(o, update) != Sight::Cannot)
            {
                let why = format!(
                    "{v} is not there, though nothing that is there can have overwritten it"
                );
                return wrong("missing-value", why, v, Some(writer));
            }
        }
        None
    }

    /// The sum of what must be seen, and for each session of a prefix of what may be.
    fn counter(
        &self,
        updates: &[Update<'_>],
        reader: (u32, usize),
        value: &Value,
    ) -> Option<Wrong> {
        let read = i128::from(value.as_int()?);
        let count = |u: &Update<'_>| if let Act::Count(n) = u.act { i128::from(*n) } else { 0 };
        let mut sums = Ranges::up_to(RANGES_MAX);
        for session in updates.chunk_by(|a, b| {
            self.base.session[a.node as usize] == self.base.session[b.node as usize]
        }) {
            let mut sum = 0i128;
            let mut prefixes = vec![];
            for txn in session.chunk_by(|a, b| a.node == b.node) {
                let cannot = txn.iter().filter(|u| self.sight(reader, u) == Sight::Cannot).count();
                if txn[0].node != reader.0 && cannot > 0 {
                    break;
                }
                if self.sight(reader, &txn[0]) == Sight::May {
                    prefixes.push(sum);
                }
                sum += txn
                    .iter()
                    .filter(|u| self.sight(reader, u) != Sight::Cannot)
                    .map(count)
                    .sum::<i128>();
            }
            prefixes.push(sum);
            sums.one_of(&prefixes);
        }
        if sums.contains(read) {
            return None;
        }
        let (low, high) = sums.ends();
        let why = format!(
            "of what it must and may see, the sums lie from {low} to {high}, and {read} is none of them"
        );
        wrong("impossible-count", why, value, None)
    }

    fn explain(&self, key: u32, t: u32, value: &Value, wrong: Wrong) -> Anomaly {
        let Wrong { name, why, witness, .. } = wrong;
        let txns = self.base.txns;
        let cast: Vec<u32> = [t].into_iter().chain(witness.filter(|w| *w != t)).collect();
        let mut text = String::new();
        for (i, t) in (1..).zip(&cast) {
            let (invoke, complete) = (txns.invoke[*t as usize], txns.complete[*t as usize]);
            let event = if txns.is_ok(*t) { complete } else { invoke };
            let process = self.history.process(event as usize);
            text.push_str(&format!(
                "T{i}: client {process}, event {event}: {}\n",
                self.history.value(event as usize)
            ));
        }
        let key = self.parsed.keys.get(key);
        let by = if cast.len() > 1 { " (T2)" } else { "" };
        text.push_str(&format!("T1 read {key} as {value}: {why}{by}"));
        Anomaly::new(name, Value::list([key.clone()]))
            .explained(text)
            .proved_by(txns.events_of(&cast))
    }
}
