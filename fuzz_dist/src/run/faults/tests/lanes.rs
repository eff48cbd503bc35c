//! Lanes that overlap, whatever the seed, and a lane that dies.

use std::sync::Arc;
use std::time::Duration;

use super::fake::{Act, Fake, live};
use crate::clock::Clock;
use crate::nemesis::Nemesis;
use crate::random::{Seed, Stream};
use crate::run::live::Live;
use crate::run::options::Options;
use crate::time::millis;

/// Three to five lanes of short faults, whose steps take some milliseconds.
pub(super) fn overlapping(random: &mut Stream) -> Nemesis {
    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
    let lanes = 3 + random.index(3);
    let mut nemesis = Nemesis::none();
    for name in &NAMES[..lanes] {
        let steps = [random.index(8) as u32, random.index(8) as u32];
        let stop = if random.chance(0.1) { Act::SaysNoOnce } else { Act::After(steps[1]) };
        let nodes = (0..5).filter(|_| random.chance(0.4)).collect();
        let fake = Fake { nodes, ..Fake::new(name, Act::After(steps[0]), stop) };
        let lane =
            Nemesis::of(fake).after(millis(random.below(20))).lasting(millis(5 + random.below(40)));
        nemesis = nemesis.and(lane);
    }
    nemesis
}

fn short() -> Options {
    Options { time_limit: Some(millis(150)), ..Options::default() }
}

async fn run(live: &Arc<Live>) {
    live.main_phase().await.unwrap();
    live.heal(None).await;
}

/// Some of them are interrupted at some moment, as Ctrl-C and a passed limit do it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_seeds_of_overlapping_lanes_are_all_undone() {
    let mut runs = tokio::task::JoinSet::new();
    for seed in 0..200 {
        runs.spawn(async move {
            let mut random = Seed(seed).stream("lanes");
            let live = live(&Clock::system(), overlapping(&mut random), Seed(seed), short());
            if seed % 4 == 0 {
                let moment = millis(random.below(200));
                let _ = tokio::time::timeout(moment, run(&live)).await;
            } else {
                run(&live).await;
            }
            live.heal(Some(Duration::from_secs(60))).await;
            live.all_undone();
            assert_eq!(live.faults.board().problems(), Vec::<String>::new());
            live.recorder.with(|history| history.faults().len())
        });
    }
    let faults: usize = runs.join_all().await.into_iter().sum();
    assert!(faults > 600, "{faults} faults in 200 runs, so that little was tried");
}

/// Its lane asks for `lead` when the fault acts already.
#[derive(Clone)]
struct Leads(Fake, Arc<std::sync::atomic::AtomicU32>);

impl crate::nemesis::Fault for Leads {
    type Plan = crate::nemesis::Hit;

    fn name(&self) -> crate::op::Name {
        "leads".into()
    }
    fn lead(&self, _: &crate::db::Facts) -> Duration {
        use std::sync::atomic::Ordering;
        assert!(self.1.fetch_add(1, Ordering::SeqCst) < 2, "asked too often");
        Duration::ZERO
    }
    fn plan(
        &self,
        targets: crate::nemesis::Targets<'_>,
        random: &mut Stream,
    ) -> Result<Self::Plan, crate::error::Error> {
        self.0.plan(targets, random)
    }
    async fn start(
        &self,
        targets: crate::nemesis::Targets<'_>,
        plan: &Self::Plan,
    ) -> Result<crate::nemesis::Check, crate::error::Error> {
        self.0.start(targets, plan).await
    }
    async fn stop(
        &self,
        targets: crate::nemesis::Targets<'_>,
        plan: &Self::Plan,
    ) -> Result<crate::nemesis::Check, crate::error::Error> {
        self.0.stop(targets, plan).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_panics_is_a_reason_and_its_fault_is_ended() {
    let fake = Fake::new("leads", Act::After(1), Act::After(1));
    let log = fake.log.clone();
    let nemesis = Nemesis::of(Leads(fake, Arc::default())).after(millis(1)).lasting(millis(50));
    let live = live(&Clock::system(), nemesis, Seed(1), short());
    run(&live).await;
    let problems = live.faults.board().problems();
    let said = "a lane of the nemesis panicked: asked too often";
    assert!(problems.iter().any(|p| p.contains(said)), "{problems:?}");
    assert_eq!(
        *log.lock().unwrap(),
        ["start leads", "started leads", "stop leads", "stopped leads"]
    );
    live.all_undone();
}
