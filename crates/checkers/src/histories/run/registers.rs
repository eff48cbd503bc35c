//! Registers and locks.

use super::{Planter, Simulated};
use fuzz_dist_history::op::Value;
use fuzz_dist_random::Stream;

#[derive(Default)]
pub(super) struct Register {
    held: Option<i64>,
    next: i64,
}

impl Register {
    fn fresh(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }

    fn write(&mut self, client: u32, by: &mut Planter<'_>) -> i64 {
        let value = self.fresh();
        by.acknowledged(client, "write", value.into());
        self.held = Some(value);
        value
    }
}

impl Simulated for Register {
    fn next(&mut self, random: &mut Stream) -> (&'static str, Value) {
        match random.chance(0.5) {
            true => ("read", Value::Nil),
            false => ("write", self.fresh().into()),
        }
    }

    fn apply(&mut self, _: (u32, u16), f: &str, argument: &Value) -> Option<Value> {
        if f == "write" {
            self.held = argument.as_int();
            return Some(argument.clone());
        }
        Some(self.held.into())
    }

    fn plant(&mut self, anomaly: &str, by: &mut Planter<'_>) {
        let (one, other) = (by.client(), by.client());
        match anomaly {
            "thin_air" | "unexpected" => by.did(other, "read", Value::Nil, (-1).into()),
            "early" => {
                by.did(other, "read", Value::Nil, self.next.into());
                self.write(one, by);
            }
            "resurrected" => {
                let value = self.fresh();
                by.invoke(one, "write", value.into());
                by.fail(one);
                by.did(other, "read", Value::Nil, value.into());
            }
            "not_linearizable" => {
                let old = self.write(one, by);
                self.write(one, by);
                by.did(other, "read", Value::Nil, old.into());
            }
            "not_sequential" => {
                // Dekker's algorithm: neither client sees what the other wrote.
                by.on(-1).acknowledged(one, "write", 1.into());
                by.on(-2).acknowledged(other, "write", 1.into());
                by.on(-2).did(one, "read", Value::Nil, Value::Nil);
                by.on(-1).did(other, "read", Value::Nil, Value::Nil);
            }
            _ => {}
        }
    }

    fn finish(&mut self, anomaly: Option<&str>, by: &mut Planter<'_>) {
        if let Some("overwritten" | "lost") = anomaly {
            let client = by.client();
            let old = self.write(client, by);
            self.write(client, by);
            self.held = (anomaly == Some("overwritten")).then_some(old);
        }
        for node in by.finals.clone() {
            let client = by.client_on(node);
            by.did(client, "read", Value::Nil, self.held.into());
        }
    }
}

#[derive(Default)]
pub(super) struct Lock {
    holder: Option<u32>,
}

impl Simulated for Lock {
    fn next(&mut self, random: &mut Stream) -> (&'static str, Value) {
        (if random.chance(0.5) { "acquire" } else { "release" }, Value::Nil)
    }

    fn apply(&mut self, (client, _): (u32, u16), f: &str, _: &Value) -> Option<Value> {
        match (f, self.holder) {
            ("acquire", None) => self.holder = Some(client),
            ("release", Some(holder)) if holder == client => self.holder = None,
            _ => return None,
        }
        Some(Value::Nil)
    }

    /// Whoever does not know whether it holds a lock would hold it for ever.
    fn is_certain(&self, _: &str) -> bool {
        true
    }

    fn plant(&mut self, _: &str, by: &mut Planter<'_>) {
        // If somebody holds it, one more is enough; a third would be too many all the same.
        for _ in 0..2 {
            let client = by.client();
            by.acknowledged(client, "acquire", Value::Nil);
        }
    }

    fn finish(&mut self, _: Option<&str>, _: &mut Planter<'_>) {}
}
