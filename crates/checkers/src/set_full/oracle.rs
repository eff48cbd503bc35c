//! The oracle of `set_full`: every element against every read, as the definitions
//! say it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::super::histories::Recorder;
use super::super::{Validity, Verdict};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Kind, Phase, Value};
use fuzz_dist_random::Seed;

struct Read {
    process: u32,
    node: u16,
    invoked: usize,
    completed: usize,
    items: Vec<Value>,
}

impl Read {
    fn has(&self, v: &Value) -> bool {
        self.items.contains(v)
    }
}

/// What differs between the verdict and what the definitions say; `None` for nothing.
pub(super) fn difference(h: &History, verdict: &Verdict) -> Option<String> {
    let expected = expected(h);
    let validity = validity(h, &expected);
    if verdict.validity != validity {
        return Some(format!("it should be {validity} and is {}", verdict.validity));
    }
    for (name, figure) in &expected {
        let actual = verdict.results.get(&**name).cloned().unwrap_or(json!([]));
        if actual != *figure {
            return Some(format!("{name} should be {figure} and is {actual}"));
        }
    }
    None
}

/// What the figures mean for the verdict.
fn validity(h: &History, figures: &BTreeMap<String, Json>) -> Validity {
    let count = |name: &str| figures[&format!("{name}_count")].as_u64().unwrap();
    let wrong = ["lost", "missing", "resurrected", "early", "unexpected", "duplicate"];
    let is_final = |i: &usize| {
        let began = h.invocation(*i).filter(|_| h.kind(*i) == Kind::Ok);
        &**h.function(*i) == "read" && began.is_some_and(|began| h.phase(began) == Phase::Final)
    };
    let finals: BTreeSet<_> = (0..h.len()).filter(is_final).map(|i| h.node(i)).collect();
    let ended = (0..h.len()).any(|i| h.phase(i) >= Phase::Heal);
    match () {
        () if wrong.iter().any(|name| count(name) > 0) => Validity::Invalid,
        () if count("stable") == 0 || count("unsure") > 0 => Validity::Unknown,
        () if ended && finals.len() < h.nodes().len() => Validity::Unknown,
        () => Validity::Valid,
    }
}

fn expected(h: &History) -> BTreeMap<String, Json> {
    let calls = |f: &str| {
        let f = h.find_function(f);
        (0..h.len())
            .filter(|i| Some(h.function_index(*i)) == f && h.kind(*i) == Kind::Invoke)
            .collect::<Vec<_>>()
    };
    let reads: Vec<Read> = (calls("read").into_iter())
        .filter_map(|i| {
            let c = h.completion(i).filter(|c| h.kind(*c) == Kind::Ok)?;
            let items = match h.value(c) {
                Value::Set(s) => s.as_slice().iter().map(|n| Value::Int(*n)).collect(),
                Value::List(l) => l.to_vec(),
                _ => return None,
            };
            let (process, node) = (h.process(c).0, h.node(c)?.0);
            Some(Read { process, node, invoked: i, completed: c, items })
        })
        .collect();
    let finals: Vec<&Read> = (0..h.nodes().len() as u16)
        .filter_map(|n| {
            let of = |r: &&Read| r.node == n && h.phase(r.invoked) == Phase::Final;
            reads.iter().filter(of).max_by_key(|r| r.invoked)
        })
        .collect();
    let mut lists: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for name in ["lost", "missing", "never_read", "resurrected", "early", "recovered", "stale"] {
        lists.insert(name, Vec::new());
    }
    let (mut stable, mut stable_ns, mut lost_ns) = (0, Vec::new(), Vec::new());
    let mut added = BTreeSet::new();
    let (mut ryw, mut monotonic, mut flutter) = (0, 0, 0);
    let mut unsure = 0;
    let adds = calls("add");
    for add in adds.iter().copied() {
        let v = h.value(add);
        added.insert(v.clone());
        // Of several adds, all but the last one failed, and that one counts.
        let mut same = adds.iter().copied().filter(|a| h.value(*a) == v);
        let first = same.next().unwrap();
        if same.next_back().unwrap_or(first) != add {
            continue;
        }
        let mut put = |name| lists.get_mut(name).unwrap().push(v.clone());
        let done = h.completion(add);
        let kind = done.map(|c| h.kind(c));
        if reads.iter().any(|r| r.has(&v) && r.completed < first) {
            put("early");
        }
        let between = |r: &Read| first < r.completed && r.completed < add;
        let between = reads.iter().any(|r| r.has(&v) && between(r));
        let ever = reads.iter().any(|r| r.has(&v));
        let acknowledged = done.filter(|_| kind == Some(Kind::Ok));
        let (w, m, f) = sessions(h, &reads, &v, add, acknowledged);
        (ryw, monotonic, flutter) = (ryw + w, monotonic + m, flutter + f);
        if kind == Some(Kind::Fail) && ever || between {
            put("resurrected");
        }
        if kind == Some(Kind::Fail) {
            continue;
        }
        if kind != Some(Kind::Ok) && ever {
            put("recovered");
        }
        let seen = reads.iter().filter(|r| r.has(&v)).map(|r| r.completed).min();
        let known = [acknowledged, seen].into_iter().flatten().min();
        let counted = || reads.iter().filter(|r| r.completed > add);
        let present = counted().filter(|r| r.has(&v)).map(|r| r.invoked).max();
        let absent = counted().filter(|r| !r.has(&v)).map(|r| r.invoked).max();
        let misses =
            finals.iter().filter(|r| known.is_some_and(|k| k < r.invoked) && !r.has(&v)).count();
        let ns = |last: Option<usize>| {
            let Some(last) = last else { return 0 };
            (h.time(last).0 + 1).saturating_sub(h.time(known.unwrap()).0)
        };
        let first_final = (0..h.len()).find(|i| h.phase(*i) == Phase::Final);
        let late = acknowledged.is_none() && first_final.is_some_and(|f| known > Some(f));
        // Also where only reads before its add have it: those do not count.
        if late && present <= absent {
            put("never_read");
            unsure += usize::from(misses > 0);
        } else if late && misses > 0 {
            unsure += 1;
            stable += 1;
            stable_ns.push(ns(absent));
            if absent > known {
                put("stale");
            }
        } else if misses > 0 && misses < finals.len() {
            put("missing");
        } else if misses > 0
            || (known.is_some() && absent.is_some() && absent > present && absent > known)
        {
            put("lost");
            lost_ns.push(ns(present));
        } else if present.is_some() && present > absent {
            stable += 1;
            stable_ns.push(ns(absent));
            if absent.is_some() && absent > known {
                put("stale");
            }
        } else {
            put("never_read");
        }
    }
    let mut out: BTreeMap<String, Json> = BTreeMap::new();
    for (name, values) in lists {
        out.insert(format!("{name}_count"), json!(values.len()));
        out.insert(name.into(), json!(values.iter().map(text).collect::<Vec<_>>()));
    }
    let every = || reads.iter().flat_map(|r| r.items.iter());
    let unexpected: BTreeSet<&Value> = every().filter(|v| !added.contains(*v)).collect();
    let twice: BTreeSet<&Value> = (reads.iter())
        .flat_map(|r| r.items.iter().filter(|v| r.items.iter().filter(|w| w == v).count() > 1))
        .collect();
    out.insert("unexpected_count".into(), json!(unexpected.len()));
    out.insert("duplicate_count".into(), json!(twice.len()));
    out.insert("unsure_count".into(), json!(unsure));
    out.insert("stable_count".into(), json!(stable));
    out.insert("read_your_writes_count".into(), json!(ryw));
    out.insert("monotonic_reads_count".into(), json!(monotonic));
    out.insert("flutter_count".into(), json!(flutter));
    out.insert("stable_latencies_ns".into(), quantiles(stable_ns));
    out.insert("lost_latencies_ns".into(), quantiles(lost_ns));
    out
}

fn sessions(
    h: &History,
    reads: &[Read],
    v: &Value,
    add: usize,
    acknowledged: Option<usize>,
) -> (usize, usize, usize) {
    let own = |r: &&Read| acknowledged.is_some_and(|a| r.invoked > a);
    let adder = h.process(add).0;
    let ryw = reads.iter().filter(own).any(|r| r.process == adder && !r.has(v));
    let mut sessions: BTreeMap<(u32, u16), Vec<bool>> = BTreeMap::new();
    for read in reads {
        sessions.entry((read.process, read.node)).or_default().push(read.has(v));
    }
    let follows = |saw: &[bool], pattern: &[bool]| {
        let mut at = 0;
        for has in saw {
            at += usize::from(at < pattern.len() && *has == pattern[at]);
        }
        at == pattern.len()
    };
    let count = |pattern: &[bool]| sessions.values().filter(|saw| follows(saw, pattern)).count();
    (usize::from(ryw), count(&[true, false]), count(&[true, false, true]))
}

fn quantiles(mut ns: Vec<u64>) -> Json {
    ns.sort_unstable();
    if ns.is_empty() {
        return json!({});
    }
    let at = |q: f64| ns[((ns.len() as f64 * q).floor() as usize).min(ns.len() - 1)];
    json!({"0": at(0.0), "0.5": at(0.5), "0.95": at(0.95), "0.99": at(0.99), "1": at(1.0)})
}

fn text(v: &Value) -> Json {
    match v {
        Value::Int(n) => json!(n),
        Value::Text(t) => json!(t),
        other => json!(other.to_string()),
    }
}

/// Any small history: reads give whatever they like.
pub(crate) fn random_history(seed: Seed) -> History {
    let mut s = seed.stream("oracle");
    let nodes = 1 + s.index(3);
    let mut r = Recorder::new((1..=nodes).map(|n| format!("n{n}")));
    r.step_ns = if s.chance(0.5) { 1 } else { 1_000_000 };
    let (clients, texts, flip) = (1 + s.index(4), s.chance(0.2), s.unit() * 0.4);
    let mut open: Vec<Option<Value>> = vec![None; clients];
    let mut process: Vec<u32> = (0..clients as u32).collect();
    let (mut next, mut state) = (0, Vec::<i64>::new());
    let mut failed: Vec<Value> = Vec::new();
    let element = |n: i64| if texts { Value::from(format!("e{n}")) } else { Value::Int(n) };
    let length = s.index(40);
    for i in 0..length {
        if i * 3 > length * 2 {
            r.phase = if s.chance(0.5) { Phase::Final } else { Phase::Quiesce };
        }
        let c = s.index(clients);
        if let Some(value) = open[c].take() {
            let roll = s.unit();
            if value.is_nil() {
                // Mostly what was added, with a few flips, so that all kinds of lives occur.
                let mut items: Vec<i64> = state.clone();
                items.retain(|_| !s.chance(flip));
                if s.chance(0.03) {
                    items.push(s.below(9) as i64);
                }
                match roll {
                    x if x < 0.1 => r.fail(process[c]),
                    _ if texts => r.ok(process[c], Value::list(items.into_iter().map(element))),
                    _ => r.ok(process[c], Value::set(items)),
                };
            } else if roll < 0.7 {
                r.done(process[c]);
            } else if roll < 0.85 {
                r.fail(process[c]);
                failed.push(value);
            } else {
                r.info(process[c]);
                process[c] += (clients * nodes) as u32;
            }
            continue;
        }
        if s.chance(0.4) && next < 6 {
            if let Some(again) = failed.pop().filter(|_| s.chance(0.5)) {
                r.invoke(process[c], "add", again.clone());
                open[c] = Some(again);
                continue;
            }
            let value = element(next);
            r.invoke(process[c], "add", value.clone());
            open[c] = Some(value);
            if s.chance(0.8) {
                state.push(next);
            }
            next += 1;
        } else {
            r.invoke(process[c], "read", Value::Nil);
            open[c] = Some(Value::Nil);
        }
    }
    r.history()
}
