//! `pn_counter` on vectors, planted losses, and against its oracle.

use super::super::histories::Recorder;
use super::super::{Checker, Validity, Verdict};
use super::{oracle, pn_counter};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Phase, Value};
use fuzz_dist_random::Seed;

/// Operations one after the other: client, function, argument or result.
fn sequence(ops: &[(u32, &str, i64)]) -> History {
    let mut r = Recorder::new(["n1"]);
    for (client, f, n) in ops {
        let value = if *f == "read" { Value::Nil } else { Value::Int(*n) };
        r.invoke(*client, f, value);
        r.ok(*client, *n);
    }
    r.history()
}

fn kinds(verdict: &Verdict) -> Vec<&str> {
    verdict.anomalies.iter().map(|a| &*a.kind).collect()
}

#[test]
fn sums_of_subsets_are_possible_and_nothing_else_is() {
    for (value, possible) in
        [(0, true), (5, true), (10, true), (3, false), (15, false), (-5, false)]
    {
        let verdict =
            pn_counter().check(&sequence(&[(0, "add", 5), (1, "add", 5), (2, "read", value)]));
        assert_eq!(verdict.is_valid(), possible, "{value}");
        assert_eq!(verdict.results["approximate"], false, "{value}");
    }
}

/// Where the sums were too many to be kept apart, the results say so, whatever was read.
#[test]
fn sums_that_are_joined_are_approximate() {
    let powers = (0..12).map(|i| (0, "add", 3_i64.pow(i)));
    for (reads, valid) in [(vec![1], true), (vec![1, 3], true), (vec![-5], false)] {
        let reads = reads.into_iter().map(|n| (1, "read", n));
        let verdict = pn_counter()
            .sessions(false)
            .check(&sequence(&powers.clone().chain(reads).collect::<Vec<_>>()));
        assert_eq!(verdict.is_valid(), valid, "{:?}", verdict.reasons);
        assert_eq!(verdict.results["approximate"], true);
    }
}

/// The verification keeps fewer sums apart than the judge: what it cannot exclude is no mistake of the judge.
#[test]
fn a_value_among_more_sums_than_the_verification_keeps_is_impossible() {
    let adds = (0..19).map(|k| 4i64 << k).chain([1 << 40]).map(|n| (0, "add", n));
    let ops: Vec<_> = adds.chain([(1, "read", 500_000_000)]).collect();
    let verdict = pn_counter().check(&sequence(&ops));
    assert!(verdict.is_invalid(), "{:?}", verdict.reasons);
    assert!(kinds(&verdict).contains(&"impossible_value"), "{verdict:?}");
}

#[test]
fn decrements_are_ordinary() {
    for f in ["decrement", "dec"] {
        let verdict = pn_counter().check(&sequence(&[(0, f, 2), (1, "read", -2), (1, "read", 0)]));
        assert!(verdict.is_valid(), "{f}: {:?}", verdict.reasons);
    }
}

#[test]
fn what_only_grows_never_reads_less() {
    let history = sequence(&[(0, "add", 5), (1, "read", 5), (1, "read", 0)]);
    assert_eq!(kinds(&pn_counter().check(&history)), ["not_monotonic"]);
    assert!(pn_counter().sessions(false).check(&history).is_valid());
    let history = sequence(&[(0, "add", 5), (1, "read", 5), (2, "read", 0)]);
    assert!(pn_counter().check(&history).is_valid(), "another client may be behind");
}

#[test]
fn a_client_reads_its_own_increments() {
    let history = sequence(&[(0, "add", 5), (0, "read", 0)]);
    assert_eq!(kinds(&pn_counter().check(&history)), ["impossible_in_session"]);
}

fn with_finals(adds: &[i64], finals: &[i64]) -> History {
    let mut r = Recorder::new((1..=finals.len()).map(|n| format!("n{n}")));
    for n in adds {
        r.invoke(0, "add", *n);
        r.done(0);
    }
    r.phase = Phase::Heal;
    r.heal(true);
    r.phase = Phase::Final;
    for (n, value) in finals.iter().enumerate() {
        // Clients that have added nothing, so that sessions have no say.
        let client = (n + 10 * finals.len()) as u32;
        r.invoke(client, "read", Value::Nil);
        r.ok(client, *value);
    }
    r.history()
}

#[test]
fn a_lost_increment_is_named_by_its_size() {
    let verdict = pn_counter().check(&with_finals(&[1, 20, 300], &[301, 321]));
    assert_eq!(kinds(&verdict), ["lost_increments", "final_reads_differ"]);
    let text = &verdict.anomalies[0].explanation;
    assert!(text.contains("20 too low") && text.contains("+20 by client 0"), "{text}");
    assert_eq!(verdict.anomalies[0].events[0], 3, "the acknowledgement of the add of 20");
}

#[test]
fn two_lost_increments_are_named_too() {
    let verdict = pn_counter().check(&with_finals(&[1, 20, 300, 4000], &[4001, 4001]));
    let text = &verdict.anomalies[0].explanation;
    assert!(text.contains("these two") && text.contains("+20") && text.contains("+300"), "{text}");
}

#[test]
fn an_increment_counted_twice_is_a_surplus() {
    let verdict = pn_counter().check(&with_finals(&[1, 20], &[41]));
    assert!(kinds(&verdict).contains(&"surplus"), "{:?}", kinds(&verdict));
    let said = "gave 41, which is 20 too high; counting one of these twice explains it: +20 by client 0, acknowledged by n1 at 0.003 s";
    assert!(verdict.anomalies[0].explanation.ends_with(said), "{:?}", verdict.anomalies);
}

#[test]
fn of_many_increments_that_explain_it_some_are_named_and_all_are_counted() {
    for (count, more) in [(4, ""), (5, " and 1 more")] {
        let verdict = pn_counter().check(&with_finals(&vec![5; count], &[5 * (count as i64 - 1)]));
        let text = &verdict.anomalies[0].explanation;
        assert_eq!(text.matches("+5 by").count(), 4, "{text}");
        assert!(text.ends_with(&format!(" s{more}")), "{text}");
    }
}

#[test]
fn an_increment_of_unknown_outcome_may_take_effect_between_two_final_reads() {
    let run = |finals: [i64; 2]| {
        let mut r = Recorder::new(["n1", "n2"]);
        r.invoke(0, "add", 5);
        r.done(0);
        r.invoke(1, "add", 3);
        r.info(1);
        r.phase = Phase::Final;
        for (client, value) in [(4, finals[0]), (5, finals[1])] {
            r.invoke(client, "read", Value::Nil);
            r.ok(client, value);
        }
        pn_counter().check(&r.history())
    };
    let verdict = run([5, 8]);
    assert_eq!(verdict.validity, Validity::Unknown);
    assert!(verdict.reasons[0].contains("5 on n1, 8 on n2"), "{:?}", verdict.reasons);
    assert!(run([8, 8]).is_valid());
    assert_eq!(kinds(&run([5, 7])), ["lost_increments", "final_reads_differ", "impossible_value"]);
}

#[test]
fn nothing_read_is_unknown_and_so_is_nonsense() {
    assert_eq!(pn_counter().check(&sequence(&[(0, "add", 1)])).validity, Validity::Unknown);
    let mut r = Recorder::new(["n1"]);
    r.invoke(0, "read", Value::Nil);
    r.ok(0, "five");
    assert_eq!(pn_counter().check(&r.history()).validity, Validity::Unknown);
}

#[test]
fn the_oracle_agrees_on_random_histories() {
    let mut kinds_seen = [0usize; 5];
    for seed in 0..5_000 {
        let history = random_history(Seed(seed));
        let verdict = pn_counter().check(&history);
        let count = |name: &str| verdict.results[name].as_u64().unwrap() as usize;
        let of =
            |names: &[&str]| verdict.anomalies.iter().filter(|a| names.contains(&&*a.kind)).count();
        let found = oracle::Expected {
            impossible: count("impossible_value_count"),
            in_session: count("impossible_in_session_count"),
            not_monotonic: count("not_monotonic_count"),
            wrong_finals: of(&["lost_increments", "surplus"]),
            finals_differ: of(&["final_reads_differ"]) > 0,
            validity: verdict.validity,
        };
        let expected = oracle::expected(&history);
        assert_eq!(found, expected, "seed {seed}");
        for (seen, now) in kinds_seen.iter_mut().zip([
            expected.impossible,
            expected.in_session,
            expected.not_monotonic,
            expected.wrong_finals,
            usize::from(expected.finals_differ),
        ]) {
            *seen += now.min(1);
        }
    }
    assert!(
        kinds_seen.iter().all(|n| *n > 100),
        "the histories must show everything: {kinds_seen:?}"
    );
}

fn random_history(seed: Seed) -> History {
    let mut s = seed.stream("pn_counter");
    let nodes = 1 + s.index(3);
    let mut r = Recorder::new((1..=nodes).map(|n| format!("n{n}")));
    let clients = 1 + s.index(4);
    let grows = s.chance(0.5);
    let mut process: Vec<u32> = (0..clients as u32).collect();
    let mut open: Vec<Option<Option<i64>>> = vec![None; clients];
    let mut applied: Vec<i64> = Vec::new();
    // Increments of unknown outcome that have not taken effect: at any later time, or never.
    let mut given_up: Vec<i64> = Vec::new();
    let length = s.index(36);
    for i in 0..length {
        applied.extend(given_up.extract_if(.., |_| s.chance(0.1)));
        if i * 3 > length * 2 {
            r.phase = Phase::Final;
        }
        let c = s.index(clients);
        let p = process[c];
        match open[c].take() {
            None if s.chance(0.4) && i * 3 < length * 2 => {
                let n = s.below(7) as i64;
                let n = if grows || s.chance(0.5) { n } else { -n };
                r.invoke(p, "add", n);
                open[c] = Some(Some(n));
            }
            None => {
                r.invoke(p, "read", Value::Nil);
                open[c] = Some(None);
            }
            Some(None) => {
                let some: i64 = applied.iter().filter(|_| !s.chance(0.15)).sum();
                r.ok(p, some + i64::from(s.chance(0.05)));
            }
            Some(Some(n)) => {
                let roll = s.unit();
                if roll < 0.8 {
                    r.done(p);
                } else if roll < 0.9 {
                    r.fail(p);
                } else {
                    r.info(p);
                    process[c] += (clients * nodes) as u32;
                }
                if roll < 0.8 || s.chance(0.3) {
                    applied.push(n);
                } else if roll >= 0.9 {
                    given_up.push(n);
                }
            }
        }
    }
    r.history()
}
