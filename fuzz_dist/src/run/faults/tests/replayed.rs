//! A stored schedule is run again: the same windows, the same plans; where it departs, it says so.

use std::sync::Arc;

use super::fake::{Act, Fake, kept};
use super::lanes::overlapping;
use crate::clock::Clock;
use crate::nemesis::{Drawn, Hit, Nemesis, Schedule, Slot, kill};
use crate::op::NodeId;
use crate::random::Seed;
use crate::run::faults::scene::stored;
use crate::run::live::Live;
use crate::run::options::Options;
use crate::time::millis;

/// A folder of a run for its schedule, removed at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let dir = std::env::temp_dir().join(format!("fuzz_dist-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Folder(dir)
    }

    fn live(&self, nemesis: Nemesis, seed: u64, replay: Option<Schedule>) -> Arc<Live> {
        let short = Options { time_limit: Some(millis(150)), ..Options::default() };
        kept(&Clock::system(), nemesis, Seed(seed), short, replay, Some(self.0.join("plan.json")))
    }

    fn schedule(&self) -> Schedule {
        Schedule::load(&self.0).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the history says was hit, by fault.
fn hit(live: &Live) -> Vec<(String, String)> {
    let spans = live.recorder.with(|history| history.faults());
    let mut hit: Vec<_> = spans.iter().map(|s| (s.name.to_string(), s.shape.clone())).collect();
    hit.sort();
    hit
}

async fn run(live: &Arc<Live>) {
    live.main_phase().await.unwrap();
    live.heal(None).await;
    live.all_undone();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_run_is_run_again_with_the_same_windows_and_targets() {
    let nemesis = || overlapping(&mut Seed(5).stream("lanes"));
    let folder = Folder::new("replay");
    let first = folder.live(nemesis(), 5, None);
    run(&first).await;
    let schedule = folder.schedule();
    assert!(schedule.slots().len() > 3, "{schedule:?}");

    // Another seed: all that is the same comes from the schedule.
    schedule.fits(&nemesis(), 9, millis(500)).unwrap();
    let again = folder.live(nemesis(), 99, Some(schedule.clone()));
    run(&again).await;
    assert_eq!(hit(&first), hit(&again));
    assert_eq!(again.faults.board().departures(), Vec::<String>::new());
    assert_eq!(schedule.lanes, folder.schedule().lanes);

    let other = folder.live(nemesis(), 99, None);
    run(&other).await;
    assert_ne!(hit(&first), hit(&other), "the seed decides where nothing is stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_replay_departs_it_says_so() {
    let nemesis = || {
        let fake = Fake::new("fake", Act::After(1), Act::After(1));
        Nemesis::of(fake).after(millis(5)).lasting(millis(10)).every(millis(40))
    };
    let folder = Folder::new("departs");
    let first = folder.live(nemesis(), 5, None);
    run(&first).await;
    let mut schedule = folder.schedule();
    // As where the stored run was interrupted, and where a plan is of another fault.
    schedule.lanes[0].occurrences[0].fault = None;
    schedule.lanes[0].occurrences[1].fault.as_mut().unwrap().plan = serde_json::json!({"a": 1});
    let call = Slot::Scenario { call: 0, index: 0 };
    schedule.draw(call, schedule.drawn(Slot::Lane { lane: 0, window: 2 }).unwrap().clone());
    let again = folder.live(nemesis(), 5, Some(schedule));
    run(&again).await;
    let departures = again.faults.board().departures();
    assert_eq!(departures.len(), 3, "{departures:#?}");
    assert!(departures[0].contains("window 1 of lane 1 was not drawn"), "{departures:#?}");
    assert!(departures[1].contains("is not a plan of `fake`"), "{departures:#?}");
    assert!(
        departures[2].contains("injection 1 of the stored run did not happen"),
        "{departures:#?}"
    );
    assert_eq!(hit(&first), hit(&again), "what is not stored is drawn from the seed");
}

#[test]
fn a_plan_of_a_node_that_has_not_joined_yet_is_not_used() {
    let (kill, slot) = (kill(), Slot::Scenario { call: 0, index: 0 });
    let mut schedule = Schedule::new("t", Seed(1), vec!["n1".into()]);
    schedule.joined = vec!["n2".into()];
    let plan = serde_json::to_value(Hit { shape: "n2".into(), nodes: vec![NodeId(1)] }).unwrap();
    schedule.draw(slot, Drawn { fault: "kill".into(), plan });
    let fault = kill.lanes()[0].faults().next().unwrap();
    assert!(stored(&schedule, slot, &**fault, 2).is_ok());
    let why = stored(&schedule, slot, &**fault, 1).unwrap_err();
    assert!(why.contains("names a node that has not joined yet"), "{why}");
}

#[test]
fn a_schedule_of_another_test_is_refused() {
    let nemesis = || Nemesis::of(Fake::new("fake", Act::After(1), Act::After(1)));
    let mut schedule = Schedule::new("t", Seed(1), vec!["n1".into()]);
    assert!(schedule.fits(&nemesis(), 1, millis(10)).is_ok(), "a scenario's has no lanes");
    let lane = |name: &str| crate::nemesis::LaneSchedule {
        name: name.into(),
        occurrences: vec![crate::nemesis::Occurrence {
            window: crate::nemesis::Window { start: millis(1), end: millis(20), zone: None },
            then_delay_ns: None,
            fault: None,
            then: Vec::new(),
        }],
    };
    schedule.lanes = vec![lane("other")];
    let refused =
        |s: &Schedule, nodes, main| s.fits(&nemesis(), nodes, main).unwrap_err().to_string();
    assert!(refused(&schedule, 1, millis(50)).contains("use the same nemesis"));
    schedule.lanes = vec![lane("fake")];
    assert!(refused(&schedule, 2, millis(50)).contains("set `nodes`"));
    assert!(refused(&schedule, 1, millis(10)).contains("raise `time_limit`"));
    schedule.fits(&nemesis(), 1, millis(20)).unwrap();

    let load = |text: &str| {
        let path = std::env::temp_dir().join(format!("fuzz_dist-odd-{}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let error = Schedule::load(&path).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        error
    };
    assert!(load("{}").contains("not a schedule of faults"));
    let newer = serde_json::to_string(&schedule).unwrap().replace(r#"_plan":1"#, r#"_plan":2"#);
    assert!(load(&newer).contains("version 2 of the format"));
    let nowhere = Schedule::load("/nowhere/at/all").unwrap_err().to_string();
    assert!(nowhere.contains("/nowhere/at/all") && nowhere.contains("name the folder of a run"));
}

/// The store's file `latest` stands for the newest run, as people would expect of a link.
#[test]
fn the_newest_run_of_a_test_can_be_named() {
    let folder = Folder::new("latest");
    let (run, latest) = (folder.0.join("20261130T113029Z"), folder.0.join("latest"));
    std::fs::create_dir(&run).unwrap();
    std::fs::write(&latest, "20261130T113029Z\n").unwrap();
    let missing = Schedule::load(&latest).unwrap_err().to_string();
    assert!(missing.contains("20261130T113029Z"), "{missing}");
    let schedule = Schedule::new("carts_converge", Seed(7), vec!["n1".into()]);
    std::fs::write(run.join("plan.json"), serde_json::to_vec(&schedule).unwrap()).unwrap();
    assert_eq!(Schedule::load(&latest).unwrap().test, "carts_converge");
}
