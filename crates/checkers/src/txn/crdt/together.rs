//! The verification of reads that exclude one another: everything that the
//! transactions concerned can have seen is tried.
//!
//! These are the readers and whoever updates what was read. That others had to be seen, too, only
//! leaves fewer possibilities, so that what is impossible here is impossible.

use std::collections::HashSet;

use super::parse::Micro;
use super::verify::{Verifier, sorted};
use super::{Act, Crdt, evaluate};
use crate::calls::Outcome;
use fuzz_dist_history::op::Value;

/// More transactions are not tried.
const CAST_MAX: usize = 16;
/// So many choices of what one transaction saw.
const CHOICES_MAX: u32 = 1 << 20;

/// Transactions are put one after the other, each with the earlier ones that it saw.
struct Trial<'a> {
    verifier: &'a Verifier<'a>,
    /// The reads, as (transaction, place).
    reads: &'a [(usize, usize)],
    cast: Vec<usize>,
    /// Per transaction of the cast, as bits: whom it must see, and whom it cannot.
    must: Vec<u32>,
    cannot: Vec<u32>,
    /// Does the order of those matter that did not see each other?
    ordered: bool,
    order: Vec<usize>,
    saw: Vec<Option<u32>>,
    tried: HashSet<(Vec<Option<u32>>, Vec<usize>)>,
    left: u32,
}

impl Verifier<'_> {
    /// Can these reads, as (transaction, place), not all have had their values, whatever was seen?
    /// `None` where too much would have to be tried.
    pub(super) fn impossible_together(&self, reads: &[(usize, usize)]) -> Option<bool> {
        let keys: HashSet<u32> = reads.iter().filter_map(|r| Some(self.read(*r)?.0)).collect();
        let concerns = |t: usize| {
            reads.iter().any(|(reader, _)| *reader == t)
                || keys.iter().any(|key| self.updates(t, *key).next().is_some())
        };
        let cast: Vec<usize> = (0..self.parsed.txns.len())
            .filter(|t| self.calls[*t].outcome != Outcome::Failed && concerns(*t))
            .collect();
        if cast.len() > CAST_MAX {
            return None;
        }
        let bits = |which: &dyn Fn(usize) -> bool| -> u32 {
            (0..cast.len()).filter(|i| which(cast[*i])).map(|i| 1 << i).sum()
        };
        let must = |t: &usize| bits(&|o| o != *t && self.past(*t).contains(&o));
        let cannot = |t: &usize| bits(&|o| o == *t || self.calls[*t].end() < self.calls[o].invoked);
        let mut trial = Trial {
            verifier: self,
            reads,
            must: cast.iter().map(must).collect(),
            cannot: cast.iter().map(cannot).collect(),
            ordered: keys.iter().any(|k| self.parsed.kinds[*k as usize] == Crdt::LwwRegister),
            order: Vec::new(),
            saw: vec![None; cast.len()],
            tried: HashSet::new(),
            left: CHOICES_MAX,
            cast,
        };
        trial.explains().map(|explained| !explained)
    }
}

impl Trial<'_> {
    /// Is there a way to put the rest? `None` where the budget is used up.
    fn explains(&mut self) -> Option<bool> {
        if self.order.len() == self.cast.len() {
            return Some(true);
        }
        let order = if self.ordered { self.order.clone() } else { Vec::new() };
        if !self.tried.insert((self.saw.clone(), order)) {
            return Some(false);
        }
        let put: u32 = self.order.iter().map(|i| 1 << i).sum();
        for i in (0..self.cast.len()).filter(|i| put >> i & 1 == 0).collect::<Vec<_>>() {
            let (must, cannot) = (self.must[i], self.cannot[i]);
            if must & !put != 0 || must & cannot != 0 {
                continue;
            }
            self.order.push(i);
            // All subsets of what it may have seen.
            let may = put & !must & !cannot;
            let mut some = may;
            loop {
                self.left = self.left.checked_sub(1)?;
                self.saw[i] = Some(must | some);
                if self.is_closed(must | some) && self.reads_fit(i) && self.explains()? {
                    return Some(true);
                }
                if some == 0 {
                    break;
                }
                some = (some - 1) & may;
            }
            self.saw[i] = None;
            self.order.pop();
        }
        Some(false)
    }

    /// Who sees a transaction sees what that one saw.
    fn is_closed(&self, saw: u32) -> bool {
        let seen = (0..self.cast.len()).filter(|i| saw >> i & 1 == 1);
        seen.filter_map(|i| self.saw[i]).all(|theirs| theirs & !saw == 0)
    }

    fn sees(&self, i: usize, other: usize) -> bool {
        self.saw[i].is_some_and(|saw| saw >> other & 1 == 1)
    }

    /// Has each of its reads the value of what it saw, and of what it had done itself?
    fn reads_fit(&self, reader: usize) -> bool {
        let own = self.reads.iter().filter(|(t, _)| *t == self.cast[reader]);
        own.filter_map(|r| Some((r.1, self.verifier.read(*r)?))).all(|(at, (key, value))| {
            let mut seen: Vec<(usize, usize, &Act)> = Vec::new();
            for i in self.order.iter().filter(|i| **i == reader || self.sees(reader, **i)) {
                let updates = self.verifier.updates(self.cast[*i], key);
                let earlier = updates.filter(|(_, place, _)| *i != reader || *place < at);
                seen.extend(earlier.map(|(_, place, act)| (*i, place, act)));
            }
            let acts: Vec<&Act> = seen.iter().map(|u| u.2).collect();
            let given = evaluate(self.verifier.parsed.kinds[key as usize], &acts, |a, b| {
                let ((a, place, _), (b, earlier, _)) = (seen[a], seen[b]);
                if a == b { earlier < place } else { self.sees(a, b) }
            });
            sorted(&given) == sorted(value)
        })
    }
}

impl<'a> Verifier<'a> {
    /// The key and the value of a read, given as (transaction, place).
    fn read(&self, (t, place): (usize, usize)) -> Option<(u32, &'a Value)> {
        match self.parsed.txns[t].get(place)? {
            Micro::Read { key, value } => Some((*key, value)),
            Micro::Update { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::super::{Crdt, crdt_causal};
    use super::*;
    use crate::Checker;
    use crate::txn::generate::script;

    const PLANTED: [(Crdt, &str); 4] = [
        (Crdt::PnCounter, "0: increment x 5\n1: r x 5\n1: r x 0"),
        (Crdt::EnableWinsFlag, "0: enable x\n1: r x true\n1: r x false"),
        (Crdt::MvRegister, "0: assign x 1\n1: assign x 2\n2: r x [1 2]\n2: r x [1]"),
        (Crdt::AddWinsSet, "0: add x 1\n1: remove x 1\n2: r x [1]\n2: r x []\n2: r x [1]"),
    ];

    #[test]
    fn reads_that_exclude_one_another_are_checked_again() {
        for (kind, text) in PLANTED {
            let verdict = crdt_causal(kind).check(&script(text).unwrap());
            assert_eq!(&*verdict.anomalies[0].kind, "unexplained", "{text}: {verdict:?}");
            assert_eq!(verdict.results["witness_checked"], true, "{text}");
        }
    }

    #[test]
    fn a_forged_witness_is_refused() {
        for (kind, text) in PLANTED {
            let history = script(text).unwrap();
            let parsed = parse(&crdt_causal(kind), &history).unwrap();
            let verifier = Verifier::new(&history, &parsed);
            let is_read = |t: &usize| matches!(parsed.txns[*t][0], Micro::Read { .. });
            let mut reads: Vec<(usize, usize)> =
                (0..parsed.txns.len()).filter(is_read).map(|t| (t, 0)).collect();
            assert_eq!(verifier.impossible_together(&reads), Some(true), "{text}");
            reads.pop();
            assert_eq!(verifier.impossible_together(&reads), Some(false), "{text}");
        }
    }
}
