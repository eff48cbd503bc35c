//! Searches keep to the space that they are given: what the process takes says so.
//!
//! One test, so that nothing else runs in this process.

use fuzz_dist_checkers::histories::{Object, Recorder, Run};
use fuzz_dist_checkers::{Checker, Fifo, Registers, Validity, sequential};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;
use fuzz_dist_random::Seed;

/// The figure of this name in what the kernel says of the process, in bytes.
fn status(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(name)).expect("it is there");
    let kib: usize = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("KiB");
    kib << 10
}

/// Six clients put many elements in, and one takes out what nobody put in: all orders are tried.
fn queue() -> History {
    let mut r = Recorder::new(["n1"]);
    for i in 0..60 {
        r.invoke(i % 6, "enqueue", i64::from(i / 6 % 2));
        r.done(i % 6);
    }
    r.invoke(0, "dequeue", Value::Nil);
    r.ok(0, 7);
    r.history()
}

#[test]
fn the_space_of_a_search_is_that_of_everything_it_does() {
    let registers = Run::new(Object::Registers).operations(30_000).clients(20).keys(10);
    let registers = registers.plant("not_sequential").history(Seed(1));
    let queue = queue();
    let of_registers = sequential(Registers).steps_max(100_000);
    let check = |mebibytes: usize| match mebibytes {
        // The search alone, which is never through.
        6 => sequential(Fifo).steps_max(u64::MAX).bytes_max(mebibytes << 20).check(&queue),
        // Too little to derive much, and enough for it.
        _ => of_registers.clone().bytes_max(mebibytes << 20).check(&registers),
    };
    // First what takes least, since the process gives nothing back.
    for (mebibytes, expected) in
        [(6, Validity::Unknown), (12, Validity::Unknown), (28, Validity::Invalid)]
    {
        let before = status("VmRSS");
        let verdict = check(mebibytes);
        let taken = status("VmHWM") - before;
        assert!(taken < (mebibytes + 3) << 20, "{taken} of {mebibytes} MiB: {verdict:?}");
        assert_eq!(verdict.validity, expected, "{:?}", verdict.reasons);
        if expected == Validity::Unknown {
            let explained = verdict.results["explained_operations"].as_u64();
            assert!(verdict.reasons[0].starts_with("budget: "), "{:?}", verdict.reasons);
            assert!(explained >= Some(60), "{explained:?}");
        }
    }
}
