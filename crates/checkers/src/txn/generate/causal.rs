//! Replicas that exchange whole transactions in causal order and keep the latest write.

use std::collections::HashMap;

use super::{Draw, Effect, Load, Micro, Recorder, due};
use crate::txn::core::Shape;
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Kind, OpError, Value};
use fuzz_dist_random::Stream;

/// A committed transaction on its way to the other replicas.
struct Sent {
    writes: Vec<(usize, i64)>,
    /// How many transactions of each replica it depends on.
    after: Vec<usize>,
    lamport: u64,
}

struct Replica {
    /// Per key: (logical clock, replica, value).
    keys: HashMap<usize, (u64, usize, i64)>,
    seen: Vec<usize>,
    lamport: u64,
}

impl Replica {
    fn apply(&mut self, from: usize, sent: &Sent) {
        self.lamport = self.lamport.max(sent.lamport);
        self.seen[from] += 1;
        for (key, value) in &sent.writes {
            let entry = (sent.lamport, from, *value);
            let held = self.keys.entry(*key).or_insert(entry);
            // Of two writes by one transaction the later one stays.
            if (held.0, held.1) <= (entry.0, entry.1) {
                *held = entry;
            }
        }
    }
}

pub(super) fn run(load: &Load, replicas: u16) -> History {
    let r = usize::from(replicas);
    let mut draw = Draw::new(load);
    let mut rng = load.seed.stream("interleaving");
    let mut out = Recorder::new(replicas);
    let mut log: Vec<Vec<Sent>> = (0..r).map(|_| Vec::new()).collect();
    let mut state: Vec<Replica> =
        (0..r).map(|_| Replica { keys: HashMap::new(), seen: vec![0; r], lamport: 0 }).collect();
    let mut open: Vec<Option<Vec<Micro>>> = (0..load.sessions).map(|_| None).collect();
    let mut processes: Vec<u32> = (0..load.sessions).collect();
    // Those of unknown outcome that have not taken effect, and the replica that has them.
    let mut late: Vec<(usize, Vec<Micro>)> = Vec::new();
    let (mut begun, mut running) = (0, 0);
    while begun < load.transactions || running > 0 {
        // Often enough that replicas keep up with each other on the whole.
        for _ in 0..=2 * r {
            exchange(&mut rng, &mut state, &log);
        }
        for (at, ops) in due(&mut late, &mut rng) {
            commit(&mut state[at], &mut log[at], at, &ops);
        }
        let s = rng.index(open.len());
        let at = s % r;
        let Some(ops) = open[s].take() else {
            if begun < load.transactions {
                let ops = draw.transaction();
                let value = out.value(Shape::Registers, &ops, |_| Value::Nil);
                out.record(processes[s], at as u16, Kind::Invoke, value, None);
                open[s] = Some(ops);
                (begun, running) = (begun + 1, running + 1);
            }
            continue;
        };
        running -= 1;
        let asked = out.value(Shape::Registers, &ops, |_| Value::Nil);
        if rng.chance(load.fail) {
            let error = OpError::new("aborted", "aborted");
            out.record(processes[s], at as u16, Kind::Fail, asked, Some(error));
            continue;
        }
        let info = rng.chance(load.info);
        let effect = if info { Effect::draw(&mut rng) } else { Effect::Before };
        let value = out.value(Shape::Registers, &ops, |i| {
            let own = ops[..i].iter().rev().filter(|o| o.key == ops[i].key).find_map(|o| o.write);
            own.or(state[at].keys.get(&ops[i].key).map(|(_, _, v)| *v)).into()
        });
        if effect == Effect::Before {
            commit(&mut state[at], &mut log[at], at, &ops);
        }
        if info {
            if effect == Effect::After {
                late.push((at, ops));
            }
            let error = OpError::new("timeout", "timeout");
            out.record(processes[s], at as u16, Kind::Info, asked, Some(error));
            processes[s] += load.sessions;
        } else {
            out.record(processes[s], at as u16, Kind::Ok, value, None);
        }
    }
    out.history
}

/// A replica takes the next transaction of another, where it has what that depends on.
fn exchange(rng: &mut Stream, state: &mut [Replica], log: &[Vec<Sent>]) {
    let (to, from) = (rng.index(state.len()), rng.index(state.len()));
    if to != from
        && let Some(sent) = log[from].get(state[to].seen[from])
        && sent.after.iter().zip(&state[to].seen).all(|(a, s)| a <= s)
    {
        state[to].apply(from, sent);
    }
}

fn commit(replica: &mut Replica, log: &mut Vec<Sent>, at: usize, ops: &[Micro]) {
    let writes: Vec<(usize, i64)> = ops.iter().filter_map(|o| Some((o.key, o.write?))).collect();
    if writes.is_empty() {
        return;
    }
    let sent = Sent { writes, after: replica.seen.clone(), lamport: replica.lamport + 1 };
    replica.apply(at, &sent);
    log.push(sent);
}
