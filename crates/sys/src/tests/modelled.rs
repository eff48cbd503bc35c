//! The epoch in every order of its steps that a model checker finds, on loom's atomics: they show each
//! thread any value that the memory model allows.

// The very source that the switch uses; its `super::sync` is the one below.
#[allow(unreachable_pub, reason = "it is public where it is used")]
#[allow(clippy::duplicate_mod, reason = "the same source on other atomics")]
#[path = "../epoch.rs"]
mod epoch;

mod sync {
    pub(super) use loom::sync::Mutex;
    pub(super) use loom::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};

    /// Gives way to the other threads, and never gives up.
    #[derive(Default)]
    pub(super) struct Wait(());

    impl Wait {
        pub(super) fn more(&mut self) -> bool {
            loom::thread::yield_now();
            true
        }
    }
}

use epoch::{EpochCell, EpochReader, Replaced};
use loom::model::Builder;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use std::sync::Arc;

/// A packet's way through the switch: what the policy says, then the delivery.
fn forward(reader: &mut EpochReader<bool>, cut: &AtomicBool) {
    reader.with(|open| {
        if *open {
            let late = cut.load(Ordering::Acquire);
            assert!(!late, "a packet of the old policy is delivered");
        }
    });
}

/// Once `replace` has returned, nothing is delivered that the old policy let pass: by a port that has
/// forwarded before, and by one that is plugged in meanwhile.
#[test]
fn after_a_replacement_no_packet_of_the_old_policy_is_delivered() {
    let mut model = Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let cell = EpochCell::new(true, 2);
        let cut = Arc::new(AtomicBool::new(false));
        let old = {
            let (mut reader, cut) = (cell.reader().unwrap(), cut.clone());
            thread::spawn(move || (0..2).for_each(|_| forward(&mut reader, &cut)))
        };
        let new = {
            let (cell, cut) = (cell.clone(), cut.clone());
            thread::spawn(move || forward(&mut cell.reader().unwrap(), &cut))
        };
        assert_eq!(cell.replace(false), Replaced::Drained);
        cut.store(true, Ordering::Release);
        old.join().unwrap();
        new.join().unwrap();
    });
}
