//! What each node's reads see of every transaction, followed from change to change.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Txns;
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;

/// Something that must not be, and the event that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Finding {
    pub(super) kind: &'static str,
    pub(super) txn: Option<u32>,
    pub(super) mark: i64,
    pub(super) event: usize,
}

impl Finding {
    pub(super) fn new(kind: &'static str, txn: Option<u32>, mark: i64, event: usize) -> Finding {
        Finding { kind, txn, mark, event }
    }

    /// What it is about: a transaction, or a mark that belongs to none.
    pub(super) fn subject(&self) -> (Option<u32>, i64) {
        (self.txn, if self.txn.is_some() { 0 } else { self.mark })
    }
}

/// The last read of one node, as counts.
#[derive(Default)]
struct Picture {
    /// Its event; the next read may be stored as a difference to it.
    event: Option<usize>,
    copies: HashMap<i64, u32>,
    /// How many marks of each transaction are there, where any is.
    present: HashMap<u32, u32>,
    /// Transactions of which some marks are there and others are not.
    parts: BTreeSet<u32>,
    /// Transactions that nobody must see and that are there.
    void: BTreeSet<u32>,
    /// Marks that are there more than once.
    twice: BTreeSet<i64>,
}

impl Picture {
    fn change(&mut self, txns: &Txns, mark: i64, appears: bool) {
        let copies = self.copies.entry(mark).or_default();
        let before = *copies;
        *copies = if appears { before + 1 } else { before.saturating_sub(1) };
        let after = *copies;
        if after == 0 {
            self.copies.remove(&mark);
        }
        put(&mut self.twice, mark, after > 1);
        let Some(id) = txns.of_mark.get(&mark).copied().filter(|_| (before == 0) != (after == 0))
        else {
            return;
        };
        let present = self.present.entry(id).or_default();
        *present = if appears { *present + 1 } else { present.saturating_sub(1) };
        let present = *present as usize;
        if present == 0 {
            self.present.remove(&id);
        }
        let txn = &txns.all[id as usize];
        put(&mut self.parts, id, present > 0 && present < txn.marks.len());
        put(&mut self.void, id, present > 0 && txn.is_void());
    }
}

fn put<T: Ord>(set: &mut BTreeSet<T>, id: T, is_in: bool) {
    if is_in {
        set.insert(id);
    } else {
        set.remove(&id);
    }
}

/// Walks the reads in the order of their completion.
pub(super) struct View<'a> {
    txns: &'a Txns,
    /// One for each node, and one for reads without a node.
    nodes: Vec<Picture>,
    findings: Findings,
}

/// The first finding of a kind about each subject, and how many reads show any of that kind.
#[derive(Default)]
pub(super) struct Findings {
    known: HashSet<(&'static str, (Option<u32>, i64))>,
    pub(super) first: Vec<Finding>,
    pub(super) reads: BTreeMap<&'static str, (usize, usize)>,
}

impl Findings {
    pub(super) fn add(&mut self, finding: Finding) {
        let (reads, last) = self.reads.entry(finding.kind).or_insert((0, usize::MAX));
        *reads += usize::from(*last != finding.event);
        *last = finding.event;
        if self.known.insert((finding.kind, finding.subject())) {
            self.first.push(finding);
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn new(txns: &'a Txns, nodes: usize) -> View<'a> {
        let nodes = (0..=nodes).map(|_| Picture::default()).collect();
        View { txns, nodes, findings: Findings::default() }
    }

    pub(super) fn into_findings(self) -> Findings {
        self.findings
    }

    /// Takes note of the read that completed at event `i`; `false` where it gave no set.
    pub(super) fn read(&mut self, history: &History, i: usize) -> bool {
        let Some(read) = history.set_read(i) else { return false };
        let last = self.nodes.len() - 1;
        let at = history.node(i).map_or(last, |n| n.index().min(last));
        let picture = &mut self.nodes[at];
        let txns = self.txns;
        if read.base.is_some() && read.base == picture.event {
            read.removed.iter().for_each(|m| picture.change(txns, *m, false));
            read.added.iter().for_each(|m| picture.change(txns, *m, true));
            self.marks(i, &read.added);
        } else {
            *picture = Picture::default();
            let value = history.value(i);
            let Value::Set(whole) = &value else { return false };
            whole.as_slice().iter().for_each(|m| picture.change(txns, *m, true));
            self.marks(i, whole.as_slice());
        }
        self.nodes[at].event = Some(i);
        self.judge(at, i);
        true
    }

    /// Judges marks that appear.
    fn marks(&mut self, i: usize, marks: &[i64]) {
        for mark in marks {
            match self.txns.of_mark.get(mark) {
                None => self.findings.add(Finding::new("unexpected", None, *mark, i)),
                Some(id) if self.txns.all[*id as usize].call.invoked > i => {
                    self.findings.add(Finding::new("early", Some(*id), *mark, i));
                }
                Some(_) => {}
            }
        }
    }

    /// Judges what is there after a read.
    fn judge(&mut self, at: usize, i: usize) {
        let picture = &self.nodes[at];
        for id in &picture.parts {
            let marks = &self.txns.all[*id as usize].marks;
            let lacks = marks.iter().find(|m| !picture.copies.contains_key(m));
            let mark = lacks.copied().unwrap_or_default();
            self.findings.add(Finding::new("fractured", Some(*id), mark, i));
        }
        for mark in &picture.twice {
            let id = self.txns.of_mark.get(mark).copied();
            self.findings.add(Finding::new("duplicate", id, *mark, i));
        }
        for id in &picture.void {
            let marks = &self.txns.all[*id as usize].marks;
            let seen = marks.iter().find(|m| picture.copies.contains_key(m));
            let mark = seen.copied().unwrap_or_default();
            self.findings.add(Finding::new("aborted_read", Some(*id), mark, i));
        }
    }
}
