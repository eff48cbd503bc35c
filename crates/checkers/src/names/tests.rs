//! Names by hand, and against an oracle that tries all moments.

use super::*;
use crate::Validity;
use crate::histories::Recorder;
use fuzz_dist_history::History;
use fuzz_dist_history::op::Phase;
use fuzz_dist_random::Seed;

/// `0a` client 0 finds process a, `0-` nobody; `|` the heal, after which reads are final and of all
/// names. Client n is on node n + 1.
fn history(script: &str) -> History {
    let mut r = Recorder::new(["n1", "n2", "n3"]);
    for word in script.split_whitespace() {
        if word == "|" {
            r.phase = Phase::Final;
            continue;
        }
        let (client, process) = word.split_at(1);
        let client = client.parse().unwrap();
        let process = if process == "-" { Value::Nil } else { process.into() };
        if r.phase == Phase::Final {
            r.invoke(client, "names", Value::Nil);
            r.ok(client, Value::list([Value::list(["shop".into(), process])]));
        } else {
            r.invoke(client, "lookup", "shop");
            r.ok(client, process);
        }
    }
    r.history()
}

#[track_caller]
fn check(script: &str, always: bool, expected: Validity, kinds: &[&str]) {
    let verdict = names().always(always).check(&history(script));
    let found: Vec<&str> = verdict.kinds().into_iter().map(|k| &**k).collect();
    assert_eq!((verdict.validity, &found[..]), (expected, kinds), "{script}: {verdict:#?}");
}

#[test]
fn duplicates_during_a_split_are_distinguished_from_those_that_stay() {
    use Validity::{Invalid, Unknown, Valid};
    check("0a 1a | 0a 1a 2a", true, Valid, &[]);
    check("0a 1b 0a 1b | 0a 1a 2a", false, Valid, &[]);
    check("0a 1b 0a 1b | 0a 1a 2a", true, Invalid, &["duplicate"]);
    check("0a 1b | 0a 1b 2a", false, Invalid, &["duplicate_stays"]);
    // One after the other, as after a restart.
    check("0a 1b 0b 1b | 0b 1b 2b", true, Valid, &[]);
    check("0- 1- | 0- 1- 2-", false, Unknown, &[]);
    check("0a 1a | 0a 1a 2-", false, Invalid, &["unknown_to"]);
    check("0a 1a | 0- 1- 2-", false, Invalid, &["nobody"]);
    // It may have moved between the final reads.
    check("0a 1a | 0a 1b 2b", false, Unknown, &[]);
}

#[test]
fn a_name_that_was_given_up_may_have_nobody() {
    for (outcome, valid) in [('o', true), ('i', true), ('f', false)] {
        let mut r = Recorder::new(["n1"]);
        r.invoke(0, "register", "shop");
        r.done(0);
        r.invoke(0, "lookup", "shop");
        r.ok(0, "a");
        r.invoke(1, "unregister", "shop");
        match outcome {
            'o' => r.done(1),
            'i' => r.info(1),
            _ => r.fail(1),
        };
        r.phase = Phase::Final;
        r.invoke(0, "names", Value::Nil);
        r.ok(0, Value::list::<Value>([]));
        let verdict = names().check(&r.history());
        assert_eq!(verdict.is_valid(), valid, "{outcome}: {verdict:#?}");
    }
}

#[test]
fn a_name_that_was_registered_and_never_found_has_nobody() {
    let mut r = Recorder::new(["n1"]);
    r.invoke(0, "register", "shop");
    r.done(0);
    r.phase = Phase::Final;
    r.invoke(0, "names", Value::Nil);
    r.ok(0, Value::list::<Value>([]));
    assert_eq!(names().check(&r.history()).summary(), "names: invalid (nobody)\n");
}

#[test]
fn reads_that_are_no_pairs_are_unknown() {
    let mut r = Recorder::new(["n1"]);
    r.invoke(0, "names", Value::Nil);
    r.ok(0, Value::list(["shop"]));
    assert_eq!(names().check(&r.history()).validity, Validity::Unknown);
}

/// The oracle places all processes' lives in every possible way, and asks whether some way has at
/// most one process at any moment.
#[test]
fn the_oracle_agrees_on_random_histories() {
    let mut seen = [0; 3];
    for seed in 0..5_000 {
        let mut s = Seed(seed).stream("names");
        let mut r = Recorder::new(["n1", "n2"]);
        let mut open = [false; 3];
        let mut client = [0, 1, 2];
        for _ in 0..s.index(14) {
            let c = s.index(3);
            open[c] = !open[c];
            match s.index(12) {
                _ if open[c] => drop(r.invoke(client[c], "lookup", "shop")),
                0 => drop(r.fail(client[c])),
                1 => {
                    r.info(client[c]);
                    client[c] += 3;
                }
                2 => drop(r.ok(client[c], Value::Nil)),
                _ => drop(r.ok(client[c], ["a", "b", "c"][s.index(3)])),
            }
        }
        let history = r.history();
        let verdict = names().always(true).check(&history);
        let sightings = sightings(&history);
        let expected = match separable(&sightings) {
            false => Validity::Invalid,
            true if sightings.is_empty() => Validity::Unknown,
            true => Validity::Valid,
        };
        assert_eq!(verdict.validity, expected, "seed {seed}: {verdict:#?}");
        // Any two of which one cannot have come after the other may be reported of a process; each that has
        // such another one and was first seen after it is.
        let sizes: BTreeSet<usize> = verdict.anomalies.iter().map(|a| a.events.len()).collect();
        assert!(sizes.iter().all(|n| (2..=4).contains(n)), "seed {seed}: {verdict:#?}");
        let pairs = |a: &Value, b: &Value| {
            let two = [a, b].map(|p| (p.clone(), sightings[p].clone()));
            !separable(&two.into_iter().collect())
        };
        let first = |p: &Value| sightings[p].iter().map(|(_, done)| *done).min();
        let later =
            |p: &&Value| sightings.keys().any(|o| o != *p && first(o) < first(p) && pairs(o, p));
        let count = sightings.keys().filter(later).count();
        assert_eq!(verdict.count("duplicate"), count, "seed {seed}: {verdict:#?}");
        let tolerant = names().check(&history);
        let at_best = if expected == Validity::Unknown { expected } else { Validity::Valid };
        assert_eq!(tolerant.validity, at_best, "seed {seed}: {tolerant:#?}");
        seen[expected as usize] += 1;
    }
    assert!(seen.iter().all(|n| *n > 250), "{seen:?}");
}

/// When each process was seen: the invocations and completions of the reads.
type Sightings = BTreeMap<Value, Vec<(usize, usize)>>;

fn sightings(history: &History) -> Sightings {
    let mut reads = Sightings::new();
    for i in (0..history.len()).filter(|i| history.kind(*i) == fuzz_dist_history::op::Kind::Ok) {
        let invoked = history.invocation(i).unwrap();
        if !history.value(i).is_nil() {
            reads.entry(history.value(i)).or_default().push((invoked, i));
        }
    }
    reads
}

/// Can the processes have had the name one after the other? Tries all orders: a sighting is put at a
/// moment within its read, not before the sightings of the processes that came earlier.
fn separable(reads: &Sightings) -> bool {
    let processes: Vec<&Value> = reads.keys().collect();
    let n = processes.len();
    let orders: Vec<Vec<usize>> = match n {
        0 | 1 => return true,
        2 => vec![vec![0, 1], vec![1, 0]],
        _ => vec![
            vec![0, 1, 2],
            vec![0, 2, 1],
            vec![1, 0, 2],
            vec![1, 2, 0],
            vec![2, 0, 1],
            vec![2, 1, 0],
        ],
    };
    orders.iter().any(|order| {
        let mut now = 0;
        order.iter().all(|p| {
            let reads = &reads[processes[*p]];
            let fits = reads.iter().all(|(_, done)| *done > now);
            now = reads.iter().map(|(invoked, _)| *invoked).max().unwrap().max(now);
            fits
        })
    })
}
