//! A database of versions with timestamps: strictly serializable, or with snapshot isolation.

use super::{Draw, Effect, Load, Micro, Recorder, due};
use crate::txn::core::Shape;
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Kind, OpError, Value};

/// Where a session stands with its transaction.
enum Stage {
    Idle,
    Invoked(Vec<Micro>),
    /// Snapshots only: what it read, and when.
    Begun(Vec<Micro>, u64, Vec<Value>),
    Done(Vec<Micro>, Outcome),
}

enum Outcome {
    Ok(Vec<Value>),
    Info(Effect),
    Fail(&'static str),
}

#[derive(Default)]
struct Versions {
    /// Per key: (time of commit, value), in order.
    keys: Vec<Vec<(u64, i64)>>,
    now: u64,
}

impl Versions {
    fn key(&mut self, key: usize) -> &mut Vec<(u64, i64)> {
        if self.keys.len() <= key {
            self.keys.resize(key + 1, Vec::new());
        }
        &mut self.keys[key]
    }

    /// What each operation reads at a time, its transaction's own writes included.
    fn reads(&mut self, shape: Shape, ops: &[Micro], at: u64) -> Vec<Value> {
        let mut values = Vec::with_capacity(ops.len());
        for (i, op) in ops.iter().enumerate() {
            if op.write.is_some() {
                values.push(Value::Nil);
                continue;
            }
            let mut own = ops[..i].iter().filter(|o| o.key == op.key).filter_map(|o| o.write);
            let versions = self.key(op.key);
            let seen = &versions[..versions.partition_point(|(t, _)| *t <= at)];
            values.push(match shape {
                Shape::Lists => Value::list(seen.iter().map(|(_, v)| *v).chain(own)),
                Shape::Registers => own.next_back().or(seen.last().map(|(_, v)| *v)).into(),
            });
        }
        values
    }

    fn commit(&mut self, ops: &[Micro]) {
        self.now += 1;
        let now = self.now;
        for op in ops {
            if let Some(value) = op.write {
                self.key(op.key).push((now, value));
            }
        }
    }

    fn conflict(&mut self, ops: &[Micro], since: u64) -> bool {
        ops.iter()
            .filter(|o| o.write.is_some())
            .any(|o| self.key(o.key).last().is_some_and(|(t, _)| *t > since))
    }
}

pub(super) fn run(load: &Load, shape: Shape, snapshots: bool) -> History {
    let mut draw = Draw::new(load);
    let mut rng = load.seed.stream("interleaving");
    let mut out = Recorder::new(5);
    let mut versions = Versions::default();
    let mut stages: Vec<Stage> = (0..load.sessions).map(|_| Stage::Idle).collect();
    let mut processes: Vec<u32> = (0..load.sessions).collect();
    // Those of unknown outcome that have not taken effect, and when they read.
    let mut late: Vec<(Vec<Micro>, u64)> = Vec::new();
    let (mut begun, mut open) = (0, 0);
    while begun < load.transactions || open > 0 {
        for (ops, since) in due(&mut late, &mut rng) {
            if !snapshots || !versions.conflict(&ops, since) {
                versions.commit(&ops);
            }
        }
        let s = rng.index(stages.len());
        let (process, node) = (processes[s], (s % 5) as u16);
        stages[s] = match std::mem::replace(&mut stages[s], Stage::Idle) {
            Stage::Idle if begun == load.transactions => Stage::Idle,
            Stage::Idle => {
                let ops = draw.transaction();
                let value = out.value(shape, &ops, |_| Value::Nil);
                out.record(process, node, Kind::Invoke, value, None);
                (begun, open) = (begun + 1, open + 1);
                Stage::Invoked(ops)
            }
            Stage::Invoked(ops) => {
                let (info, fail) = (rng.chance(load.info), rng.chance(load.fail));
                if info {
                    let effect = Effect::draw(&mut rng);
                    // It began and committed at the same moment, so that nothing conflicts.
                    if effect == Effect::Before {
                        versions.commit(&ops);
                    }
                    Stage::Done(ops, Outcome::Info(effect))
                } else if fail {
                    Stage::Done(ops, Outcome::Fail("aborted"))
                } else if snapshots {
                    let reads = versions.reads(shape, &ops, versions.now);
                    Stage::Begun(ops, versions.now, reads)
                } else {
                    let reads = versions.reads(shape, &ops, versions.now);
                    versions.commit(&ops);
                    Stage::Done(ops, Outcome::Ok(reads))
                }
            }
            Stage::Begun(ops, since, reads) => {
                let outcome = if versions.conflict(&ops, since) {
                    Outcome::Fail("conflict")
                } else {
                    versions.commit(&ops);
                    Outcome::Ok(reads)
                };
                Stage::Done(ops, outcome)
            }
            Stage::Done(ops, outcome) => {
                open -= 1;
                let asked = out.value(shape, &ops, |_| Value::Nil);
                match outcome {
                    Outcome::Ok(reads) => {
                        let value = out.value(shape, &ops, |i| reads[i].clone());
                        out.record(process, node, Kind::Ok, value, None);
                    }
                    Outcome::Fail(why) => {
                        out.record(process, node, Kind::Fail, asked, Some(OpError::new(why, why)));
                    }
                    Outcome::Info(effect) => {
                        if effect == Effect::After {
                            late.push((ops, versions.now));
                        }
                        let error = OpError::new("timeout", "timeout");
                        out.record(process, node, Kind::Info, asked, Some(error));
                        processes[s] += load.sessions;
                    }
                }
                Stage::Idle
            }
        };
    }
    out.history
}
