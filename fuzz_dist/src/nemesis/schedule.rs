//! Everything that was drawn for the faults of a run, so that another run can replay it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{AnyPlan, DynFault, Nemesis, Window};
use crate::error::Error;
use crate::op::Name;

/// The version of the format.
const VERSION: u32 = 1;

/// The file of a run's folder that holds its schedule.
pub(crate) const FILE: &str = "plan.json";

/// The store's file that names the newest run of a test; no link, so that archives keep it.
const LATEST: &str = "latest";

/// The schedule of a run's faults: the windows of every lane, and the plan of every fault, in the
/// order in which they were drawn. A run keeps it as `plan.json`.
///
/// ```no_run
/// # async fn example(test: fuzz_dist::run::Test) -> fuzz_dist::run::Outcome {
/// use fuzz_dist::nemesis::Schedule;
///
/// let schedule = Schedule::load("target/fuzz_dist/carts_converge/latest")?;
/// test.replay(schedule).run().await
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    fuzz_dist_plan: u32,
    /// The test.
    pub test: String,
    /// The seed that it was drawn from.
    pub seed: String,
    /// The names of the nodes; plans count nodes from 0 in this order.
    pub nodes: Vec<Name>,
    /// Those that joined while the run went on, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<Name>,
    /// One for each lane of the nemesis.
    pub lanes: Vec<LaneSchedule>,
    /// The faults of each `inject` and `arm` of a scenario, in the order of the calls.
    pub scenario: Vec<Vec<Option<Drawn>>>,
}

/// The schedule of one lane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaneSchedule {
    /// The names of its faults, joined; see [`Lane::name`](super::Lane::name).
    pub name: Name,
    /// Its windows, with what happens in each.
    pub occurrences: Vec<Occurrence>,
}

/// One window of a lane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Occurrence {
    /// When.
    #[serde(flatten)]
    pub window: Window,
    /// How long after a nodedown the further faults of the lane start, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub then_delay_ns: Option<u64>,
    /// The fault; nothing while it is not drawn.
    pub fault: Option<Drawn>,
    /// The further faults, where a nodedown was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Option<Drawn>>,
}

/// A fault with its plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    /// Its name.
    pub fault: Name,
    /// Its plan, in the fault's own form; `shape` and `nodes` are part of every plan.
    pub plan: serde_json::Value,
}

/// The place of a fault in a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// The fault of a lane in one of its windows.
    Lane {
        /// The lane.
        lane: usize,
        /// Its window.
        window: usize,
    },
    /// A further fault of a lane, after a nodedown.
    Then {
        /// The lane.
        lane: usize,
        /// Its window.
        window: usize,
        /// Which one.
        index: usize,
    },
    /// A fault of a scenario.
    Scenario {
        /// The call of `inject` or `arm`.
        call: usize,
        /// The fault in it.
        index: usize,
    },
}

impl Schedule {
    /// A schedule in which nothing is drawn.
    pub fn new(test: &str, seed: crate::random::Seed, nodes: Vec<Name>) -> Schedule {
        Schedule {
            fuzz_dist_plan: VERSION,
            test: test.into(),
            seed: seed.to_string(),
            nodes,
            joined: Vec::new(),
            lanes: Vec::new(),
            scenario: Vec::new(),
        }
    }

    /// Reads a schedule: that of a run's folder, that of the newest run where `path` is a test's file
    /// `latest`, or a file of its own.
    ///
    /// # Errors
    ///
    /// A usage error where it cannot be read or is no schedule.
    pub fn load(path: impl AsRef<Path>) -> Result<Schedule, Error> {
        let mut path = path.as_ref().to_path_buf();
        let unreadable = |path: &Path, why: std::io::Error| {
            Error::usage(format!(
                "{}: {why}; name the folder of a run, such as target/fuzz_dist/<test>/<time>, or the \
                 file `latest` beside it",
                path.display()
            ))
        };
        if path.file_name().is_some_and(|name| name == LATEST) && path.is_file() {
            let newest = std::fs::read_to_string(&path).map_err(|e| unreadable(&path, e))?;
            path.set_file_name(newest.trim());
        }
        let file = if path.is_dir() { path.join(FILE) } else { path };
        let wrong = |why: String| Error::usage(format!("{}: {why}", file.display()));
        let text = std::fs::read(&file).map_err(|e| unreadable(&file, e))?;
        let schedule: Schedule = serde_json::from_slice(&text)
            .map_err(|e| wrong(format!("not a schedule of faults: {e}")))?;
        match schedule.fuzz_dist_plan {
            VERSION => Ok(schedule),
            other => Err(wrong(format!("version {other} of the format; this is {VERSION}"))),
        }
    }

    /// Can it be replayed with these faults on so many nodes, within this time?
    ///
    /// # Errors
    ///
    /// A usage error that says what differs.
    pub fn fits(
        &self,
        nemesis: &Nemesis,
        nodes: usize,
        main: std::time::Duration,
    ) -> Result<(), Error> {
        if self.nodes.len() != nodes {
            return Err(Error::usage(format!(
                "the schedule to replay is one for {} nodes, and the test has {nodes}; set `nodes`",
                self.nodes.len()
            )));
        }
        let stored: Vec<&Name> = self.lanes.iter().map(|lane| &lane.name).collect();
        let lanes: Vec<Name> = nemesis.lanes().iter().map(super::Lane::name).collect();
        if !self.lanes.is_empty() && stored != lanes.iter().collect::<Vec<_>>() {
            return Err(Error::usage(format!(
                "the schedule to replay is one of the nemesis {stored:?}, and the test has \
                 {lanes:?}; use the same nemesis"
            )));
        }
        let ends = self.lanes.iter().flat_map(|l| &l.occurrences).map(|o| o.window.end);
        match ends.max() {
            Some(end) if end > main => Err(Error::usage(format!(
                "the schedule to replay ends after {end:?}; raise `time_limit` from {main:?}"
            ))),
            _ => Ok(()),
        }
    }

    /// What was drawn for a slot.
    pub fn drawn(&self, slot: Slot) -> Option<&Drawn> {
        let occurrence = |lane: usize, window| self.lanes.get(lane)?.occurrences.get(window);
        match slot {
            Slot::Lane { lane, window } => occurrence(lane, window)?.fault.as_ref(),
            Slot::Then { lane, window, index } => {
                occurrence(lane, window)?.then.get(index)?.as_ref()
            }
            Slot::Scenario { call, index } => self.scenario.get(call)?.get(index)?.as_ref(),
        }
    }

    /// The stored plan for a slot, as a plan of this fault; nothing where there is none.
    ///
    /// # Errors
    ///
    /// A usage error where it is a plan of another fault or of another cluster.
    pub fn plan(&self, slot: Slot, fault: &dyn DynFault) -> Result<Option<AnyPlan>, Error> {
        let Some(drawn) = self.drawn(slot) else { return Ok(None) };
        if drawn.fault != fault.name() {
            return Err(Error::usage(format!(
                "the stored plan is one of `{}`, and the fault is `{}`",
                drawn.fault,
                fault.name()
            )));
        }
        let plan = fault.read(&drawn.plan)?;
        // A partition is one of the nodes that there were when it was drawn.
        let sizes = self.nodes.len()..=self.nodes.len() + self.joined.len();
        if !sizes.clone().any(|nodes| plan.fits(nodes).is_ok()) {
            plan.fits(*sizes.end())?;
        }
        Ok(Some(plan))
    }

    /// Keeps what was drawn for a slot. A lane's slots are there once its windows are.
    pub fn draw(&mut self, slot: Slot, drawn: Drawn) {
        fn put(list: &mut Vec<Option<Drawn>>, index: usize, drawn: Drawn) {
            list.resize_with(list.len().max(index + 1), || None);
            list[index] = Some(drawn);
        }
        match slot {
            Slot::Lane { lane, window } => {
                self.lanes[lane].occurrences[window].fault = Some(drawn);
            }
            Slot::Then { lane, window, index } => {
                put(&mut self.lanes[lane].occurrences[window].then, index, drawn);
            }
            Slot::Scenario { call, index } => {
                self.scenario.resize_with(self.scenario.len().max(call + 1), Vec::new);
                put(&mut self.scenario[call], index, drawn);
            }
        }
    }

    /// All slots for which something was drawn.
    pub fn slots(&self) -> Vec<Slot> {
        let mut slots = Vec::new();
        for (lane, schedule) in self.lanes.iter().enumerate() {
            for (window, occurrence) in schedule.occurrences.iter().enumerate() {
                slots.push(Slot::Lane { lane, window });
                let then = 0..occurrence.then.len();
                slots.extend(then.map(|index| Slot::Then { lane, window, index }));
            }
        }
        for (call, faults) in self.scenario.iter().enumerate() {
            slots.extend((0..faults.len()).map(|index| Slot::Scenario { call, index }));
        }
        slots.retain(|slot| self.drawn(*slot).is_some());
        slots
    }
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Slot::Lane { lane, window } => write!(f, "window {} of lane {}", window + 1, lane + 1),
            Slot::Then { lane, window, index } => {
                let (lane, window) = (lane + 1, window + 1);
                write!(f, "window {window} of lane {lane}, fault {} after a nodedown", index + 1)
            }
            Slot::Scenario { call, index } => {
                write!(f, "fault {} of the scenario's injection {}", index + 1, call + 1)
            }
        }
    }
}
