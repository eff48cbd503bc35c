//! What is called invalid has no explanation; what is planted is named.

use super::{Act, Crdt, crdt_causal, evaluate, parse, verify};
use crate::txn::generate::script;
use crate::{Anomaly, Checker, Validity};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Event, Kind, NodeId, Phase, Process, Value};
use fuzz_dist_history::time::Time;
use fuzz_dist_random::{Seed, Stream};

const KINDS: [Crdt; 8] = [
    Crdt::GrowSet,
    Crdt::PnCounter,
    Crdt::LwwRegister,
    Crdt::MvRegister,
    Crdt::AddWinsSet,
    Crdt::RemoveWinsSet,
    Crdt::EnableWinsFlag,
    Crdt::DisableWinsFlag,
];

fn kinds(kind: Crdt, text: &str) -> Vec<String> {
    let verdict = crdt_causal(kind).check(&script(text).unwrap());
    verdict.anomalies.iter().map(|a| a.kind.to_string()).collect()
}

#[test]
fn planted_anomalies_are_named() {
    use Crdt::*;
    for (kind, name, text) in [
        (GrowSet, "missing-element", "0: add x 1\n0: r x []"),
        (GrowSet, "missing-element", "0: add x 1, add y 1\n1: r x [1], r y []"),
        (GrowSet, "missing-element", "0: add x 1\n1: r x [1]\n1: add y 1\n2: r y [1]\n2: r x []"),
        (GrowSet, "duplicate-elements", "0: add x 1\n1: r x [1 1]"),
        (GrowSet, "thin-air", "0: add x 1\n1: r x [1 2]"),
        (GrowSet, "G1a", "0 fail: add x 1\n1: r x [1]"),
        (GrowSet, "cyclic-causality", "0: add x 1, r y [1]\n1: add y 1, r x [1]"),
        (PnCounter, "impossible-count", "0: increment x 5\n1: increment x 5\n2: r x 3"),
        (PnCounter, "impossible-count", "0: increment x 5\n0: r x 0"),
        (PnCounter, "impossible-count", "0: increment x 5, decrement x 2\n1: r x 5"),
        (PnCounter, "impossible-count", "0: r x 5\n--\n1: increment x 5"),
        (LwwRegister, "stale-initial-read", "0: assign x 1\n0: r x nil"),
        (LwwRegister, "stale-read", "0: assign x 1\n0: assign x 2\n0: r x 1"),
        (MvRegister, "overwritten-value", "0: assign x 1\n0: assign x 2\n1: r x [1 2]"),
        (MvRegister, "missing-value", "0: assign x 1\n0: r x []"),
        (AddWinsSet, "removed-element", "0: add x 1\n1: r x [1], remove x 1\n1: r x [1]"),
        (AddWinsSet, "missing-element", "0: add x 1\n0: r x []\n--\n1: remove x 1"),
        (AddWinsSet, "missing-element", "0: remove x 1\n0: add x 1\n0: r x []"),
        (
            RemoveWinsSet,
            "removed-element",
            "0: remove x 1\n--\n1: add x 1\n1: r x [1]\n0: r x [1]\n0: add x 2\n1: r x [1 2]\n--\n2: add y 1",
        ),
        (EnableWinsFlag, "missing-element", "0: enable x\n0: r x false"),
        (EnableWinsFlag, "removed-element", "0: enable x\n0: disable x\n0: r x true"),
        (DisableWinsFlag, "unexpected-element", "0: disable x\n0: r x true"),
    ] {
        let named = kinds(kind, text);
        if kind == RemoveWinsSet {
            // The add may have known of the removal, so that it is a valid history.
            assert!(named.is_empty(), "{kind:?} {text}: {named:?}");
        } else {
            assert!(named.iter().any(|n| n == name), "{kind:?} {name} {text}: {named:?}");
        }
    }
    let kill = "0: add x 1\n-- 0\n1: r x [1]\n1: remove x 1\n1: r x [1]";
    assert!(kinds(RemoveWinsSet, kill).contains(&"removed-element".to_owned()));
}

/// The verification keeps fewer sums apart than the judge: what it cannot exclude is no mistake of the judge.
#[test]
fn a_count_among_more_sums_than_the_verification_keeps_is_impossible() {
    let mut text: String = (0..15).map(|k| format!("{k}: increment c {}\n", 4i64 << k)).collect();
    text.push_str("15: increment c 1000000000\n16: r c 500000000");
    let verdict = crdt_causal(Crdt::PnCounter).check(&script(&text).unwrap());
    assert!(verdict.is_invalid(), "{:?}", verdict.reasons);
    assert_eq!(&*verdict.anomalies[0].kind, "impossible-count");
    assert_eq!(verdict.results["witness_checked"], false);
}

#[test]
fn concurrent_updates_are_decided_by_the_kind_of_object() {
    use Crdt::*;
    let both = "0: add x 1\n1: remove x 1\n2: r x [1]\n3: r x []";
    assert!(kinds(AddWinsSet, both).is_empty());
    assert!(kinds(MvRegister, "0: assign x 1\n1: assign x 2\n2: r x [1 2]\n3: r x [2]").is_empty());
    assert!(
        kinds(PnCounter, "0: increment x 5\n1: decrement x 3\n2: r x 2\n3: r x -3\n4: r x 5")
            .is_empty()
    );
}

#[test]
fn maps_are_read_field_by_field() {
    let mut history = script("0: add k 1\n0: r k nil").unwrap();
    let field = Value::list([Value::from("m"), Value::from("tags")]);
    let read = |entries: &[(Value, Value)]| Value::Map(entries.into());
    let tags = || ("tags".into(), Value::set([1]));
    let unwritten = ("colours".into(), Value::set([2]));
    for (shown, valid) in [(vec![tags()], true), (vec![], false), (vec![tags(), unwritten], false)]
    {
        let mut changed = History::new(["n1"]);
        for mut event in history.events() {
            let ops = event.value.as_list().unwrap().iter().map(|op| {
                let [f, _, v] = op.as_list().unwrap() else { unreachable!() };
                match f.as_text() {
                    Some("r") if event.kind == Kind::Ok => {
                        Value::list([f.clone(), "m".into(), read(&shown)])
                    }
                    Some("r") => Value::list([f.clone(), "m".into(), Value::Nil]),
                    _ => Value::list([f.clone(), field.clone(), v.clone()]),
                }
            });
            event.value = Value::list(ops.collect::<Vec<_>>());
            changed.push(event).unwrap();
        }
        let verdict = crdt_causal(Crdt::LwwRegister).key("m", Crdt::AddWinsSet).check(&changed);
        assert_eq!(verdict.is_valid(), valid, "{verdict:?}");
        history = script("0: add k 1\n0: r k nil").unwrap();
    }
}

#[test]
fn what_cannot_be_judged_is_unknown_and_says_why() {
    for (kind, text) in [
        (Crdt::GrowSet, ""),
        (Crdt::GrowSet, "0 fail: add x 1"),
        (Crdt::GrowSet, "0: remove x 1"),
        (Crdt::GrowSet, "0: add x 1\n1: add x 1"),
        (Crdt::PnCounter, "0: r x [1]"),
        (Crdt::EnableWinsFlag, "0: r x 7"),
    ] {
        let verdict = crdt_causal(kind).check(&script(text).unwrap());
        assert_eq!(verdict.validity, Validity::Unknown, "{text}");
        assert!(!verdict.reasons[0].is_empty());
    }
}

/// A transaction of the oracle: updates and reads of two keys.
#[derive(Clone, Debug)]
struct Txn {
    process: u32,
    invoke: usize,
    complete: usize,
    /// Did its client give it up? It may have an effect by then, later, or never.
    unknown: bool,
    ops: Vec<(usize, Result<Act, Value>)>,
}

/// What an operation sees: the updates of visible transactions in the order of arbitration, and
/// its own earlier ones. `visible` says for each transaction whom it sees.
fn value_at(
    kind: Crdt,
    txns: &[Txn],
    order: &[usize],
    visible: &[Vec<bool>],
    t: usize,
    place: usize,
) -> Value {
    let key = txns[t].ops[place].0;
    let mut updates: Vec<(usize, usize, &Act)> = Vec::new();
    for o in order.iter().copied().filter(|o| *o == t || visible[t][*o]) {
        for (p, (k, op)) in txns[o].ops.iter().enumerate() {
            if let (true, Ok(act)) = (*k == key && (o != t || p < place), op) {
                updates.push((o, p, act));
            }
        }
    }
    let acts: Vec<&Act> = updates.iter().map(|u| u.2).collect();
    evaluate(kind, &acts, |a, b| {
        let ((ta, pa, _), (tb, pb, _)) = (updates[a], updates[b]);
        if ta == tb { pb < pa } else { visible[ta][tb] }
    })
}

/// Is there an order and a choice of snapshots that gives every read its value?
fn explained(
    kind: Crdt,
    txns: &[Txn],
    order: &mut Vec<usize>,
    visible: &mut Vec<Vec<bool>>,
) -> bool {
    if (0..txns.len()).all(|t| txns[t].unknown || order.contains(&t)) {
        return true;
    }
    let session = |a: usize, b: usize| {
        let ended = !txns[a].unknown && txns[a].complete < txns[b].invoke;
        txns[a].process == txns[b].process && ended
    };
    for t in 0..txns.len() {
        let early = (0..txns.len()).any(|o| session(o, t) && !order.contains(&o));
        if order.contains(&t) || early {
            continue;
        }
        order.push(t);
        for choice in 0..1u32 << (order.len() - 1) {
            let sees: Vec<bool> = (0..txns.len())
                .map(|o| {
                    order
                        .iter()
                        .position(|x| *x == o)
                        .is_some_and(|p| o != t && choice >> p & 1 == 1)
                })
                .collect();
            let closed = (0..txns.len()).all(|o| {
                let followed = (0..txns.len()).all(|p| !visible[o][p] || sees[p]);
                match sees[o] {
                    true => (txns[t].unknown || txns[o].invoke < txns[t].complete) && followed,
                    false => !session(o, t),
                }
            });
            if !closed {
                continue;
            }
            visible[t] = sees;
            let fits = (0..txns[t].ops.len()).all(|p| match &txns[t].ops[p].1 {
                Ok(_) => true,
                Err(_) if txns[t].unknown => true,
                Err(read) => value_at(kind, txns, order, visible, t, p) == *read,
            });
            if fits && explained(kind, txns, order, visible) {
                return true;
            }
        }
        visible[t] = vec![false; txns.len()];
        order.pop();
    }
    false
}

/// A history of up to four transactions on replicas, some reads changed. The keys may be the fields
/// of a map.
fn small(kind: Crdt, mapped: bool, seed: u64) -> Vec<Txn> {
    let mut rng = Seed(seed).stream("crdt");
    let n = 2 + rng.index(3);
    let mut txns: Vec<Txn> = Vec::new();
    let mut visible: Vec<Vec<bool>> = Vec::new();
    let mut order: Vec<usize> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let (mut event, mut next) = (0, 1);
    // Those of unknown outcome that have not taken effect, and all processes that have ended so.
    let (mut given_up, mut ended): (Vec<usize>, Vec<u32>) = Default::default();
    let unknown = if rng.chance(0.5) { 0.25 } else { 0.0 };
    while txns.len() < n || !open.is_empty() {
        let mut process = rng.below(3) as u32;
        while ended.contains(&process) {
            process += 3;
        }
        let late: Vec<usize> = given_up.extract_if(.., |_| rng.chance(0.3)).collect();
        for t in late {
            visible[t] = snapshot(&txns, &order, &visible, t, &mut rng);
            order.push(t);
        }
        if let Some(at) = open.iter().position(|t| txns[*t].process == process) {
            let t = open.remove(at);
            txns[t].complete = event;
            txns[t].unknown = rng.chance(unknown);
            if txns[t].unknown {
                ended.push(process);
            }
            match rng.index(3) {
                0 if txns[t].unknown => given_up.push(t),
                1 if txns[t].unknown => {}
                _ => {
                    visible[t] = snapshot(&txns, &order, &visible, t, &mut rng);
                    order.push(t);
                }
            }
            for p in 0..txns[t].ops.len() {
                if txns[t].ops[p].1.is_err() && !txns[t].unknown {
                    txns[t].ops[p].1 = Err(value_at(kind, &txns, &order, &visible, t, p));
                }
            }
        } else if txns.len() < n {
            let ops = (0..1 + rng.index(3))
                .flat_map(|_| match (rng.index(2), op(kind, &mut rng, &mut next)) {
                    // A map is read with all of its fields.
                    (_, Err(_)) if mapped => vec![(0, Err(Value::Nil)), (1, Err(Value::Nil))],
                    one => vec![one],
                })
                .collect();
            open.push(txns.len());
            txns.push(Txn { process, invoke: event, complete: usize::MAX, unknown: false, ops });
            visible.push(vec![false; n]);
        } else {
            continue;
        }
        event += 1;
    }
    if rng.chance(0.6) {
        for (_, op) in txns.iter_mut().flat_map(|t| &mut t.ops) {
            if op.is_err() && rng.chance(0.4) {
                *op = Err(other(kind, &mut rng, next));
            }
        }
    }
    txns
}

/// What a transaction that takes effect now sees: what its session did, any others, and what these saw.
fn snapshot(
    txns: &[Txn],
    order: &[usize],
    visible: &[Vec<bool>],
    t: usize,
    rng: &mut Stream,
) -> Vec<bool> {
    let mut sees = vec![false; visible[t].len()];
    for o in order {
        if txns[*o].process == txns[t].process || rng.chance(0.5) {
            sees[*o] = true;
            sees.iter_mut().zip(&visible[*o]).for_each(|(s, v)| *s |= v);
        }
    }
    sees
}

fn op(kind: Crdt, rng: &mut Stream, next: &mut i64) -> Result<Act, Value> {
    if rng.chance(0.5) {
        return Err(Value::Nil);
    }
    let taking = rng.chance(0.4);
    Ok(match kind {
        Crdt::PnCounter => {
            Act::Count(if taking { -(1 + rng.below(3) as i64) } else { 1 + rng.below(5) as i64 })
        }
        Crdt::EnableWinsFlag | Crdt::DisableWinsFlag if taking => Act::Take(Value::Nil),
        Crdt::EnableWinsFlag | Crdt::DisableWinsFlag => Act::Put(Value::Nil),
        Crdt::AddWinsSet | Crdt::RemoveWinsSet if taking => {
            Act::Take(Value::Int(1 + rng.below(*next as u64) as i64))
        }
        _ => {
            *next += 1;
            Act::Put(Value::Int(*next - 1))
        }
    })
}

fn other(kind: Crdt, rng: &mut Stream, next: i64) -> Value {
    match kind {
        Crdt::PnCounter => Value::Int(rng.below(9) as i64 - 3),
        Crdt::EnableWinsFlag | Crdt::DisableWinsFlag => Value::Bool(rng.chance(0.5)),
        Crdt::LwwRegister if rng.chance(0.3) => Value::Nil,
        Crdt::LwwRegister => Value::Int(1 + rng.below(next as u64) as i64),
        _ => Value::list((1..next).filter(|_| rng.chance(0.4))),
    }
}

fn history(kind: Crdt, mapped: bool, txns: &[Txn]) -> History {
    let mut events: Vec<(usize, usize, Kind)> = Vec::new();
    for (i, t) in txns.iter().enumerate() {
        events.push((t.invoke, i, Kind::Invoke));
        events.push((t.complete, i, if t.unknown { Kind::Info } else { Kind::Ok }));
    }
    events.sort_by_key(|e| e.0);
    let mut history = History::new(["n1"]);
    for (time, i, event) in events {
        let ops = txns[i].ops.iter().enumerate().filter_map(|(place, (key, op))| {
            let field = |key: usize| Value::from(["a", "b"][key]);
            if let (true, Err(first)) = (mapped, op) {
                let whole = || {
                    let second = txns[i].ops[place + 1].1.as_ref().unwrap_err();
                    let fields = [(field(0), first), (field(1), second)].into_iter();
                    // What is as at the beginning may be left out.
                    let shown = fields.filter(|(_, v)| **v != evaluate(kind, &[], |_, _| false));
                    Value::Map(shown.map(|(k, v)| (k, v.clone())).collect())
                };
                // The second of two reads stands in the first.
                let value = |event| if event == Kind::Ok { whole() } else { Value::Nil };
                return (*key == 0).then(|| Value::list(["r".into(), "m".into(), value(event)]));
            }
            let (f, value) = match (kind, op) {
                (_, Err(read)) => ("r", if event == Kind::Ok { read.clone() } else { Value::Nil }),
                (Crdt::EnableWinsFlag | Crdt::DisableWinsFlag, Ok(Act::Put(_))) => {
                    ("enable", Value::Nil)
                }
                (Crdt::EnableWinsFlag | Crdt::DisableWinsFlag, Ok(Act::Take(_))) => {
                    ("disable", Value::Nil)
                }
                (_, Ok(Act::Count(n))) => ("increment", Value::Int(*n)),
                (Crdt::LwwRegister | Crdt::MvRegister, Ok(Act::Put(v))) => ("assign", v.clone()),
                (_, Ok(Act::Put(v))) => ("add", v.clone()),
                (_, Ok(Act::Take(v))) => ("remove", v.clone()),
            };
            let one = Value::Int(*key as i64);
            let key = if mapped { Value::list(["m".into(), field(*key)]) } else { one };
            Some(Value::list([f.into(), key, value]))
        });
        let value = Value::list(ops.collect::<Vec<_>>());
        let pushed = history.push(Event {
            time: Time(time as u64),
            process: Process(txns[i].process),
            node: Some(NodeId(0)),
            kind: event,
            f: "txn".into(),
            value,
            error: None,
            phase: Phase::Main,
        });
        pushed.unwrap();
    }
    history
}

#[test]
fn the_oracle_agrees_on_every_kind_of_object() {
    let (mut valid, mut invalid, mut together, mut judged) = ([0; 8], [0; 8], 0, [0; 2]);
    let mut unknown = [0; 2];
    for seed in 0..5_000 {
        let which = seed as usize % KINDS.len();
        let kind = KINDS[which];
        let mapped = seed / 8 % 3 == 0;
        let txns = small(kind, mapped, seed);
        let n = txns.len();
        let expected = explained(kind, &txns, &mut Vec::new(), &mut vec![vec![false; n]; n]);
        let verdict = crdt_causal(kind).check(&history(kind, mapped, &txns));
        if txns.iter().all(|t| t.unknown) {
            assert_eq!(verdict.validity, Validity::Unknown, "{kind:?} {:?}", verdict.reasons);
            continue;
        }
        assert_ne!(verdict.validity, Validity::Unknown, "{kind:?} {:?}", verdict.reasons);
        unknown[usize::from(expected)] += u32::from(txns.iter().any(|t| t.unknown));
        let what = || format!("{kind:?} {txns:?} {:?}", verdict.anomalies);
        assert_eq!(expected, verdict.is_valid(), "{}", what());
        assert_eq!(verdict.results["exact"], true, "{}", what());
        if verdict.anomalies.iter().any(|a| &*a.kind == "unexplained") {
            together += 1;
            assert_eq!(verdict.results["witness_checked"], true, "{}", what());
        }
        let own = |a: &Anomaly| JUDGED.contains(&&*a.kind);
        if verdict.anomalies.iter().any(own) {
            judged[usize::from(verdict.results["witness_checked"] == true)] += 1;
        }
        if expected {
            nothing_is_impossible(kind, &history(kind, mapped, &txns), what);
        }
        valid[which] += u32::from(expected);
        invalid[which] += u32::from(!expected);
    }
    for i in 0..KINDS.len() {
        assert!(valid[i] > 120 && invalid[i] > 12, "{:?}: {valid:?} {invalid:?}", KINDS[i]);
    }
    assert!(together > 40, "{together} were found by the search alone");
    assert!(unknown.iter().all(|n| *n > 120), "{unknown:?}");
    // Nearly all that the judge finds is small enough for the verification.
    assert!(judged[1] > 400 && judged[0] < judged[1] / 100, "{judged:?}");
}

/// What the judge calls impossible, read by read.
const JUDGED: [&str; 6] = [
    "impossible-count",
    "missing-element",
    "missing-value",
    "overwritten-value",
    "removed-element",
    "unexpected-element",
];

/// The verification would not confirm a mistaken judge.
fn nothing_is_impossible(kind: Crdt, history: &History, what: impl Fn() -> String) {
    let parsed = parse::parse(&crdt_causal(kind), history).unwrap();
    let verifier = verify::Verifier::new(history, &parsed);
    for (t, ops) in parsed.txns.iter().enumerate() {
        for (place, op) in ops.iter().enumerate() {
            if !matches!(op, parse::Micro::Read { .. }) {
                continue;
            }
            for element in [Value::Nil].into_iter().chain((1..9).map(Value::Int)) {
                assert_ne!(
                    verifier.impossible(t, place, &element),
                    Some(true),
                    "{element} {}",
                    what()
                );
            }
        }
    }
}
