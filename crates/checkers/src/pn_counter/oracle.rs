//! The oracle of `pn_counter`: all subsets of increments for every read.

use crate::Validity;
use crate::calls::{Call, Outcome, calls};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Phase;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) impossible: usize,
    pub(super) in_session: usize,
    pub(super) not_monotonic: usize,
    pub(super) wrong_finals: usize,
    pub(super) finals_differ: bool,
    pub(super) validity: Validity,
}

fn reachable(must: i64, may: &[i64], value: i64) -> bool {
    (0..1u32 << may.len()).any(|mask| {
        let some: i64 = (0..may.len()).filter(|i| mask >> i & 1 == 1).map(|i| may[i]).sum();
        must + some == value
    })
}

pub(super) fn expected(h: &History) -> Expected {
    let adds: Vec<Call> = calls(h, &["add"]).filter(|c| c.outcome != Outcome::Failed).collect();
    let delta = |c: &Call| h.int(c.invoked).unwrap();
    let mut reads: Vec<Call> = calls(h, &["read"]).filter(|c| c.acknowledged().is_some()).collect();
    reads.sort_by_key(|c| c.completed);
    let mut e = Expected {
        impossible: 0,
        in_session: 0,
        not_monotonic: 0,
        wrong_finals: 0,
        finals_differ: false,
        validity: Validity::Valid,
    };
    let grows = adds.iter().all(|c| delta(c) >= 0);
    let mut good: Vec<(u32, i64)> = Vec::new();
    for read in &reads {
        let at = read.completed.unwrap();
        let value = h.int(at).unwrap();
        let begun: Vec<&Call> = adds.iter().filter(|a| a.invoked < at).collect();
        let all: Vec<i64> = begun.iter().map(|a| delta(a)).collect();
        if !reachable(0, &all, value) {
            e.impossible += 1;
            continue;
        }
        let own = |a: &&&Call| a.process == read.process && a.outcome == Outcome::Acknowledged;
        let must = begun.iter().filter(own).map(|a| delta(a)).sum();
        let may: Vec<i64> = begun.iter().filter(|a| !own(a)).map(|a| delta(a)).collect();
        e.in_session += usize::from(!reachable(must, &may, value));
        let former = good.iter().rev().find(|(p, _)| *p == read.process.0);
        e.not_monotonic += usize::from(grows && former.is_some_and(|(_, before)| value < *before));
        good.push((read.process.0, value));
    }
    let sum = |o: Outcome| adds.iter().filter(move |a| a.outcome == o).map(delta);
    let must: i64 = sum(Outcome::Acknowledged).sum();
    let may: Vec<i64> = sum(Outcome::Open).collect();
    let mut values = Vec::new();
    let mut finals = 0;
    for n in 0..h.nodes().len() as u16 {
        let last = reads
            .iter()
            .filter(|r| h.phase(r.invoked) == Phase::Final && h.node(r.invoked).unwrap().0 == n)
            .max_by_key(|r| r.invoked);
        if let Some(read) = last {
            finals += 1;
            let value = h.int(read.completed.unwrap()).unwrap();
            e.wrong_finals += usize::from(!reachable(must, &may, value));
            values.push(value);
        }
    }
    values.sort_unstable();
    values.dedup();
    let open = !may.is_empty();
    // Somebody gave a final read and somebody did not, or the run ended so and nobody did.
    let late = (0..h.len()).any(|i| h.phase(i) == Phase::Final);
    let doubtful = late && finals < h.nodes().len();
    e.finals_differ = values.len() > 1 && (e.wrong_finals > 0 || !open);
    e.validity =
        if e.impossible + e.in_session + e.not_monotonic + e.wrong_finals > 0 || e.finals_differ {
            Validity::Invalid
        } else if values.len() > 1 || reads.is_empty() || doubtful {
            Validity::Unknown
        } else {
            Validity::Valid
        };
    e
}
