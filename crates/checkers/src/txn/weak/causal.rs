//! The order of commits that causal consistency forces, from one flat matrix of vector clocks.

use std::hint::black_box;
use std::ops::Range;

use fuzz_dist_history::in_parts;

use super::axioms::Forced;
use super::base::{Base, INIT};

/// A number of transactions of a session, or a session.
pub(crate) trait Lane: Copy + Ord + Default + Send + Sync {
    fn of(n: u32) -> Self;
    fn get(self) -> u32;
}

impl Lane for u16 {
    #[inline]
    fn of(n: u32) -> u16 {
        n as u16
    }
    #[inline]
    fn get(self) -> u32 {
        self.into()
    }
}

impl Lane for u32 {
    #[inline]
    fn of(n: u32) -> u32 {
        n
    }
    #[inline]
    fn get(self) -> u32 {
        self
    }
}

/// One line of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Tile<T, const N: usize>([T; N]);

/// A row of lanes for each node.
pub(crate) struct Rows<T, const N: usize> {
    /// Tiles in a row.
    tiles: usize,
    rows: Vec<Tile<T, N>>,
}

/// Vector clocks: per node and session how many transactions of that session happen before it, which
/// are its first ones. Sessions are mostly so short that 16 bits suffice, and memory is what clocks
/// cost.
pub(crate) enum Clocks {
    Short(Rows<u16, 32>),
    Long(Rows<u32, 16>),
}

fn are_short(base: &Base<'_>) -> bool {
    let longest = base.first.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
    longest.max(base.sessions() as u32) < u32::from(u16::MAX)
}

impl Clocks {
    pub(super) fn bytes_for(base: &Base<'_>) -> usize {
        let lanes = if are_short(base) { 32 } else { 16 };
        base.len() * base.sessions().div_ceil(lanes) * 64
    }

    /// The first node of a session that does not happen before `node`.
    pub(crate) fn end(&self, base: &Base<'_>, node: u32, session: usize) -> u32 {
        let count = match self {
            Clocks::Short(rows) => rows.get(node, session).get(),
            Clocks::Long(rows) => rows.get(node, session),
        };
        base.first[session] + count
    }

    /// Does `a` happen before `b`?
    pub(crate) fn precedes(&self, base: &Base<'_>, a: u32, b: u32) -> bool {
        self.end(base, b, base.session[a as usize] as usize) > a
    }
}

impl<T: Lane, const N: usize> Rows<T, N> {
    #[inline]
    fn row(&self, node: u32) -> &[Tile<T, N>] {
        &self.rows[node as usize * self.tiles..(node as usize + 1) * self.tiles]
    }

    /// Something of each tile of a row, so that the row is in the cache.
    #[inline]
    fn touch(&self, node: u32) -> u32 {
        self.row(node).iter().fold(0, |all, tile| all ^ tile.0[0].get())
    }

    #[inline]
    fn get(&self, node: u32, session: usize) -> T {
        lane(self.row(node), session)
    }

    fn set(&mut self, node: u32, session: usize, count: u32) {
        self.rows[node as usize * self.tiles + session / N].0[session % N] = T::of(count);
    }
}

#[inline]
fn lane<T: Lane, const N: usize>(row: &[Tile<T, N>], session: usize) -> T {
    row[session / N].0[session % N]
}

/// The clocks of all nodes, or `None` where what they read from and their sessions are cyclic.
pub(crate) fn clocks(base: &Base<'_>) -> Option<Clocks> {
    match are_short(base) {
        true => rows(base, &mut Vec::new()).map(Clocks::Short),
        false => rows(base, &mut Vec::new()).map(Clocks::Long),
    }
}

/// `order` becomes all nodes, each behind those that happen before it.
fn rows<T: Lane, const N: usize>(base: &Base<'_>, order: &mut Vec<u32>) -> Option<Rows<T, N>> {
    let tiles = base.sessions().div_ceil(N);
    let mut rows = Rows { tiles, rows: vec![Tile([T::default(); N]); base.len() * tiles] };
    let mut done: Vec<u32> = base.first[..base.sessions()].to_vec();
    let mut waiting = vec![false; base.sessions()];
    let mut stack: Vec<(u32, u32)> = Vec::new();
    // By invocation, which is nearly the order in which clocks get known: neighbours in time
    // have their rows in the cache.
    for t in 0..base.txns.len() {
        let node = base.node[t];
        if node == INIT || done[base.session[node as usize] as usize] > node {
            continue;
        }
        stack.push((base.session[node as usize], node));
        waiting[base.session[node as usize] as usize] = true;
        while let Some((session, goal)) = stack.last().copied() {
            let next = done[session as usize];
            if next > goal {
                waiting[session as usize] = false;
                stack.pop();
                continue;
            }
            let missing = base
                .reads_of(next)
                .iter()
                .find(|r| r.from != INIT && done[base.session[r.from as usize] as usize] <= r.from);
            match missing {
                None => {
                    clock(base, &mut rows, next);
                    order.push(next);
                    done[session as usize] += 1;
                }
                Some(read) => {
                    let other = base.session[read.from as usize];
                    if waiting[other as usize] {
                        return None;
                    }
                    waiting[other as usize] = true;
                    stack.push((other, read.from));
                }
            }
        }
    }
    Some(rows)
}

fn clock<T: Lane, const N: usize>(base: &Base<'_>, rows: &mut Rows<T, N>, node: u32) {
    let tiles = rows.tiles;
    let own = base.session[node as usize] as usize;
    let at = node as usize * tiles;
    if !base.is_first(node) {
        rows.rows.copy_within(at - tiles..at, at);
    }
    let mut last = INIT;
    for read in base.reads_of(node) {
        if read.from == INIT || read.from == last {
            continue;
        }
        last = read.from;
        let session = base.session[last as usize] as usize;
        let place = last - base.first[session];
        // Seen already, with all that precedes it.
        if rows.get(node, session).get() > place {
            continue;
        }
        let from = last as usize * tiles;
        if from < at {
            let (low, high) = rows.rows.split_at_mut(at);
            join(&mut high[..tiles], &low[from..from + tiles]);
        } else {
            let (low, high) = rows.rows.split_at_mut(from);
            join(&mut low[at..at + tiles], &high[..tiles]);
        }
        // What was read from does not happen before itself.
        rows.set(node, session, rows.get(node, session).get().max(place + 1));
    }
    rows.set(node, own, node - base.first[own]);
}

fn join<T: Lane, const N: usize>(a: &mut [Tile<T, N>], b: &[Tile<T, N>]) {
    for (a, b) in a.iter_mut().zip(b) {
        for (x, y) in a.0.iter_mut().zip(b.0) {
            *x = (*x).max(y);
        }
    }
}

/// What the axiom of causal consistency forces: a transaction that happens before a reader and
/// wrote the key commits before the one that was read from. Orders that happening-before implies
/// already are left out. `None` where happening-before is cyclic.
pub(super) fn forced(base: &Base<'_>) -> Option<(Vec<Forced>, Clocks)> {
    Some(match are_short(base) {
        true => forced_by(base).map(|(forced, rows)| (forced, Clocks::Short(rows)))?,
        false => forced_by(base).map(|(forced, rows)| (forced, Clocks::Long(rows)))?,
    })
}

fn forced_by<T: Lane, const N: usize>(base: &Base<'_>) -> Option<(Vec<Forced>, Rows<T, N>)> {
    let mut order = Vec::with_capacity(base.len());
    let (rows, writers) = match base.len() >= PART_MIN {
        true => std::thread::scope(|scope| {
            let writers = scope.spawn(|| Writers::<T>::new(base));
            let rows = rows::<T, N>(base, &mut order);
            (rows, writers.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        }),
        false => (rows::<T, N>(base, &mut order), Writers::<T>::new(base)),
    };
    let rows = rows?;
    let initial = vec![Tile([T::default(); N]); base.sessions().div_ceil(N)];
    let of_part = |part: Range<usize>| {
        let mut forced = Vec::new();
        for node in order[part].iter().copied() {
            let (now, reads) = (rows.row(node), base.reads_of(node));
            // Memory is loaded for all reads at once: one after the other, each would wait for its own.
            black_box(reads.iter().fold(0, |all, read| {
                let clock = if read.from == INIT { 0 } else { rows.touch(read.from) };
                all ^ clock ^ writers.touch(read.key)
            }));
            for (i, read) in reads.iter().enumerate() {
                let at = base.read_start[node as usize] + i as u32;
                let covered = if read.from == INIT { &initial[..] } else { rows.row(read.from) };
                writers.uncovered(read.key, now, covered, |session, place| {
                    let writer = base.first[session] + place;
                    if writer != read.from && writer != node {
                        forced.push(Forced { from: writer, to: read.from, read: at });
                    }
                });
            }
        }
        forced
    };
    let parts = in_parts(order.len(), PART_MIN, of_part);
    Some((joined(parts), rows))
}

/// All parts in one, without a copy of the only one or of more than one part at a time.
fn joined<T>(mut parts: Vec<Vec<T>>) -> Vec<T> {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let mut all = Vec::with_capacity(parts.iter().map(Vec::len).sum());
    for part in parts {
        all.extend(part);
    }
    all
}

/// So many nodes are worth a thread; in tests fewer, so that they pass through several.
const PART_MIN: usize = if cfg!(test) { 5 } else { 1 << 14 };

/// Who writes each key, session by session.
struct Writers<T> {
    start: Vec<u32>,
    /// (place in its session, session), ascending by session.
    nodes: Vec<(T, T)>,
    /// Where the sessions of keys with many writers begin: per key and one more.
    run_start: Vec<u32>,
    /// (session, first place in `nodes`, one behind the last).
    runs: Vec<(u32, u32, u32)>,
}

/// Up to so many writers of a key are simply looked through.
const SCAN_MAX: usize = 128;

impl<T: Lane> Writers<T> {
    fn new(base: &Base<'_>) -> Writers<T> {
        let (start, nodes) = base.writers();
        let place = |n: u32| {
            let session = base.session[n as usize];
            (T::of(n - base.first[session as usize]), T::of(session))
        };
        let nodes: Vec<(T, T)> = nodes.into_iter().map(place).collect();
        let (mut run_start, mut runs) = (vec![0u32], Vec::new());
        for key in start.windows(2) {
            let (from, to) = (key[0] as usize, key[1] as usize);
            if to - from > SCAN_MAX {
                let mut at = from;
                for run in nodes[from..to].chunk_by(|a, b| a.1 == b.1) {
                    runs.push((run[0].1.get(), at as u32, (at + run.len()) as u32));
                    at += run.len();
                }
            }
            run_start.push(runs.len() as u32);
        }
        Writers { start, nodes, run_start, runs }
    }

    /// Something of each cache line of what is looked through for a key.
    #[inline]
    fn touch(&self, key: u32) -> u32 {
        let range = self.start[key as usize] as usize..self.start[key as usize + 1] as usize;
        let lines = self.nodes[range].iter().step_by(64 / size_of::<(T, T)>()).take(SCAN_MAX / 16);
        lines.fold(0, |all, (place, _)| all ^ place.get())
    }

    /// The last writer of a key in each session that is before `now` and not before `covered`: its
    /// session, and its place there.
    #[inline]
    fn uncovered<const N: usize>(
        &self,
        key: u32,
        now: &[Tile<T, N>],
        covered: &[Tile<T, N>],
        mut each: impl FnMut(usize, u32),
    ) {
        let key = key as usize;
        let (from, to) = (self.start[key] as usize, self.start[key + 1] as usize);
        if to - from > SCAN_MAX {
            let runs = self.run_start[key] as usize..self.run_start[key + 1] as usize;
            for (session, from, to) in &self.runs[runs] {
                let s = *session as usize;
                let (now, covered) = (lane(now, s), lane(covered, s));
                if now > covered {
                    let run = &self.nodes[*from as usize..*to as usize];
                    let before = run.partition_point(|(w, _)| *w < now);
                    if let Some((w, _)) = run[..before].last().filter(|(w, _)| *w >= covered) {
                        each(s, w.get());
                    }
                }
            }
            return;
        }
        let mut last: Option<(T, T)> = None;
        for (w, session) in &self.nodes[from..to] {
            let s = session.get() as usize;
            if *w < lane(now, s) && *w >= lane(covered, s) {
                if let Some((before, other)) = last.filter(|(_, other)| other != session) {
                    each(other.get() as usize, before.get());
                }
                last = Some((*w, *session));
            }
        }
        if let Some((w, session)) = last {
            each(session.get() as usize, w.get());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn parts_are_joined_in_order_and_a_single_one_is_not_copied() {
        let all = joined(vec![vec![1, 2], vec![], vec![3]]);
        assert_eq!((all.len(), all.capacity(), &all[..]), (3, 3, &[1, 2, 3][..]));
        let one = vec![1, 2, 3];
        let place = one.as_ptr();
        let same = joined(vec![one]);
        assert_eq!(same.as_ptr(), place);
        assert!(joined::<u32>(vec![]).is_empty());
    }
}
