//! Verifies and explains that no order of some versions is possible.

use super::cycles::{Class, Step};
use super::decide::{Pair, Unit};
use super::graph::Rel;
use super::txns::{NONE, Transactions};
use crate::Anomaly;
use fuzz_dist_history::op::Value;

/// What is refuted, and with which class of cycles at most; `None` where some step does not hold.
///
/// `reason` must not use what the search used: it says from the micro-operations why an edge holds.
pub(crate) fn impossible(
    txns: &Transactions,
    units: &[Unit],
    pair: Pair,
    cycles: &[Vec<Step>; 2],
    reason: impl Fn(Step) -> Option<String>,
) -> Option<(Class, Anomaly)> {
    let mut proof = Proof { txns, units, cast: Vec::new(), class: Class::of(&cycles[0]) };
    // Which of the certain orders are needed, the last ones first.
    let mut needed = vec![false; units.len()];
    let mut left: Vec<(&[Step], Pair, usize)> =
        vec![(&cycles[0], pair, units.len()), (&cycles[1], pair.reversed(), units.len())];
    let mut texts: Vec<(usize, String)> = Vec::new();
    while let Some((steps, assumed, known)) = left.pop() {
        let (text, used) = proof.cycle(steps, assumed, known, &reason)?;
        texts.push((known, text));
        for unit in used {
            if !std::mem::replace(&mut needed[unit], true) {
                left.push((&units[unit].cycle, units[unit].pair.reversed(), unit));
            }
        }
    }
    texts.sort_by_key(|(known, _)| *known);
    let mut text = txns.cast(&proof.cast);
    texts.iter().for_each(|(_, part)| text.push_str(part));
    let key = txns.key(pair.key);
    text.push_str(&format!("so neither order of the two writes of {key} is possible"));
    let anomaly = Anomaly::new(proof.class.name(), Value::list([key.clone()]))
        .explained(text)
        .proved_by(txns.events_of(&proof.cast));
    Some((proof.class, anomaly))
}

struct Proof<'a> {
    txns: &'a Transactions,
    units: &'a [Unit],
    cast: Vec<u32>,
    class: Class,
}

impl Proof<'_> {
    fn name(&mut self, t: u32) -> String {
        let at = self.cast.iter().position(|c| *c == t).unwrap_or_else(|| {
            self.cast.push(t);
            self.cast.len() - 1
        });
        format!("T{}", at + 1)
    }

    /// A cycle that an assumed order closes, given the first so many certain ones; and which of
    /// these it uses.
    fn cycle(
        &mut self,
        steps: &[Step],
        assumed: Pair,
        known: usize,
        reason: &impl Fn(Step) -> Option<String>,
    ) -> Option<(String, Vec<usize>)> {
        let txns = self.txns;
        let closed = (0..steps.len()).all(|i| steps[i].to == steps[(i + 1) % steps.len()].from);
        let possible = steps.iter().all(|s| txns.is_possible(s.from));
        if steps.len() < 2 || !closed || !possible {
            return None;
        }
        let class = Class::of(steps);
        self.class.level = self.class.level.max(class.level);
        self.class.base = self.class.base.max(class.base);
        let (first, second) = (self.name(assumed.first), self.name(assumed.second));
        let key = txns.key(assumed.key);
        let mut text =
            format!("if the write of {key} by {first} came before that by {second}, then\n");
        let mut used = Vec::new();
        for step in steps {
            let why = match step.rel {
                Rel::Process | Rel::Realtime => txns.order_reason(*step)?,
                _ => match reason(*step) {
                    Some(why) => why,
                    None if follows(txns, assumed, *step) => "by that order".into(),
                    None => {
                        let of = &self.units[..known];
                        used.push(of.iter().position(|u| follows(txns, u.pair, *step))?);
                        "by the order shown above".into()
                    }
                },
            };
            let (a, b) = (self.name(step.from), self.name(step.to));
            text.push_str(&format!("  {a} before {b} ({}): {why}\n", step.rel.as_str()));
        }
        Some((text, used))
    }
}

/// Does this edge follow from the order of two writes?
fn follows(txns: &Transactions, pair: Pair, step: Step) -> bool {
    let of_key = |t: u32| txns.ops_of(t).iter().filter(|o| o.key() == pair.key);
    let writes = |t: u32| of_key(t).any(|o| o.is_write());
    if step.to != pair.second || !writes(pair.first) || !writes(pair.second) {
        return false;
    }
    match step.rel {
        Rel::Ww => step.from == pair.first,
        Rel::Rw => of_key(step.from).next().is_some_and(|o| {
            o.is_read() && o.arg != NONE && txns.writer.get(o.arg as usize) == Some(&pair.first)
        }),
        _ => false,
    }
}
