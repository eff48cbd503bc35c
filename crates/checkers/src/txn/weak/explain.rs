//! Verifies what contradicts an axiom, from the transactions alone, and explains it.

use std::collections::{HashMap, VecDeque};

use super::axioms::Forced;
use super::base::{Base, INIT};
use super::{Level, subject};
use crate::Anomaly;
use crate::txn::core::Transactions;
use crate::txn::core::graph::{Edges, Rel};
use crate::txn::core::txns::NONE;

/// What a cycle is called.
pub(super) fn kind(cycle: &[(u32, Rel)]) -> &'static str {
    match cycle.iter().filter(|(_, rel)| *rel == Rel::Ww).count() {
        0 => "cyclic-causality",
        1 => "stale-read",
        _ => "cyclic-order",
    }
}

/// What Bouajjani et al. (POPL 2017) call what is wrong with causality.
fn pattern(kind: &str) -> &'static str {
    match kind {
        "cyclic-causality" => "CyclicCO",
        "stale-read" => "WriteCORead",
        _ => "CyclicCF",
    }
}

/// A read of the initial value though a write is visible; `None` if that does not hold.
pub(super) fn stale(base: &Base<'_>, level: Level, forced: Forced) -> Option<Anomaly> {
    let reader = reader(base, forced.read);
    let mut cast = Cast::default();
    let key = base.reads[forced.read as usize].key;
    let (w, r) = (base.txn[forced.from as usize], base.txn[reader as usize]);
    if !writes(base.txns, w, key) || !reads_from(base.txns, r, key, NONE) {
        return None;
    }
    let (a, b) = (cast.name(w), cast.name(r));
    let why = visible(base, level, w, r, key, NONE, &mut cast)?;
    let k = base.txns.key(key);
    let mut text =
        format!("{b} read the initial {k}, though {a}, which wrote {k}, is visible to it: {why}");
    if level.is_causal() {
        text.push_str("\npattern: WriteCOInitRead");
    }
    Some(finish(base, "stale-initial-read", subject(base, key), cast, &text))
}

/// A cycle of sessions, reads and forced orders; `None` if some edge does not hold.
pub(super) fn cycle(
    base: &Base<'_>,
    level: Level,
    cycle: &[(u32, Rel)],
    forced: &[Forced],
) -> Option<Anomaly> {
    let mut cast = Cast::default();
    for (node, _) in cycle {
        cast.name(base.txn[*node as usize]);
    }
    if cycle.len() < 2 || cast.0.len() != cycle.len() {
        return None;
    }
    let mut lines = Vec::new();
    let mut about = None;
    for (i, (node, rel)) in cycle.iter().enumerate() {
        let next = cycle[(i + 1) % cycle.len()].0;
        let (a, b) = (base.txn[*node as usize], base.txn[next as usize]);
        let (x, y) = (cast.name(a), cast.name(b));
        lines.push(match rel {
            Rel::Process | Rel::Wr => causal_step(base, a, b, *rel, &mut cast)?,
            _ => {
                let f = forced.iter().find(|f| (f.from, f.to) == (*node, next))?;
                let key = base.reads[f.read as usize].key;
                let r = base.txn[reader(base, f.read) as usize];
                if a == b || !writes(base.txns, a, key) || !reads_from(base.txns, r, key, b) {
                    return None;
                }
                about = about.or(Some(key));
                let z = cast.name(r);
                let why = visible(base, level, a, r, key, b, &mut cast)?;
                let k = base.txns.key(key);
                format!("{x} before {y}: {z} read {k} from {y}, though {x}, which wrote {k}, is visible to it: {why}")
            }
        });
    }
    lines.push("so each of them would have to come before itself".into());
    if level.is_causal() {
        lines.push(format!("pattern: {}", pattern(kind(cycle))));
    }
    let subject = about.map_or(fuzz_dist_history::op::Value::Nil, |key| subject(base, key));
    Some(finish(base, kind(cycle), subject, cast, &lines.join("\n")))
}

/// The orders of sessions and of what was read from whom.
pub(super) fn causality(base: &Base<'_>, edges: &mut Edges) {
    for node in 0..base.len() as u32 {
        if !base.is_first(node) {
            edges.push(Rel::Process, node - 1, node);
        }
        let mut last = INIT;
        for read in base.reads_of(node) {
            if read.from != INIT && read.from != last {
                edges.push(Rel::Wr, read.from, node);
                last = read.from;
            }
        }
    }
}

/// Why a session, or a read, puts `a` before `b`; `None` if that does not hold.
pub(super) fn causal_step(
    base: &Base<'_>,
    a: u32,
    b: u32,
    rel: Rel,
    cast: &mut Cast,
) -> Option<String> {
    let (x, y) = (cast.name(a), cast.name(b));
    if rel == Rel::Process {
        let same = base.txns.session[a as usize] == base.txns.session[b as usize];
        let before = same && base.txns.before(a, b);
        return before.then(|| format!("{x} before {y}: the same client ran it earlier"));
    }
    let text = wrote_to(base.txns, a, b)?;
    Some(format!("{x} before {y}: {y} {text}"))
}

pub(super) fn finish(
    base: &Base<'_>,
    kind: &'static str,
    subject: fuzz_dist_history::op::Value,
    cast: Cast,
    text: &str,
) -> Anomaly {
    Anomaly::new(kind, subject)
        .explained(format!("{}{text}", base.txns.cast(&cast.0)))
        .proved_by(base.txns.events_of(&cast.0))
}

/// The transactions of an explanation, in the order of their numbers.
#[derive(Default)]
pub(super) struct Cast(Vec<u32>);

impl Cast {
    pub(super) fn name(&mut self, txn: u32) -> String {
        let at = self.0.iter().position(|t| *t == txn).unwrap_or_else(|| {
            self.0.push(txn);
            self.0.len() - 1
        });
        format!("T{}", at + 1)
    }
}

/// The node that has a read.
pub(super) fn reader(base: &Base<'_>, read: u32) -> u32 {
    base.read_start.partition_point(|s| *s <= read) as u32 - 1
}

pub(super) fn writes(txns: &Transactions, t: u32, key: u32) -> bool {
    txns.ops_of(t).iter().any(|o| o.is_write() && o.key() == key)
}

/// Whom a transaction reads from, with key and place in the program; [`NONE`] for the initial
/// value.
fn sources(txns: &Transactions, t: u32) -> impl Iterator<Item = (usize, u32, u32)> + '_ {
    let ops = txns.ops_of(t);
    ops.iter().enumerate().filter(|(_, o)| o.is_read()).filter_map(move |(i, o)| {
        let own = ops[..i].iter().any(|w| w.is_write() && w.key() == o.key());
        let writer = if o.arg == NONE { NONE } else { txns.writer[o.arg as usize] };
        (!own && writer != t).then_some((i, o.key(), writer))
    })
}

/// Those that may have committed: what a failed transaction wrote is wrong by itself.
fn committed<'a>(
    base: &'a Base<'_>,
    reader: u32,
) -> impl Iterator<Item = (usize, u32, u32)> + use<'a> {
    let is_node = |s: &(usize, u32, u32)| s.2 != NONE && base.node[s.2 as usize] != INIT;
    sources(base.txns, reader).filter(is_node)
}

pub(super) fn reads_from(txns: &Transactions, reader: u32, key: u32, writer: u32) -> bool {
    sources(txns, reader).any(|(_, k, w)| k == key && w == writer)
}

fn wrote_to(txns: &Transactions, writer: u32, reader: u32) -> Option<String> {
    let (at, key, _) = sources(txns, reader).find(|(_, _, w)| *w == writer)?;
    let value = txns.value(txns.ops_of(reader)[at].arg);
    Some(format!("read {} as {value} from it", txns.key(key)))
}

/// Why `w` is visible to `r` at a level, when `r` reads `key` from `t1`.
fn visible(
    base: &Base<'_>,
    level: Level,
    w: u32,
    r: u32,
    key: u32,
    t1: u32,
    cast: &mut Cast,
) -> Option<String> {
    let txns = base.txns;
    let direct = |r: u32| wrote_to(txns, w, r);
    let session = |a: u32, b: u32| {
        let same = txns.session[a as usize] == txns.session[b as usize];
        (same && txns.before(a, b)).then(|| "it is earlier in the same session".to_owned())
    };
    // The transactions of t's session before it, t not included, newest first.
    let earlier = |t: u32| {
        let node = base.node[t as usize];
        let first = base.first[base.session[node as usize] as usize];
        (first..node).rev().map(|n| base.txn[n as usize])
    };
    match level {
        Level::AxiomaticReadCommitted => {
            let at = sources(txns, r).filter(|s| s.1 == key && s.2 == t1).map(|s| s.0).max()?;
            let before = sources(txns, r).any(|(i, _, from)| from == w && i < at);
            before.then(|| direct(r)).flatten().map(|t| format!("it {t} earlier"))
        }
        Level::ReadAtomic => session(w, r).or_else(|| direct(r).map(|t| format!("it {t}"))),
        Level::Causal | Level::WeakCausal | Level::CausalMemory => path(base, w, r, cast),
        Level::ReadYourWrites => session(w, r),
        Level::MonotonicReads => earlier(r).find_map(|e| {
            let text = direct(e)?;
            Some(format!("{}, earlier in its session, {text}", cast.name(e)))
        }),
        Level::MonotonicWrites => committed(base, r).find_map(|s| {
            let text = wrote_to(txns, s.2, r)?;
            if s.2 == w {
                return Some(format!("it {text}"));
            }
            session(w, s.2)?;
            let m = cast.name(s.2);
            Some(format!("it comes before {m} in one session, and of {m} the reader {text}"))
        }),
        Level::WritesFollowReads => committed(base, r).find_map(|s| {
            let (by, text) =
                [s.2].into_iter().chain(earlier(s.2)).find_map(|e| Some((e, direct(e)?)))?;
            let (m, by) = (cast.name(s.2), cast.name(by));
            Some(format!("{by} {text}, up to {m} in one session, and the reader read from {m}"))
        }),
    }
}

/// The shortest way from `w` to `r` along sessions and reads, in words.
fn path(base: &Base<'_>, w: u32, r: u32, cast: &mut Cast) -> Option<String> {
    let (goal, start) = (base.node[w as usize], base.node[r as usize]);
    let mut next: HashMap<u32, u32> = HashMap::from([(start, start)]);
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        if node == goal {
            break;
        }
        for n in causes(base, node) {
            next.entry(n).or_insert_with(|| {
                queue.push_back(n);
                node
            });
        }
    }
    let mut node = goal;
    let mut words = Vec::new();
    while node != start {
        let to = *next.get(&node)?;
        words.push(cause(base, base.txn[node as usize], base.txn[to as usize], cast));
        node = to;
    }
    (!words.is_empty()).then(|| words.join(", "))
}

/// Whom a node read from, and what is before it in its session.
pub(super) fn causes(base: &Base<'_>, node: u32) -> Vec<u32> {
    let before = (!base.is_first(node)).then(|| node - 1);
    sources(base.txns, base.txn[node as usize])
        .filter(|s| s.2 != NONE)
        .map(|s| base.node[s.2 as usize])
        .filter(|n| *n != INIT)
        .chain(before)
        .collect()
}

/// Why one of the [`causes`] of `b` is one, in words.
pub(super) fn cause(base: &Base<'_>, a: u32, b: u32, cast: &mut Cast) -> String {
    let (x, y) = (cast.name(a), cast.name(b));
    match wrote_to(base.txns, a, b) {
        Some(text) => format!("{y} {}", text.replace("from it", &format!("from {x}"))),
        None => format!("{x} comes before {y} in one session"),
    }
}
