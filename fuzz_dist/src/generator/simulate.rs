//! Runs a generator against an idealised client, without a cluster and in no time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::{Context, Generator, Next, Planned, Thread, ThreadSet, Update};
use crate::history::History;
use crate::op::{Completion, Event, Invocation, Kind, Name, NodeId, OpError, Phase, Process};
use crate::random::Stream;
use crate::time::Time;

/// After so many operations a simulation ends, whatever the generator says.
const OPS_MAX: u64 = 100_000;

type Answer = dyn FnMut(&Planned) -> (Duration, Completion) + Send;

/// An idealised client: says how long an operation takes and what becomes of it.
///
/// ```
/// # use fuzz_dist::generator::*;
/// # use fuzz_dist::op::Invocation;
/// let run = Simulator::new(3).run(repeat(Invocation::new("read", ())).limit(5));
/// assert_eq!((run.end, run.history.len()), (SimulationEnd::Exhausted, 10));
/// ```
pub struct Simulator {
    concurrency: u16,
    nodes: u16,
    ops_max: u64,
    answer: Box<Answer>,
}

/// What a simulation gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Simulation {
    /// What happened.
    pub history: History,
    /// What the generator had to say, and when.
    pub log: Vec<(Time, Name)>,
    /// Why it ended.
    pub end: SimulationEnd,
}

/// Why a simulation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SimulationEnd {
    /// The generator had no more operations.
    Exhausted,
    /// The generator waited for something that could not come: an interpreter would hang.
    Stuck,
    /// The simulation's own limit of operations.
    OpsMax,
}

impl Simulator {
    /// `concurrency` threads on as many nodes; every operation is ok after 10 ns.
    pub fn new(concurrency: u16) -> Simulator {
        Simulator { concurrency, nodes: concurrency, ops_max: OPS_MAX, answer: Box::new(perfect) }
    }

    /// With another number of nodes.
    #[must_use]
    pub fn nodes(mut self, nodes: u16) -> Simulator {
        self.nodes = nodes;
        self
    }

    /// With another limit of operations than 100 000.
    #[must_use]
    pub fn ops_max(mut self, ops_max: u64) -> Simulator {
        self.ops_max = ops_max;
        self
    }

    /// With a client of one's own: how long an operation takes, and what becomes of it.
    #[must_use]
    pub fn answer(
        mut self,
        answer: impl FnMut(&Planned) -> (Duration, Completion) + Send + 'static,
    ) -> Simulator {
        self.answer = Box::new(answer);
        self
    }

    /// Nobody ever knows what became of an operation; each takes 10 ns.
    #[must_use]
    pub fn with_infos(self) -> Simulator {
        self.answer(|_| {
            (Duration::from_nanos(10), Completion::Info(OpError::new("info", "simulated")))
        })
    }

    /// Every thread's operations are ok, of unknown outcome, and failed, in turns; each takes
    /// 10 ns.
    #[must_use]
    pub fn with_everything(self) -> Simulator {
        let mut turns: BTreeMap<Thread, u32> = BTreeMap::new();
        self.answer(move |planned| {
            let turn = turns.entry(planned.thread).or_default();
            *turn += 1;
            let completion = match *turn % 3 {
                1 => Completion::Ok(planned.op.value.clone()),
                2 => Completion::Info(OpError::new("info", "simulated")),
                _ => Completion::Fail(OpError::new("fail", "simulated")),
            };
            (Duration::from_nanos(10), completion)
        })
    }

    /// Operations are ok after `uniform(low, high)`.
    #[must_use]
    pub fn with_latencies(self, low: Duration, high: Duration, mut stream: Stream) -> Simulator {
        self.answer(move |planned| {
            (stream.duration(low, high), Completion::Ok(planned.op.value.clone()))
        })
    }

    /// Runs a generator to its end.
    pub fn run(self, generator: impl Generator) -> Simulation {
        Run::new(self).run(generator)
    }
}

fn perfect(planned: &Planned) -> (Duration, Completion) {
    (Duration::from_nanos(10), Completion::Ok(planned.op.value.clone()))
}

struct Run {
    simulator: Simulator,
    processes: Vec<Process>,
    free: ThreadSet,
    cursor: Thread,
    time: Time,
    /// Soonest first; the number keeps operations that end at the same time in their order.
    due: BinaryHeap<Reverse<(Time, u64, Thread)>>,
    in_flight: BTreeMap<Thread, (Invocation, Completion)>,
    ops: u64,
    done: Simulation,
}

impl Run {
    fn new(simulator: Simulator) -> Run {
        let names: Vec<String> = (1..=simulator.nodes).map(|n| format!("n{n}")).collect();
        Run {
            processes: (0..simulator.concurrency).map(|i| Process(i.into())).collect(),
            free: ThreadSet::range(0, simulator.concurrency.into()),
            cursor: Thread(0),
            time: Time::ZERO,
            due: BinaryHeap::new(),
            in_flight: BTreeMap::new(),
            ops: 0,
            done: Simulation {
                history: History::new(names),
                log: Vec::new(),
                end: SimulationEnd::Exhausted,
            },
            simulator,
        }
    }

    fn context(&self) -> Context<'_> {
        Context::new(self.time, &self.processes, self.simulator.nodes)
            .with_free(self.free)
            .with_cursor(self.cursor)
    }

    fn run(mut self, mut generator: impl Generator) -> Simulation {
        loop {
            if self.ops >= self.simulator.ops_max {
                self.done.end = SimulationEnd::OpsMax;
                break;
            }
            let completes = self.due.peek().map(|Reverse((time, ..))| *time);
            // Completions are served before new work is asked for.
            if completes.is_some_and(|time| time <= self.time) {
                self.complete(&mut generator);
                continue;
            }
            let wake = match generator.next(&self.context()) {
                Next::Op(planned) if planned.time <= self.time => {
                    generator.take(&self.context());
                    self.invoke(planned, &mut generator);
                    continue;
                }
                Next::Log(text) => {
                    generator.take(&self.context());
                    self.done.log.push((self.time, text));
                    continue;
                }
                Next::Op(planned) => Some(planned.time),
                Next::Pending(wake) => wake.filter(|wake| *wake > self.time),
                Next::Exhausted => break,
            };
            match super::earlier(wake, completes) {
                Some(time) => self.time = time,
                None => {
                    self.done.end = SimulationEnd::Stuck;
                    break;
                }
            }
        }
        while !self.due.is_empty() {
            self.complete(&mut generator);
        }
        self.done
    }

    fn invoke(&mut self, planned: Planned, generator: &mut impl Generator) {
        self.ops += 1;
        let (latency, completion) = (self.simulator.answer)(&planned);
        self.free.remove(planned.thread);
        self.cursor = Thread(planned.thread.0 + 1);
        self.due.push(Reverse((self.time + latency, self.ops, planned.thread)));
        self.record(planned.thread, Kind::Invoke, &planned.op, None);
        let update = Update {
            thread: planned.thread,
            process: planned.process,
            op: &planned.op,
            completion: None,
        };
        generator.update(&self.context(), &update);
        self.in_flight.insert(planned.thread, (planned.op, completion));
    }

    fn complete(&mut self, generator: &mut impl Generator) {
        let Some(Reverse((time, _, thread))) = self.due.pop() else { return };
        self.time = self.time.max(time);
        let (op, completion) =
            self.in_flight.remove(&thread).expect("what completes was in flight");
        self.record(thread, completion.kind(), &op, Some(&completion));
        let process = self.processes[thread.index()];
        if matches!(completion, Completion::Info(_)) {
            self.processes[thread.index()].0 += u32::from(self.simulator.concurrency);
        }
        self.free.insert(thread);
        let update = Update { thread, process, op: &op, completion: Some(&completion) };
        generator.update(&self.context(), &update);
    }

    fn record(&mut self, thread: Thread, kind: Kind, op: &Invocation, done: Option<&Completion>) {
        let (value, error) = match done {
            None => (op.value.clone(), None),
            Some(Completion::Ok(value)) => (value.clone(), None),
            Some(Completion::Fail(error) | Completion::Info(error)) => {
                (op.value.clone(), Some(error.clone()))
            }
        };
        let event = Event {
            time: self.time,
            process: self.processes[thread.index()],
            node: Some(NodeId(thread.0 % self.simulator.nodes)),
            kind,
            f: op.f.clone(),
            value,
            error,
            phase: Phase::Main,
        };
        self.done.history.push(event).expect("a simulated client answers once");
    }
}
