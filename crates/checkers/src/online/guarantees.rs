//! Session guarantees of transactions, while they run.
//!
//! All orders that the four guarantees force are kept in one graph. As long as it has a topological
//! order, and no read returned what no order can explain, no guarantee is violated, so nothing needs
//! to be judged. Otherwise the checker itself judges the history, from then on again and again.
//!
//! What a session has seen grows, and all of it is visible to its later transactions. So that a read
//! adds few edges, each key has a chain of auxiliary nodes per session: one for each writer that the
//! session has seen, which comes after that writer and after the auxiliary node before it.

use super::order::Order;
use super::{Anomaly, Online, Rejudged};
use crate::Verdict;
use fuzz_dist_history::History;
use fuzz_dist_history::hash::{FastMap, FastSet};
use fuzz_dist_history::op::{Event, Kind, Value};

/// [`session_guarantees`](crate::txn::session_guarantees).
pub(crate) struct OnlineGuarantees<F> {
    judge: Rejudged<F>,
    /// As long as nothing is wrong.
    watch: Option<Watch>,
}

impl<F: Fn(&History) -> Verdict + Send> OnlineGuarantees<F> {
    pub(crate) fn new(history: &History, check: F) -> OnlineGuarantees<F> {
        // A read of what nobody has written so far, or only in vain, may be of a write that comes.
        let judge = Rejudged::new(history, &["thin-air", "G1a"], check);
        OnlineGuarantees { judge, watch: Some(Watch::default()) }
    }
}

impl<F: Fn(&History) -> Verdict + Send> Online for OnlineGuarantees<F> {
    fn observe(&mut self, index: usize, event: &Event) -> Option<Anomaly> {
        if self.watch.as_mut().is_some_and(|watch| watch.step(event).is_some()) {
            self.judge.record(event);
            return None;
        }
        self.watch = None;
        self.judge.observe(index, event)
    }
}

/// A transaction that began.
#[derive(Debug)]
struct Txn {
    session: u32,
    /// Its node in the order.
    node: u32,
    state: State,
    /// The keys that it writes, each once.
    keys: Vec<u32>,
    /// Where its reads are.
    reads: std::ops::Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// It succeeded, or nobody knows.
    Ended,
    Failed,
}

/// A read of what another transaction wrote, or of the initial value.
#[derive(Clone, Copy, Debug)]
struct Read {
    key: u32,
    from: Option<u32>,
}

/// A value of a key.
#[derive(Clone, Copy, Debug)]
struct Version {
    /// Unknown where it was read and nobody has begun to write it.
    writer: Option<u32>,
    /// Does its transaction write the key again?
    overwritten: bool,
}

/// A writer of a key that a session has seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    reader: u32,
    writer: u32,
    /// The auxiliary node behind this writer and all that the session had seen before it.
    node: u32,
}

/// A micro-operation: whether it writes, key and value.
type MicroOp = (bool, u32, Value);

/// Everything that began so far.
#[derive(Debug, Default)]
struct Watch {
    order: Order,
    edges: FastSet<(u32, u32)>,
    keys: FastMap<Value, u32>,
    versions: FastMap<(u32, Value), Version>,
    txns: Vec<Txn>,
    reads: Vec<Read>,
    /// Per process: its session, and the last transaction of that which may have happened.
    sessions: FastMap<u32, (u32, Option<u32>)>,
    session_count: u32,
    /// Per process: the running transaction, and what it writes.
    running: FastMap<u32, (u32, Vec<MicroOp>)>,
    /// By session and key: the transactions that write it, in order.
    writers: FastMap<(u32, u32), Vec<u32>>,
    /// By session and key: the writers of it that the session has seen, in order.
    seen: FastMap<(u32, u32), Vec<Seen>>,
    /// By session, key and writer: its place in `seen`.
    places: FastMap<(u32, u32, u32), usize>,
    /// By session, key and writer: how many of `seen` were put before this writer.
    put: FastMap<(u32, u32, u32), usize>,
    /// Who read from a transaction while it was running.
    readers: FastMap<u32, Vec<u32>>,
    /// How many of `seen` were looked at.
    looked: u64,
}

impl Watch {
    /// Takes an event. `None` where something is wrong, or is not followed here.
    fn step(&mut self, event: &Event) -> Option<()> {
        if !event.process.is_client() {
            return Some(());
        }
        let process = event.process.0;
        if event.kind == Kind::Invoke {
            let ops = self.micro_ops(event)?;
            return self.begin(process, ops);
        }
        let (txn, written) = self.running.remove(&process)?;
        match event.kind {
            Kind::Invoke | Kind::Ok => {
                let ops = self.micro_ops(event)?;
                if !ops.iter().filter(|(writes, ..)| *writes).eq(&written) {
                    return None;
                }
                self.txns[txn as usize].state = State::Ended;
                self.sessions.get_mut(&process)?.1 = Some(txn);
                self.succeeded(txn, &ops)
            }
            Kind::Info => {
                // What the process does next may come before it: that is another session.
                self.txns[txn as usize].state = State::Ended;
                self.sessions.remove(&process);
                Some(())
            }
            Kind::Fail => {
                self.txns[txn as usize].state = State::Failed;
                self.forget_writes(txn);
                (!self.readers.contains_key(&txn)).then_some(())
            }
        }
    }

    /// What an event does to registers, where that is written as usual.
    fn micro_ops(&mut self, event: &Event) -> Option<Vec<MicroOp>> {
        let items = event.value.as_list()?;
        let mut op = |writes: bool, key: &Value, value: &Value| {
            let next = self.keys.len() as u32;
            let key = *self.keys.entry(key.clone()).or_insert(next);
            (!writes || !value.is_nil()).then(|| (writes, key, value.clone()))
        };
        match (&*event.f, items) {
            ("read" | "write", [Value::List(_), _] | [_, Value::List(_)]) => None,
            (f @ ("read" | "write"), [key, value]) => Some(vec![op(f == "write", key, value)?]),
            ("txn", items) => {
                let ops = items.iter().map(|item| match item.as_list()? {
                    [f, key, value] => op(is_write(f)?, key, value),
                    _ => None,
                });
                ops.collect()
            }
            _ => None,
        }
    }

    fn begin(&mut self, process: u32, ops: Vec<MicroOp>) -> Option<()> {
        let txn = self.txns.len() as u32;
        let node = self.order.node();
        let count = &mut self.session_count;
        let (session, former) = *self.sessions.entry(process).or_insert_with(|| {
            *count += 1;
            (*count - 1, None)
        });
        let written: Vec<MicroOp> = ops.into_iter().filter(|(writes, ..)| *writes).collect();
        let mut keys: Vec<u32> = written.iter().map(|(_, key, _)| *key).collect();
        for (i, (_, key, value)) in written.iter().enumerate() {
            let version = Version { writer: Some(txn), overwritten: keys[i + 1..].contains(key) };
            let former = self.versions.insert((*key, value.clone()), version);
            // Tried again after it failed; otherwise written twice, or read before.
            let again = |former: Version| {
                let writer = former.writer.and_then(|w| self.txns.get(w as usize));
                writer.is_some_and(|w| w.state == State::Failed)
            };
            if !former.is_none_or(again) {
                return None;
            }
        }
        keys.sort_unstable();
        keys.dedup();
        for key in &keys {
            self.writers.entry((session, *key)).or_default().push(txn);
        }
        self.txns.push(Txn { session, node, state: State::Running, keys, reads: 0..0 });
        self.running.insert(process, (txn, written)).is_none().then_some(())?;
        former.is_none_or(|former| self.before(former, txn)).then_some(())
    }

    /// A failed transaction is the last one of its session.
    fn forget_writes(&mut self, txn: u32) {
        let Txn { session, keys, .. } = &self.txns[txn as usize];
        for key in keys {
            if let Some(writers) = self.writers.get_mut(&(*session, *key)) {
                writers.pop_if(|last| *last == txn);
            }
        }
    }

    fn succeeded(&mut self, txn: u32, ops: &[MicroOp]) -> Option<()> {
        let start = self.reads.len();
        for (i, (writes, key, value)) in ops.iter().enumerate() {
            if *writes {
                continue;
            }
            let own = ops[..i].iter().rev().find(|(writes, k, _)| *writes && k == key);
            match own {
                Some((_, _, written)) if written == value => {}
                Some(_) => return None,
                None if value.is_nil() => self.reads.push(Read { key: *key, from: None }),
                None => {
                    let unknown = Version { writer: None, overwritten: false };
                    let version = *self.versions.entry((*key, value.clone())).or_insert(unknown);
                    // It may be of a write that comes.
                    let Some(writer) = version.writer else { continue };
                    let failed = self.txns[writer as usize].state == State::Failed;
                    if version.overwritten || failed || writer == txn {
                        return None;
                    }
                    self.reads.push(Read { key: *key, from: Some(writer) });
                }
            }
        }
        self.txns[txn as usize].reads = start..self.reads.len();
        let sources = self.sources(txn);
        let session = self.txns[txn as usize].session;
        for i in start..self.reads.len() {
            let Read { key, from } = self.reads[i];
            // Read your writes.
            let own = self.last_writer(session, key, txn.checked_sub(1));
            self.forced(own, from)?;
            // Monotonic reads.
            self.all_seen(session, key, txn.checked_sub(1), from)?;
        }
        for source in &sources {
            self.before(*source, txn).then_some(())?;
            self.follows(txn, *source)?;
        }
        for source in sources {
            if self.txns[source as usize].state == State::Running {
                self.readers.entry(source).or_default().push(txn);
            }
            self.sees(txn, source)?;
        }
        // What it read is visible to those who read from it before it ended.
        for reader in self.readers.remove(&txn).unwrap_or_default() {
            self.follows(reader, txn)?;
        }
        Some(())
    }

    /// Whom a transaction read from, each once.
    fn sources(&self, txn: u32) -> Vec<u32> {
        let reads = &self.reads[self.txns[txn as usize].reads.clone()];
        let mut sources: Vec<u32> = reads.iter().filter_map(|read| read.from).collect();
        sources.sort_unstable();
        sources.dedup();
        sources
    }

    /// Monotonic writes, and writes follow reads: what `source` follows is visible to who read from it.
    fn follows(&mut self, txn: u32, source: u32) -> Option<()> {
        let session = self.txns[source as usize].session;
        for i in self.txns[txn as usize].reads.clone() {
            let Read { key, from } = self.reads[i];
            let writer = self.last_writer(session, key, Some(source));
            self.forced(writer, from)?;
            self.all_seen(session, key, Some(source), from)?;
        }
        Some(())
    }

    /// The last transaction of a session, up to this one, that writes a key.
    fn last_writer(&self, session: u32, key: u32, up_to: Option<u32>) -> Option<u32> {
        let writers = self.writers.get(&(session, key))?;
        let up_to = up_to?;
        writers[..writers.partition_point(|w| *w <= up_to)].last().copied()
    }

    /// All writers of a key that a session has seen up to a transaction come before the one that was
    /// read from.
    fn all_seen(
        &mut self,
        session: u32,
        key: u32,
        up_to: Option<u32>,
        from: Option<u32>,
    ) -> Option<()> {
        let (Some(seen), Some(up_to)) = (self.seen.get(&(session, key)), up_to) else {
            return Some(());
        };
        let count = seen.partition_point(|s| s.reader <= up_to);
        if count == 0 {
            return Some(());
        }
        // The initial value is before all of them.
        let from = from?;
        let place = self.places.get(&(session, key, from)).copied().filter(|at| *at < count);
        let together = place.unwrap_or(count).checked_sub(1).map(|at| seen[at].node);
        // Before it was seen itself, all that was seen before is: what follows it is put before it one by one, once.
        let single = match place {
            Some(at) => {
                let put = self.put.entry((session, key, from)).or_default();
                let start = (at + 1).max(*put);
                *put = count.max(*put);
                start..count.max(start)
            }
            None => count..count,
        };
        let single: Vec<u32> = seen[single].iter().map(|s| s.writer).collect();
        self.looked += single.len() as u64;
        let to = self.txns[from as usize].node;
        for writer in single {
            self.edge(self.txns[writer as usize].node, to).then_some(())?;
        }
        together.is_none_or(|node| self.edge(node, to)).then_some(())
    }

    /// The session of a transaction has seen what this one wrote.
    fn sees(&mut self, txn: u32, writer: u32) -> Option<()> {
        let session = self.txns[txn as usize].session;
        for i in 0..self.txns[writer as usize].keys.len() {
            let key = self.txns[writer as usize].keys[i];
            let seen = self.seen.entry((session, key)).or_default();
            let place = self.places.entry((session, key, writer)).or_insert(seen.len());
            if *place < seen.len() {
                continue;
            }
            let former = seen.last().map(|s| s.node);
            let node = self.order.node();
            seen.push(Seen { reader: txn, writer, node });
            self.edge(self.txns[writer as usize].node, node).then_some(())?;
            former.is_none_or(|former| self.edge(former, node)).then_some(())?;
        }
        Some(())
    }

    /// A visible writer comes before the one that was read from.
    fn forced(&mut self, writer: Option<u32>, from: Option<u32>) -> Option<()> {
        let Some(writer) = writer else { return Some(()) };
        let from = from?;
        (writer == from || self.before(writer, from)).then_some(())
    }

    fn before(&mut self, a: u32, b: u32) -> bool {
        self.edge(self.txns[a as usize].node, self.txns[b as usize].node)
    }

    fn edge(&mut self, from: u32, to: u32) -> bool {
        !self.edges.insert((from, to)) || self.order.add(from, to)
    }
}

fn is_write(f: &Value) -> Option<bool> {
    match f {
        Value::Text(f) => match &**f {
            "w" => Some(true),
            "r" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histories::Recorder;
    use crate::txn::generate::{Load, Store};
    use crate::txn::{Shape, session_guarantees};
    use crate::{Checker as _, Validity};

    /// Follows a history to its end; gives how many edges, nodes and seen writers were looked at.
    fn steps(history: &History) -> u64 {
        let mut watch = Watch::default();
        for (i, event) in history.events().enumerate() {
            assert!(watch.step(&event).is_some(), "something is wrong with event {i}: {event:?}");
        }
        watch.order.steps + watch.looked
    }

    /// Ten times the operations take about ten times the steps, and nothing is judged anew.
    #[test]
    fn each_operation_of_a_healthy_history_costs_about_the_same() {
        for store in [Store::StrictSerializable, Store::Causal { replicas: 3 }] {
            let load = |n| Load::new(n).sessions(10).ops(1, 4).outcomes(0.02, 0.02);
            let [short, long] = [1_000, 10_000].map(|n| {
                let history = load(n).history(Shape::Registers, store);
                if n == 1_000 {
                    let verdict = session_guarantees().check(&history);
                    assert_eq!(verdict.validity, Validity::Valid, "{:?}", verdict.reasons);
                }
                steps(&history)
            });
            assert!(short > 1_000 && long < 13 * short, "{store:?}: {short} and {long} steps");
        }
    }

    /// A session sees one writer after the other by other keys, and reads the same old version again and
    /// again.
    #[test]
    fn an_old_version_that_is_read_again_and_again_costs_the_same_each_time() {
        let ops = |ops: &[(&str, &str, i64)]| {
            let op = |(f, key, n): &(&str, &str, i64)| {
                Value::list([(*f).into(), (*key).into(), Value::Int(*n)])
            };
            Value::list(ops.iter().map(op))
        };
        let history = |n: i64| {
            let mut r = Recorder::new(["n1"]);
            let mut run = |process: i64, of: &[(&str, &str, i64)]| {
                r.invoke(process as u32, "txn", ops(of));
                r.ok(process as u32, ops(of));
            };
            run(0, &[("w", "x", 0)]);
            let other = |i| format!("y{i}");
            (1..=n).for_each(|i| run(i, &[("w", "x", i), ("w", &other(i), i)]));
            for i in 1..=n {
                run(n + 1, &[("r", &other(i), i)]);
                run(n + 1, &[("r", "x", 0)]);
            }
            r.history()
        };
        let verdict = session_guarantees().check(&history(50));
        assert_eq!(verdict.validity, Validity::Valid, "{:?}", verdict.reasons);
        let [short, long] = [100, 1_000].map(|n| steps(&history(n)));
        assert!(short > 100 && long < 13 * short, "{short} and {long} steps");
    }
}
