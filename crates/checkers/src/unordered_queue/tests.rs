//! Pools by hand, and against an oracle that searches for an order of all operations.

use std::collections::BTreeSet;

use super::super::histories::Recorder;
use super::super::{Model, Step, Validity, explains};
use super::*;
use fuzz_dist_random::Seed;

/// A set.
#[derive(Clone, Debug)]
struct Pool;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    Put(Value),
    Take(Value),
}

impl Model for Pool {
    type State = BTreeSet<Value>;
    type Op = Op;

    fn initial(&self) -> BTreeSet<Value> {
        BTreeSet::new()
    }

    fn decode(&self, f: &str, argument: &Value, result: Option<&Value>) -> Option<Op> {
        match f {
            "enqueue" => Some(Op::Put(argument.clone())),
            _ => result.map(|value| Op::Take(value.clone())),
        }
    }

    fn step(&self, state: &BTreeSet<Value>, op: &Op) -> Option<BTreeSet<Value>> {
        let mut next = state.clone();
        let fits = match op {
            Op::Put(value) => next.insert(value.clone()),
            Op::Take(Value::Nil) => state.is_empty(),
            Op::Take(value) => next.remove(value),
        };
        fits.then_some(next)
    }
}

/// Is there an order, where the dequeues of unknown outcome took nothing, or anything?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    Plain,
    WithTakers,
    No,
}

/// Tries every element, and none, for each dequeue of unknown outcome; of the dequeues that found
/// nothing, those that `counts` takes are left out.
fn order(history: &History, counts: impl Fn(usize) -> bool) -> Order {
    let mut steps: Vec<Step<Op>> = Vec::new();
    let mut takers: Vec<usize> = Vec::new();
    let mut elements: BTreeSet<Value> = BTreeSet::new();
    for call in calls(history, &["enqueue", "dequeue"]) {
        let put = &**history.function(call.invoked) == "enqueue";
        let completed = call.acknowledged();
        let op = match (put, completed.map(|done| history.value(done))) {
            _ if call.outcome == Outcome::Failed => continue,
            (true, _) => {
                elements.insert(history.value(call.invoked));
                Op::Put(history.value(call.invoked))
            }
            (false, None) => {
                takers.push(call.invoked);
                continue;
            }
            (false, Some(Value::Nil)) if !counts(call.invoked) => continue,
            (false, Some(value)) => Op::Take(value),
        };
        steps.push(Step { op, invoked: call.invoked, completed });
    }
    let fits = |steps: &[Step<Op>]| explains(&Pool, &[Pool.initial()], steps) == Some(true);
    if fits(&steps) {
        return Order::Plain;
    }
    // What came out was not taken by anybody else.
    elements.retain(|e| !steps.iter().any(|s| s.op == Op::Take(e.clone())));
    let elements: Vec<Value> = elements.into_iter().collect();
    let ways = (elements.len() + 1).pow(takers.len() as u32);
    let with = (0..ways).any(|mut way| {
        let mut steps = steps.clone();
        for invoked in &takers {
            let taken = elements.get(way % (elements.len() + 1)).cloned();
            way /= elements.len() + 1;
            let op = taken.map(Op::Take);
            steps.extend(op.map(|op| Step { op, invoked: *invoked, completed: None }));
        }
        steps.sort_by_key(|step| step.invoked);
        fits(&steps)
    });
    if with { Order::WithTakers } else { Order::No }
}

/// What is wrong: kind, element, and the read that shows it where it is no matter of one element.
fn findings(history: &History) -> BTreeSet<(&'static str, Value, Option<usize>)> {
    let mut found = BTreeSet::new();
    let all: Vec<Call> = calls(history, &["enqueue", "dequeue"]).collect();
    let f = |c: &Call| &**history.function(c.invoked) == "enqueue";
    let out = |c: &Call| c.acknowledged().map(|done| history.value(done));
    for taken in all.iter().filter(|c| !f(c)) {
        let Some(value) = out(taken).filter(|v| !v.is_nil()) else { continue };
        let mut puts = all
            .iter()
            .filter(|c| f(c) && c.outcome != Outcome::Failed && history.value(c.invoked) == value);
        let again = all.iter().filter(|c| !f(c) && out(c).as_ref() == Some(&value));
        let first = again.clone().filter_map(Call::acknowledged).min();
        let kind = match puts.next() {
            None => "unexpected",
            Some(put) if first < Some(put.invoked) => "early",
            Some(_) if again.count() > 1 => "duplicate",
            Some(_) => continue,
        };
        found.insert((kind, value, None));
    }
    if !found.is_empty() {
        return found;
    }
    for empty in all.iter().filter(|c| !f(c) && out(c) == Some(Value::Nil)) {
        if order(history, |other| other == empty.invoked) == Order::No {
            found.insert(("not_empty", Value::Nil, empty.completed));
        }
    }
    found
}

#[test]
fn the_oracle_agrees_on_random_histories() {
    let mut seen = [0; 3];
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..5_000 {
        let history = random_history(Seed(seed));
        let verdict = unordered_queue().check(&history);
        let expected_findings = findings(&history);
        let found: BTreeSet<_> = verdict
            .anomalies
            .iter()
            .map(|a| {
                let read = a.events.last().copied().filter(|_| &*a.kind == "not_empty");
                (&*a.kind, a.subject.clone(), read)
            })
            .collect();
        assert_eq!(found, expected_findings, "seed {seed}: {verdict:#?}");
        let worked = calls(&history, &["dequeue"]).any(|c| c.acknowledged().is_some());
        let expected = match order(&history, |_| true) {
            Order::No => Validity::Invalid,
            Order::Plain if worked => Validity::Valid,
            _ => Validity::Unknown,
        };
        assert_eq!(verdict.validity, expected, "seed {seed}: {verdict:#?}");
        assert!(!verdict.reasons.concat().contains("internal error"), "seed {seed}: {verdict:#?}");
        let count =
            |f: &str, is: &dyn Fn(&Call) -> bool| calls(&history, &[f]).filter(|c| is(c)).count();
        let nothing = |c: &Call| c.acknowledged().is_some_and(|done| history.value(done).is_nil());
        for (name, n) in [
            ("empty_count", count("dequeue", &nothing)),
            ("indeterminate_dequeue_count", count("dequeue", &|c| c.outcome == Outcome::Open)),
        ] {
            assert_eq!(verdict.results[name], n, "seed {seed} {name}");
        }
        seen[expected as usize] += 1;
        expected_findings.iter().for_each(|(kind, ..)| *kinds.entry(kind).or_default() += 1);
    }
    assert!(seen.iter().all(|n| *n > 250), "{seen:?}");
    assert!(kinds.len() == 4 && kinds.values().all(|n| *n > 50), "{kinds:?}");
}

/// Clients of a pool; what is given up takes effect before, afterwards at any later time, or never.
fn random_history(seed: Seed) -> History {
    let mut s = seed.stream("unordered_queue");
    let mut r = Recorder::new(["n1"]);
    // What each client has under way: the element that it puts in, or a dequeue.
    let mut open: [Option<Option<i64>>; 3] = [None; 3];
    let mut process = [0, 1, 2];
    let mut pool: Vec<i64> = Vec::new();
    let (mut late_puts, mut late_takers) = (Vec::new(), 0);
    let mut next = 0;
    for _ in 0..s.index(20) {
        pool.extend(late_puts.extract_if(.., |_| s.chance(0.15)));
        if late_takers > 0 && !pool.is_empty() && s.chance(0.15) {
            late_takers -= 1;
            pool.swap_remove(s.index(pool.len()));
        }
        let c = s.index(3);
        let client = process[c];
        let mut given_up = || process[c] += 3;
        match open[c].take() {
            None if s.chance(0.5) => {
                r.invoke(client, "enqueue", next);
                if s.chance(0.05) {
                    // Too early.
                    pool.push(next + 1);
                }
                open[c] = Some(Some(next));
                next += 1;
            }
            None => {
                r.invoke(client, "dequeue", Value::Nil);
                open[c] = Some(None);
            }
            Some(Some(_)) if s.chance(0.1) => drop(r.fail(client)),
            Some(Some(element)) if s.chance(0.15) => {
                match s.index(3) {
                    0 => pool.push(element),
                    1 => late_puts.push(element),
                    _ => {}
                }
                r.info(client);
                given_up();
            }
            Some(Some(element)) => {
                pool.push(element);
                r.done(client);
            }
            Some(None) if s.chance(0.15) => {
                match s.index(3) {
                    0 if !pool.is_empty() => drop(pool.swap_remove(s.index(pool.len()))),
                    1 => late_takers += 1,
                    _ => {}
                }
                r.info(client);
                given_up();
            }
            Some(None) if pool.is_empty() || s.chance(0.2) => drop(r.ok(client, Value::Nil)),
            Some(None) => {
                let i = s.index(pool.len());
                let value = if s.chance(0.1) { pool[i] } else { pool.swap_remove(i) };
                r.ok(client, value);
            }
        }
    }
    r.history()
}

/// `e` enqueues the next element, `?` is a dequeue of unknown outcome, `-` one that finds nothing.
#[track_caller]
fn check(script: &str, expected: Validity) {
    let mut r = Recorder::new(["n1"]);
    for (client, word) in script.chars().enumerate() {
        let (client, value) = (client as u32, client as i64);
        match word {
            'e' => {
                r.invoke(client, "enqueue", value);
                r.done(client);
            }
            _ => {
                r.invoke(client, "dequeue", Value::Nil);
                if word == '?' {
                    r.info(client)
                } else {
                    r.ok(client, Value::Nil)
                };
            }
        }
    }
    let verdict = unordered_queue().check(&r.history());
    assert_eq!(verdict.validity, expected, "{script}: {verdict:#?}");
}

#[test]
fn an_indeterminate_dequeue_took_one_element_at_most_and_from_its_invocation_on() {
    check("-", Validity::Valid);
    check("e-", Validity::Invalid);
    check("e?-", Validity::Unknown);
    check("ee?-", Validity::Invalid);
    check("e-?", Validity::Invalid);
    check("e?", Validity::Unknown);
    check("?e-", Validity::Unknown);
}

/// Clients 0, 1, … invoke (`e` enqueues its number, `d` dequeues) and complete (`+` ok, with the element
/// that a dequeue gives or none, `?` info, `!` fail): `e0 +0 d1 +1=0`.
fn history(script: &str) -> History {
    let mut r = Recorder::new(["n1"]);
    for word in script.split(' ') {
        let (what, rest) = word.split_at(1);
        let (client, gave) = rest.split_once('=').map_or((rest, None), |(c, g)| (c, Some(g)));
        let client: u32 = client.parse().unwrap();
        match (what, gave) {
            ("e", _) => r.invoke(client, "enqueue", i64::from(client)),
            ("d", _) => r.invoke(client, "dequeue", Value::Nil),
            ("?", _) => r.info(client),
            ("!", _) => r.fail(client),
            ("+", None) => r.done(client),
            (_, Some("nil")) => r.ok(client, Value::Nil),
            (_, Some(gave)) => r.ok(client, gave.parse::<i64>().unwrap()),
            _ => panic!("{word}"),
        };
    }
    r.history()
}

/// The first event of the proof is the one from which on some element was in.
#[test]
fn a_pool_that_was_not_empty_says_since_when() {
    for (script, events) in [
        ("e0 +0 d1 +1=nil", &[1, 2, 3][..]),
        // One of the two was in all the time, whoever took the other one.
        ("e0 +0 e1 +1 d2 ?2 d3 +3=nil", &[3, 6, 7]),
        // The one that came out afterwards was in all the time, and was not taken by anybody else.
        ("e0 +0 d2 ?2 d3 +3=nil d4 +4=0", &[1, 4, 5]),
        // So was either of the two that stayed, though that one was taken meanwhile.
        ("e0 +0 e1 +1 e2 +2 d5 ?5 d3 d4 +4=0 +3=nil", &[5, 8, 11]),
        // It came in before the other one went, so that the pool was never empty from the first on.
        ("e0 +0 e1 +1 d2 +2=0 d3 +3=nil d4 +4=1", &[1, 6, 7]),
    ] {
        let verdict = unordered_queue().check(&history(script));
        let [anomaly] = &verdict.anomalies[..] else { panic!("{script}: {verdict:#?}") };
        assert_eq!((&*anomaly.kind, &anomaly.events[..]), ("not_empty", events), "{script}");
    }
}

#[test]
fn a_dequeue_that_several_moments_excuse_is_unknown() {
    for script in [
        "e0 +0 d1 ?1 d2 +2=nil",
        "e0 +0 d1 ?1 d2 d3 ?3 +2=nil",
        "e0 +0 d1 ?1 d2 d3 d4 ?3 ?4 +2=nil",
    ] {
        let verdict = unordered_queue().check(&history(script));
        assert_eq!(verdict.validity, Validity::Unknown, "{script}: {verdict:#?}");
        assert!(!verdict.reasons.concat().contains("internal error"), "{script}: {verdict:#?}");
    }
}

#[test]
fn what_came_out_says_whether_anybody_tried_to_put_it_in() {
    for (script, said) in
        [("d1 +1=0", "no client had enqueued it"), ("e0 !0 d1 +1=0", "its enqueue had failed")]
    {
        let verdict = unordered_queue().check(&history(script));
        let [anomaly] = &verdict.anomalies[..] else { panic!("{script}: {verdict:#?}") };
        assert_eq!(&*anomaly.kind, "unexpected");
        assert!(anomaly.explanation.ends_with(said), "{}", anomaly.explanation);
    }
}
