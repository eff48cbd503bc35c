//! When operations seem to take effect.

use std::collections::HashMap;

use super::Work;
use super::reads::Reads;

/// For each operation an event at which it seems to take effect: not before what its session did
/// before, nor before what it read was written. Writes are taken to be prompt, and reads as stale
/// as they can be. It is a guess, and nothing but speed depends on how good it is.
pub(super) fn times<O>(work: &[Work<O>], reads: &Reads) -> Vec<usize> {
    let mut times: Vec<usize> = work.iter().map(|w| if w.pure { 0 } else { w.invoked }).collect();
    // Per operation: the next one of its session; and how many it waits for.
    let mut next: Vec<Option<usize>> = vec![None; work.len()];
    let mut waits: Vec<u32> = vec![0; work.len()];
    let mut last: HashMap<u32, (usize, bool)> = HashMap::new();
    for (i, w) in work.iter().enumerate() {
        let certain = w.completed.is_some();
        let mut any = certain;
        if let Some((previous, before)) = last.get(&w.session) {
            next[*previous] = Some(i);
            waits[i] += u32::from(*before);
            any |= before;
        }
        last.insert(w.session, (i, any));
        waits[i] += u32::from(reads.of(i).is_some_and(|read| read.from.is_some()));
    }
    let mut left: Vec<usize> = (0..work.len()).filter(|i| waits[*i] == 0).collect();
    while let Some(i) = left.pop() {
        let mut follow = |to: usize, times: &mut Vec<usize>| {
            times[to] = times[to].max(times[i] + 1);
            waits[to] -= 1;
            if waits[to] == 0 {
                left.push(to);
            }
        };
        for reader in reads.readers(i) {
            follow(*reader as usize, &mut times);
        }
        // What is unknown holds nobody up.
        let mut after = next[i].filter(|_| work[i].completed.is_some());
        while let Some(to) = after {
            follow(to, &mut times);
            after = next[to].filter(|_| work[to].completed.is_none());
        }
    }
    times
}
