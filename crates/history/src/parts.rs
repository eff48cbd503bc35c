//! Work on the parts of something long, on as many threads as the machine has.

use std::ops::Range;

/// More threads gain little, since all of them share the memory.
const THREADS_MAX: usize = 8;

/// How many threads work at the same time.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX)
}

/// Calls `work` for consecutive parts of `0..len`, none of them shorter than `least` unless it is the
/// only one, and gives the results in the order of the parts.
#[doc(hidden)]
pub fn in_parts<T: Send>(
    len: usize,
    least: usize,
    work: impl Fn(Range<usize>) -> T + Sync,
) -> Vec<T> {
    let count = (len / least.max(1)).clamp(1, threads());
    let part = |n: usize| len * n / count..len * (n + 1) / count;
    if count == 1 {
        return vec![work(part(0))];
    }
    std::thread::scope(|scope| {
        let work = &work;
        let others: Vec<_> = (1..count).map(|n| scope.spawn(move || work(part(n)))).collect();
        let first = work(part(0));
        let others = others.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        std::iter::once(first).chain(others).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_of_it_in_order() {
        for len in 0..70 {
            for least in [0, 1, 3, 10, 100] {
                let parts = in_parts(len, least, |part| part);
                assert_eq!(parts.iter().map(|p| p.start).collect::<Vec<_>>()[0], 0);
                assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
                assert_eq!(parts.last().map(|p| p.end), Some(len));
                assert!(parts.len() == 1 || parts.iter().all(|p| p.len() >= least));
            }
        }
    }
}
