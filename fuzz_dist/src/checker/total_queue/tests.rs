//! Vectors of queues, and an oracle that tries every way.

use super::super::Validity;
use super::super::histories::Recorder;
use super::*;
use crate::random::Seed;

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
                (_, "drain") => r.ok(client as u32, Value::list(act.out.iter().copied())),
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
    for seed in 0..20_000 {
        let mut s = Seed(seed).stream("total_queue");
        let mut acts: Vec<Act> = Vec::new();
        let mut held: Vec<i64> = Vec::new();
        for at in 0..1 + s.index(8) {
            let unknown = s.chance(0.15);
            let mut new = match s.index(8) {
                0..4 => act("enqueue", s.below(4) as i64, &[], ['o', 'o', 'f'][s.index(3)]),
                4..7 => {
                    let some = (!held.is_empty()).then(|| held.remove(s.index(held.len())));
                    act("dequeue", 0, some.as_slice(), 'o')
                }
                _ => act("drain", 0, &std::mem::take(&mut held), 'o'),
            };
            if new.f == "enqueue" && (new.outcome == 'o' || s.chance(0.1)) && s.chance(0.9) {
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
        let mut excess = false;
        let mut missing: Vec<usize> = Vec::new();
        for v in 0..5 {
            let out = outs.iter().filter(|o| o.1 == v).count();
            let may = of("enqueue", "oi").filter(|i| acts[*i].put == v).count();
            let first = of("enqueue", "oi").filter(|i| acts[*i].put == v).map(|i| spans[i].0).min();
            let early = outs.iter().any(|o| o.1 == v && first.is_some_and(|f| spans[o.0].1 < f));
            excess |= out > may || early;
            let mut acked: Vec<usize> =
                of("enqueue", "o").filter(|i| acts[*i].put == v).map(|i| spans[i].1).collect();
            acked.sort_unstable();
            missing.extend(acked.into_iter().skip(out));
        }
        let latest = |ack: usize| {
            points.iter().filter(|p| p.0 > ack).map(|p| p.1).min().unwrap_or(usize::MAX)
        };
        let expected = if excess || !excused(&missing, &takers, &latest) {
            Validity::Invalid
        } else if !missing.is_empty() || outs.is_empty() {
            Validity::Unknown
        } else {
            Validity::Valid
        };
        assert_eq!(verdict.validity, expected, "seed {seed} {acts:?} {:?}", verdict.reasons);
        seen[expected as usize] += 1;
    }
    assert!(seen.iter().all(|n| *n > 500), "{seen:?}");
}
