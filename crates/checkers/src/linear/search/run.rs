//! The search itself: what is kept at each event.

use super::super::super::dense::NONE;
use super::super::Model;
use super::super::configurations::{Configuration, Seen, Steps};
use super::super::decoded::{Decoded, Operation};
use super::pending::{Accesses, Pending, bits};
use super::{Budget, End};
use fuzz_dist_history::hash::FastMap;

pub(super) struct Search<'a, M: Model> {
    pub(super) model: &'a M,
    pub(super) operations: Vec<Operation>,
    pub(super) ops: Vec<M::Op>,
    pub(super) states: Vec<M::State>,
    state_ids: FastMap<M::State, u32>,
    steps: Steps,
    pending: Pending,
    pub(super) taken: u64,
    pub(super) peak: usize,
    /// The last moment at which nothing was pending: its place among the events, and the states
    /// that were possible.
    pub(super) quiet: (usize, Vec<u32>),
    pub(super) configurations: Vec<Configuration>,
    /// What completions work on, kept between them.
    seen: Seen,
    stack: Vec<Configuration>,
    done: Vec<Configuration>,
}

impl<'a, M: Model> Search<'a, M> {
    pub(super) fn new(model: &'a M, decoded: Decoded<M::Op>) -> Search<'a, M> {
        let Decoded { ops, operations } = decoded;
        let initial = model.initial();
        Search {
            model,
            operations,
            steps: Steps::new(ops.len()),
            pending: Pending::new(Accesses::of(model, &ops)),
            ops,
            states: vec![initial.clone()],
            state_ids: FastMap::from_iter([(initial, 0)]),
            taken: 0,
            peak: 1,
            quiet: (0, vec![0]),
            configurations: vec![Configuration { done: 0, state: 0, overwritten: 0 }],
            seen: Seen::default(),
            stack: Vec::new(),
            done: Vec::new(),
        }
    }

    fn step(&mut self, state: u32, op: u32) -> Option<u32> {
        if let Some(known) = self.steps.get(state, op) {
            return known;
        }
        let next = self.model.step(&self.states[state as usize], &self.ops[op as usize]);
        let next = next.map(|s| match self.state_ids.get(&s) {
            Some(id) => *id,
            None => {
                let id = self.states.len() as u32;
                self.states.push(s.clone());
                self.state_ids.insert(s, id);
                id
            }
        });
        self.steps.set(state, op, next);
        next
    }

    /// Goes through a history of so many events.
    pub(super) fn run(&mut self, events: usize, budget: &Budget) -> End {
        // The operation of each event that counts.
        let mut of_event = vec![NONE; events];
        for (n, operation) in self.operations.iter().enumerate() {
            of_event[operation.invoked] = n as u32;
            if let Some(c) = operation.completed {
                of_event[c] = n as u32;
            }
        }
        let mut slot_of = vec![0; self.operations.len()];
        for (event, n) in of_event.into_iter().enumerate().filter(|(_, n)| *n != NONE) {
            if self.operations[n as usize].invoked == event {
                if self.pending.all == 0 {
                    self.quiet.0 = event;
                    self.quiet.1.clear();
                    self.quiet.1.extend(self.configurations.iter().map(|c| c.state));
                }
                let Some(slot) = self.begin(n) else {
                    let what = "more operations are pending than 128";
                    return End::Budget { event, what };
                };
                slot_of[n as usize] = slot;
                continue;
            }
            match self.complete(slot_of[n as usize], event as u32, budget) {
                None => return End::Budget { event, what: "the search grew too large" },
                Some(false) => return End::Stuck { operation: n as usize },
                Some(true) => {}
            }
        }
        End::Explained
    }

    fn begin(&mut self, n: u32) -> Option<u32> {
        let Operation { op, pure, .. } = self.operations[n as usize];
        let slot = self.pending.begin(&self.operations[n as usize])?;
        if pure {
            let mut configurations = std::mem::take(&mut self.configurations);
            for c in &mut configurations {
                if self.step(c.state, op) == Some(c.state) {
                    c.done |= 1u128 << slot;
                }
            }
            self.configurations = configurations;
        }
        Some(slot)
    }

    /// Keeps the configurations in which the operation has taken effect by now; `None` where
    /// the budget does not suffice, else whether there are any.
    fn complete(&mut self, slot: u32, event: u32, budget: &Budget) -> Option<bool> {
        let bit = 1u128 << slot;
        if self.configurations.iter().all(|c| c.done & bit != 0) {
            self.configurations.iter_mut().for_each(|c| c.done &= !bit);
            self.pending.end(slot);
            return Some(true);
        }
        let mut seen = std::mem::take(&mut self.seen);
        let mut stack = std::mem::take(&mut self.stack);
        let mut done = std::mem::take(&mut self.done);
        seen.clear();
        stack.clear();
        done.clear();
        // Those that have it done keep its bit in `seen`, so that one set serves for both kinds.
        for c in &self.configurations {
            seen.insert(*c);
            if c.done & bit != 0 {
                done.push(Configuration { done: c.done & !bit, ..*c });
                continue;
            }
            if self.pending.was_overwritten(slot, c.overwritten) {
                done.push(*c);
            }
            stack.push(*c);
        }
        while let Some(c) = stack.pop() {
            // Pure operations have taken effect already, wherever they can.
            for next in bits(self.pending.all & !c.done & !self.pending.pure) {
                self.taken += 1;
                if self.pending.is_too_early(next, c.done, c.overwritten)
                    || next != slot && self.pending.is_unread(next, c.done)
                {
                    continue;
                }
                let Some(state) = self.step(c.state, self.pending.slot(next).op) else { continue };
                let overwritten = if self.pending.overwrites(next) { event } else { c.overwritten };
                let mut now = Configuration { done: c.done | 1u128 << next, state, overwritten };
                for pure in bits(self.pending.all & self.pending.pure & !now.done) {
                    if self.step(state, self.pending.slot(pure).op) == Some(state) {
                        now.done |= 1u128 << pure;
                    }
                }
                if !seen.insert(now) {
                    continue;
                }
                if now.done & bit != 0 {
                    done.push(Configuration { done: now.done & !bit, ..now });
                } else {
                    stack.push(now);
                }
            }
            if self.taken > budget.steps || seen.len() > budget.configurations {
                return None;
            }
        }
        (self.seen, self.stack) = (seen, stack);
        if done.is_empty() {
            return Some(false);
        }
        self.pending.end(slot);
        self.done = std::mem::replace(&mut self.configurations, done);
        self.thin_out();
        self.peak = self.peak.max(self.configurations.len());
        Some(true)
    }

    /// Leaves out configurations beside which there is another one that can do all that they can:
    /// in the same state, with the same operations to come but for more reads that are done, fewer
    /// operations of unknown outcome used up, and more writes that may have been overwritten.
    fn thin_out(&mut self) {
        if self.configurations.len() < 2 {
            return;
        }
        let (pure, open) = (self.pending.pure, self.pending.open & self.pending.all);
        let rest = !(pure | open);
        let mut all = std::mem::take(&mut self.configurations);
        all.sort_unstable_by_key(|c| {
            let unread = pure & !c.done;
            let worth = (c.done & open | unread).count_ones();
            (c.done & rest, c.state, worth, u32::MAX - c.overwritten, c.done)
        });
        let (mut group, mut kept) = (0, 0);
        for i in 0..all.len() {
            let c = all[i];
            let same = |k: &Configuration| (k.done & rest, k.state) == (c.done & rest, c.state);
            if kept == 0 || !same(&all[kept - 1]) {
                group = kept;
            }
            // A bounded look back keeps this cheap; what slips through costs time only.
            let better = |k: &Configuration| {
                k.done & open & !c.done == 0
                    && c.done & pure & !k.done == 0
                    && k.overwritten >= c.overwritten
            };
            if !all[group..kept].iter().take(64).any(better) {
                all[kept] = c;
                kept += 1;
            }
        }
        all.truncate(kept);
        self.configurations = all;
    }
}
