//! Vectors of queues, and an oracle that tries every way.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Validity;
use super::super::histories::Recorder;
use super::*;
use fuzz_dist_random::Seed;

/// What a client does: put an element in, take one out, or all that there are; the outcome, and
/// what came out. Operations stand one after the other, but for those that begin before and end
/// after all others that follow, up to `end`.
#[derive(Clone, Debug)]
struct Act {
    f: &'static str,
    put: i64,
    out: Vec<i64>,
    outcome: char,
    end: usize,
}

fn act(f: &'static str, put: i64, out: &[i64], outcome: char) -> Act {
    Act { f, put, out: out.to_vec(), outcome, end: 0 }
}

/// The history, and for each operation the events at which it began and ended.
fn run(acts: &[Act]) -> (History, Vec<(usize, usize)>) {
    let mut r = Recorder::new(["n1"]);
    let (mut spans, mut ends) = (vec![(0, 0); acts.len()], Vec::new());
    for (i, act) in acts.iter().enumerate() {
        let put = act.f == "enqueue";
        spans[i].0 = r.invoke(i as u32, act.f, if put { Value::Int(act.put) } else { Value::Nil });
        ends.push((act.end.max(i), i));
        ends.sort_unstable();
        while ends.first().is_some_and(|e| e.0 <= i || i + 1 == acts.len()) {
            let client = ends.remove(0).1;
            let act = &acts[client];
            spans[client].1 = match (act.outcome, act.f) {
                ('f', _) => r.fail(client as u32),
                ('i', _) => r.info(client as u32),
                // What a drain gave may be a list or a set.
                (_, "drain") if client % 2 == 0 => {
                    r.ok(client as u32, Value::list(act.out.iter().copied()))
                }
                (_, "drain") => r.ok(client as u32, Value::set(act.out.iter().copied())),
                (_, "enqueue") => r.done(client as u32),
                _ => r.ok(client as u32, act.out.first().map_or(Value::Nil, |n| Value::Int(*n))),
            };
        }
    }
    (r.history(), spans)
}

fn judge(acts: &[Act]) -> Verdict {
    total_queue().check(&run(acts).0)
}

#[test]
fn what_an_unknown_dequeue_may_have_taken_is_unknown() {
    let put = |n: i64| (1..=n).map(|v| act("enqueue", v, &[], 'o')).collect::<Vec<_>>();
    let (unknown, drain) = (act("dequeue", 0, &[], 'i'), act("drain", 0, &[1], 'o'));
    let verdict = judge(&[put(2), vec![unknown.clone(), drain.clone()]].concat());
    assert_eq!(verdict.validity, Validity::Unknown);
    assert_eq!(verdict.results["possibly_taken_count"], 1);
    assert!(verdict.reasons[0].contains("1 acknowledged element"), "{:?}", verdict.reasons);
    let verdict = judge(&[put(3), vec![unknown.clone(), drain.clone()]].concat());
    assert!(verdict.is_invalid(), "one dequeue cannot have taken two");
    let verdict = judge(&[put(2), vec![drain.clone(), unknown]].concat());
    assert!(verdict.is_invalid(), "it began only when the queue had been drained");
    let verdict = judge(&[put(9), vec![act("drain", 0, &[], 'i'), drain]].concat());
    assert_eq!(verdict.validity, Validity::Unknown, "a drain can have taken all of them");
}

#[test]
fn nothing_is_lost_from_a_queue_that_nobody_drained() {
    let both = [act("enqueue", 1, &[], 'o'), act("enqueue", 2, &[], 'o')];
    let check = |more: &[Act]| judge(&[&both, more].concat()).validity;
    let (took, empty) = (act("dequeue", 0, &[1], 'o'), act("dequeue", 0, &[], 'o'));
    assert_eq!(check(std::slice::from_ref(&took)), Validity::Unknown);
    assert_eq!(check(&[empty.clone(), took.clone()]), Validity::Unknown);
    assert_eq!(check(&[took.clone(), empty]), Validity::Invalid);
    assert_eq!(check(&[took.clone(), act("drain", 0, &[], 'f')]), Validity::Unknown);
    assert_eq!(check(&[took, act("drain", 0, &[2], 'o')]), Validity::Valid);
}

/// What did not come out, who may have taken it, and after what nobody drained the queue.
#[test]
fn what_nobody_knows_is_said_with_all_of_its_numbers() {
    let put = |v| act("enqueue", v, &[], 'o');
    let (took, unknown) = (act("dequeue", 0, &[1], 'o'), act("dequeue", 0, &[], 'i'));
    let (drain, lost_drain) = (act("drain", 0, &[], 'o'), act("drain", 0, &[], 'i'));
    for (acts, reason) in [
        (
            vec![put(1), put(2), took.clone()],
            "1 acknowledged element did not come out; the queue was not drained after 1 of them",
        ),
        (
            vec![put(1), put(2), unknown.clone(), took.clone(), drain.clone()],
            "1 acknowledged element did not come out; 1 indeterminate (`info`) dequeue may have taken them",
        ),
        (
            vec![
                put(1),
                put(2),
                put(3),
                lost_drain,
                unknown.clone(),
                drain.clone(),
                put(4),
                took.clone(),
            ],
            "3 acknowledged elements did not come out; the queue was not drained after 1 of them; \
             1 indeterminate (`info`) dequeue and 1 indeterminate (`info`) drain may have taken them",
        ),
    ] {
        let verdict = judge(&acts);
        assert_eq!(
            (verdict.validity, &*verdict.reasons),
            (Validity::Unknown, &[reason.into()][..])
        );
    }
    // Of lost ones it is said how many can have been taken, where any can.
    let all = [put(1), put(2), put(3)];
    for (acts, taken) in [(vec![took.clone(), drain.clone()], 0), (vec![took, unknown, drain], 1)] {
        let verdict = judge(&[&all[..], &acts].concat());
        let said =
            "indeterminate (`info`) dequeues can have taken 1 of those that are lost at most";
        assert_eq!(verdict.reasons.iter().any(|r| r == said), taken == 1, "{:?}", verdict.reasons);
        assert_eq!(verdict.results["possibly_taken_count"], taken);
        assert_eq!(verdict.reasons[0], "2 elements lost: 2 3");
        assert_eq!(verdict.reasons.len(), 1 + taken, "{:?}", verdict.reasons);
    }
}

/// A drain gives the elements of a set, a dequeue gives the set.
#[test]
fn a_set_is_an_element_too() {
    let set = || Value::set([1, 2]);
    for (f, expected) in [("dequeue", Validity::Valid), ("drain", Validity::Invalid)] {
        let mut r = Recorder::new(["n1"]);
        r.invoke(0, "enqueue", set());
        r.done(0);
        r.invoke(0, f, Value::Nil);
        r.ok(0, set());
        let verdict = total_queue().check(&r.history());
        assert_eq!(verdict.validity, expected, "{f}: {verdict:#?}");
    }
}

#[test]
fn each_finding_says_what_happened_to_the_element() {
    let put = |v, outcome| act("enqueue", v, &[], outcome);
    let took = |v| act("dequeue", 0, &[v], 'o');
    let nowhere = "was dequeued without having been enqueued";
    for (acts, said) in [
        (
            vec![put(1, 'o'), put(2, 'o'), took(1), act("drain", 0, &[], 'o')],
            "2 was lost; its enqueue was acknowledged by n1 at 0.003 s; the queue was drained on n1 at 0.007 s".into(),
        ),
        (
            vec![put(1, 'f'), took(1)],
            format!("1 {nowhere}; its enqueue had failed; dequeued on n1 at 0.003 s"),
        ),
        (vec![took(1)], format!("1 {nowhere}; dequeued on n1 at 0.001 s")),
        (
            vec![put(1, 'o'), took(1), took(1)],
            "1 was dequeued more often than enqueued; its enqueue was acknowledged by n1 at 0.001 s; dequeued on \
             n1 at 0.003 s, n1 at 0.005 s"
                .into(),
        ),
    ] {
        let verdict = judge(&acts);
        let [anomaly] = &verdict.anomalies[..] else { panic!("{verdict:#?}") };
        assert_eq!(anomaly.explanation, said, "{acts:?}");
    }
}

/// An element may be a list, which a dequeue gives as one, and a drain as one of many.
#[test]
fn elements_may_be_lists() {
    let mut r = Recorder::new(["n1"]);
    let element = |n: i64| Value::list([n, n + 1]);
    for n in [1, 3] {
        r.invoke(0, "enqueue", element(n));
        r.done(0);
    }
    r.invoke(0, "dequeue", Value::Nil);
    r.ok(0, element(1));
    r.invoke(0, "drain", Value::Nil);
    r.ok(0, Value::list([element(3)]));
    let verdict = total_queue().check(&r.history());
    assert!(verdict.is_valid(), "{verdict:#?}");
}

#[test]
fn redelivery_may_be_allowed() {
    let twice = act("dequeue", 0, &[1], 'o');
    let acts = [act("enqueue", 1, &[], 'o'), twice.clone(), twice];
    assert!(judge(&acts).is_invalid());
    let verdict = total_queue().redelivery(true).check(&run(&acts).0);
    assert!(verdict.is_valid() && verdict.results["duplicate_count"] == 1);
}

/// Can each element that did not come out be given to somebody who does not know what it took,
/// before a draining that should have given it has ended? Tries all ways.
fn excused(missing: &[usize], takers: &[(usize, bool)], latest: &dyn Fn(usize) -> usize) -> bool {
    let Some((first, rest)) = missing.split_first() else { return true };
    let limit = latest(*first);
    if limit == usize::MAX && excused(rest, takers, latest) {
        return true;
    }
    (0..takers.len()).filter(|i| takers[*i].0 < limit).any(|i| {
        let mut left = takers.to_vec();
        if !left[i].1 {
            left.remove(i);
        }
        excused(rest, &left, latest)
    })
}

#[test]
fn the_oracle_agrees_on_random_histories() {
    let mut seen = [0; 3];
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..8_000 {
        let mut s = Seed(seed).stream("total_queue");
        let mut acts: Vec<Act> = Vec::new();
        let mut held: Vec<i64> = Vec::new();
        // Enqueues of unknown outcome that have not taken effect, and takers that have not.
        let (mut late_puts, mut late_takers) = (Vec::new(), 0);
        for at in 0..1 + s.index(8) {
            held.extend(late_puts.extract_if(.., |_| s.chance(0.2)));
            if late_takers > 0 && s.chance(0.2) && !held.is_empty() {
                late_takers -= 1;
                held.remove(s.index(held.len()));
            }
            let unknown = s.chance(0.15);
            let mut new = match s.index(8) {
                0..4 => act("enqueue", s.below(4) as i64, &[], ['o', 'o', 'f'][s.index(3)]),
                4..7 if unknown && s.chance(0.6) => {
                    late_takers += 1;
                    act("dequeue", 0, &[], 'o')
                }
                4..7 => {
                    let some = (!held.is_empty()).then(|| held.remove(s.index(held.len())));
                    act("dequeue", 0, some.as_slice(), 'o')
                }
                _ => act("drain", 0, &std::mem::take(&mut held), 'o'),
            };
            if new.f == "enqueue" && unknown && s.chance(0.6) {
                late_puts.push(new.put);
            } else if new.f == "enqueue" && (new.outcome == 'o' || s.chance(0.1)) && s.chance(0.9) {
                held.push(new.put);
            }
            if new.f != "enqueue" && s.chance(0.05) {
                new.out = vec![s.below(5) as i64];
            }
            new.outcome = if unknown { 'i' } else { new.outcome };
            new.end = at + s.index(3);
            acts.push(new);
        }
        if s.chance(0.7) {
            acts.push(act("drain", 0, &held, 'o'));
        }
        let (history, spans) = run(&acts);
        let verdict = total_queue().check(&history);
        let all = &acts;
        let of = |f: &'static str, o: &'static str| {
            (0..all.len()).filter(move |i| all[*i].f == f && o.contains(all[*i].outcome))
        };
        let put = |v: i64, o: &'static str| of("enqueue", o).filter(|i| all[*i].put == v).count();
        let outs: Vec<(usize, i64)> = (of("dequeue", "o").chain(of("drain", "o")))
            .flat_map(|i| acts[i].out.iter().map(move |v| (i, *v)))
            .collect();
        // Drainings: drains, and dequeues that found nothing with none after that gave something.
        let last = outs.iter().filter(|(i, _)| acts[*i].f == "dequeue").map(|o| o.0).max();
        let nothing = of("dequeue", "o").filter(|i| acts[*i].out.is_empty());
        let nothing = nothing.filter(|i| last.is_none_or(|l| spans[l].0 < spans[*i].0));
        let points: Vec<(usize, usize)> =
            of("drain", "o").chain(nothing).map(|i| spans[i]).collect();
        let takers: Vec<(usize, bool)> = (of("dequeue", "i").chain(of("drain", "i")))
            .map(|i| (spans[i].0, acts[i].f == "drain"))
            .collect();
        let mut excess: BTreeSet<(&str, i64)> = BTreeSet::new();
        let mut missing: Vec<usize> = Vec::new();
        for v in 0..5 {
            let out = outs.iter().filter(|o| o.1 == v).count();
            let may = put(v, "oi");
            let mut puts: Vec<usize> =
                of("enqueue", "oi").filter(|i| acts[*i].put == v).map(|i| spans[i].0).collect();
            let mut came: Vec<usize> =
                outs.iter().filter(|o| o.1 == v).map(|o| spans[o.0].1).collect();
            puts.sort_unstable();
            came.sort_unstable();
            // Each dequeue has an enqueue of its own that had begun.
            let overtaken = |from| puts.iter().zip(&came).skip(from).any(|(put, came)| came < put);
            if may == 0 && out > 0 {
                excess.insert(("unexpected", v));
            } else if out > may || overtaken(1) {
                excess.insert(("duplicate", v));
            }
            if puts.first().zip(came.first()).is_some_and(|(put, came)| came < put) {
                excess.insert(("early", v));
            }
            let mut acked: Vec<usize> =
                of("enqueue", "o").filter(|i| acts[*i].put == v).map(|i| spans[i].1).collect();
            acked.sort_unstable();
            missing.extend(acked.into_iter().skip(out));
        }
        let latest = |ack: usize| {
            points.iter().filter(|p| p.0 > ack).map(|p| p.1).min().unwrap_or(usize::MAX)
        };
        let lost = !excused(&missing, &takers, &latest);
        let expected = if !excess.is_empty() || lost {
            Validity::Invalid
        } else if !missing.is_empty() || outs.is_empty() {
            Validity::Unknown
        } else {
            Validity::Valid
        };
        assert_eq!(verdict.validity, expected, "seed {seed} {acts:?} {:?}", verdict.reasons);
        assert!(!verdict.reasons.concat().contains("internal error"), "seed {seed}: {verdict:#?}");
        // Which of those that did not come out were taken is open.
        let (of_lost, others): (Vec<&Anomaly>, Vec<&Anomaly>) =
            verdict.anomalies.iter().partition(|a| &*a.kind == "lost");
        let others: BTreeSet<(&str, i64)> =
            others.iter().map(|a| (&*a.kind, a.subject.as_int().unwrap())).collect();
        assert_eq!(others, excess, "seed {seed} {acts:?} {:?}", verdict.reasons);
        assert_eq!(!of_lost.is_empty(), lost, "seed {seed} {acts:?} {:?}", verdict.reasons);
        let undrained = missing.iter().filter(|ack| latest(**ack) == usize::MAX).count();
        let recovered = |v: i64| {
            let (out, may) = (outs.iter().filter(|o| o.1 == v).count(), put(v, "oi"));
            out.min(may).saturating_sub(put(v, "o"))
        };
        let of_kind = |kind| excess.iter().filter(|(k, _)| *k == kind).count();
        for (name, expected) in [
            ("attempt_count", of("enqueue", "oif").count()),
            ("acknowledged_count", of("enqueue", "o").count()),
            ("dequeue_count", outs.len()),
            ("unknown_dequeue_count", takers.len()),
            ("missing_count", missing.len()),
            ("undrained_count", undrained),
            ("recovered_count", (0..5).map(recovered).sum()),
            ("unexpected_count", of_kind("unexpected")),
            ("duplicate_count", of_kind("duplicate")),
            ("early_count", of_kind("early")),
        ] {
            assert_eq!(verdict.results[name], expected, "seed {seed} {name} {acts:?}");
        }
        if !lost {
            assert_eq!(verdict.results["possibly_taken_count"], missing.len() - undrained);
        }
        seen[expected as usize] += 1;
        others.iter().for_each(|(kind, _)| *kinds.entry(kind.to_string()).or_default() += 1);
    }
    assert!(seen.iter().all(|n| *n > 200), "{seen:?}");
    assert!(kinds.len() == 3 && kinds.values().all(|n| *n > 40), "{kinds:?}");
}
