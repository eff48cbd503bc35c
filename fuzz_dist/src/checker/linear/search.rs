//! The budgeted just-in-time search.

use super::super::calls::{Outcome, call};
use super::super::dense::{Dense, NONE};
use super::super::evidence::{Faults, node_of};
use super::super::{Anomaly, Checker, Verdict};
use super::Model;
use super::configurations::{Configuration, Seen, Steps};
use super::witness::{Step, explains};
use crate::history::History;
use crate::history::hash::FastMap;
use crate::op::Kind;

/// Judges whether a history is linearizable; see [`linearizable`].
#[derive(Clone, Debug)]
pub struct Linearizable<M> {
    model: M,
    steps_max: u64,
    configurations_max: usize,
}

/// Judges whether a history is one of `model` with each operation taking effect at one moment
/// between its ends (Herlihy and Wing 1990). Failed operations never took effect; those without
/// a known outcome may take effect at any time after their invocation, or never.
///
/// The search stops at its budget and then says *unknown: budget*, with how far it came.
///
/// ```
/// # use fuzz_dist::checker::{CasRegister, Checker, linearizable, histories::Recorder};
/// # use fuzz_dist::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// r.invoke(0, "write", 1);
/// r.done(0);
/// r.invoke(1, "read", Value::Nil);
/// r.ok(1, Value::Nil);
/// let verdict = linearizable(CasRegister).check(&r.history());
/// assert_eq!(&*verdict.anomalies[0].kind, "not_linearizable");
/// ```
pub fn linearizable<M: Model>(model: M) -> Linearizable<M> {
    Linearizable { model, steps_max: 50_000_000, configurations_max: 1_000_000 }
}

impl<M> Linearizable<M> {
    /// How many steps the search may take.
    #[must_use]
    pub fn steps_max(mut self, steps: u64) -> Linearizable<M> {
        self.steps_max = steps;
        self
    }

    /// How many configurations it may keep, at about 50 bytes each.
    #[must_use]
    pub fn configurations_max(mut self, configurations: usize) -> Linearizable<M> {
        self.configurations_max = configurations;
        self
    }
}

/// An operation that can have taken effect.
struct Operation {
    op: u32,
    pure: bool,
    invoked: usize,
    completed: Option<usize>,
}

/// The most operations that can be pending at a time, those of unknown outcome included.
const SLOTS: usize = 128;

/// How a search ended.
enum End {
    Explained,
    /// No configuration is left at this operation's completion.
    Stuck {
        operation: usize,
    },
    /// Out of budget, or of slots, at this event.
    Budget {
        event: usize,
        what: &'static str,
    },
}

struct Search<'a, M: Model> {
    model: &'a M,
    operations: Vec<Operation>,
    ops: Vec<M::Op>,
    states: Vec<M::State>,
    state_ids: FastMap<M::State, u32>,
    steps: Steps,
    /// Per slot: the operation.
    slots: Vec<u32>,
    /// Per slot: slots of equal operations of unknown outcome that were invoked earlier.
    twins: Vec<u128>,
    pending: u128,
    pure: u128,
    open: u128,
    taken: u64,
    peak: usize,
    /// The last moment at which nothing was pending: its place among the events, and the states
    /// that were possible.
    quiet: (usize, Vec<u32>),
    configurations: Vec<Configuration>,
    /// What completions work on, kept between them.
    seen: Seen,
    stack: Vec<Configuration>,
    done: Vec<Configuration>,
}

impl<M: Model> Checker for Linearizable<M> {
    fn check(&self, history: &History) -> Verdict {
        let mut search = match Search::prepare(&self.model, history) {
            Ok(search) => search,
            Err(i) => {
                let why = format!(
                    "the model does not know `{}` of {} (event {i})",
                    history.function(i),
                    history.value(i)
                );
                return Verdict::unknown("linearizable", why);
            }
        };
        if search.operations.iter().all(|o| o.completed.is_none()) {
            return Verdict::unknown("linearizable", "no operation succeeded");
        }
        let end = search.run(history, self.steps_max, self.configurations_max);
        let count = search.operations.len();
        let verdict = match end {
            End::Explained => Verdict::valid("linearizable"),
            End::Budget { event, what } => {
                let time = history.time(event);
                let why = format!(
                    "budget: {what} at event {event}; everything before {time} is explained"
                );
                Verdict::unknown("linearizable", why).with("explained_events", event)
            }
            End::Stuck { operation } => search.stuck(history, operation),
        };
        let verdict = verdict
            .with("operation_count", count)
            .with("steps", search.taken)
            .with("peak_configurations", search.peak);
        Faults::of(history).state(history, verdict)
    }
}

impl<'a, M: Model> Search<'a, M> {
    fn prepare(model: &'a M, history: &History) -> Result<Search<'a, M>, usize> {
        let mut ids: FastMap<M::Op, u32> = FastMap::default();
        let (mut ops, mut operations) = (Vec::new(), Vec::new());
        // Histories say the same again and again: each saying is decoded once.
        let mut values = Dense::expecting(history, (0..history.len()).map(|i| history.word(i)));
        let mut decoded: FastMap<(u64, u64), u32> = FastMap::default();
        for i in 0..history.len() {
            if history.kind(i) != Kind::Invoke || !history.process(i).is_client() {
                continue;
            }
            let call = call(history, i);
            if call.outcome == Outcome::Failed {
                continue;
            }
            let result = call.acknowledged();
            let said = (values.event(i), result.map_or(NONE, |c| values.event(c)));
            let said =
                (u64::from(said.0) << 32 | u64::from(said.1), history.function_index(i) as u64);
            let op = match decoded.get(&said) {
                Some(op) => *op,
                None => {
                    let value = result.map(|c| history.value(c));
                    let op = model.decode(history.function(i), &history.value(i), value.as_ref());
                    let op = op.ok_or(result.unwrap_or(i))?;
                    let op = *ids.entry(op).or_insert_with_key(|op| {
                        ops.push(op.clone());
                        ops.len() as u32 - 1
                    });
                    decoded.insert(said, op);
                    op
                }
            };
            let pure = model.is_pure(&ops[op as usize]);
            if pure && call.outcome == Outcome::Open {
                continue;
            }
            operations.push(Operation { op, pure, invoked: i, completed: result });
        }
        let initial = model.initial();
        let steps = Steps::new(ops.len());
        Ok(Search {
            model,
            operations,
            ops,
            states: vec![initial.clone()],
            state_ids: FastMap::from_iter([(initial, 0)]),
            steps,
            slots: vec![0; SLOTS],
            twins: vec![0; SLOTS],
            pending: 0,
            pure: 0,
            open: 0,
            taken: 0,
            peak: 1,
            quiet: (0, vec![0]),
            configurations: vec![(0, 0)],
            seen: Seen::default(),
            stack: Vec::new(),
            done: Vec::new(),
        })
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

    fn run(&mut self, history: &History, steps_max: u64, configurations_max: usize) -> End {
        // The operation of each event that counts.
        let mut of_event = vec![NONE; history.len()];
        for (n, operation) in self.operations.iter().enumerate() {
            of_event[operation.invoked] = n as u32;
            if let Some(c) = operation.completed {
                of_event[c] = n as u32;
            }
        }
        let mut slot_of = vec![0; self.operations.len()];
        for (event, n) in of_event.into_iter().enumerate().filter(|(_, n)| *n != NONE) {
            if self.operations[n as usize].invoked == event {
                if self.pending == 0 {
                    self.quiet.0 = event;
                    self.quiet.1.clear();
                    self.quiet.1.extend(self.configurations.iter().map(|(_, s)| *s));
                }
                let Some(slot) = self.begin(n) else {
                    let what = "more operations are pending than 128";
                    return End::Budget { event, what };
                };
                slot_of[n as usize] = slot;
                continue;
            }
            match self.complete(slot_of[n as usize], steps_max, configurations_max) {
                None => return End::Budget { event, what: "the search grew too large" },
                Some(false) => return End::Stuck { operation: n as usize },
                Some(true) => {}
            }
        }
        End::Explained
    }

    fn begin(&mut self, n: u32) -> Option<u32> {
        let slot = (!self.pending).trailing_zeros();
        if slot as usize >= SLOTS {
            return None;
        }
        let operation = &self.operations[n as usize];
        let (op, pure, open) = (operation.op, operation.pure, operation.completed.is_none());
        let bit = 1u128 << slot;
        self.twins[slot as usize] = 0;
        if open {
            let same = bits(self.open).filter(|s| self.operation(*s).op == op);
            self.twins[slot as usize] = same.map(|s| 1u128 << s).sum();
            self.open |= bit;
        }
        self.slots[slot as usize] = n;
        self.pending |= bit;
        if pure {
            self.pure |= bit;
            let mut configurations = std::mem::take(&mut self.configurations);
            for (mask, state) in &mut configurations {
                if self.step(*state, op) == Some(*state) {
                    *mask |= bit;
                }
            }
            self.configurations = configurations;
        }
        Some(slot)
    }

    fn operation(&self, slot: u32) -> &Operation {
        &self.operations[self.slots[slot as usize] as usize]
    }

    /// Keeps the configurations in which the operation has taken effect by now; `None` where
    /// the budget does not suffice, else whether there are any.
    fn complete(&mut self, slot: u32, steps_max: u64, configurations_max: usize) -> Option<bool> {
        let bit = 1u128 << slot;
        let mut seen = std::mem::take(&mut self.seen);
        let mut stack = std::mem::take(&mut self.stack);
        let mut done = std::mem::take(&mut self.done);
        seen.clear();
        stack.clear();
        done.clear();
        // Those that have it done keep its bit in `seen`, so that one set serves for both kinds.
        for (mask, state) in &self.configurations {
            seen.insert((*mask, *state));
            if mask & bit != 0 {
                done.push((mask & !bit, *state));
            } else {
                stack.push((*mask, *state));
            }
        }
        while let Some((mask, state)) = stack.pop() {
            // Pure operations have taken effect already, wherever they can.
            for next in bits(self.pending & !mask & !self.pure) {
                self.taken += 1;
                if self.twins[next as usize] & !mask != 0 {
                    continue;
                }
                let Some(to) = self.step(state, self.operation(next).op) else { continue };
                let mut now = mask | 1u128 << next;
                for pure in bits(self.pending & self.pure & !now) {
                    if self.step(to, self.operation(pure).op) == Some(to) {
                        now |= 1u128 << pure;
                    }
                }
                if !seen.insert((now, to)) {
                    continue;
                }
                if now & bit != 0 {
                    done.push((now & !bit, to));
                } else {
                    stack.push((now, to));
                }
            }
            if self.taken > steps_max || seen.len() > configurations_max {
                return None;
            }
        }
        (self.seen, self.stack) = (seen, stack);
        if done.is_empty() {
            return Some(false);
        }
        self.pending &= !bit;
        self.pure &= !bit;
        self.done = std::mem::replace(&mut self.configurations, done);
        self.thin_out();
        self.peak = self.peak.max(self.configurations.len());
        Some(true)
    }

    /// Of two configurations that differ only in that one has used more operations of unknown
    /// outcome, the other can do everything that it can.
    fn thin_out(&mut self) {
        if self.open == 0 || self.configurations.len() < 2 {
            return;
        }
        let open = self.open;
        let mut all = std::mem::take(&mut self.configurations);
        all.sort_unstable_by_key(|(m, s)| (m & !open, *s, (m & open).count_ones(), *m));
        let mut group = 0;
        let mut kept: Vec<Configuration> = Vec::with_capacity(all.len());
        for (mask, state) in all {
            let same = |k: &Configuration| (k.0 & !open, k.1) == (mask & !open, state);
            if kept.last().is_none_or(|k| !same(k)) {
                group = kept.len();
            }
            // A bounded look back keeps this cheap; what slips through costs time only.
            let look = kept[group..].iter().take(64);
            if !look.into_iter().any(|k| k.0 & open & !mask == 0) {
                kept.push((mask, state));
            }
        }
        self.configurations = kept;
    }

    /// The verdict where no configuration is left.
    fn stuck(&self, history: &History, n: usize) -> Verdict {
        let operation = &self.operations[n];
        let end = operation.completed.unwrap_or(operation.invoked);
        let (from, states) = &self.quiet;
        let initial: Vec<M::State> =
            states.iter().map(|s| self.states[*s as usize].clone()).collect();
        let window = |o: &&Operation| o.invoked >= *from && o.invoked < end;
        let mut steps: Vec<Step<M::Op>> = (self.operations.iter())
            .filter(window)
            .map(|o| Step {
                op: self.ops[o.op as usize].clone(),
                invoked: o.invoked,
                completed: o.completed.filter(|c| *c <= end),
            })
            .collect();
        let checked = explains(self.model, &initial, &steps);
        self.minimise(&initial, &mut steps, end);
        let mut possible: Vec<String> = (self.configurations.iter())
            .map(|(_, s)| format!("{:?}", self.states[*s as usize]))
            .collect();
        possible.sort_unstable();
        possible.dedup();
        let more = possible.len().saturating_sub(4);
        possible.truncate(4);
        let result = if history.value(end) == history.value(operation.invoked) {
            String::new()
        } else {
            format!(" giving {}", history.value(end))
        };
        let text = format!(
            "`{} {}` by client {} on {}, from {} to {},{result} cannot have taken effect in between: before it completed the state can only be {}{}; the witness is {} operations long, begins at {}, and an independent check {}",
            history.function(operation.invoked),
            history.value(operation.invoked),
            history.process(end),
            node_of(history, end),
            history.time(operation.invoked),
            history.time(end),
            possible.join(" or "),
            if more > 0 { format!(" or one of {more} more") } else { String::new() },
            steps.len(),
            history.time(*from),
            match checked {
                Some(false) => "agrees",
                Some(true) => "DISAGREES, which is a bug in this checker",
                None => "was too long to be made",
            }
        );
        let mut events: Vec<usize> =
            steps.iter().flat_map(|s| [Some(s.invoked), s.completed]).flatten().collect();
        events.sort_unstable();
        let anomaly = Anomaly::new("not_linearizable", history.value(end))
            .explained(text)
            .on(history.node(end))
            .at(history.time(end))
            .proved_by(events);
        let why = format!("no order of the operations explains event {end}");
        let mut verdict = if checked == Some(true) {
            Verdict::unknown("linearizable", "the independent check of the witness disagrees")
        } else {
            Verdict::invalid("linearizable", why)
        };
        verdict.anomalies.push(anomaly);
        verdict.with("witness_checked", checked == Some(false))
    }

    /// Leaves out pure operations that the contradiction does not need. (Leaving out others
    /// could make a contradiction where there was none.)
    fn minimise(&self, initial: &[M::State], steps: &mut Vec<Step<M::Op>>, end: usize) {
        const STEPS_MAX: usize = 64;
        if steps.len() > STEPS_MAX {
            return;
        }
        let mut i = 0;
        while i < steps.len() {
            if steps[i].completed != Some(end) && self.model.is_pure(&steps[i].op) {
                let left_out = steps.remove(i);
                if explains(self.model, initial, steps) == Some(false) {
                    continue;
                }
                steps.insert(i, left_out);
            }
            i += 1;
        }
    }
}

fn bits(mut mask: u128) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        (mask != 0).then(|| {
            let bit = mask.trailing_zeros();
            mask &= mask - 1;
            bit
        })
    })
}
