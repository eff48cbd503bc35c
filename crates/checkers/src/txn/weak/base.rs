//! What the axioms speak of: sessions, who reads from whom, and who writes which key.

use crate::Anomaly;
use crate::txn::core::txns::{NONE, Op};
use crate::txn::core::{Status, Transactions};
use fuzz_dist_history::op::Value;

/// The transaction that wrote every key's initial value, before every session.
pub(crate) const INIT: u32 = NONE;

/// Reads of such a version are not plain: something may be wrong with them.
const LOOK: u32 = NONE - 1;

/// A read of what another transaction wrote.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    pub(crate) key: u32,
    /// The node that wrote it, or [`INIT`].
    pub(crate) from: u32,
}

/// Transactions that may have committed, renumbered so that each session is a range of nodes.
pub(crate) struct Base<'a> {
    pub(crate) txns: &'a Transactions,
    /// Per node: its transaction.
    pub(crate) txn: Vec<u32>,
    /// Per transaction: its node, [`NONE`] for failed ones.
    pub(crate) node: Vec<u32>,
    /// Per node: its session.
    pub(crate) session: Vec<u32>,
    /// Per session, and one more: its first node.
    pub(crate) first: Vec<u32>,
    /// Per node, and one more: where its reads begin; in the order of the program.
    pub(crate) read_start: Vec<u32>,
    pub(crate) reads: Vec<Read>,
    /// Per node, and one more: where the keys that it writes begin; each once, ascending.
    pub(crate) write_start: Vec<u32>,
    pub(crate) writes: Vec<u32>,
}

impl<'a> Base<'a> {
    /// `found` gets each read that no model allows.
    pub(crate) fn new(txns: &'a Transactions, found: &mut impl FnMut(BadRead)) -> Base<'a> {
        let mut base = Base {
            txns,
            txn: Vec::with_capacity(txns.len()),
            node: vec![NONE; txns.len()],
            session: Vec::with_capacity(txns.len()),
            first: vec![0],
            read_start: vec![0],
            reads: Vec::new(),
            write_start: vec![0],
            writes: Vec::new(),
        };
        base.number();
        base.operations(found);
        base
    }

    /// A session ends with a transaction of unknown outcome: whether what the process does next
    /// comes after it, nobody knows.
    fn number(&mut self) {
        let (start, order) = self.txns.by_session();
        for process in start.windows(2) {
            for t in &order[process[0] as usize..process[1] as usize] {
                let status = self.txns.status[*t as usize];
                if status == Status::Fail {
                    continue;
                }
                self.node[*t as usize] = self.txn.len() as u32;
                self.txn.push(*t);
                self.session.push(self.first.len() as u32 - 1);
                if status == Status::Info {
                    self.end_session();
                }
            }
            self.end_session();
        }
    }

    fn end_session(&mut self) {
        let nodes = self.txn.len() as u32;
        if self.first.last().is_some_and(|f| *f < nodes) {
            self.first.push(nodes);
        }
    }

    /// The reads and writes of all nodes. Transactions are looked at in the order in which they
    /// were invoked: what they read was mostly written not long before, so it is in the cache.
    fn operations(&mut self, found: &mut impl FnMut(BadRead)) {
        let sources = self.sources();
        let (mut reads, mut writes) = (Vec::with_capacity(self.txns.ops.len()), Vec::new());
        // Per transaction, and one more: where its reads and its writes begin in these.
        let mut starts = Vec::with_capacity(self.txns.len() + 1);
        for t in 0..self.txns.len() as u32 {
            starts.push((reads.len(), writes.len()));
            if self.node[t as usize] != NONE {
                self.transaction(t, &sources, &mut reads, &mut writes, found);
            }
        }
        starts.push((reads.len(), writes.len()));
        self.reads.reserve_exact(reads.len());
        self.writes.reserve_exact(writes.len());
        for t in &self.txn {
            let (from, to) = (starts[*t as usize], starts[*t as usize + 1]);
            self.reads.extend_from_slice(&reads[from.0..to.0]);
            self.writes.extend_from_slice(&writes[from.1..to.1]);
            self.read_start.push(self.reads.len() as u32);
            self.write_start.push(self.writes.len() as u32);
        }
    }

    /// Per version: the node that wrote it, or [`LOOK`].
    fn sources(&self) -> Vec<u32> {
        let txns = self.txns;
        let source = |(writer, last): (&u32, &bool)| match *writer {
            NONE => LOOK,
            w if !*last || !txns.is_possible(w) => LOOK,
            w => self.node[w as usize],
        };
        txns.writer.iter().zip(&txns.last_write).map(source).collect()
    }

    fn transaction(
        &self,
        t: u32,
        sources: &[u32],
        reads: &mut Vec<Read>,
        writes: &mut Vec<u32>,
        found: &mut impl FnMut(BadRead),
    ) {
        let txns = self.txns;
        let ops = txns.ops_of(t);
        let from = writes.len();
        for (i, op) in ops.iter().enumerate() {
            let key = op.key();
            if op.is_write() {
                writes.push(key);
                continue;
            }
            let own = ops[..i].iter().rev().find(|o| o.is_write() && o.key() == key);
            let source = if op.arg == NONE { INIT } else { sources[op.arg as usize] };
            if own.is_none() && source != LOOK && source != self.node[t as usize] {
                reads.push(Read { key, from: source });
            } else if let Some(problem) = bad_read(txns, t, *op, own) {
                found(BadRead { txn: t, op: *op, problem });
            }
        }
        writes[from..].sort_unstable();
        let mut kept = from;
        for i in from..writes.len() {
            if i == from || writes[i] != writes[i - 1] {
                writes[kept] = writes[i];
                kept += 1;
            }
        }
        writes.truncate(kept);
    }

    /// All nodes, in the order of invocation: what is read was mostly written not long before, so
    /// it is in the cache.
    pub(crate) fn by_invocation(&self) -> impl Iterator<Item = u32> + '_ {
        self.node.iter().copied().filter(|node| *node != NONE)
    }

    pub(crate) fn len(&self) -> usize {
        self.txn.len()
    }

    pub(crate) fn sessions(&self) -> usize {
        self.first.len() - 1
    }

    pub(crate) fn reads_of(&self, node: u32) -> &[Read] {
        &self.reads
            [self.read_start[node as usize] as usize..self.read_start[node as usize + 1] as usize]
    }

    pub(crate) fn writes_of(&self, node: u32) -> &[u32] {
        &self.writes
            [self.write_start[node as usize] as usize..self.write_start[node as usize + 1] as usize]
    }

    pub(crate) fn is_first(&self, node: u32) -> bool {
        self.first[self.session[node as usize] as usize] == node
    }

    /// The nodes that write each key, ascending: (starts per key and one more, nodes).
    pub(crate) fn writers(&self) -> (Vec<u32>, Vec<u32>) {
        let mut start = vec![0u32; self.txns.key_count() + 1];
        for key in &self.writes {
            start[*key as usize + 1] += 1;
        }
        for i in 1..start.len() {
            start[i] += start[i - 1];
        }
        let mut next = start.clone();
        let mut nodes = vec![0u32; self.writes.len()];
        for node in 0..self.len() as u32 {
            for key in self.writes_of(node) {
                let at = &mut next[*key as usize];
                nodes[*at as usize] = node;
                *at += 1;
            }
        }
        (start, nodes)
    }

    pub(crate) fn bytes(&self) -> usize {
        (self.txn.capacity() + self.node.capacity() + self.session.capacity()) * 4
            + (self.read_start.capacity() + self.write_start.capacity() + self.writes.capacity())
                * 4
            + self.reads.capacity() * size_of::<Read>()
    }
}

/// A read that no model allows.
pub(crate) struct BadRead {
    txn: u32,
    op: Op,
    problem: Problem,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Problem {
    ThinAir,
    Aborted,
    Intermediate,
    Internal,
    Fuzzy,
    Future,
}

fn bad_read(txns: &Transactions, t: u32, op: Op, own: Option<&Op>) -> Option<Problem> {
    if let Some(own) = own {
        return (own.arg != op.arg).then_some(Problem::Internal);
    }
    if op.arg == NONE {
        return None;
    }
    match txns.writer[op.arg as usize] {
        NONE => Some(Problem::ThinAir),
        w if w == t => Some(Problem::Future),
        w if !txns.is_possible(w) => Some(Problem::Aborted),
        _ if !txns.last_write[op.arg as usize] => Some(Problem::Intermediate),
        _ => None,
    }
}

impl BadRead {
    /// A read of what the transaction had not written before, where it is wrong.
    pub(crate) fn of_other(txns: &Transactions, txn: u32, op: Op) -> Option<BadRead> {
        bad_read(txns, txn, op, None).map(|problem| BadRead { txn, op, problem })
    }

    /// A read of another version than the transaction had read before.
    pub(crate) fn fuzzy(txn: u32, op: Op) -> BadRead {
        BadRead { txn, op, problem: Problem::Fuzzy }
    }

    /// A read that is not what the transaction itself wrote last.
    pub(crate) fn internal(txn: u32, op: Op) -> BadRead {
        BadRead { txn, op, problem: Problem::Internal }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self.problem {
            Problem::ThinAir => "thin-air",
            Problem::Aborted => "G1a",
            Problem::Intermediate => "G1b",
            Problem::Internal => "internal",
            Problem::Fuzzy => "fuzzy-read",
            Problem::Future => "future-read",
        }
    }

    pub(crate) fn explain(&self, txns: &Transactions) -> Anomaly {
        let writer = if self.op.arg == NONE { NONE } else { txns.writer[self.op.arg as usize] };
        let mut cast = vec![self.txn];
        if writer != NONE && writer != self.txn {
            cast.push(writer);
        }
        let (key, value) = (txns.key(self.op.key()), txns.value(self.op.arg));
        let text = match self.problem {
            Problem::ThinAir => format!("T1 read {key} as {value}, which no transaction wrote"),
            Problem::Aborted => format!("T1 read {key} as {value}, which T2 wrote, and T2 failed"),
            Problem::Intermediate => {
                format!("T1 read {key} as {value}, which T2 overwrote before it ended")
            }
            Problem::Future => {
                format!("T1 read {key} as {value}, which it wrote itself only afterwards")
            }
            Problem::Internal => {
                format!("T1 read {key} as {value}, which is not what it had written last")
            }
            Problem::Fuzzy => {
                format!("T1 read {key} as {value}, and had read another value before")
            }
        };
        Anomaly::new(self.kind(), Value::list([key.clone(), value]))
            .explained(format!("{}{text}", txns.cast(&cast)))
            .proved_by(txns.events_of(&cast))
    }
}
