//! A simulated replicated set under clients, with chosen flaws.

use std::collections::BTreeSet;

use super::Recorder;
use crate::history::History;
use crate::op::{Phase, Value};
use crate::random::{Seed, Stream};

/// A way in which a replicated set can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// Every replica forgets an acknowledged element for good.
    Lose,
    /// One replica never gets an acknowledged element.
    Miss,
    /// Reads show an element twice.
    Duplicate,
    /// Reads show an element that nobody added.
    Invent,
    /// Reads show an element whose add failed.
    Resurrect,
    /// Reads show an element before its add was invoked.
    Foresee,
    /// A client reads an element, does not read it, and reads it again.
    Flutter,
}

/// A flaw that a run has, and the element that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Planted {
    /// What was done.
    pub flaw: Flaw,
    /// To which element.
    pub element: i64,
}

/// A simulated run: clients add and read on the nodes of a replicated set; afterwards it heals,
/// becomes quiet, and every node is read a last time.
///
/// Without flaws, every replica gets every acknowledged element, later than the one that was
/// asked; so reads may be stale, but nothing is ever lost.
///
/// ```
/// # use fuzz_dist::checker::{Checker, set_full, histories::{Flaw, SetRun}};
/// # use fuzz_dist::random::Seed;
/// let (history, _) = SetRun { operations: 500, ..SetRun::default() }.simulate(Seed(1));
/// assert!(set_full().check(&history).is_valid());
///
/// let run = SetRun { operations: 500, flaws: vec![Flaw::Lose], ..SetRun::default() };
/// let (history, planted) = run.simulate(Seed(1));
/// let verdict = set_full().check(&history);
/// assert!(verdict.anomalies.iter().any(|a| a.subject == planted[0].element.into()));
/// ```
#[derive(Clone, Debug)]
pub struct SetRun {
    /// How many operations the main phase has.
    pub operations: usize,
    /// How many nodes.
    pub nodes: u16,
    /// How many clients each node has.
    pub clients_per_node: u32,
    /// The share of reads among the operations, from 0 to 1.
    pub reads: f64,
    /// The share of adds whose outcome stays unknown.
    pub unknown: f64,
    /// The share of adds that fail.
    pub failing: f64,
    /// How likely a replica catches up with the others before a step.
    pub replication: f64,
    /// What is wrong; each adds one planted element, where the run is long enough.
    pub flaws: Vec<Flaw>,
}

impl Default for SetRun {
    fn default() -> SetRun {
        SetRun {
            operations: 1000,
            nodes: 5,
            clients_per_node: 2,
            reads: 0.5,
            unknown: 0.02,
            failing: 0.02,
            replication: 0.3,
            flaws: Vec::new(),
        }
    }
}

impl SetRun {
    /// The history of the run that follows from a seed, and the flaws that it has.
    pub fn simulate(&self, seed: Seed) -> (History, Vec<Planted>) {
        let nodes = self.nodes.max(1);
        let threads = u32::from(nodes) * self.clients_per_node.max(1);
        let mut simulation = Simulation {
            run: self,
            random: seed.stream("set_run"),
            recorder: Recorder::new((1..=nodes).map(|n| format!("n{n}"))),
            replicas: vec![Vec::new(); nodes as usize],
            log: Vec::new(),
            caught_up: vec![0; nodes as usize],
            threads: (0..threads).map(|t| Thread { process: t, state: Idle }).collect(),
            acknowledged: Vec::new(),
            failed: Vec::new(),
            lost: BTreeSet::new(),
            missed: None,
            planted: Vec::new(),
            next: 0,
        };
        simulation.main();
        simulation.end();
        (simulation.recorder.history(), simulation.planted)
    }
}

use State::{Applied, Idle, Invoked};

#[derive(Clone, Debug)]
enum State {
    Idle,
    Invoked(Option<i64>),
    Applied(Option<i64>, Option<Vec<i64>>),
}

struct Thread {
    process: u32,
    state: State,
}

struct Simulation<'a> {
    run: &'a SetRun,
    random: Stream,
    recorder: Recorder,
    replicas: Vec<Vec<i64>>,
    /// Elements in the order in which they took effect somewhere.
    log: Vec<i64>,
    caught_up: Vec<usize>,
    threads: Vec<Thread>,
    acknowledged: Vec<i64>,
    failed: Vec<i64>,
    lost: BTreeSet<i64>,
    /// A replica, and what it never gets.
    missed: Option<(usize, i64)>,
    planted: Vec<Planted>,
    next: i64,
}

impl Simulation<'_> {
    fn main(&mut self) {
        let mut left = self.run.operations;
        let mut flaws = self.run.flaws.clone();
        let gap = self.run.operations / (flaws.len() + 2);
        while left > 0 || self.threads.iter().any(|t| !matches!(t.state, Idle)) {
            let t = self.random.index(self.threads.len());
            if left == 0 && matches!(self.threads[t].state, Idle) {
                continue;
            }
            left -= usize::from(matches!(self.threads[t].state, Idle));
            if let Some(flaw) = flaws.last().copied()
                && self.run.operations - left > gap * (self.run.flaws.len() + 1 - flaws.len())
                && self.plant(flaw)
            {
                flaws.pop();
            }
            self.step(t);
        }
    }

    fn node(&self, t: usize) -> usize {
        t % self.replicas.len()
    }

    fn step(&mut self, t: usize) {
        let node = self.node(t);
        if self.random.chance(self.run.replication) {
            self.catch_up(node);
        }
        let threads = self.threads.len() as u32;
        let process = self.threads[t].process;
        self.threads[t].state = match std::mem::replace(&mut self.threads[t].state, Idle) {
            Idle if self.random.chance(self.run.reads) => {
                self.recorder.invoke(process, "read", Value::Nil);
                Invoked(None)
            }
            Idle => {
                self.recorder.invoke(process, "add", self.next);
                self.next += 1;
                Invoked(Some(self.next - 1))
            }
            Invoked(None) => Applied(None, Some(self.replicas[node].clone())),
            Invoked(Some(element)) => {
                let failing = self.random.chance(self.run.failing);
                let unknown = self.random.chance(self.run.unknown);
                if failing {
                    self.recorder.fail(process);
                    self.failed.push(element);
                    Idle
                } else if unknown {
                    if self.random.chance(0.5) {
                        self.apply(node, element);
                    }
                    self.recorder.info(process);
                    self.threads[t].process += threads;
                    Idle
                } else {
                    self.apply(node, element);
                    Applied(Some(element), None)
                }
            }
            Applied(Some(element), _) => {
                self.recorder.done(process);
                self.acknowledged.push(element);
                Idle
            }
            Applied(None, set) => {
                self.recorder.ok(process, Value::set(set.unwrap_or_default()));
                Idle
            }
        };
    }

    fn apply(&mut self, node: usize, element: i64) {
        self.log.push(element);
        self.insert(node, element);
    }

    fn insert(&mut self, node: usize, element: i64) {
        if self.lost.contains(&element) || self.missed == Some((node, element)) {
            return;
        }
        let replica = &mut self.replicas[node];
        let at = replica.partition_point(|e| *e < element);
        if replica.get(at) != Some(&element) {
            replica.insert(at, element);
        }
    }

    fn catch_up(&mut self, node: usize) {
        for i in self.caught_up[node]..self.log.len() {
            self.insert(node, self.log[i]);
        }
        self.caught_up[node] = self.log.len();
    }

    /// Plants a flaw; `false` where there is nothing yet that could show it.
    fn plant(&mut self, flaw: Flaw) -> bool {
        let used = |e: &i64| self.planted.iter().any(|p| p.element == *e);
        let known: Vec<i64> = self.acknowledged.iter().copied().filter(|e| !used(e)).collect();
        let node = self.random.index(self.replicas.len());
        let element = match flaw {
            Flaw::Invent => -1 - self.planted.len() as i64,
            Flaw::Foresee => self.next + self.threads.len() as i64 + 3,
            Flaw::Resurrect => match self.failed.iter().rev().find(|e| !used(e)) {
                Some(element) => *element,
                None => return false,
            },
            _ => match self.random.choose(&known) {
                Some(element) => *element,
                None => return false,
            },
        };
        let shown: &[bool] = match flaw {
            Flaw::Flutter => &[true, false, true],
            Flaw::Foresee => &[true],
            _ => &[],
        };
        if !self.show(node, element, shown) {
            return false;
        }
        match flaw {
            Flaw::Lose => {
                self.lost.insert(element);
                for replica in &mut self.replicas {
                    replica.retain(|e| *e != element);
                }
            }
            Flaw::Miss if self.replicas.len() < 2 || self.missed.is_some() => return false,
            Flaw::Miss => {
                self.missed = Some((node, element));
                self.replicas[node].retain(|e| *e != element);
                // The others have it, or the loss would be a loss everywhere.
                for other in (0..self.replicas.len()).filter(|n| *n != node) {
                    self.insert(other, element);
                }
            }
            Flaw::Duplicate => {
                self.insert(node, element);
                let at = self.replicas[node].partition_point(|e| *e < element);
                self.replicas[node].insert(at, element);
            }
            Flaw::Invent | Flaw::Resurrect => self.apply(node, element),
            Flaw::Foresee | Flaw::Flutter => {}
        }
        self.planted.push(Planted { flaw, element });
        true
    }

    /// An idle client reads with and without an element, as told; `false` where none is idle.
    fn show(&mut self, node: usize, element: i64, reads: &[bool]) -> bool {
        if reads.is_empty() {
            return true;
        }
        let t = node;
        if !matches!(self.threads[t].state, Idle) {
            return false;
        }
        let process = self.threads[t].process;
        self.insert(node, element);
        for has in reads {
            let mut set = self.replicas[node].clone();
            set.retain(|e| *has || *e != element);
            self.recorder.invoke(process, "read", Value::Nil);
            self.recorder.ok(process, Value::set(set));
        }
        true
    }

    /// Heals, reads every node a few times, and a last time.
    fn end(&mut self) {
        self.recorder.phase = Phase::Heal;
        self.recorder.heal(true);
        for phase in [Phase::Quiesce, Phase::Quiesce, Phase::Final] {
            self.recorder.phase = phase;
            for node in 0..self.replicas.len() {
                self.catch_up(node);
                let process = self.threads[node].process;
                self.recorder.invoke(process, "read", Value::Nil);
                self.recorder.ok(process, Value::set(self.replicas[node].iter().copied()));
            }
        }
        for node in 0..self.replicas.len() {
            self.recorder.status(node as u16, true, true);
        }
    }
}
