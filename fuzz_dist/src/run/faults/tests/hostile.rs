//! Faults that panic, hang, block their thread, refuse, or say that they are not undone: the run is
//! `unknown` with the reason, and the others are ended all the same.

use std::time::Duration;

use super::fake::{Act, Fake, empty};
use crate::clock::{Clock, Manual};
use crate::nemesis::Nemesis;
use crate::run::options::Options;
use crate::time::secs;

/// Begins the fault beside a healthy one, heals, and gives the reasons for `unknown`.
async fn reasons(clock: &Clock, fake: Fake) -> Vec<String> {
    let live = empty(clock);
    let healthy = Fake { nodes: vec![1], ..Fake::new("healthy", Act::After(1), Act::After(1)) };
    let begun = live.faults.begin(live.fake(&healthy)).await.unwrap();
    begun.held.keep();
    if let Ok(begun) = live.faults.begin(live.fake(&fake)).await {
        begun.held.keep();
        assert_eq!(live.edges(fake.name)[..2], ["start", "started"]);
    }
    live.heal(None).await;
    assert_eq!(live.edges("healthy"), ["start", "started", "stop", "stopped"]);
    let edges = live.edges(fake.name);
    assert!(edges.is_empty() || edges.ends_with(&["stop".into(), "stopped".into()]), "{edges:?}");
    live.reasons()
}

#[track_caller]
fn one(reasons: &[String], parts: &[&str]) {
    let said = |reason: &String| parts.iter().all(|part| reason.contains(part));
    assert!(reasons.iter().any(said), "none of {reasons:?} says {parts:?}");
}

#[test]
fn nothing_is_wrong_with_faults_that_are_undone() {
    Manual::run(|clock| async move {
        let fine = Fake::new("fine", Act::After(2), Act::After(2));
        assert_eq!(reasons(&clock, fine).await, Vec::<String>::new());
        let second_time = Fake::new("second_time", Act::After(2), Act::SaysNoOnce);
        assert_eq!(
            reasons(&clock, second_time).await,
            Vec::<String>::new(),
            "its end was tried again"
        );
    });
}

#[test]
fn an_end_that_is_not_seen_is_a_reason() {
    Manual::run(|clock| async move {
        let with = |stop| Fake::new("odd", Act::After(1), stop);
        let not_undone = "`odd #";
        let not = |why| ["was not verified as removed", not_undone, why];
        one(&reasons(&clock, with(Act::SaysNo)).await, &not("it is not so"));
        one(&reasons(&clock, with(Act::Refuses)).await, &not("no way"));
        one(&reasons(&clock, with(Act::Panics)).await, &not("panicked: lost in odd"));
        one(&reasons(&clock, with(Act::Hangs)).await, &not("took too long"));
    });
}

#[test]
fn a_start_that_fails_is_a_reason() {
    Manual::run(|clock| async move {
        let with = |start| Fake::new("odd", start, Act::After(1));
        one(&reasons(&clock, with(Act::Refuses)).await, &["starting `odd` failed: no way"]);
        one(&reasons(&clock, with(Act::Panics)).await, &["starting `odd` panicked: lost in odd"]);
        one(&reasons(&clock, with(Act::Hangs)).await, &["starting `odd` took too long"]);
    });
}

#[test]
fn a_plan_that_panics_is_a_reason_and_begins_nothing() {
    Manual::run(|clock| async move {
        let fake = Fake { plan: Act::Panics, ..Fake::new("odd", Act::After(1), Act::After(1)) };
        let log = fake.log.clone();
        one(&reasons(&clock, fake).await, &["planning", "panicked: no plan"]);
        assert!(log.lock().unwrap().is_empty());
    });
}

/// The heal does not wait for them longer than its limit, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn code_that_blocks_its_thread_does_not_keep_the_heal() {
    let live = empty(&Clock::system());
    let blocks = Act::Blocks(secs(2));
    let stop = Fake::new("stop_blocks", Act::After(1), blocks);
    let start = Fake { nodes: vec![2], ..Fake::new("start_blocks", blocks, Act::After(1)) };
    let healthy = Fake { nodes: vec![1], ..Fake::new("healthy", Act::After(1), Act::After(1)) };
    for fake in [&stop, &healthy] {
        live.faults.begin(live.fake(fake)).await.unwrap().held.keep();
    }
    let starting = live.faults.begin(live.fake(&start));
    assert!(tokio::time::timeout(Duration::from_millis(100), starting).await.is_err());
    live.heal(Some(Duration::from_millis(900))).await;
    let history = live.recorder.with(Clone::clone);
    assert_eq!(history.heal_proved(), Some(false));
    for span in history.faults() {
        assert!(span.stop.is_some() && span.stopped.is_some(), "{span:?}");
        assert_eq!(span.undone, &*span.name == "healthy", "{span:?}");
    }
    let reasons = live.reasons();
    one(&reasons, &["stop_blocks", "not verified as removed", "took too long"]);
    one(
        &reasons,
        &["start_blocks", "not verified as removed", "the time limit of the heal passed"],
    );
}

/// The start of a scenario's fault gets no more time than there is in total.
#[test]
fn a_start_takes_no_longer_than_what_is_left_of_the_total_limit() {
    Manual::run(|clock| async move {
        let limits = Options {
            total_limit: Some(secs(20)),
            time_limit: Some(secs(1)),
            ..Options::default()
        };
        let live = super::fake::live(&clock, Nemesis::none(), crate::random::Seed(1), limits);
        let hangs = Fake::new("hangs", Act::Hangs, Act::Hangs);
        let before = clock.now();
        let begun = live.faults.begin(live.fake(&hangs)).await.unwrap();
        assert!(clock.now().since(before) < secs(22), "{:?}", clock.now().since(before));
        let id = begun.held.keep();
        assert_eq!(live.faults.end(id).await, None);
        // Undoing gets some time in any case.
        assert!(
            clock.now().since(before) > secs(25) && clock.now().since(before) < secs(35),
            "{:?}",
            clock.now().since(before)
        );
    });
}

#[test]
fn inject_says_what_failed_and_leaves_nothing() {
    Manual::run(|clock| async move {
        for odd in [Act::SaysNo, Act::Refuses, Act::Panics] {
            let live = empty(&clock);
            let fine = Fake::new("fine", Act::After(1), Act::After(1));
            let odd = Fake::new("odd", odd, Act::After(1));
            let injected = live.inject(Nemesis::of(fine.clone()).and(odd)).await;
            let error = injected.err().expect("it did not act").to_string();
            assert!(error.contains("`odd #") && error.contains("did not take effect"), "{error}");
            assert!(fine.log.lock().unwrap().contains(&"stopped fine".to_string()), "ended before");
            live.heal(None).await;
            live.all_undone();
        }
    });
}

#[test]
fn a_handle_says_what_was_not_undone_and_ends_the_others() {
    Manual::run(|clock| async move {
        let live = empty(&clock);
        let fine = Fake::new("fine", Act::After(1), Act::After(1));
        let odd = Fake::new("odd", Act::After(1), Act::SaysNo);
        let both = live.inject(Nemesis::of(fine.clone()).and(odd)).await.unwrap();
        let error = both.heal().await.unwrap_err().to_string();
        assert!(error.contains("`odd #") && error.contains("it is not so"), "{error}");
        assert!(fine.log.lock().unwrap().contains(&"stopped fine".to_string()));
    });
}
