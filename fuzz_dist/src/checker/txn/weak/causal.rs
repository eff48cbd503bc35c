//! The order of commits that causal consistency forces, from one flat matrix of vector clocks.

use super::axioms::Forced;
use super::base::{Base, INIT};

/// Vector clocks: per node and session the first node of that session that does *not* happen
/// before it. Nodes of a session are a range, so one comparison tells what is visible.
pub(crate) struct Clocks {
    lanes: usize,
    rows: Vec<i32>,
}

impl Clocks {
    pub(crate) fn row(&self, node: u32) -> &[i32] {
        &self.rows[node as usize * self.lanes..(node as usize + 1) * self.lanes]
    }

    pub(super) fn bytes_for(base: &Base<'_>) -> usize {
        base.len() * base.sessions().next_multiple_of(4) * 4
    }
}

/// The clocks of all nodes, or `None` where what they read from and their sessions are cyclic.
///
/// `visit` is called for each node when its clock is known, after those of all nodes before it.
pub(crate) fn clocks(base: &Base<'_>, mut visit: impl FnMut(u32, &Clocks)) -> Option<Clocks> {
    let lanes = base.sessions().next_multiple_of(4);
    let mut clocks = Clocks { lanes, rows: vec![0; base.len() * lanes] };
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
                    clock(base, &mut clocks, next);
                    visit(next, &clocks);
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
    Some(clocks)
}

fn clock(base: &Base<'_>, clocks: &mut Clocks, node: u32) {
    let lanes = clocks.lanes;
    let own = base.session[node as usize] as usize;
    let at = node as usize * lanes;
    if base.is_first(node) {
        let first = base.first.iter().map(|f| *f as i32);
        clocks.rows[at..at + base.sessions()].iter_mut().zip(first).for_each(|(c, f)| *c = f);
    } else {
        clocks.rows.copy_within(at - lanes..at, at);
    }
    let mut last = INIT;
    for read in base.reads_of(node) {
        if read.from == INIT || read.from == last {
            continue;
        }
        last = read.from;
        let session = base.session[last as usize] as usize;
        // Seen already, with all that precedes it.
        if clocks.rows[at + session] > last as i32 {
            continue;
        }
        let from = last as usize * lanes;
        if from < at {
            let (low, high) = clocks.rows.split_at_mut(at);
            join(&mut high[..lanes], &low[from..from + lanes]);
        } else {
            let (low, high) = clocks.rows.split_at_mut(from);
            join(&mut low[at..at + lanes], &high[..lanes]);
        }
        let mine = &mut clocks.rows[at + session];
        *mine = (*mine).max(last as i32 + 1);
    }
    clocks.rows[at + own] = node as i32;
}

fn join(a: &mut [i32], b: &[i32]) {
    for (x, y) in a.iter_mut().zip(b) {
        *x = (*x).max(*y);
    }
}

/// What the axiom of causal consistency forces: a transaction that happens before a reader and
/// wrote the key commits before the one that was read from. Orders that happening-before implies
/// already are left out. `None` where happening-before is cyclic.
pub(super) fn forced(base: &Base<'_>) -> Option<(Vec<Forced>, Clocks)> {
    let writers = Writers::new(base);
    let mut forced = Vec::new();
    let initial: Vec<i32> = base.first.iter().map(|f| *f as i32).collect();
    let clocks = clocks(base, |node, clocks| {
        let now = clocks.row(node);
        for (i, read) in base.reads_of(node).iter().enumerate() {
            let at = base.read_start[node as usize] + i as u32;
            let covered = if read.from == INIT { &initial[..] } else { clocks.row(read.from) };
            writers.uncovered(read.key, now, covered, |writer| {
                if writer != read.from && writer != node {
                    forced.push(Forced { from: writer, to: read.from, read: at });
                }
            });
        }
    })?;
    Some((forced, clocks))
}

/// Who writes each key, session by session.
struct Writers {
    start: Vec<u32>,
    /// (node, its session), ascending.
    nodes: Vec<(i32, u32)>,
    /// Where the sessions of keys with many writers begin: per key and one more.
    run_start: Vec<u32>,
    /// (session, first place in `nodes`, one behind the last).
    runs: Vec<(u32, u32, u32)>,
}

/// Up to so many writers of a key are simply looked through.
const SCAN_MAX: usize = 128;

impl Writers {
    fn new(base: &Base<'_>) -> Writers {
        let (start, nodes) = base.writers();
        let nodes: Vec<(i32, u32)> =
            nodes.into_iter().map(|n| (n as i32, base.session[n as usize])).collect();
        let (mut run_start, mut runs) = (vec![0u32], Vec::new());
        for key in start.windows(2) {
            let (from, to) = (key[0] as usize, key[1] as usize);
            if to - from > SCAN_MAX {
                let mut at = from;
                for run in nodes[from..to].chunk_by(|a, b| a.1 == b.1) {
                    runs.push((run[0].1, at as u32, (at + run.len()) as u32));
                    at += run.len();
                }
            }
            run_start.push(runs.len() as u32);
        }
        Writers { start, nodes, run_start, runs }
    }

    /// The last writer of a key in each session that is before `now` and not before `covered`.
    fn uncovered(&self, key: u32, now: &[i32], covered: &[i32], mut each: impl FnMut(u32)) {
        let key = key as usize;
        let (from, to) = (self.start[key] as usize, self.start[key + 1] as usize);
        if to - from > SCAN_MAX {
            let runs = self.run_start[key] as usize..self.run_start[key + 1] as usize;
            for (session, from, to) in &self.runs[runs] {
                let s = *session as usize;
                if now[s] > covered[s] {
                    let run = &self.nodes[*from as usize..*to as usize];
                    let before = run.partition_point(|(w, _)| *w < now[s]);
                    if let Some((w, _)) = run[..before].last().filter(|(w, _)| *w >= covered[s]) {
                        each(*w as u32);
                    }
                }
            }
            return;
        }
        let mut last = (-1i32, u32::MAX);
        for (w, session) in &self.nodes[from..to] {
            let s = *session as usize;
            if *w < now[s] && *w >= covered[s] {
                if last.1 != *session && last.0 >= 0 {
                    each(last.0 as u32);
                }
                last = (*w, *session);
            }
        }
        if last.0 >= 0 {
            each(last.0 as u32);
        }
    }
}
