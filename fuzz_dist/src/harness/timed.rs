//! The clock of an attempt: the machine's, or simulated time and what keeps it going.

use std::time::Duration;

use fuzz_dist_time::{Pace, Simulation};

use crate::clock::Clock;
use crate::env::Scratch;
use crate::error::Error;
use crate::run::options::Timing;

/// The clock, and the simulation behind it.
pub(super) struct Timed {
    clock: Clock,
    // In this order: the governor ends before its folder.
    simulation: Option<Simulation>,
    _folder: Option<Scratch>,
}

impl Timed {
    /// Begins the time of an attempt.
    ///
    /// # Errors
    ///
    /// When this machine cannot simulate time.
    pub(super) fn begin(timing: Timing) -> Result<Timed, Error> {
        let pace = match timing {
            Timing::Real => {
                return Ok(Timed { clock: Clock::system(), simulation: None, _folder: None });
            }
            Timing::Simulated => Pace::Still,
            Timing::Natural => Pace::Natural,
            Timing::Tenfold => Pace::Flowing(10_000_000),
        };
        let refused =
            |error| Error::environment(format!("simulated time cannot be had here: {error}"));
        let folder = Scratch::new().map_err(refused)?;
        let simulation = Simulation::start(folder.path(), pace).map_err(refused)?;
        simulation.run();
        let clock = simulation.clock();
        Ok(Timed { clock, simulation: Some(simulation), _folder: Some(folder) })
    }

    /// What people should know of how time passed.
    pub(super) fn notes(&self, failed: bool) -> Vec<String> {
        let Some(simulation) = &self.simulation else { return Vec::new() };
        let status = simulation.status();
        let mut notes = Vec::new();
        if !status.guarded.is_zero() {
            notes.push(format!(
                "simulated time passed at the machine's speed for {:?}, since a thread ran without ever waiting",
                status.guarded
            ));
        }
        if failed {
            let reading = Duration::from_nanos(status.reading_ns);
            let holder = status.holder.as_deref().unwrap_or("nobody");
            notes.push(format!(
                "simulated time had come to {reading:?} in {} leaps; at the last look it was held by {holder}",
                status.leaps
            ));
        }
        notes.extend(status.refused.iter().map(|what| format!("not simulated: {what}")));
        notes
    }

    /// A handle to the clock.
    pub(super) fn clock(&self) -> Clock {
        self.clock.clone()
    }
}
