//! Orders of versions that nobody knows: one that shows no phenomenon is looked for, or none is possible.
//!
//! Where every order of some key's writes closes a forbidden cycle, the history is refuted although
//! no single edge says so. Where some order closes none, it is a proof that the history satisfies
//! the level, since with all versions in order Adya's phenomena are exact. What is neither within
//! the budget is said to be unknown.

use std::collections::BTreeSet;

use super::cycles::{self, Class, Level, Step};
use super::graph::{Edges, Graph, Rel};
use super::intern::FastMap;
use super::rows::Rows;
use super::serial::{self, First, Form};
use super::txns::{NONE, Transactions};

/// Writes of a key whose order is not known, or only in part.
#[derive(Debug, Default)]
pub(crate) struct Open {
    pub(crate) key: u32,
    /// The transactions that wrote it, and for each those that read its version.
    pub(crate) writers: Vec<u32>,
    pub(crate) readers: Vec<Vec<u32>>,
    /// Who wrote the version before all of these, and who read that one.
    pub(crate) before: Option<u32>,
    pub(crate) early: Vec<u32>,
}

/// One write of a key before another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair {
    /// The place of the key among the open ones.
    open: usize,
    pub(crate) key: u32,
    pub(crate) first: u32,
    pub(crate) second: u32,
}

impl Pair {
    pub(crate) fn reversed(self) -> Pair {
        Pair { first: self.second, second: self.first, ..self }
    }
}

/// An order that is certain, because the opposite one closes a cycle.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) pair: Pair,
    pub(crate) cycle: Vec<Step>,
}

#[derive(Debug)]
pub(crate) enum Decision {
    /// An order of all versions shows no phenomenon.
    Possible,
    /// Either order of two writes closes a cycle, given those that are certain.
    Impossible { units: Vec<Unit>, pair: Pair, cycles: [Vec<Step>; 2] },
    /// Neither was found within the budget.
    Unknown,
}

struct Search<'a> {
    txns: &'a Transactions,
    base: &'a Edges,
    open: &'a [Open],
    wanted: &'a [Class],
    /// Steps along edges that are left.
    left: u64,
    units: Vec<Unit>,
    /// About when each transaction took effect.
    middle: Vec<u32>,
    /// Orders that are taken for granted: those of the units, and what is being tried.
    taken: Vec<Pair>,
}

/// Decides whether some order of the open versions shows no phenomenon of these classes.
pub(crate) fn decide(
    txns: &Transactions,
    base: &Edges,
    open: &[Open],
    wanted: &[Class],
    budget: u64,
) -> Decision {
    let once = 4 * base.len() as u64 + txns.len() as u64;
    let (left, middle) = (budget.min(STEPS_MAX.max(TRIALS_MIN * once)), middles(txns, open));
    let mut search =
        Search { txns, base, open, wanted, left, middle, units: Vec::new(), taken: Vec::new() };
    search.run(0)
}

/// A write took effect before it or one of its readers had ended, and the next one only after these
/// had begun: the middle between both is a good guess (after Gibbons and Korach, *Testing Shared
/// Memories*, 1997, whose zones these are).
fn middles(txns: &Transactions, open: &[Open]) -> Vec<u32> {
    let end = |t: u32| if txns.is_ok(t) { txns.complete[t as usize] } else { txns.events as u32 };
    let mut zones: Vec<(u32, u32)> =
        (0..txns.len() as u32).map(|t| (end(t), txns.invoke[t as usize])).collect();
    for open in open {
        for (writer, readers) in open.writers.iter().zip(&open.readers) {
            for reader in readers {
                let zone = &mut zones[*writer as usize];
                *zone = (zone.0.min(end(*reader)), zone.1.max(txns.invoke[*reader as usize]));
            }
        }
    }
    zones.into_iter().map(|(end, begin)| end / 2 + begin / 2).collect()
}

/// How many steps along edges all trials may take together, unless these are fewer trials than the
/// second number.
const STEPS_MAX: u64 = 40_000_000;
const TRIALS_MIN: u64 = 8;

/// For each transaction so many steps are taken to find a serial order, and some more in any case.
const SERIAL_STEPS: u64 = 128;
const SERIAL_STEPS_MIN: u64 = 4_000_000;

/// So many orders are tried one in the other.
const DEPTH_MAX: usize = 8;

impl Search<'_> {
    fn run(&mut self, depth: usize) -> Decision {
        let mut fruitless: BTreeSet<Pair> = BTreeSet::new();
        loop {
            let guess = self.guess();
            let mut edges = self.known();
            self.chains(&guess, |rel, from, to| edges.push(rel, from, to));
            let Some(found) = self.search(edges) else { return Decision::Unknown };
            if found.cycles.is_empty() {
                return if found.gave_up { Decision::Unknown } else { Decision::Possible };
            }
            let mut guessed: Vec<Pair> = Vec::new();
            for (_, steps) in found.cycles.iter().take(8) {
                guessed.extend(self.pairs(&guess, steps));
            }
            guessed.sort_unstable();
            guessed.dedup();
            guessed.retain(|p| !self.taken.contains(p) && !fruitless.contains(p));
            let mut progress = false;
            for pair in &guessed {
                let Some(one) = self.closes(*pair) else { return Decision::Unknown };
                let Some(other) = self.closes(pair.reversed()) else { return Decision::Unknown };
                match (one, other) {
                    (Some(one), Some(other)) => {
                        let units = std::mem::take(&mut self.units);
                        return Decision::Impossible { units, pair: *pair, cycles: [one, other] };
                    }
                    (Some(cycle), None) => self.certain(pair.reversed(), cycle),
                    (None, Some(cycle)) => self.certain(*pair, cycle),
                    (None, None) => {
                        fruitless.insert(*pair);
                        continue;
                    }
                }
                progress = true;
            }
            if progress {
                fruitless.clear();
                continue;
            }
            // Either order may be right by itself: try the one that was not guessed.
            let mut candidates = Vec::new();
            for (_, steps) in found.cycles.iter().take(1) {
                candidates.extend(self.pairs(&guess, steps));
            }
            candidates.retain(|p| !self.taken.contains(p));
            let (units, taken) = (self.units.len(), self.taken.len());
            for pair in candidates {
                if depth == DEPTH_MAX {
                    return Decision::Unknown;
                }
                self.taken.push(pair.reversed());
                let end = self.run(depth + 1);
                self.taken.truncate(taken);
                self.units.truncate(units);
                match end {
                    // What contradicts a trial is no proof that can be explained in a few words.
                    Decision::Impossible { .. } => {}
                    end => return end,
                }
            }
            return Decision::Unknown;
        }
    }

    fn certain(&mut self, pair: Pair, cycle: Vec<Step>) {
        self.taken.push(pair);
        self.units.push(Unit { pair, cycle });
    }

    /// The edges that are known, with those of what is taken for granted.
    fn known(&self) -> Edges {
        let mut edges = self.base.clone();
        for pair in &self.taken {
            self.follows(*pair, |rel, from, to| edges.push(rel, from, to));
        }
        edges
    }

    /// What follows from the order of two writes.
    fn follows(&self, pair: Pair, mut edge: impl FnMut(Rel, u32, u32)) {
        edge(Rel::Ww, pair.first, pair.second);
        let open = &self.open[pair.open];
        let at = open.writers.iter().position(|w| *w == pair.first);
        for reader in at.into_iter().flat_map(|at| &open.readers[at]) {
            edge(Rel::Rw, *reader, pair.second);
        }
    }

    /// Cycles among these edges; `None` where the budget is used up.
    fn search(&mut self, edges: Edges) -> Option<cycles::Found> {
        let cost = 4 * edges.len() as u64 + self.txns.len() as u64;
        self.left = self.left.checked_sub(cost)?;
        let graph = Graph::new(self.txns.len(), edges);
        Some(cycles::search(&graph, self.txns, self.wanted, self.left))
    }

    /// The cycle that this order closes, if it closes one.
    fn closes(&mut self, pair: Pair) -> Option<Option<Vec<Step>>> {
        let mut edges = self.known();
        self.follows(pair, |rel, from, to| edges.push(rel, from, to));
        let mut found = self.search(edges)?;
        if found.cycles.is_empty() {
            return (!found.gave_up).then_some(None);
        }
        Some(Some(found.cycles.swap_remove(0).1))
    }

    /// An order of the writers of each open key, which agrees with what is known where that has an
    /// order at all, and follows the times otherwise.
    fn guess(&self) -> Vec<Vec<u32>> {
        if self.taken.is_empty()
            && let Some(place) = self.ordered()
        {
            return self.sorted(&place);
        }
        let n = self.txns.len();
        let graph = Graph::new(n, self.known());
        let serial = self.wanted.iter().any(|c| c.base == cycles::Base::G2Item);
        let mask = match serial {
            true => u8::MAX,
            false => !Rel::Rw.bit(),
        };
        let counts = |rel: Rel| rel.bit() & mask != 0;
        let mut missing = vec![0u32; n];
        for t in 0..n as u32 {
            let next = graph.successors(t).filter(|(rel, _)| counts(*rel));
            next.for_each(|(_, to)| missing[to as usize] += 1);
        }
        let end = |t: u32| self.middle[t as usize];
        let mut place = vec![NONE; n];
        let mut state = State::of(n, self.open);
        let ready = (0..n as u32).filter(|t| missing[*t as usize] == 0).map(|t| (end(t), t));
        let mut ready: BTreeSet<(u32, u32)> = ready.collect();
        let mut put = 0;
        // Whoever reads what is there comes first, and nobody overwrites what is still to be read.
        while let Some(first) = ready.first().copied() {
            let fits = ready.iter().take(LOOKED_MAX).find(|(_, t)| state.fits(*t)).copied();
            let (time, t) = fits.unwrap_or(first);
            ready.remove(&(time, t));
            state.put(t);
            place[t as usize] = put;
            put += 1;
            for (_, to) in graph.successors(t).filter(|(rel, _)| counts(*rel)) {
                missing[to as usize] -= 1;
                if missing[to as usize] == 0 {
                    ready.insert((end(to), to));
                }
            }
        }
        self.sorted(&place)
    }

    /// An order of all transactions that satisfies the level.
    fn ordered(&self) -> Option<Vec<u32>> {
        let wants = |level| self.wanted.iter().any(|c| c.level >= level);
        let serial = self.wanted.iter().any(|c| c.base == cycles::Base::G2Item);
        let edges = self.implied(wants(Level::Process));
        let steps = SERIAL_STEPS_MIN + SERIAL_STEPS * self.txns.len() as u64;
        let times = if wants(Level::Realtime) { &[true][..] } else { &[true, false] };
        let kinds = if serial { &[false][..] } else { &[false, true] };
        for first in [First::Middle, First::Latest, First::Earliest] {
            // Mostly the first one finds what there is.
            let steps = if first == First::Middle { steps } else { steps / 4 };
            for realtime in times {
                for snapshots in kinds {
                    let form = Form { snapshots: *snapshots, realtime: *realtime, first };
                    let steps = steps.min(self.left);
                    let found = serial::order(self.txns, &edges, self.open, form, steps);
                    if found.is_some() {
                        return found;
                    }
                }
            }
        }
        None
    }

    /// The edges that are known, and what follows where transactions take effect as a whole: whoever
    /// reads a version of a key, and something else from another writer of that key, shows that the other
    /// one wrote before.
    fn implied(&self, sessions: bool) -> Edges {
        let mut edges = Edges::with_capacity(self.base.len());
        let known = self.base.iter().filter(|(rel, ..)| sessions || *rel != Rel::Process);
        known.for_each(|(rel, from, to)| edges.push(rel, from, to));
        let touches = touches(self.txns.len(), self.open);
        let wrote = |t: u32, key: usize| touches.of(t).iter().any(|t| t.writes && t.key == key);
        for (key, open) in self.open.iter().enumerate() {
            for (writer, readers) in open.writers.iter().zip(&open.readers) {
                let sources = readers.iter().flat_map(|r| touches.of(*r));
                for source in sources.filter_map(|touch| touch.found) {
                    if source != NONE && source != *writer && wrote(source, key) {
                        edges.push(Rel::Ww, source, *writer);
                    }
                }
            }
        }
        edges
    }

    /// The writers of each key by these places.
    fn sorted(&self, place: &[u32]) -> Vec<Vec<u32>> {
        let sorted = |open: &Open| {
            let mut writers = open.writers.clone();
            writers.sort_by_key(|w| (place[*w as usize], self.middle[*w as usize]));
            writers
        };
        self.open.iter().map(sorted).collect()
    }

    /// The edges that these orders of all open keys make.
    fn chains(&self, guess: &[Vec<u32>], mut edge: impl FnMut(Rel, u32, u32)) {
        for (open, order) in self.open.iter().zip(guess) {
            let Some(first) = order.first() else { continue };
            open.before.iter().for_each(|w| edge(Rel::Ww, *w, *first));
            open.early.iter().for_each(|r| edge(Rel::Rw, *r, *first));
            let place = Places::of(open);
            for pair in order.windows(2) {
                edge(Rel::Ww, pair[0], pair[1]);
                for reader in &open.readers[place.at(pair[0])] {
                    edge(Rel::Rw, *reader, pair[1]);
                }
            }
        }
    }

    /// The guessed orders that the steps of a cycle rest on.
    fn pairs(&self, guess: &[Vec<u32>], steps: &[Step]) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (i, (open, order)) in self.open.iter().zip(guess).enumerate() {
            let concerns = |s: &&Step| matches!(s.rel, Rel::Ww | Rel::Rw) && order.contains(&s.to);
            let mut steps = steps.iter().filter(concerns).peekable();
            if steps.peek().is_none() {
                continue;
            }
            let place = Places::of(open);
            for step in steps {
                let at = order.iter().position(|w| *w == step.to).unwrap_or(0);
                let Some(first) = at.checked_sub(1).map(|at| order[at]) else { continue };
                let rests = match step.rel {
                    Rel::Ww => first == step.from,
                    _ => open.readers[place.at(first)].contains(&step.from),
                };
                if rests {
                    pairs.push(Pair { open: i, key: open.key, first, second: step.to });
                }
            }
        }
        pairs
    }
}

/// So many transactions are looked at for one that fits next.
const LOOKED_MAX: usize = 64;

/// How a transaction touches an open key.
#[derive(Clone, Copy)]
struct Touch {
    /// Its place among the open ones.
    key: usize,
    /// Whose version it found, if it read it; [`NONE`] for the first one.
    found: Option<u32>,
    writes: bool,
}

/// The touches of each transaction.
fn touches(n: usize, open: &[Open]) -> Rows<Touch> {
    let mut all: Vec<(u32, Touch)> = Vec::new();
    let mut last = vec![usize::MAX; n];
    for (key, open) in open.iter().enumerate() {
        let found = open.writers.iter().zip(&open.readers).map(|(w, readers)| (*w, readers));
        for (writer, readers) in found.chain([(NONE, &open.early)]) {
            for reader in readers {
                last[*reader as usize] = all.len();
                all.push((*reader, Touch { key, found: Some(writer), writes: false }));
            }
        }
        for writer in &open.writers {
            match all.get_mut(last[*writer as usize]) {
                Some((_, touch)) if touch.key == key => touch.writes = true,
                _ => {
                    last[*writer as usize] = all.len();
                    all.push((*writer, Touch { key, found: None, writes: true }));
                }
            }
        }
    }
    Rows::sorted(n, &all)
}

/// What one transaction after the other leaves in the open keys.
struct State {
    touches: Rows<Touch>,
    /// Per key: who wrote what is there, [`NONE`] at first.
    now: Vec<u32>,
    /// By key and writer: how many readers are still to come.
    readers: FastMap<(usize, u32), usize>,
}

impl State {
    fn of(n: usize, open: &[Open]) -> State {
        let mut readers: FastMap<(usize, u32), usize> = FastMap::default();
        for (key, open) in open.iter().enumerate() {
            for (writer, all) in open.writers.iter().zip(&open.readers) {
                readers.insert((key, *writer), all.len());
            }
            readers.insert((key, NONE), open.early.len());
        }
        State { touches: touches(n, open), now: vec![NONE; open.len()], readers }
    }

    /// May it come next: does it find what it found, and overwrite nothing that is still to be read?
    fn fits(&self, t: u32) -> bool {
        self.touches.of(t).iter().all(|Touch { key, found, writes }| {
            let now = self.now[*key];
            let waiting = self.readers.get(&(*key, now)).copied().unwrap_or(0);
            found.is_none_or(|f| f == now)
                && (!writes || waiting == usize::from(*found == Some(now)))
        })
    }

    /// Adds its effects.
    fn put(&mut self, t: u32) {
        for Touch { key, found, writes } in self.touches.of(t) {
            if let Some(left) = found.and_then(|f| self.readers.get_mut(&(*key, f))) {
                *left -= 1;
            }
            if *writes {
                self.now[*key] = t;
            }
        }
    }
}

/// Where each writer of a key stands among them.
struct Places(Vec<(u32, usize)>);

impl Places {
    fn of(open: &Open) -> Places {
        let mut places: Vec<(u32, usize)> = open.writers.iter().copied().zip(0..).collect();
        places.sort_unstable();
        Places(places)
    }

    fn at(&self, writer: u32) -> usize {
        let at = self.0.partition_point(|p| p.0 < writer);
        self.0[at].1
    }
}
