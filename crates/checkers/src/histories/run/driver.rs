//! Clients that use simulated objects, and those that plant an anomaly.

use std::ops::Range;

use super::super::Recorder;
use super::{Object, Run, Simulated};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Phase, Value};
use fuzz_dist_random::{Seed, Stream};

/// Records operations of clients that do nothing else, at moments at which nothing is under way.
pub(super) struct Planter<'a> {
    recorder: &'a mut Recorder,
    next: &'a mut u32,
    /// `None` where there is one object only.
    key: Option<i64>,
    pub(super) nodes: u16,
    /// The nodes whose last reads are due.
    pub(super) finals: Range<u16>,
}

impl Planter<'_> {
    /// A fresh client on some node.
    pub(super) fn client(&mut self) -> u32 {
        *self.next += 1;
        *self.next
    }

    /// A fresh client on this node.
    pub(super) fn client_on(&mut self, node: u16) -> u32 {
        let client = self.client();
        self.recorder.bind(client, node);
        client
    }

    pub(super) fn invoke(&mut self, client: u32, f: &str, argument: Value) {
        let argument = keyed(self.key, argument);
        self.recorder.invoke(client, f, argument);
    }

    pub(super) fn ok(&mut self, client: u32, result: Value) {
        let result = keyed(self.key, result);
        self.recorder.ok(client, result);
    }

    pub(super) fn done(&mut self, client: u32) {
        self.recorder.done(client);
    }

    pub(super) fn fail(&mut self, client: u32) {
        self.recorder.fail(client);
    }

    /// One whole operation.
    pub(super) fn did(&mut self, client: u32, f: &str, argument: Value, result: Value) {
        self.invoke(client, f, argument);
        self.ok(client, result);
    }

    /// One whole operation whose result is its argument.
    pub(super) fn acknowledged(&mut self, client: u32, f: &str, argument: Value) {
        self.invoke(client, f, argument);
        self.done(client);
    }

    /// The same on another object.
    pub(super) fn on(&mut self, key: i64) -> Planter<'_> {
        let (nodes, finals) = (self.nodes, self.finals.clone());
        Planter { recorder: self.recorder, next: self.next, key: Some(key), nodes, finals }
    }
}

fn keyed(key: Option<i64>, value: Value) -> Value {
    key.map_or(value.clone(), |key| Value::list([key.into(), value]))
}

/// What a client is doing.
enum State {
    Idle,
    /// It has invoked an operation on an object.
    Invoked(usize, &'static str, Value),
    /// The operation took effect, or was refused.
    Applied(Option<Value>),
}

/// An operation of unknown outcome that has not taken effect.
struct Late {
    object: usize,
    by: (u32, u16),
    f: &'static str,
    argument: Value,
}

struct Driver<'a> {
    run: &'a Run,
    random: Stream,
    recorder: Recorder,
    objects: Vec<Box<dyn Simulated>>,
    clients: Vec<(u32, State)>,
    /// What was given up and may still take effect.
    late: Vec<Late>,
    /// Clients of the planter have these numbers and higher ones.
    next: u32,
}

pub(super) fn run(run: &Run, seed: Seed) -> History {
    // Processes that replace one of unknown outcome have numbers below the planter's.
    let most = run.clients.saturating_mul(run.operations as u32 + 2).min(u32::MAX / 2);
    let mut driver = Driver {
        run,
        random: seed.stream("object_run"),
        recorder: Recorder::new((1..=run.nodes).map(|n| format!("n{n}"))),
        objects: (0..run.keys).map(|_| run.simulated(seed)).collect(),
        clients: (0..run.clients).map(|c| (c, State::Idle)).collect(),
        late: Vec::new(),
        next: most,
    };
    driver.main();
    driver.end();
    driver.recorder.history()
}

impl Driver<'_> {
    fn is_keyed(&self) -> bool {
        self.run.keys > 1 || self.run.object == Object::Registers
    }

    fn planter(&mut self, key: usize) -> (&mut Box<dyn Simulated>, Planter<'_>) {
        let keyed = self.is_keyed();
        let (object, nodes) = (&mut self.objects[key], self.run.nodes);
        let key = keyed.then_some(key as i64);
        let recorder = &mut self.recorder;
        (object, Planter { recorder, next: &mut self.next, key, nodes, finals: 0..nodes })
    }

    fn main(&mut self) {
        let mut left = self.run.operations;
        let mut waiting = self.run.anomaly;
        // Somewhere in the middle, so that there is something before and after it.
        let plant_at = left - left.min(left / 3 + self.random.index(left / 3 + 1));
        loop {
            let idle = self.clients.iter().all(|(_, s)| matches!(s, State::Idle));
            let due = waiting.is_some() && left <= plant_at;
            if idle && due {
                let anomaly = waiting.take().unwrap_or_default();
                let (object, mut planter) = self.planter(0);
                object.plant(anomaly, &mut planter);
                continue;
            }
            if idle && left == 0 {
                return;
            }
            let c = self.random.index(self.clients.len());
            let begins = matches!(self.clients[c].1, State::Idle);
            if !begins || left > 0 && !due {
                left -= usize::from(begins);
                self.step(c);
            }
        }
    }

    /// Lets each of the operations that were given up take effect with this probability.
    fn late(&mut self, chance: f64) {
        for late in std::mem::take(&mut self.late) {
            match self.random.chance(chance) {
                true => drop(self.objects[late.object].apply(late.by, late.f, &late.argument)),
                false => self.late.push(late),
            }
        }
    }

    fn step(&mut self, c: usize) {
        self.late(0.02);
        let process = self.clients[c].0;
        let node = (process % u32::from(self.run.nodes)) as u16;
        let was = std::mem::replace(&mut self.clients[c].1, State::Idle);
        self.clients[c].1 = match was {
            State::Idle => {
                let share = self.random.unit().powf(1.0 + self.run.skew);
                let last = self.objects.len() - 1;
                let at = ((share * self.objects.len() as f64) as usize).min(last);
                let (f, argument) = self.objects[at].next(&mut self.random);
                let key = self.is_keyed().then_some(at as i64);
                self.recorder.invoke(process, f, keyed(key, argument.clone()));
                State::Invoked(at, f, argument)
            }
            State::Invoked(at, f, argument) => {
                let (failing, unknown) =
                    (self.random.chance(self.run.failing), self.random.chance(self.run.unknown));
                if failing {
                    self.recorder.fail(process);
                    State::Idle
                } else if unknown && (self.run.late || !self.objects[at].is_certain(f)) {
                    let by = (process, node);
                    if self.random.chance(0.5) {
                        self.objects[at].apply(by, f, &argument);
                    } else {
                        self.late.push(Late { object: at, by, f, argument });
                    }
                    self.recorder.info(process);
                    self.clients[c].0 += self.run.clients;
                    State::Idle
                } else {
                    let key = self.is_keyed().then_some(at as i64);
                    let result = self.objects[at].apply((process, node), f, &argument);
                    State::Applied(result.map(|r| keyed(key, r)))
                }
            }
            State::Applied(Some(result)) => {
                self.recorder.ok(process, result);
                State::Idle
            }
            State::Applied(None) => {
                self.recorder.fail(process);
                State::Idle
            }
        };
    }

    fn end(&mut self) {
        self.recorder.phase = Phase::Heal;
        self.recorder.heal(true);
        self.recorder.phase = Phase::Final;
        if !self.run.late {
            self.late.clear();
        }
        let all = 0..self.run.nodes;
        let rounds = match self.run.late {
            true => all.map(|node| node..node + 1).collect(),
            false => vec![all],
        };
        for finals in rounds {
            self.late(0.3);
            for key in 0..self.objects.len() {
                let anomaly = self.run.anomaly.filter(|_| key == 0);
                let (object, planter) = self.planter(key);
                object.finish(anomaly, &mut Planter { finals: finals.clone(), ..planter });
            }
        }
        for node in 0..self.run.nodes {
            self.recorder.status(node, true, true);
        }
    }
}
