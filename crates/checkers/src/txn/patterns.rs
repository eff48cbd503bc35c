//! Checkers that look for one pattern: `long_fork`, `write_skew` and `monotonic`.

use super::super::Arguments;
use std::collections::BTreeMap;

use crate::registration::{Judges, Needs, Registration, built};
use crate::{Anomaly, Checker, Verdict};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;

use super::core::graph::{Edges, Graph, Rel};
use super::core::intern::FastMap;
use super::core::shortest::shortest;
use super::core::txns::NONE;
use super::core::{Shape, Transactions, explain};
use super::register;

#[cfg(test)]
mod tests;

const REPORTED_MAX: usize = 16;

/// Judges reads of groups of keys; see [`long_fork`].
#[derive(Clone, Debug)]
pub struct LongFork(());

/// Transactions that write one key each, once, and transactions that read a group of keys: two
/// reads of a group, of which each sees a write that the other does not, contradict every single
/// order of the writes.
///
/// That *long fork* is what parallel snapshot isolation allows and snapshot isolation does not
/// (Sovran et al., *Transactional Storage for Geo-Replicated Systems*, SOSP 2011). The anomaly
/// is called `long-fork`.
///
/// ```
/// use fuzz_dist_checkers::Checker;
/// use fuzz_dist_checkers::txn::{generate::script, long_fork};
///
/// let history = script("
///     0: w x 1
///     1: w y 1
///     2: r x 1, r y nil
///     3: r x nil, r y 1
/// ").unwrap();
/// assert!(long_fork().check(&history).is_invalid());
/// ```
pub fn long_fork() -> LongFork {
    LongFork(())
}

pub(crate) const LONG_FORK: Registration = Registration {
    name: "long_fork",
    about: "two reads of a group in contradicting orders",
    judges: Judges::Itself,
    needs: Needs::Nothing,
    options: &[],
    build: |_| built(long_fork()),
};

impl Checker for LongFork {
    fn check(&self, history: &History) -> Verdict {
        const NAME: &str = "long_fork";
        run(NAME, history, |txns| {
            let mut written = vec![false; txns.key_count()];
            for op in txns.ops.iter().filter(|o| o.is_write()) {
                if std::mem::replace(&mut written[op.key() as usize], true) {
                    return Err(format!("key {} is written more than once", txns.key(op.key())));
                }
            }
            // Per group of keys: what its reads saw, as bits, with a transaction for each.
            let mut groups: BTreeMap<Vec<u32>, BTreeMap<(u32, u128), u32>> = BTreeMap::new();
            for t in (0..txns.len() as u32).filter(|t| txns.is_ok(*t)) {
                let mut reads: Vec<(u32, bool)> = txns
                    .ops_of(t)
                    .iter()
                    .filter(|o| o.is_read())
                    .map(|o| (o.key(), o.arg != NONE))
                    .collect();
                if !reads.is_empty() && reads.len() < txns.ops_of(t).len() {
                    return Err(format!(
                        "the transaction at event {} reads and writes; long fork is defined for transactions that only read or only write",
                        txns.invoke[t as usize]
                    ));
                }
                reads.sort_unstable();
                reads.dedup();
                let keys: Vec<u32> = reads.iter().map(|r| r.0).collect();
                if keys.len() > 128 || keys.windows(2).any(|w| w[0] == w[1]) {
                    return Err("a group has more than 128 keys, or a key was read twice with different results".into());
                }
                let bits =
                    reads.iter().enumerate().fold(0u128, |b, (i, r)| b | u128::from(r.1) << i);
                if keys.len() > 1 {
                    groups.entry(keys).or_default().entry((bits.count_ones(), bits)).or_insert(t);
                }
            }
            let mut anomalies = Vec::new();
            let mut count = 0usize;
            for reads in groups.values() {
                // Ordered by how much they saw, each must have seen all that the one before did.
                let reads: Vec<(u128, u32)> = reads.iter().map(|(k, t)| (k.1, *t)).collect();
                for pair in reads.windows(2).filter(|w| w[0].0 & !w[1].0 != 0) {
                    count += 1;
                    let cast = [pair[0].1, pair[1].1];
                    anomalies.push(explain_pair(
                        txns,
                        "long-fork",
                        cast,
                        "each saw a write that the other did not see",
                    ));
                }
            }
            Ok((anomalies, count, groups.len()))
        })
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of("long_fork"))
    }
}

/// Judges pairs of transactions; see [`write_skew`].
#[derive(Clone, Debug)]
pub struct WriteSkew(());

/// Transactions over registers: two of which each read what the other one was about to
/// overwrite, on different keys.
///
/// Snapshot isolation allows that and serializability does not (Berenson et al., *A Critique of
/// ANSI SQL Isolation Levels*, 1995, A5B). The anomaly is called `write-skew`.
///
/// ```
/// use fuzz_dist_checkers::Checker;
/// use fuzz_dist_checkers::txn::{generate::script, write_skew};
///
/// let history = script("
///     0: r x nil, r y nil, w x 1
///     1: r x nil, r y nil, w y 1
/// ").unwrap();
/// assert!(write_skew().check(&history).is_invalid());
/// ```
pub fn write_skew() -> WriteSkew {
    WriteSkew(())
}

pub(crate) const WRITE_SKEW: Registration = Registration {
    name: "write_skew",
    about: "two transactions that each overwrite what the other read",
    judges: Judges::Itself,
    needs: Needs::Nothing,
    options: &[],
    build: |_| built(write_skew()),
};

impl Checker for WriteSkew {
    fn check(&self, history: &History) -> Verdict {
        run("write_skew", history, |txns| {
            let infer = register::Infer { wfr_keys: true, ..register::Infer::default() };
            let graph = register::graph(txns, infer);
            let mut anti: FastMap<(u32, u32), ()> = FastMap::default();
            for a in 0..txns.len() as u32 {
                let edges = graph.successors(a).filter(|(rel, _)| *rel == Rel::Rw);
                edges.for_each(|(_, b)| _ = anti.insert((a, b), ()));
            }
            let mut pairs: Vec<[u32; 2]> = anti
                .keys()
                .filter(|(a, b)| a < b && anti.contains_key(&(*b, *a)))
                .map(|(a, b)| [*a, *b])
                .filter(|[a, b]| !write_the_same_key(txns, *a, *b))
                .collect();
            pairs.sort_unstable();
            let shown = pairs.iter().take(REPORTED_MAX);
            let why = "each read a key before the other one wrote it";
            let anomalies = shown.map(|p| explain_pair(txns, "write-skew", *p, why)).collect();
            Ok((anomalies, pairs.len(), txns.len()))
        })
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of("write_skew"))
    }
}

fn write_the_same_key(txns: &Transactions, a: u32, b: u32) -> bool {
    let writes = |t: u32| txns.ops_of(t).iter().filter(|o| o.is_write());
    writes(a).any(|x| writes(b).any(|y| x.key() == y.key()))
}

/// Judges reads of values that only grow; see [`monotonic`].
#[derive(Clone, Debug)]
pub struct Monotonic(());

/// Transactions over registers whose whole numbers only grow: reads in one session, and reads of
/// several keys at once, must agree on how they grew.
///
/// Each read of a lower value precedes each read of a higher one of the same key, and a
/// session's transactions their successors; a cycle is a contradiction (Elle's order of
/// monotonic keys). The anomaly is called `not-monotonic`.
///
/// ```
/// use fuzz_dist_checkers::Checker;
/// use fuzz_dist_checkers::txn::{generate::script, monotonic};
///
/// let history = script("
///     0: w x 1
///     0: w x 2
///     1: r x 2
///     1: r x 1
/// ").unwrap();
/// assert!(monotonic().check(&history).is_invalid());
/// ```
pub fn monotonic() -> Monotonic {
    Monotonic(())
}

pub(crate) const MONOTONIC: Registration = Registration {
    name: "monotonic",
    about: "values that only grow",
    judges: Judges::Itself,
    needs: Needs::Clients,
    options: &[],
    build: |_| built(monotonic()),
};

impl Checker for Monotonic {
    fn check(&self, history: &History) -> Verdict {
        run("monotonic", history, |txns| {
            let mut reads: Vec<(u32, i64, u32)> = Vec::new();
            for t in (0..txns.len() as u32).filter(|t| txns.is_ok(*t)) {
                for (key, value) in found(txns, t) {
                    let n = value.ok_or("a value is no whole number")?;
                    reads.push((key, n, t));
                }
            }
            reads.sort_unstable();
            reads.dedup();
            let mut edges = Edges::default();
            // Between the readers of a value and those of the next one stands a node of its
            // own: so edges grow with the reads and not with their pairs.
            let mut nodes = txns.len() as u32;
            for key in reads.chunk_by(|a, b| a.0 == b.0) {
                let values: Vec<_> = key.chunk_by(|a, b| a.1 == b.1).collect();
                for pair in values.windows(2) {
                    pair[0].iter().for_each(|r| edges.push(Rel::Ww, r.2, nodes));
                    pair[1].iter().for_each(|r| edges.push(Rel::Ww, nodes, r.2));
                    nodes += 1;
                }
            }
            let mut last = vec![NONE; txns.processes.len()];
            for t in (0..txns.len() as u32).filter(|t| txns.is_ok(*t)) {
                let last = &mut last[txns.session[t as usize] as usize];
                if *last != NONE {
                    edges.push(Rel::Process, *last, t);
                }
                *last = t;
            }
            let graph = Graph::new(nodes as usize, edges);
            if graph.is_acyclic() {
                return Ok((Vec::new(), 0, reads.len()));
            }
            let cycles = shortest(&graph, REPORTED_MAX, 50_000_000);
            let anomalies: Option<Vec<Anomaly>> = cycles
                .iter()
                .map(|c| {
                    let members = c.iter().map(|s| s.0).filter(|n| (*n as usize) < txns.len());
                    growth(txns, &members.collect::<Vec<_>>())
                })
                .collect();
            let anomalies = anomalies.ok_or(
                "internal error: the verification of a cycle failed; please report it with the history",
            )?;
            let count = anomalies.len();
            Ok((anomalies, count, reads.len()))
        })
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of("monotonic"))
    }
}

/// What a transaction read of keys that it had not touched before; nil counts as less than any.
fn found(txns: &Transactions, t: u32) -> impl Iterator<Item = (u32, Option<i64>)> + '_ {
    let ops = txns.ops_of(t);
    let first = |i: usize| !ops[..i].iter().any(|o| o.key() == ops[i].key());
    (0..ops.len()).filter(move |i| ops[*i].is_read() && first(*i)).map(|i| {
        let op = ops[i];
        (op.key(), if op.arg == NONE { Some(i64::MIN) } else { txns.value(op.arg).as_int() })
    })
}

/// Verifies a cycle of growth and sessions, and explains it.
fn growth(txns: &Transactions, members: &[u32]) -> Option<Anomaly> {
    let mut text = txns.cast(members);
    for (i, a) in members.iter().enumerate() {
        let next = (i + 1) % members.len();
        let b = members[next];
        let grew = found(txns, *a)
            .find_map(|(k, v)| found(txns, b).find(|(l, w)| k == *l && v < *w).map(|_| k));
        let same = txns.session[*a as usize] == txns.session[b as usize] && txns.before(*a, b);
        let why = match grew {
            Some(key) => format!("it read less of {}", txns.key(key)),
            None if same => "the same client ran it earlier".into(),
            None => return None,
        };
        text.push_str(&format!("T{} before T{}: {why}\n", i + 1, next + 1));
    }
    text.push_str("so each of them would have to come before itself");
    let subject = Value::list(members.iter().map(|t| i64::from(txns.invoke[*t as usize])));
    Some(Anomaly::new("not-monotonic", subject).explained(text).proved_by(txns.events_of(members)))
}

fn explain_pair(txns: &Transactions, kind: &'static str, cast: [u32; 2], why: &str) -> Anomaly {
    let subject = Value::list(cast.map(|t| i64::from(txns.invoke[t as usize])));
    Anomaly::new(kind, subject)
        .explained(format!("{}{why}", txns.cast(&cast)))
        .proved_by(txns.events_of(&cast))
}

/// Anomalies that are shown, how many there are, and how much was looked at.
type Outcome = Result<(Vec<Anomaly>, usize, usize), String>;

fn run(name: &'static str, history: &History, find: impl Fn(&Transactions) -> Outcome) -> Verdict {
    let txns = match Transactions::read(history, Shape::Registers) {
        Ok(txns) => txns,
        Err(why) => return Verdict::unknown(name, why.to_string()),
    };
    // What no client wrote is invalid for every model.
    let thin = (0..txns.len() as u32).filter(|t| txns.is_ok(*t)).find_map(|t| {
        let ops = txns.ops_of(t).iter();
        let op = ops
            .copied()
            .find(|o| o.is_read() && o.arg != NONE && txns.writer[o.arg as usize] == NONE)?;
        super::weak::base::BadRead::of_other(&txns, t, op)
    });
    let mut verdict = match find(&txns) {
        _ if thin.is_some() => Verdict::invalid(name, "a value was read that no client wrote"),
        Err(why) => Verdict::unknown(name, why),
        Ok((_, 0, 0)) => Verdict::unknown(name, "no read could have shown it"),
        Ok((_, 0, looked)) => Verdict::valid(name).with("looked_at", looked),
        Ok((mut anomalies, count, looked)) => {
            anomalies.truncate(REPORTED_MAX);
            let mut verdict = Verdict::invalid(name, format!("{count} × {}", anomalies[0].kind));
            verdict.anomalies = anomalies;
            let kind = verdict.anomalies[0].kind.clone();
            verdict.counted(kind, count).with("looked_at", looked).with("found", count)
        }
    };
    verdict.anomalies.extend(thin.map(|bad| bad.explain(&txns)));
    explain::locate(&mut verdict, history);
    verdict
}
