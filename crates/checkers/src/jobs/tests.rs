//! Jobs by hand, and against an oracle that counts by definition.

use std::collections::BTreeSet;

use super::*;
use crate::Validity;
use crate::histories::Recorder;
use fuzz_dist_history::op::Phase;
use fuzz_dist_random::Seed;

/// `7o`, `7i`, `7f` submits job 7 with that outcome; then the final reads of the nodes, `1,1,2`.
fn history(submits: &str, finals: &[&str]) -> History {
    let mut r = Recorder::new((1..=finals.len().max(1)).map(|n| format!("n{n}")));
    for (client, word) in submits.split_whitespace().enumerate() {
        let (job, outcome) = word.split_at(word.len() - 1);
        let client = client as u32;
        r.invoke(client, "submit", job.parse::<i64>().unwrap());
        match outcome {
            "o" => r.done(client),
            "f" => r.fail(client),
            _ => r.info(client),
        };
    }
    r.phase = Phase::Final;
    for (node, read) in finals.iter().enumerate() {
        let client = 1000 * finals.len() as u32 + node as u32;
        let items = read.split(',').filter(|word| !word.is_empty()).map(|word| {
            let parts: Vec<Value> =
                word.split('#').map(|n| Value::Int(n.parse().unwrap())).collect();
            if parts.len() == 1 { parts[0].clone() } else { Value::list(parts) }
        });
        r.invoke(client, "executed", Value::Nil);
        r.ok(client, Value::list(items.collect::<Vec<_>>()));
    }
    r.history()
}

#[track_caller]
fn check(submits: &str, finals: &[&str], expected: Validity, kinds: &[&str]) {
    let verdict = jobs().check(&history(submits, finals));
    let found: Vec<&str> = verdict.kinds().into_iter().map(|k| &**k).collect();
    assert_eq!((verdict.validity, &found[..]), (expected, kinds), "{submits}: {verdict:#?}");
}

#[test]
fn executions_are_counted_over_all_nodes() {
    use Validity::{Invalid, Unknown, Valid};
    check("1o 2o", &["1", "2"], Valid, &[]);
    check("1o 2o", &["1", ""], Invalid, &["lost"]);
    check("1o", &["1", "1"], Invalid, &["duplicate"]);
    check("1o", &["1,1", ""], Invalid, &["duplicate"]);
    check("1i 2o", &["2", ""], Valid, &[]);
    check("1i", &["1", "1"], Invalid, &["duplicate"]);
    check("1f 2o", &["1,2"], Invalid, &["resurrected"]);
    check("2o", &["1,2"], Invalid, &["unexpected"]);
    // Submitted twice, executed twice; and once only.
    check("1o 1o", &["1", "1"], Valid, &[]);
    check("1o 1o", &["1", ""], Invalid, &["lost"]);
    check("1f 1o", &["1", ""], Valid, &[]);
    // Executions with names are the same ones wherever they are read.
    check("1o", &["1#5", "1#5"], Valid, &[]);
    check("1o", &["1#5", "1#6"], Invalid, &["duplicate"]);
    check("", &["", ""], Unknown, &[]);
}

#[test]
fn nothing_is_lost_before_the_final_reads_and_duplicates_may_be_allowed() {
    let mut r = Recorder::new(["n1"]);
    for (job, shown) in [(1, vec![]), (2, vec![Value::Int(2), Value::Int(2)])] {
        r.invoke(0, "submit", job);
        r.done(0);
        r.invoke(0, "executed", Value::Nil);
        r.ok(0, Value::list(shown));
    }
    let history = r.history();
    let verdict = jobs().check(&history);
    assert_eq!(verdict.summary(), "jobs: invalid (duplicate)\n");
    assert!(jobs().at_least_once(true).check(&history).is_valid());
}

/// A node may forget, or be read before it has done all: it executed what any read of it shows.
#[test]
fn the_read_that_shows_most_of_a_node_counts() {
    for shown in [[1, 2], [2, 1], [2, 2], [1, 1]] {
        let mut r = Recorder::new(["n1"]);
        r.invoke(0, "submit", 7);
        r.done(0);
        for times in shown {
            r.invoke(0, "executed", Value::Nil);
            r.ok(0, Value::list(vec![Value::Int(7); times]));
        }
        let verdict = jobs().check(&r.history());
        let most = shown.into_iter().max();
        assert_eq!(verdict.results["execution_count"].as_u64(), most.map(|n| n as u64));
        assert_eq!(verdict.is_invalid(), most == Some(2), "{shown:?}: {verdict:#?}");
    }
}

#[test]
fn nothing_is_lost_where_no_node_gave_a_final_read() {
    let mut r = Recorder::new(["n1"]);
    r.invoke(0, "submit", 7);
    r.done(0);
    r.invoke(0, "executed", Value::Nil);
    r.ok(0, Value::list::<Value>([]));
    r.phase = Phase::Final;
    r.invoke(0, "executed", Value::Nil);
    r.fail(0);
    let verdict = jobs().check(&r.history());
    assert_eq!(verdict.validity, Validity::Unknown);
    assert_eq!(verdict.reasons, ["no job was executed", "no node gave a final read"]);
}

#[test]
fn a_job_that_is_executed_before_it_is_submitted_is_early() {
    let mut r = Recorder::new(["n1"]);
    r.invoke(0, "executed", Value::Nil);
    r.ok(0, Value::list([Value::Int(1)]));
    r.invoke(0, "submit", 1);
    r.done(0);
    assert_eq!(jobs().check(&r.history()).summary(), "jobs: invalid (early)\n");
}

/// The oracle tries all ways in which submits of unknown outcome happened or not, and all numbers of
/// executions that each way allows.
#[test]
fn the_oracle_agrees_on_random_histories() {
    let mut seen = [[0; 3]; 2];
    for seed in 0..5_000 {
        let mut s = Seed(seed).stream("jobs");
        let submits: Vec<(usize, char)> =
            (0..s.index(6)).map(|_| (s.index(4), ['o', 'o', 'i', 'f'][s.index(4)])).collect();
        let mut finals: [Vec<usize>; 2] = Default::default();
        for (job, outcome) in &submits {
            let run = if *outcome == 'f' { s.chance(0.03) } else { s.chance(0.9) };
            finals[s.index(2)].extend(run.then_some(*job));
        }
        if s.chance(0.1) {
            finals[s.index(2)].push(s.index(4));
        }
        let words: Vec<String> = submits.iter().map(|(job, o)| format!("{job}{o}")).collect();
        let reads = finals
            .clone()
            .map(|jobs| jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
        let history = history(&words.join(" "), &[&reads[0], &reads[1]]);
        for at_least_once in [false, true] {
            let verdict = jobs().at_least_once(at_least_once).check(&history);
            let unknown = submits.iter().filter(|(_, o)| *o == 'i').count();
            let possible = (0..1u32 << unknown).any(|happened| {
                let mut bit = 0;
                let mut times = [0usize; 4];
                for (job, outcome) in &submits {
                    let is = match outcome {
                        'o' => true,
                        'i' => {
                            bit += 1;
                            happened >> (bit - 1) & 1 == 1
                        }
                        _ => false,
                    };
                    times[*job] += usize::from(is);
                }
                (0..4).all(|job| {
                    let executed = finals.iter().flatten().filter(|j| **j == job).count();
                    match at_least_once {
                        false => executed == times[job],
                        true => executed >= times[job] && (times[job] > 0 || executed == 0),
                    }
                })
            });
            let expected = match possible {
                false => Validity::Invalid,
                true if finals.iter().all(Vec::is_empty) => Validity::Unknown,
                true => Validity::Valid,
            };
            assert_eq!(
                verdict.validity, expected,
                "seed {seed} {words:?} {finals:?}: {verdict:#?}"
            );
            assert!(
                !verdict.reasons.concat().contains("internal error"),
                "seed {seed}: {verdict:#?}"
            );
            let of = |job: usize, outcomes: &str| {
                submits.iter().filter(|s| s.0 == job && outcomes.contains(s.1)).count()
            };
            let named: BTreeSet<(&str, usize)> = (0..4)
                .filter_map(|job| {
                    let executed = finals.iter().flatten().filter(|j| **j == job).count();
                    let kind = match (of(job, "oif"), of(job, "oi")) {
                        _ if executed < of(job, "o") => "lost",
                        _ if executed == 0 => return None,
                        (0, _) => "unexpected",
                        (_, 0) => "resurrected",
                        (_, possible) if executed > possible && !at_least_once => "duplicate",
                        _ => return None,
                    };
                    Some((kind, job))
                })
                .collect();
            for (name, n) in [
                ("submit_count", submits.len()),
                ("acknowledged_count", submits.iter().filter(|s| s.1 == 'o').count()),
                ("execution_count", finals.iter().map(Vec::len).sum()),
            ] {
                assert_eq!(verdict.results[name], n, "seed {seed} {name} {words:?} {finals:?}");
            }
            let job = |a: &Anomaly| a.subject.as_int().unwrap() as usize;
            let found = verdict.anomalies.iter().map(|a| (&*a.kind, job(a))).collect();
            assert_eq!(named, found, "seed {seed} {words:?} {finals:?}: {verdict:#?}");
            seen[usize::from(at_least_once)][expected as usize] += 1;
        }
    }
    assert!(seen.iter().flatten().all(|n| *n > 50), "{seen:?}");
}
