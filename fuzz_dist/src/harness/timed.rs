//! The clock of an attempt: the machine's, or simulated time and what keeps it going.

use fuzz_dist_time::{Pace, Simulation};

use crate::clock::Clock;
use crate::env::Scratch;
use crate::error::Error;
use crate::run::options::Timing;

/// The clock, and the simulation behind it.
pub(super) struct Timed {
    clock: Clock,
    // In this order: the governor ends before its folder.
    _simulation: Option<Simulation>,
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
                return Ok(Timed { clock: Clock::system(), _simulation: None, _folder: None });
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
        Ok(Timed { clock, _simulation: Some(simulation), _folder: Some(folder) })
    }

    /// A handle to the clock.
    pub(super) fn clock(&self) -> Clock {
        self.clock.clone()
    }
}
