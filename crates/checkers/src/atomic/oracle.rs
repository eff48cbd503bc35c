//! `atomic` once more, slowly and without differences: what its property test compares with.

use std::collections::BTreeSet;

use crate::finals::Finals;
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Kind, Value};

/// Kind and, for transactions, the event of the invocation; for others the mark.
pub(super) fn findings(history: &History) -> BTreeSet<(&'static str, i64)> {
    let mut found = BTreeSet::new();
    let finals = Finals::of(history, "read");
    let sets = |i: usize| match history.value(i) {
        Value::Set(set) => set.as_slice().to_vec(),
        _ => Vec::new(),
    };
    let writes: Vec<usize> = (0..history.len())
        .filter(|i| history.kind(*i) == Kind::Invoke && &**history.function(*i) != "read")
        .collect();
    for i in 0..history.len() {
        if &**history.function(i) != "read" || history.kind(i) != Kind::Ok {
            continue;
        }
        let seen = sets(i);
        for mark in &seen {
            match writes.iter().find(|w| sets(**w).contains(mark)) {
                None => _ = found.insert(("unexpected", *mark)),
                Some(w) if *w > i => _ = found.insert(("early", *w as i64)),
                Some(_) => {}
            }
            if seen.iter().filter(|m| *m == mark).count() > 1 {
                let of = writes.iter().find(|w| sets(**w).contains(mark));
                found.insert(("duplicate", of.map_or(*mark, |w| *w as i64)));
            }
        }
        for w in &writes {
            let marks = sets(*w);
            let there = marks.iter().filter(|m| seen.contains(m)).count();
            let outcome = history.completion(*w).map(|c| history.kind(c));
            let void = &**history.function(*w) == "abort" || outcome == Some(Kind::Fail);
            if there > 0 && there < marks.len() {
                found.insert(("fractured", *w as i64));
            }
            if there > 0 && void {
                found.insert(("aborted_read", *w as i64));
            }
            let due = outcome == Some(Kind::Ok)
                && history.completion(*w) < history.invocation(i)
                && finals.reads.iter().any(|(_, last)| *last == i);
            if due && !void && there < marks.len() {
                found.insert(("lost", *w as i64));
            }
        }
    }
    for w in writes {
        let Some(done) = history.completion(w).filter(|c| history.kind(*c) == Kind::Ok) else {
            continue;
        };
        if sets(w).iter().any(|m| !sets(done).contains(m)) {
            found.insert(("own_write_unread", w as i64));
        }
    }
    found
}
