//! The epoch with threads of the system.

mod modelled;

use super::epoch::{EpochCell, Replaced};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[test]
fn after_a_replacement_nobody_acts_on_the_old_value() {
    let cell = EpochCell::new(0_u64, 4);
    let (stop, newest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (mut reader, stop, newest) =
                (cell.reader().unwrap(), Arc::clone(&stop), Arc::clone(&newest));
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    reader.with(|value| {
                        let first = newest.load(Ordering::SeqCst);
                        std::hint::spin_loop();
                        let second = newest.load(Ordering::SeqCst);
                        // `newest` is published after the replacement returned.
                        assert!(*value >= first && *value >= second, "acted on an old value");
                    });
                }
            })
        })
        .collect();
    // Miri takes a thousand times as long for each step.
    for value in 1..if cfg!(miri) { 100 } else { 20_000 } {
        assert_eq!(cell.replace(value), Replaced::Drained);
        newest.store(value, Ordering::SeqCst);
    }
    stop.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.join().unwrap();
    }
}

#[test]
fn readers_are_limited_and_their_slots_are_used_again() {
    let cell = EpochCell::new((), 1);
    let reader = cell.reader();
    assert!(reader.is_some() && cell.reader().is_none());
    drop(reader);
    assert!(cell.reader().is_some());
}

#[test]
fn a_panic_while_reading_does_not_block_writers() {
    let cell = EpochCell::new(1, 1);
    let mut reader = cell.reader().unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        reader.with(|_| panic!("expected by this test"));
    }));
    assert!(panicked.is_err());
    assert_eq!(cell.replace(2), Replaced::Drained);
    assert_eq!(reader.with(|value| *value), 2);
}
