//! Between which reads of a node what an anomaly misses had vanished there.

use super::{Anomaly, Verdict};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Kind, Value};
use fuzz_dist_history::time::Time;

/// What the reads of an anomaly's node say so far.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// The invocation of the last read, by invocation, that had it.
    last: Option<usize>,
    /// When the first read completed that lacked it and was invoked later.
    gone: Option<Time>,
}

/// Sets the interval of these kinds of anomalies, where a read of its node, before what proves it, had
/// what it misses: from the invocation of the last such read to the completion of the first later one
/// without it. `has` says whether the value of a read has what the anomaly misses. One pass over the reads.
pub(super) fn narrow(
    history: &History,
    verdict: &mut Verdict,
    read: &str,
    kinds: &[&str],
    has: impl Fn(&Anomaly, &Value) -> bool,
) {
    let concerned = |a: &&mut Anomaly| kinds.contains(&&*a.kind) && a.node.is_some();
    let mut anomalies: Vec<&mut Anomaly> = verdict.anomalies.iter_mut().filter(concerned).collect();
    let mut seen = vec![Seen::default(); anomalies.len()];
    let until = anomalies.iter().filter_map(|a| a.events.last()).max().copied().unwrap_or(0);
    let read = history.find_function(read);
    for i in 0..history.len().min(until + 1) {
        let is_read = Some(history.function_index(i)) == read
            && history.kind(i) == Kind::Ok
            && history.process(i).is_client()
            && anomalies.iter().any(|a| a.node == history.node(i));
        if !is_read {
            continue;
        }
        let (value, invoked) = (history.value(i), history.invocation(i).unwrap_or(i));
        for (anomaly, seen) in anomalies.iter().zip(&mut seen) {
            if anomaly.node != history.node(i) || anomaly.events.last().is_none_or(|e| *e < i) {
                continue;
            }
            if has(anomaly, &value) {
                if seen.last.is_none_or(|last| invoked > last) {
                    *seen = Seen { last: Some(invoked), gone: None };
                }
            } else if seen.gone.is_none() && seen.last.is_some_and(|last| invoked > last) {
                seen.gone = Some(history.time(i));
            }
        }
    }
    for (anomaly, seen) in anomalies.iter_mut().zip(seen) {
        anomaly.within = seen.last.zip(seen.gone).map(|(last, gone)| (history.time(last), gone));
    }
}

/// Does the value of a read have this element, or all of these?
pub(super) fn has(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Set(set), Value::Set(all)) => {
            all.as_slice().iter().all(|n| set.as_slice().binary_search(n).is_ok())
        }
        (Value::Set(set), Value::Int(n)) => set.as_slice().binary_search(n).is_ok(),
        (Value::List(items), wanted) => items.contains(wanted),
        (value, wanted) => value == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::super::histories::Recorder;
    use super::super::{
        AnyChecker, Checker, any_checker, atomic, or_set, replicated_register, set,
    };
    use fuzz_dist_history::op::{Phase, Value};

    /// One update that is read, and is gone in later reads of the node: the interval is that between
    /// the last read with it and the first one without it, whatever a former absence or another node says.
    #[test]
    fn what_vanished_is_narrowed_down_by_the_reads_of_its_node() {
        let one = || Value::set([1]);
        let cases: [(AnyChecker, &str, Value, Value, &str); 4] = [
            (any_checker(set()), "add", Value::Int(1), Value::set([]), "lost"),
            (any_checker(or_set()), "add", Value::Int(1), Value::set([]), "missing"),
            (any_checker(atomic()), "write", one(), Value::set([]), "lost"),
            (any_checker(replicated_register()), "write", Value::Int(1), Value::Nil, "lost"),
        ];
        for (checker, update, value, without, kind) in cases {
            for (shown, expected) in [(true, true), (false, false)] {
                let mut r = Recorder::new(["n1", "n2"]);
                let mut reads: Vec<(usize, usize)> = Vec::new();
                let mut read = |r: &mut Recorder, client: u32, value: &Value| {
                    let begin = r.invoke(client, "read", Value::Nil);
                    reads.push((begin, r.ok(client, value.clone())));
                };
                read(&mut r, 0, &without);
                r.invoke(0, update, value.clone());
                r.done(0);
                let had = if shown { one() } else { without.clone() };
                read(&mut r, 0, &had);
                read(&mut r, 0, &had);
                read(&mut r, 1, &one());
                read(&mut r, 0, &without);
                read(&mut r, 0, &without);
                r.phase = Phase::Final;
                read(&mut r, 0, &without);
                read(&mut r, 1, &one());
                let history = r.history();
                let verdict = checker.check(&history);
                let found = verdict.anomalies.iter().find(|a| &*a.kind == kind);
                let found = found.unwrap_or_else(|| panic!("{kind}: {verdict:?}"));
                let between = (history.time(reads[2].0), history.time(reads[4].1));
                let between = expected.then_some(between);
                assert_eq!(found.within, between, "{}: {verdict:?}", verdict.checker);
            }
        }
    }

    /// A node that went back to a value that it had replaced.
    #[test]
    fn a_register_that_went_back_says_when() {
        let mut r = Recorder::new(["n1"]);
        for value in [1, 2] {
            r.invoke(0, "write", value);
            r.done(0);
        }
        let mut events = Vec::new();
        for value in [1, 2, 1] {
            events.push(r.invoke(0, "read", Value::Nil));
            events.push(r.ok(0, value));
        }
        r.phase = Phase::Final;
        r.invoke(0, "read", Value::Nil);
        r.ok(0, 1);
        let history = r.history();
        let verdict = replicated_register().check(&history);
        assert_eq!(&*verdict.anomalies[0].kind, "overwritten");
        let between = (history.time(events[2]), history.time(events[5]));
        assert_eq!(verdict.anomalies[0].within, Some(between));
    }
}
