//! Transactional causal consistency of replicated data types.
//!
//! Akkoorath et al., *Cure: Strong Semantics Meets High Availability and Low Latency* (ICDCS
//! 2016): a transaction reads from a snapshot that is causally closed and holds other
//! transactions whole or not at all, and what it reads is the data type's value for the updates
//! in it (Burckhardt et al., *Replicated Data Types: Specification, Verification, Optimality*,
//! POPL 2014). What sessions and reads of distinct elements prove gives each read three sets of
//! updates: it must see, may see, and cannot see them.

mod eval;
mod judge;
mod parse;
mod search;
#[cfg(test)]
mod tests;
mod together;
mod verify;

pub(crate) use eval::{Act, evaluate};

use super::super::Arguments;
use crate::registration::{BuildError, Judges, Needs, Opt, Options, Registration, built};
use crate::{Anomaly, Checker, Verdict};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;

use super::core::{Shape, Transactions, explain};
use super::weak::{Findings, Level, base::Base, causal, weak};
use search::End;
use verify::Verifier;

/// What kind of object a key holds, and so which micro-operations it has besides `r`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Crdt {
    /// `add e`; read as a set or list.
    GrowSet,
    /// `increment n`, `decrement n`; read as a number.
    PnCounter,
    /// `assign v`; read as the value, nil at first.
    LwwRegister,
    /// `assign v`; read as the list of all values that nothing visible has overwritten.
    MvRegister,
    /// `add e`, `remove e`: of an add and a remove that do not know of each other, the add wins.
    AddWinsSet,
    /// `add e`, `remove e`: of an add and a remove that do not know of each other, the remove
    /// wins.
    RemoveWinsSet,
    /// `enable`, `disable`; read as a truth value.
    EnableWinsFlag,
    /// `enable`, `disable`; read as a truth value.
    DisableWinsFlag,
}

impl Crdt {
    /// All of them.
    pub const ALL: [Crdt; 8] = [
        Crdt::GrowSet,
        Crdt::PnCounter,
        Crdt::LwwRegister,
        Crdt::MvRegister,
        Crdt::AddWinsSet,
        Crdt::RemoveWinsSet,
        Crdt::EnableWinsFlag,
        Crdt::DisableWinsFlag,
    ];

    /// As it is written in options.
    pub const fn as_str(self) -> &'static str {
        match self {
            Crdt::GrowSet => "grow-set",
            Crdt::PnCounter => "pn-counter",
            Crdt::LwwRegister => "lww-register",
            Crdt::MvRegister => "mv-register",
            Crdt::AddWinsSet => "add-wins-set",
            Crdt::RemoveWinsSet => "remove-wins-set",
            Crdt::EnableWinsFlag => "enable-wins-flag",
            Crdt::DisableWinsFlag => "disable-wins-flag",
        }
    }
}

/// Judges histories of transactions over replicated data types; see [`crdt_causal`].
#[derive(Clone, Debug)]
pub struct CrdtCausal {
    default: Crdt,
    keys: Vec<(Value, Crdt)>,
}

/// Transactions over replicated data types: operations `txn` with micro-operations
/// `[f key value]`, where every key holds a `default` object unless [`key`](CrdtCausal::key)
/// says otherwise.
///
/// No element may be added to a set twice, and no value assigned to a register twice. A field of
/// a map is a key of its own, `[map field]`; a read of the whole map, `[r map {field value}]`,
/// reads all of its fields.
///
/// Whatever it calls invalid is: no choice of snapshots explains the reads. For grow sets and
/// last-writer-wins registers it is exact. For the other kinds each read is judged by itself
/// first, which misses reads of which each can be explained, but not all together (what removed
/// an element is seen by one and not by the next); those are found by a search (`unexplained`)
/// in histories of up to 64 transactions, within a budget. The result `exact` says whether the
/// verdict is: `false` beside *valid* means that there may be such reads. What is found is looked at
/// again by independent code, which tries everything that can have been seen; the result
/// `witness_checked` is `false` where that would have taken too long.
///
/// ```
/// use fuzz_dist_checkers::Checker;
/// use fuzz_dist_checkers::txn::{Crdt, crdt_causal, generate::script};
///
/// let history = script("
///     0: increment likes 5
///     1: increment likes 5
///     --
///     2: r likes 3
/// ").unwrap();
/// let verdict = crdt_causal(Crdt::PnCounter).check(&history);
/// assert_eq!(&*verdict.anomalies[0].kind, "impossible-count");
/// ```
pub fn crdt_causal(default: Crdt) -> CrdtCausal {
    CrdtCausal { default, keys: Vec::new() }
}

impl CrdtCausal {
    /// This key, or every field of this map, holds another kind of object.
    #[must_use]
    pub fn key(mut self, key: impl Into<Value>, kind: Crdt) -> CrdtCausal {
        self.keys.push((key.into(), kind));
        self
    }

    fn kind_of(&self, key: &Value) -> Crdt {
        let map = key.as_list().and_then(<[Value]>::first);
        let named = |k: &Value| self.keys.iter().find(|(n, _)| n == k).map(|(_, kind)| *kind);
        named(key).or_else(|| map.and_then(named)).unwrap_or(self.default)
    }
}

const NAME: &str = "crdt_causal";

/// How many snapshots the search for one explanation of all reads looks at.
const BUDGET: u64 = 200_000;

/// Explains reads that cannot be explained together.
fn together(
    history: &History,
    parsed: &parse::Parsed,
    base: &Base<'_>,
    reads: &[(u32, usize)],
) -> Anomaly {
    let mut cast: Vec<u32> = reads.iter().map(|(node, _)| base.txn[*node as usize]).collect();
    cast.dedup();
    let mut text = String::new();
    for (i, t) in (1..).zip(&cast) {
        let event = base.txns.complete[*t as usize] as usize;
        let process = history.process(event);
        text.push_str(&format!(
            "T{i}: client {process}, event {event}: {}\n",
            history.value(event)
        ));
    }
    let mut keys: Vec<Value> = Vec::new();
    for (node, place) in reads {
        let t = base.txn[*node as usize];
        let name = cast.iter().position(|c| *c == t).map_or(0, |i| i + 1);
        if let parse::Micro::Read { key, value } = &parsed.txns[t as usize][*place] {
            let key = parsed.keys.get(*key);
            text.push_str(&format!("T{name} read {key} as {value}\n"));
            keys.push(key.clone());
        }
    }
    keys.sort_unstable();
    keys.dedup();
    text.push_str("each of these can be explained by itself, and no choice of what every transaction has seen explains them all");
    Anomaly::new("unexplained", Value::list(keys))
        .explained(text)
        .proved_by(base.txns.events_of(&cast))
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "crdt_causal",
    about: "transactional causal consistency over replicated data types",
    judges: Judges::Itself,
    needs: Needs::Clients,
    options: &[
        Opt::value("type", "the type of all keys, such as pn-counter", "mv-register").required(),
        Opt::value("keys", "the types of other keys, KEY:TYPE,KEY:TYPE", "7:pn-counter,x:grow-set"),
    ],
    build: |o| {
        let kind = |word: &str| {
            let found = Crdt::ALL.into_iter().find(|kind| kind.as_str() == word);
            found.ok_or_else(|| BuildError::unknown("type", word, Crdt::ALL.map(Crdt::as_str)))
        };
        let all = o.word("type").ok_or_else(|| {
            format!("expected -o type= with one of {}", Crdt::ALL.map(Crdt::as_str).join(", "))
        })?;
        let mut checker = crdt_causal(kind(all)?);
        for pair in o.word("keys").into_iter().flat_map(|keys| keys.split(',')) {
            let (key, word) = pair.split_once(':').ok_or("expected -o keys=KEY:TYPE,KEY:TYPE")?;
            checker = checker.key(Options::value(key), kind(word)?);
        }
        built(checker)
    },
};

impl Checker for CrdtCausal {
    fn check(&self, history: &History) -> Verdict {
        let parsed = match parse::parse(self, history) {
            Ok(parsed) => parsed,
            Err(why) => return Verdict::unknown(NAME, why.to_string()),
        };
        let txns = match Transactions::read(&parsed.shadow, Shape::Registers) {
            Ok(txns) => txns,
            Err(why) => return Verdict::unknown(NAME, why.to_string()),
        };
        let mut findings = Findings::default();
        let mut exact = parsed.kinds.iter().all(|k| matches!(k, Crdt::GrowSet | Crdt::LwwRegister));
        let base =
            Base::new(&txns, &mut |bad| findings.add(bad.kind(), || Some(bad.explain(&txns))));
        // Distinct elements and registers: what the axiom of causal consistency says of them.
        let mut checked = true;
        let unknown = weak(Level::Causal).orders(&base, &mut findings).err();
        if unknown.is_none()
            && let Some(clocks) = causal::clocks(&base)
        {
            checked = judge::judge(history, &parsed, &base, &clocks, &mut findings);
            if findings.is_empty() {
                // Each read can be explained by itself; what of all together?
                let end = search::search(&base, &clocks, &parsed, None, BUDGET);
                exact |= end != End::Unknown;
                if end == End::Impossible {
                    let reads = search::contradiction(&base, &clocks, &parsed, BUDGET);
                    let of =
                        |(node, place): &(u32, usize)| (base.txn[*node as usize] as usize, *place);
                    let witness: Vec<(usize, usize)> = reads.iter().map(of).collect();
                    let held = Verifier::new(history, &parsed).impossible_together(&witness);
                    checked = held.is_some();
                    let explain = || together(history, &parsed, &base, &reads);
                    findings.add("unexplained", || (held != Some(false)).then(explain));
                }
            }
        }
        let mut verdict = findings.verdict(NAME, "transactionally causal", &base, unknown);
        explain::locate(&mut verdict, history);
        let exact = exact || verdict.is_invalid();
        let verdict = verdict.with("exact", exact);
        if verdict.is_invalid() { verdict.with("witness_checked", checked) } else { verdict }
    }

    fn arguments(&self) -> Option<Arguments> {
        let key = |(key, kind): &(Value, Crdt)| match key {
            Value::Int(n) => Some(format!("{n}:{}", kind.as_str())),
            Value::Text(t) if t.parse::<i64>().is_err() && !t.contains([',', ':']) => {
                Some(format!("{t}:{}", kind.as_str()))
            }
            _ => None,
        };
        let keys: Option<Vec<String>> = self.keys.iter().map(key).collect();
        let asked = Arguments::of(NAME).option("type", self.default.as_str(), "");
        Some(asked.option("keys", keys?.join(","), ""))
    }
}
