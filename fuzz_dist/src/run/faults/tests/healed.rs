//! The order in which a heal ends faults, and that nothing begins after it.

use std::time::Duration;

use super::fake::{Act, Fake, empty, live};
use crate::clock::{Clock, Manual};
use crate::nemesis::Nemesis;
use crate::random::Seed;
use crate::run::Options;
use crate::time::secs;

#[test]
fn nodes_are_reconnected_only_where_the_test_says_so() {
    Manual::run(|clock| async move {
        for reconnect in [None, Some(false), Some(true)] {
            let options = Options { reconnect, ..Options::default() };
            let live = live(&clock, Nemesis::none(), Seed(1), options);
            live.heal(None).await;
            // The database of these tests does not know how to, and says so when it is asked.
            let problems = live.faults.board().problems();
            let asked = problems.iter().any(|p| p.contains("how to reconnect its nodes"));
            assert_eq!(asked, reconnect == Some(true), "{problems:?}");
        }
    });
}

#[test]
fn those_that_hit_the_same_nodes_are_ended_in_reverse_and_the_others_at_once() {
    Manual::run(|clock| async move {
        let live = empty(&clock);
        let first = Fake { nodes: vec![1, 2], ..Fake::new("first", Act::After(0), Act::After(20)) };
        let log = first.log.clone();
        let fake = |name, nodes: Vec<u16>, stop| Fake {
            nodes,
            log: log.clone(),
            ..Fake::new(name, Act::After(0), stop)
        };
        let second = fake("second", vec![2, 3], Act::After(20));
        let third = fake("third", vec![3], Act::After(20));
        let apart = fake("apart", vec![7], Act::After(30));
        for fake in [&first, &second, &third, &apart] {
            live.faults.begin(live.fake(fake)).await.unwrap().held.keep();
        }
        log.lock().unwrap().clear();
        live.heal(None).await;
        let said = log.lock().unwrap().clone();
        let at =
            |what: &str| said.iter().position(|s| s == what).unwrap_or_else(|| panic!("{what}"));
        assert!(at("stopped third") < at("stop second"), "{said:?}");
        assert!(at("stopped second") < at("stop first"), "{said:?}");
        assert!(at("stop apart") < at("stopped third"), "{said:?}");
        live.all_undone();
    });
}

#[test]
fn a_start_under_way_is_awaited_a_while_and_one_that_waits_for_its_moment_is_cancelled() {
    Manual::run(|clock| async move {
        let healed = |clock: Clock, fake: Fake| async move {
            let live = empty(&clock);
            let starting = live.faults.begin(live.fake(&fake));
            assert!(clock.timeout(Duration::from_millis(2), starting).await.is_err());
            let before = clock.now();
            live.heal(None).await;
            live.all_undone();
            assert_eq!(live.edges(fake.name), ["start", "started", "stop", "stopped"]);
            let said = fake.log.lock().unwrap().clone();
            (clock.now().since(before), said)
        };
        let (_, said) =
            healed(clock.clone(), Fake::new("slow", Act::After(900), Act::After(1))).await;
        assert_eq!(said, ["start slow", "started slow", "stop slow", "stopped slow"]);
        let (took, said) =
            healed(clock.clone(), Fake::new("hangs", Act::Hangs, Act::After(1))).await;
        assert_eq!(said, ["start hangs", "stop hangs", "stopped hangs"]);
        assert!(took > secs(4) && took < secs(8), "{took:?}");
        let waits = Fake { lead: secs(60), ..Fake::new("waits", Act::Hangs, Act::After(1)) };
        let (took, said) = healed(clock.clone(), waits).await;
        assert_eq!(said, ["start waits", "stop waits", "stopped waits"]);
        assert!(took < secs(1), "{took:?}");
    });
}

#[test]
fn nothing_begins_once_the_run_is_healing() {
    Manual::run(|clock| async move {
        let live = empty(&clock);
        let slow = Fake::new("slow", Act::After(0), Act::After(50));
        live.faults.begin(live.fake(&slow)).await.unwrap().held.keep();
        let late = Fake::new("late", Act::After(0), Act::After(0));
        let begin = async {
            clock.sleep(Duration::from_millis(10)).await;
            let while_healing = live.faults.begin(live.fake(&late)).await.err().unwrap();
            assert!(while_healing.to_string().contains("the run is healing"), "{while_healing}");
        };
        tokio::join!(live.heal(None), begin);
        assert!(live.faults.begin(live.fake(&late)).await.is_err());
        assert!(late.log.lock().unwrap().is_empty() && live.edges("late").is_empty());
        live.all_undone();
    });
}

/// Healed is what is healed, not what is about to be.
#[test]
fn a_run_is_healed_when_its_faults_are_undone_and_not_before() {
    Manual::run(|clock| async move {
        let live = empty(&clock);
        let slow = Fake::new("slow", Act::After(0), Act::After(50));
        live.faults.begin(live.fake(&slow)).await.unwrap().held.keep();
        assert!(clock.timeout(Duration::from_millis(10), live.heal(None)).await.is_err());
        assert_eq!(live.faults.board().healed(), None);
        assert_eq!(live.recorder.with(|h| h.heal_proved()), None);
        live.heal(None).await;
        assert_eq!(live.faults.board().healed(), Some(true));
    });
}
