//! Both clocks, and when a manual one moves.

use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use fuzz_dist_history::time::{millis, secs};
use tokio::sync::oneshot;

use super::*;

#[test]
fn the_clock_never_runs_backwards_and_clamps_what_came_before_it() {
    for clock in [Clock::system(), Manual::new().clock()] {
        let first = clock.now();
        assert!(clock.now() >= first);
        assert_eq!(clock.at(0), Time::ZERO);
        assert_eq!(clock.at(clock.monotonic_ns(Time(7))), Time(7));
    }
}

/// What is waited for is over when the wait is: limits that are compared with `now` do not spin.
#[tokio::test]
async fn a_wait_of_the_system_ends_after_its_time() {
    let clock = Clock::system();
    let time = clock.now() + millis(3);
    clock.sleep_until(time).await;
    assert!(clock.now() >= time);
    let mut timer = clock.timer();
    timer.set(clock.now() + millis(3));
    poll_fn(|cx| timer.poll(cx)).await;
    assert!(clock.now() >= time + millis(3));
    clock.sleep_until(Time::ZERO).await;
    assert_eq!(clock.timeout(millis(1), std::future::pending::<()>()).await, Err(Elapsed(())));
    assert_eq!(clock.timeout(millis(1), async { 7 }).await, Ok(7));
    assert_eq!(clock.timeout_at(Time(u64::MAX), async { 7 }).await, Ok(7));
}

#[test]
fn an_idle_runtime_moves_the_clock_to_the_next_timer_and_no_further() {
    let order: Arc<Mutex<Vec<(&str, Time)>>> = Arc::default();
    let said = order.clone();
    Manual::run(|clock| async move {
        let mut tasks = Vec::new();
        for (name, after) in [("third", 2000), ("first", 5), ("second", 5)] {
            let (clock, order) = (clock.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                clock.sleep(millis(after)).await;
                order.lock().unwrap().push((name, clock.now()));
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        // Turns of the runtime take no time.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(clock.now(), Time::from_millis(2000));
    });
    let time = Time::from_millis;
    let expected = [("first", time(5)), ("second", time(5)), ("third", time(2000))];
    assert_eq!(*said.lock().unwrap(), expected);
}

#[test]
fn limits_periods_and_timers_are_on_the_same_clock() {
    Manual::run(|clock| async move {
        let slow = clock.sleep(secs(10));
        assert_eq!(clock.timeout(secs(9), slow).await, Err(Elapsed(())));
        assert_eq!(clock.now(), Time::from_secs(9));
        let at_once = clock.timeout_at(Time::ZERO, async { 7 }).await;
        assert_eq!(at_once, Ok(7), "what is done needs no time");
        let mut every = clock.every(secs(1));
        every.tick().await;
        clock.sleep(millis(500)).await;
        every.tick().await;
        assert_eq!(clock.now(), Time::from_secs(11));
        clock.sleep(secs(5)).await;
        every.tick().await;
        assert_eq!(clock.now(), Time::from_secs(16));
        let mut timer = clock.timer();
        poll_fn(|cx| timer.poll(cx)).await;
        timer.set(clock.now() + secs(60));
        assert!(poll_fn(|cx| Poll::Ready(timer.poll(cx))).await.is_pending());
        timer.set(clock.now() + secs(1));
        poll_fn(|cx| timer.poll(cx)).await;
        assert_eq!(clock.now(), Time::from_secs(17), "the former time is forgotten");
        let started = clock.restarted();
        clock.sleep(secs(1)).await;
        assert_eq!(started.now(), Time::from_secs(1));
        assert_eq!(clock.wall(), SystemTime::UNIX_EPOCH + secs(19));
    });
}

#[test]
fn a_test_moves_the_clock_by_hand() {
    let manual = Manual::new();
    let clock = manual.clock();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut waiting = pin!(clock.sleep(secs(2)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(!manual.advance_to_next(), "nobody waits yet");
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        manual.advance(secs(1));
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        assert!(manual.advance_to_next());
        assert!(waiting.as_mut().poll(&mut context).is_ready());
        assert_eq!(clock.now(), Time::from_secs(2));
        assert!(!manual.advance_to_next(), "nobody waits any more");
    });
}

#[test]
fn who_is_dropped_is_not_waited_for() {
    let manual = Manual::new();
    let clock = manual.clock();
    let runtime = manual.runtime().unwrap();
    runtime.block_on(async {
        assert!(clock.timeout(millis(1), clock.sleep(secs(60))).await.is_err());
        clock.sleep(millis(1)).await;
        assert_eq!(clock.now(), Time::from_millis(2));
    });
    assert!(!manual.advance_to_next());
}

/// The clock stands still while another thread works, also where the runtime has nothing else to do.
#[test]
fn a_clock_that_is_held_does_not_leap() {
    Manual::run(|clock| async move {
        let (done, result) = oneshot::channel();
        let hold = clock.hold();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn({
            let clock = clock.clone();
            move || {
                released.recv().unwrap();
                done.send(clock.now()).unwrap();
                // Most likely the runtime is idle by then.
                std::thread::sleep(millis(20));
                drop(hold);
            }
        });
        let waits = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep(secs(1)).await;
                clock.now()
            }
        });
        tokio::task::yield_now().await;
        release.send(()).unwrap();
        assert_eq!(result.await, Ok(Time::ZERO));
        assert_eq!(waits.await.unwrap(), Time::from_secs(1));
        other.join().unwrap();
    });
}

#[test]
fn a_thread_blocks_until_the_clock_moves() {
    let manual = Manual::new();
    let clock = manual.clock();
    let blocks = std::thread::spawn(move || {
        clock.block(secs(3));
        clock.now()
    });
    while !manual.advance_to_next() {
        std::thread::yield_now();
    }
    assert_eq!(blocks.join().unwrap(), Time::from_secs(3));
}

#[test]
fn a_parked_thread_goes_on_at_its_time_or_when_it_is_unparked() {
    let system = Clock::system();
    let time = system.now() + millis(3);
    while system.now() < time {
        system.park_until(time);
    }
    let manual = Manual::new();
    for clock in [manual.clock(), system] {
        // Times that have passed, and one that nobody waits for.
        clock.park_until(Time::ZERO);
        let (parks, parked) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            clock.park_until(clock.now() + secs(3600));
            parks.send(()).unwrap();
        });
        thread.thread().unpark();
        parked.recv_timeout(secs(60)).expect("it is unparked");
        thread.join().unwrap();
    }
    let clock = manual.clock();
    let parked = std::thread::spawn(move || {
        let time = clock.now() + secs(3);
        while clock.now() < time {
            clock.park_until(time);
        }
        clock.now()
    });
    while !manual.advance_to_next() {
        std::thread::yield_now();
    }
    assert_eq!(parked.join().unwrap(), Time::from_secs(3));
}

/// Tokio lets a task do so much before it must let go; a limit holds for one that has used that up, too.
#[tokio::test]
async fn a_limit_ends_what_is_always_ready() {
    let clock = Clock::system();
    let busy = || async {
        loop {
            tokio::task::consume_budget().await;
        }
    };
    let limit = Duration::from_millis(20);
    assert!(clock.timeout_at(clock.now() + limit, busy()).await.is_err());
    assert!(clock.timeout(limit, busy()).await.is_err());
}

/// Whoever governs a clock sees its next timer and its holds, and moves it.
#[test]
fn a_clock_is_governed_from_outside() {
    let manual = Manual::new();
    let clock = manual.clock();
    let first = clock.reading_ns();
    assert_eq!((manual.next_ns(), manual.is_held()), (None, false));
    let (waiting, held) = (clock.clone(), clock.hold());
    assert!(manual.is_held());
    drop(held);
    assert!(!manual.is_held());
    let thread = std::thread::spawn(move || waiting.block(Duration::from_secs(5)));
    let next = loop {
        match manual.next_ns() {
            Some(next) => break next,
            None => std::thread::yield_now(),
        }
    };
    assert_eq!(next, first + 5_000_000_000);
    assert!(!manual.advance_to_ns(next - 1), "nobody is due");
    assert!(manual.advance_to_ns(next), "somebody is due");
    thread.join().unwrap();
    assert!(clock.preload().is_none());
}
