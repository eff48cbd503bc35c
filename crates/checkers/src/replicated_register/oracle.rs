//! The same once more, read by read and write by write: what the property test compares with.

use std::collections::BTreeSet;

use fuzz_dist_history::History;
use fuzz_dist_history::op::{Kind, NodeId, Phase, Value};

/// Kind and value of each finding, with the read where it is one of a final read.
pub(super) fn findings(history: &History) -> BTreeSet<(String, Value, Option<usize>)> {
    let mut found = BTreeSet::new();
    let events = |f: &'static str, kind: Kind| {
        (0..history.len()).filter(move |i| &**history.function(*i) == f && history.kind(*i) == kind)
    };
    let outcome = |i: usize| history.completion(i).map(|done| history.kind(done));
    let write_of = |v: i64| events("write", Kind::Invoke).find(|w| history.int(*w) == Some(v));
    for read in events("read", Kind::Ok) {
        for v in values(history, read) {
            let kind = match write_of(v) {
                None => "unexpected",
                Some(write) if read < write => "early",
                Some(write) if outcome(write) == Some(Kind::Fail) => "resurrected",
                Some(_) => continue,
            };
            found.insert((kind.to_string(), Value::Int(v), None));
        }
    }
    for node in 0..history.nodes().len() as u16 {
        let Some(read) = final_read(history, NodeId(node)) else { continue };
        let values = values(history, read);
        if values.is_empty() && events("write", Kind::Ok).next().is_some() {
            found.insert(("lost".to_string(), Value::Nil, Some(read)));
        }
        for v in values {
            let Some(write) = write_of(v).filter(|w| outcome(*w) == Some(Kind::Ok)) else {
                continue;
            };
            let replaced = events("write", Kind::Invoke).any(|later| {
                history.process(later) == history.process(write)
                    && outcome(later) == Some(Kind::Ok)
                    && Some(later) > history.completion(write)
                    && Some(later) < history.invocation(read)
            });
            if replaced {
                found.insert(("overwritten".to_string(), Value::Int(v), Some(read)));
            }
        }
    }
    found
}

/// The successful final read of a node that was invoked last.
fn final_read(history: &History, node: NodeId) -> Option<usize> {
    (0..history.len())
        .filter(|i| history.node(*i) == Some(node) && history.kind(*i) == Kind::Ok)
        .filter(|i| &**history.function(*i) == "read")
        .filter(|i| history.invocation(*i).is_some_and(|at| history.phase(at) == Phase::Final))
        .max_by_key(|i| history.invocation(*i))
}

fn values(history: &History, read: usize) -> Vec<i64> {
    match history.value(read) {
        Value::Int(n) => vec![n],
        Value::Set(set) => set.as_slice().to_vec(),
        _ => Vec::new(),
    }
}
