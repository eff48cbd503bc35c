//! Futures that are dropped, at every point at which they wait.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use super::fake::{Act, Fake, empty};
use crate::clock::{Clock, Manual};
use crate::nemesis::Nemesis;

/// Polls a future until it is ready or was polled `n` times, with time for others after each poll;
/// is it ready?
pub(super) async fn polled<T>(
    clock: &Clock,
    mut future: Pin<&mut dyn Future<Output = T>>,
    n: usize,
) -> Option<T> {
    for _ in 0..n {
        let mut context = Context::from_waker(Waker::noop());
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        clock.sleep(Duration::from_millis(1)).await;
    }
    None
}

/// Both faults of a nemesis, each with a start and an end that wait several times.
fn two() -> (Fake, Fake) {
    let one = Fake::new("one", Act::After(3), Act::After(3));
    let two = Fake {
        name: "two",
        log: one.log.clone(),
        ..Fake::new("two", Act::After(2), Act::After(1))
    };
    (one, two)
}

#[test]
fn an_inject_that_is_dropped_at_any_point_ends_what_it_began() {
    Manual::run(|clock| async move {
        let mut n = 0;
        loop {
            let live = empty(&clock);
            let (one, two) = two();
            let log = one.log.clone();
            let nemesis = Nemesis::of(one).and(two);
            let done = {
                let mut inject = Box::pin(live.inject(nemesis));
                polled(&clock, inject.as_mut(), n).await.is_some()
            };
            if done {
                break;
            }
            // Nobody asks for anything any more: it ends by itself.
            clock.sleep(Duration::from_secs(1)).await;
            let said = log.lock().unwrap().clone();
            for name in ["one", "two"] {
                let count = |what| said.iter().filter(|s| **s == format!("{what} {name}")).count();
                assert_eq!(count("start"), count("stopped"), "after {n} polls: {said:?}");
            }
            live.heal(None).await;
            live.all_undone();
            n += 1;
        }
        assert!(n > 6, "it was ready after {n} polls, so that little was tried");
    });
}

#[test]
fn an_end_that_is_dropped_at_any_point_goes_on() {
    Manual::run(|clock| async move {
        for n in 0..8 {
            let live = empty(&clock);
            let (one, two) = two();
            let log = one.log.clone();
            let fault = live.inject(Nemesis::of(one).and(two)).await.unwrap();
            {
                let mut heal = Box::pin(fault.heal());
                let _ = polled(&clock, heal.as_mut(), n).await;
            }
            clock.sleep(Duration::from_secs(1)).await;
            let ended = log.lock().unwrap().iter().filter(|s| s.starts_with("stopped")).count();
            assert_eq!(ended, if n == 0 { 0 } else { 2 }, "after {n} polls");
            live.heal(None).await;
            live.all_undone();
        }
    });
}

#[test]
fn a_heal_that_is_dropped_at_any_point_is_finished_by_the_next_one() {
    Manual::run(|clock| async move {
        let mut n = 0;
        loop {
            let live = empty(&clock);
            let (one, two) = two();
            // A handle that is dropped leaves the fault to the heal.
            drop(live.inject(Nemesis::of(one).and(two)).await.unwrap());
            let done = {
                let mut heal = Box::pin(live.heal(None));
                polled(&clock, heal.as_mut(), n).await.is_some()
            };
            live.heal(Some(Duration::from_secs(60))).await;
            live.all_undone();
            assert_eq!(live.edges("one"), ["start", "started", "stop", "stopped"]);
            if done {
                break;
            }
            n += 1;
        }
        assert!(n > 4, "it was healed after {n} polls, so that little was tried");
    });
}

#[test]
fn a_wait_for_an_armed_fault_that_is_dropped_ends_it_and_a_dropped_handle_does_not() {
    Manual::run(|clock| async move {
        let live = empty(&clock);
        let waits =
            Fake { lead: Duration::from_secs(60), ..Fake::new("waits", Act::Hangs, Act::After(1)) };
        drop(live.arm(Nemesis::of(waits.clone())).await.unwrap());
        clock.sleep(Duration::from_secs(1)).await;
        assert_eq!(*waits.log.lock().unwrap(), ["start waits"], "the handle's drop ends nothing");

        let other = Fake { name: "other", ..Fake::new("other", Act::Hangs, Act::After(1)) };
        let armed = live.arm(Nemesis::of(other.clone())).await.unwrap();
        assert!(clock.timeout(Duration::from_secs(1), armed.acts()).await.is_err());
        clock.sleep(Duration::from_secs(10)).await;
        assert_eq!(*other.log.lock().unwrap(), ["start other", "stop other", "stopped other"]);

        live.heal(None).await;
        assert_eq!(*waits.log.lock().unwrap(), ["start waits", "stop waits", "stopped waits"]);
        live.all_undone();
    });
}
