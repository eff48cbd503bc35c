//! What is known of the moments of transactions before any of them is placed.

use super::{First, Form};
use crate::txn::core::decide::Open;
use crate::txn::core::graph::{Edges, Graph, Rel};
use crate::txn::core::rows::Rows;
use crate::txn::core::txns::{NONE, Status, Transactions};

/// How a transaction touches an open key: the versions that it found and wrote, or [`NONE`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    pub(super) key: u32,
    pub(super) found: u32,
    pub(super) wrote: u32,
}

/// The moments to put in an order: one for each transaction, or two where each reads first (the even
/// number) and writes later (the odd one).
pub(super) struct Moments {
    snapshots: bool,
    pub(super) next: Graph,
    pub(super) former: Graph,
    /// Per transaction.
    touches: Rows<Touch>,
    /// Per version, the moments that have to come before it is overwritten.
    pub(super) readers: Rows<u32>,
    /// Per key, the version that it has at first, and the moments that write it, by their latest time.
    pub(super) initial: Vec<u32>,
    pub(super) writers: Rows<u32>,
    /// Between which events each moment lies; the same for all where time does not matter.
    pub(super) earliest: Vec<u32>,
    pub(super) latest: Vec<u32>,
    /// By what moments that could come next are sorted, whether time matters or not.
    pub(super) hint: Vec<u32>,
}

impl Moments {
    /// `None` where the edges alone exclude an order.
    pub(super) fn new(
        txns: &Transactions,
        known: &Edges,
        open: &[Open],
        form: Form,
    ) -> Option<Moments> {
        let n = txns.len() << u32::from(form.snapshots);
        if n > Edges::NODES_MAX {
            return None;
        }
        let next = links(txns, known, form);
        let former = reversed(&next);
        let mut moments = Moments {
            snapshots: form.snapshots,
            next,
            former,
            touches: Rows::new(),
            readers: Rows::new(),
            initial: Vec::new(),
            writers: Rows::new(),
            earliest: vec![0; n],
            latest: vec![NONE; n],
            hint: Vec::new(),
        };
        let mut touches: Vec<(u32, Touch)> = Vec::with_capacity(2 * txns.len());
        let mut last = vec![NONE; txns.len()];
        open.iter().for_each(|open| moments.add(open, &mut touches, &mut last));
        moments.touches = Rows::sorted(txns.len(), &touches);
        moments.narrow(txns)?;
        let end = txns.events as u32;
        let windows = moments.earliest.iter().zip(&moments.latest);
        let hint = |(earliest, latest): (&u32, &u32)| match form.first {
            First::Middle => earliest / 2 + (*latest).min(end) / 2,
            First::Latest => *latest,
            First::Earliest => *earliest,
        };
        moments.hint = windows.map(hint).collect();
        if !form.realtime {
            moments.earliest.fill(0);
            moments.latest.fill(NONE);
        }
        for key in 0..moments.initial.len() as u32 {
            let latest = &moments.latest;
            moments.writers.of_mut(key).sort_unstable_by_key(|m| (latest[*m as usize], *m));
        }
        Some(moments)
    }

    /// The versions of one more key, and who touches them. `last` has the last touch of each transaction.
    fn add(&mut self, open: &Open, touches: &mut Vec<(u32, Touch)>, last: &mut [u32]) {
        let key = self.initial.len() as u32;
        let initial = self.readers.len() as u32;
        let shift = u32::from(self.snapshots);
        let commit = |txn: u32| txn << shift | shift;
        self.initial.push(initial);
        self.writers.push(open.writers.iter().map(|w| commit(*w)));
        let of_key = touches.len();
        for (version, writer) in (initial + 1..).zip(&open.writers) {
            last[*writer as usize] = touches.len() as u32;
            touches.push((*writer, Touch { key, found: NONE, wrote: version }));
        }
        for (version, readers) in (initial..).zip([&open.early].into_iter().chain(&open.readers)) {
            let mut overwrite = Vec::new();
            for reader in readers {
                match last[*reader as usize] {
                    at if at != NONE && at as usize >= of_key => {
                        touches[at as usize].1.found = version;
                        if self.snapshots {
                            overwrite.push(commit(*reader));
                        }
                    }
                    _ => {
                        last[*reader as usize] = touches.len() as u32;
                        touches.push((*reader, Touch { key, found: version, wrote: NONE }));
                    }
                }
            }
            self.readers.push(readers.iter().map(|r| r << shift).chain(overwrite));
        }
    }

    /// Narrows the window of each moment by those of its neighbours; `None` where the edges are cyclic.
    fn narrow(&mut self, txns: &Transactions) -> Option<()> {
        for m in 0..self.len() as u32 {
            let t = self.txn(m);
            self.earliest[m as usize] = txns.invoke[t as usize];
            if txns.is_ok(t) {
                self.latest[m as usize] = txns.complete[t as usize];
            }
        }
        let mut missing = self.next.in_degrees();
        let mut sorted: Vec<u32> =
            (0..self.len() as u32).filter(|m| missing[*m as usize] == 0).collect();
        let mut at = 0;
        while at < sorted.len() {
            let m = sorted[at];
            for (_, to) in self.next.successors(m) {
                let to = to as usize;
                self.earliest[to] = self.earliest[to].max(self.earliest[m as usize]);
                missing[to] -= 1;
                if missing[to] == 0 {
                    sorted.push(to as u32);
                }
            }
            at += 1;
        }
        for m in sorted.iter().rev() {
            for (_, to) in self.next.successors(*m) {
                let end = self.latest[to as usize];
                let m = *m as usize;
                self.latest[m] = self.latest[m].min(end);
            }
        }
        (sorted.len() == self.len()).then_some(())
    }

    pub(super) fn len(&self) -> usize {
        self.next.nodes()
    }

    pub(super) fn txn(&self, moment: u32) -> u32 {
        moment >> u32::from(self.snapshots)
    }

    /// Is it the second of two moments of its transaction?
    pub(super) fn is_commit(&self, moment: u32) -> bool {
        self.snapshots && moment & 1 == 1
    }

    /// Is it the first of two moments of its transaction?
    pub(super) fn is_begin(&self, moment: u32) -> bool {
        self.snapshots && moment & 1 == 0
    }

    /// What its transaction touches.
    pub(super) fn all_touches(&self, moment: u32) -> &[Touch] {
        self.touches.of(self.txn(moment))
    }

    /// What it touches itself. A commit reads once more what it overwrites.
    pub(super) fn touches(&self, moment: u32) -> impl Iterator<Item = Touch> + '_ {
        let (begin, commit) = (self.is_begin(moment), self.is_commit(moment));
        self.all_touches(moment).iter().filter_map(move |t| match (begin, commit) {
            (true, _) => (t.found != NONE).then_some(Touch { wrote: NONE, ..*t }),
            (_, true) => (t.wrote != NONE).then_some(*t),
            _ => Some(*t),
        })
    }

    pub(super) fn writes(&self, moment: u32) -> impl Iterator<Item = Touch> + '_ {
        self.touches(moment).filter(|t| t.wrote != NONE)
    }
}

/// The edges between moments. Where transactions read from snapshots, an anti-dependency says only that
/// one had begun before the other committed; any other edge, that it had committed before the other began.
fn links(txns: &Transactions, known: &Edges, form: Form) -> Graph {
    if !form.snapshots {
        return Graph::new(txns.len(), known.clone());
    }
    let mut edges = Edges::with_capacity(known.len() + txns.len());
    for (rel, from, to) in known.iter() {
        match rel {
            Rel::Rw => edges.push(Rel::Rw, 2 * from, 2 * to + 1),
            _ => edges.push(Rel::Ww, 2 * from + 1, 2 * to),
        }
    }
    for t in (0..txns.len() as u32).filter(|t| txns.status[*t as usize] != Status::Fail) {
        edges.push(Rel::Ww, 2 * t, 2 * t + 1);
    }
    Graph::new(2 * txns.len(), edges)
}

fn reversed(graph: &Graph) -> Graph {
    let mut edges = Edges::with_capacity(graph.edges());
    for from in 0..graph.nodes() as u32 {
        graph.successors(from).for_each(|(rel, to)| edges.push(rel, to, from));
    }
    Graph::new(graph.nodes(), edges)
}
