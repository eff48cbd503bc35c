//! The oracle of `or_set`: every read against every add and remove.

use std::collections::BTreeMap;

use crate::calls::{Call, Outcome, calls};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Phase, Value};

struct Read {
    call: Call,
    node: u16,
    items: Vec<i64>,
}

/// The number of findings of each kind about each element.
pub(super) fn expected(
    h: &History,
    sequential_nodes: bool,
) -> BTreeMap<(&'static str, i64), usize> {
    let reads: Vec<Read> = calls(h, &["read"])
        .filter_map(|call| {
            let i = call.acknowledged()?;
            let Value::Set(set) = h.value(i) else { return None };
            Some(Read { call, node: h.node(i)?.0, items: set.as_slice().to_vec() })
        })
        .collect();
    let finals: Vec<&Read> = (0..h.nodes().len() as u16)
        .filter_map(|n| {
            let last = |r: &&Read| r.node == n && h.phase(r.call.invoked) == Phase::Final;
            reads.iter().filter(last).max_by_key(|r| r.call.invoked)
        })
        .collect();
    let mut found: BTreeMap<(&str, i64), usize> = BTreeMap::new();
    for v in 0..9 {
        let of =
            |f: &str| calls(h, &[f]).filter(|c| h.int(c.invoked) == Some(v)).collect::<Vec<Call>>();
        let may = |c: &&Call| c.outcome != Outcome::Failed;
        let (adds, removes) = (of("add"), of("remove"));
        let live: Vec<&Call> = adds.iter().filter(may).collect();
        let removes: Vec<&Call> = removes.iter().filter(may).collect();
        let mut add = |kind, n| *found.entry((kind, v)).or_default() += n;
        let count = |r: &Read| r.items.iter().filter(|x| **x == v).count();
        add("duplicate", usize::from(reads.iter().any(|r| count(r) > 1)));
        let completed = |r: &Read| r.call.completed.unwrap();
        let first = reads.iter().filter(|r| count(r) > 0).min_by_key(|r| completed(r));
        if let Some(first) = first {
            let begun = |c: &&&Call| c.invoked < completed(first);
            if !live.iter().any(|c| begun(&c)) {
                if adds.iter().any(|c| c.invoked < completed(first)) {
                    add("resurrected", 1);
                } else {
                    add(if adds.is_empty() { "unexpected" } else { "early" }, 1);
                }
            }
        }
        let session = |a: &Call, b: &Call| {
            a.process == b.process || (sequential_nodes && h.node(a.invoked) == h.node(b.invoked))
        };
        let precedes = |a: &Call, r: &Call| {
            let own = a.acknowledged().is_some_and(|d| d < r.invoked) && session(a, r);
            own || reads.iter().any(|read| {
                let at = completed(read);
                let alone = live.iter().all(|b| b.invoked == a.invoked || b.invoked > at);
                count(read) > 0
                    && read.call.process == r.process
                    && at < r.invoked
                    && a.invoked < at
                    && alone
            })
        };
        let may_see = |r: &Call, a: &Call| a.invoked < r.end();
        let must = live
            .iter()
            .any(|a| a.acknowledged().is_some() && !removes.iter().any(|r| may_see(r, a)));
        let gone = live
            .iter()
            .all(|a| removes.iter().any(|r| r.acknowledged().is_some() && precedes(a, r)));
        let present = finals.iter().filter(|r| count(r) > 0).count();
        let absent = finals.len() - present;
        if live.is_empty() || finals.is_empty() {
        } else if must && present == 0 {
            add("lost", 1);
        } else if must {
            add("missing", absent);
        } else if gone && present > 0 {
            add("not_removed", present);
        } else if present > 0 && absent > 0 {
            let open = live.iter().chain(&removes).any(|c| c.outcome == Outcome::Open);
            add(if open { "unsure" } else { "differs" }, 1);
        }
        for node in 0..h.nodes().len() as u16 {
            let own = |c: &Call, r: &Read| {
                r.node == node
                    && r.call.process == c.process
                    && c.acknowledged().is_some_and(|d| d < r.call.invoked)
            };
            for a in &live {
                let bad = reads.iter().any(|r| {
                    let hidden = removes.iter().any(|x| may_see(x, a) && x.invoked < completed(r));
                    own(a, r) && count(r) == 0 && !hidden
                });
                add("own_add_unread", usize::from(bad));
            }
            for x in &removes {
                let bad = reads.iter().any(|r| {
                    let shown = live.iter().any(|a| {
                        let before = a.acknowledged().is_some_and(|d| d < x.invoked);
                        !(before && a.process == x.process) && a.invoked < completed(r)
                    });
                    own(x, r) && count(r) > 0 && !shown
                });
                add("own_remove_unread", usize::from(bad));
            }
        }
    }
    found
}
