//! Which orders of commits the axioms of read committed, read atomic and the session guarantees
//! force.

use super::base::{Base, INIT};
use crate::txn::core::txns::NONE;

/// The axiom says that `from` commits before `to`, because of what a read found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forced {
    pub(super) from: u32,
    /// [`INIT`] where the read found the initial value, which is before everything: a violation.
    pub(super) to: u32,
    /// The read, by its place in [`Base::reads`].
    pub(super) read: u32,
}

/// A note per key that is forgotten at once for all keys.
struct Notes {
    stamp: Vec<u32>,
    note: Vec<u32>,
    now: u32,
}

impl Notes {
    fn new(keys: usize) -> Notes {
        Notes { stamp: vec![0; keys], note: vec![0; keys], now: 0 }
    }
    fn forget(&mut self) {
        self.now += 1;
    }
    fn set(&mut self, key: u32, note: u32) {
        self.stamp[key as usize] = self.now;
        self.note[key as usize] = note;
    }
    fn get(&self, key: u32) -> Option<u32> {
        (self.stamp[key as usize] == self.now).then(|| self.note[key as usize])
    }
}

/// Calls `each` for the keys that `node` writes and `reads` has a note about, with the note:
/// over whichever is shorter, which keeps the whole within O(n^1.5).
fn common(base: &Base<'_>, node: u32, read_keys: &[u32], notes: &Notes, mut each: impl FnMut(u32)) {
    let writes = base.writes_of(node);
    if writes.len() <= read_keys.len() {
        writes.iter().filter_map(|k| notes.get(*k)).for_each(each);
    } else {
        for key in read_keys {
            if let (Some(note), Ok(_)) = (notes.get(*key), writes.binary_search(key)) {
                each(note);
            }
        }
    }
}

/// Read committed: what a transaction reads from later does not commit before what it read from
/// earlier and that wrote the same key.
pub(super) fn read_committed(base: &Base<'_>) -> Vec<Forced> {
    let mut forced = Vec::new();
    let mut later = Notes::new(base.txns.key_count());
    let mut keys: Vec<u32> = Vec::new();
    for node in base.by_invocation() {
        later.forget();
        keys.clear();
        let from = base.read_start[node as usize];
        let reads = base.reads_of(node);
        for (i, read) in reads.iter().enumerate().rev() {
            let again = reads[..i].iter().any(|r| r.from == read.from);
            if read.from != INIT && !again {
                common(base, read.from, &keys, &later, |at| {
                    push(&mut forced, read.from, base.reads[at as usize].from, at);
                });
            }
            match later.get(read.key) {
                None => keys.push(read.key),
                // Neighbouring reads of a key are ordered here, so that of the later reads of a
                // key the next one suffices above.
                Some(at) if read.from != INIT => {
                    push(&mut forced, read.from, base.reads[at as usize].from, at);
                }
                Some(_) => {}
            }
            later.set(read.key, from + i as u32);
        }
    }
    forced
}

/// Read atomic: whom a transaction reads a key from does not commit before anybody that it reads
/// from, or that precedes it in its session, and that wrote the key, too.
pub(super) fn read_atomic(base: &Base<'_>) -> Vec<Forced> {
    let mut forced = Vec::new();
    own_writes(base, &mut forced);
    let mut notes = Notes::new(base.txns.key_count());
    let mut keys: Vec<u32> = Vec::new();
    for node in base.by_invocation() {
        notes.forget();
        keys.clear();
        let from = base.read_start[node as usize];
        let reads = base.reads_of(node);
        for (i, read) in reads.iter().enumerate() {
            match notes.get(read.key) {
                // Two versions of one key in one transaction: each would be before the other.
                Some(at) if base.reads[at as usize].from != read.from => {
                    let other = base.reads[at as usize].from;
                    if other != INIT {
                        push(&mut forced, other, read.from, from + i as u32);
                    }
                    if read.from != INIT {
                        push(&mut forced, read.from, other, at);
                    }
                }
                Some(_) => {}
                None => {
                    notes.set(read.key, from + i as u32);
                    keys.push(read.key);
                }
            }
        }
        for (i, read) in reads.iter().enumerate() {
            if read.from == INIT || reads[..i].iter().any(|r| r.from == read.from) {
                continue;
            }
            common(base, read.from, &keys, &notes, |at| {
                push(&mut forced, read.from, base.reads[at as usize].from, at);
            });
        }
    }
    forced
}

/// Read your writes: whom a transaction reads a key from does not commit before a transaction
/// earlier in its session that wrote the key.
pub(super) fn own_writes(base: &Base<'_>, forced: &mut Vec<Forced>) {
    let mut last = Notes::new(base.txns.key_count());
    for node in 0..base.len() as u32 {
        if base.is_first(node) {
            last.forget();
        }
        for (i, read) in base.reads_of(node).iter().enumerate() {
            if let Some(own) = last.get(read.key) {
                push(forced, own, read.from, base.read_start[node as usize] + i as u32);
            }
        }
        base.writes_of(node).iter().for_each(|k| last.set(*k, node));
    }
}

/// Monotonic reads: whom a transaction reads a key from does not commit before a transaction
/// that one earlier in its session read from and that wrote the key.
pub(super) fn monotonic_reads(base: &Base<'_>) -> Vec<Forced> {
    let mut forced = Vec::new();
    // Per key the writers seen since the session's last read of it: that read itself has been
    // put behind all older ones.
    let mut seen: Vec<Vec<u32>> = vec![Vec::new(); base.txns.key_count()];
    let mut touched: Vec<u32> = Vec::new();
    for node in 0..base.len() as u32 {
        if base.is_first(node) {
            touched.drain(..).for_each(|k| seen[k as usize].clear());
        }
        for (i, read) in base.reads_of(node).iter().enumerate() {
            for writer in &seen[read.key as usize] {
                push(&mut forced, *writer, read.from, base.read_start[node as usize] + i as u32);
            }
        }
        base.reads_of(node).iter().for_each(|r| seen[r.key as usize].clear());
        for read in base.reads_of(node).iter().filter(|r| r.from != INIT) {
            for key in base.writes_of(read.from) {
                let list = &mut seen[*key as usize];
                if !list.contains(&read.from) {
                    list.push(read.from);
                    touched.push(*key);
                }
            }
        }
    }
    forced
}

/// Monotonic writes: who sees a transaction sees what precedes it in its session.
pub(super) fn monotonic_writes(base: &Base<'_>) -> Vec<Forced> {
    let (start, writers) = base.writers();
    let mut forced = Vec::new();
    for node in 0..base.len() as u32 {
        for (i, read) in base.reads_of(node).iter().enumerate() {
            let key = read.key as usize;
            let of_key = &writers[start[key] as usize..start[key + 1] as usize];
            for seen in base.reads_of(node).iter().filter(|r| r.from != INIT) {
                // The last write of the key in the session of what was seen, up to that.
                let before = of_key.partition_point(|w| *w <= seen.from);
                let last = of_key[..before].last().copied().filter(|w| same(base, *w, seen.from));
                if let Some(writer) = last {
                    push(&mut forced, writer, read.from, base.read_start[node as usize] + i as u32);
                }
            }
        }
    }
    forced
}

/// Writes follow reads: who sees a transaction sees what those before it in its session, and it
/// itself, had read from. `None` where the budget of steps does not suffice.
pub(super) fn writes_follow_reads(base: &Base<'_>, budget: u64) -> Option<Vec<Forced>> {
    // (key, reading node, writer): what each node read from, by the keys that this wrote.
    let mut seen: Vec<(u32, u32, u32)> = Vec::new();
    for node in 0..base.len() as u32 {
        for read in base.reads_of(node).iter().filter(|r| r.from != INIT) {
            seen.extend(base.writes_of(read.from).iter().map(|k| (*k, node, read.from)));
        }
    }
    seen.sort_unstable();
    seen.dedup();
    let mut forced = Vec::new();
    let mut steps = 0u64;
    for node in 0..base.len() as u32 {
        for (i, read) in base.reads_of(node).iter().enumerate() {
            for visible in base.reads_of(node).iter().filter(|r| r.from != INIT) {
                let session = base.first[base.session[visible.from as usize] as usize];
                let from = seen.partition_point(|s| (s.0, s.1) < (read.key, session));
                let of_session =
                    seen[from..].iter().take_while(|s| s.0 == read.key && s.1 <= visible.from);
                for (_, _, writer) in of_session {
                    steps += 1;
                    push(
                        &mut forced,
                        *writer,
                        read.from,
                        base.read_start[node as usize] + i as u32,
                    );
                }
                if steps > budget {
                    return None;
                }
            }
        }
    }
    Some(forced)
}

fn same(base: &Base<'_>, a: u32, b: u32) -> bool {
    base.session[a as usize] == base.session[b as usize]
}

fn push(forced: &mut Vec<Forced>, from: u32, to: u32, read: u32) {
    if from != to && from != NONE {
        forced.push(Forced { from, to, read });
    }
}
