//! Re-derives, from the micro-operations of transactions, why one precedes the other.

use super::Infer;
use super::versions::{Touch, precedes, touches_of};
use crate::txn::core::cycles::Step;
use crate::txn::core::graph::Rel;
use crate::txn::core::{Shape, Transactions};

/// The reason for an edge in words, or `None` where the operations give none.
pub(super) fn reason(txns: &Transactions, infer: Infer, step: Step) -> Option<String> {
    debug_assert_eq!(txns.shape, Shape::Registers);
    let touches = |t: u32| {
        let mut all = Vec::new();
        touches_of(txns, t, |touch| all.push(touch));
        all
    };
    let (a, b) = (touches(step.from), touches(step.to));
    let pairs = a.iter().flat_map(|x| b.iter().filter(|y| y.key == x.key).map(move |y| (x, y)));
    for (x, y) in pairs {
        let key = txns.key(x.key);
        let text = match step.rel {
            Rel::Wr => {
                let mut reads = txns.ops_of(step.to).iter().filter(|o| o.is_read());
                let read = reads.find(|o| o.key() == y.key && wrote(txns, step.from, x.key, o.arg));
                read.map(|o| o.arg)
                    .map(|v| format!("it wrote {} to {key}, which the other read", txns.value(v)))
            }
            Rel::Ww => x.wrote.zip(y.wrote).and_then(|(v, w)| {
                let why = ordered(txns, infer, x.key, v, w)?;
                let (v, w) = (txns.value(v), txns.value(w));
                Some(format!("it wrote {v} to {key}, the other wrote {w}, and {why}"))
            }),
            Rel::Rw => x.found.zip(y.wrote).and_then(|(v, w)| {
                let why = ordered(txns, infer, x.key, v, w)?;
                let v = if (v as usize) < txns.versions.len() { txns.value(v) } else { ().into() };
                Some(format!("it read {key} as {v}, the other wrote {}, and {why}", txns.value(w)))
            }),
            Rel::Process | Rel::Realtime => None,
        };
        if text.is_some() {
            return text;
        }
    }
    None
}

fn wrote(txns: &Transactions, t: u32, key: u32, version: u32) -> bool {
    txns.ops_of(t).iter().any(|o| o.is_write() && o.key() == key && o.arg == version)
}

/// From all touches of the key by transactions that may have committed.
fn ordered(txns: &Transactions, infer: Infer, key: u32, a: u32, b: u32) -> Option<String> {
    if a == b {
        return None;
    }
    let mut all: Vec<Touch> = Vec::new();
    if (a as usize) < txns.versions.len() {
        for t in (0..txns.len() as u32).filter(|t| txns.is_possible(*t)) {
            touches_of(txns, t, |touch| {
                if touch.key == key
                    && (touch.left() == a || touch.found == Some(b) || touch.wrote == Some(b))
                {
                    all.push(touch);
                }
            });
        }
    }
    precedes(txns, all.iter(), infer, a, b)
}
