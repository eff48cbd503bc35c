//! When faults start and end: a schedule that a seed determines.

use std::time::Duration;

use crate::error::Error;
use crate::random::Stream;
use crate::time::{millis, secs};

/// The first fault of a lane, when nobody says it.
const FIRST: Duration = secs(3);
/// The shortest cut that is long enough for anything to notice, when nobody says it.
const LASTING_MIN: Duration = secs(8);

/// When, how long, how often; what is not said follows from the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// From the start of the main phase to the first fault.
    pub first: Option<Duration>,
    /// From the start of a fault to its end.
    pub lasting: Option<Duration>,
    /// From the start of a fault to the start of the next one.
    pub every: Option<Duration>,
}

/// From when to when a fault acts, counted from the start of the main phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its start.
    pub start: Duration,
    /// Its end; the same as its start for faults that are over at once.
    pub end: Duration,
}

impl Timing {
    /// How long a fault lasts: as said here, by the fault, or the longer of 8 s and twice the
    /// nodes' net_ticktime, since a shorter cut may go unnoticed by distributed Erlang.
    pub fn lasts(&self, fault: Option<Duration>, net_ticktime: Option<Duration>) -> Duration {
        let default = || net_ticktime.map_or(LASTING_MIN, |t| (2 * t).max(LASTING_MIN));
        self.lasting.or(fault).unwrap_or_else(default)
    }
}

/// The windows of a lane within a main phase of length `main`; `lasts` is how long one takes at most,
/// with the wait for the moment at which it acts.
///
/// # Errors
///
/// A usage error where no fault can start and end within `main`, or where faults would start
/// before the former one ended.
pub fn windows(
    name: &str,
    timing: &Timing,
    lasts: Duration,
    main: Duration,
    random: &mut Stream,
) -> Result<Vec<Window>, Error> {
    let first = timing.first.unwrap_or(FIRST);
    if let Some(every) = timing.every.filter(|every| *every < lasts || every.is_zero()) {
        return Err(Error::usage(format!(
            "`{name}` takes {lasts:?} but is to start every {every:?}; make `every` longer or \
             `lasting` shorter, or put overlapping faults into lanes of their own with `and`"
        )));
    }
    if first + lasts > main {
        return Err(Error::usage(format!(
            "no `{name}` can start and end within the time limit of {main:?}: the first one starts \
             after {first:?} and takes {lasts:?}; raise `time_limit` to at least {:?}, or shorten \
             the fault with `lasting` (and net_ticktime, which it follows)",
            first + lasts
        )));
    }
    let mut windows = Vec::new();
    let mut start = first;
    while start + lasts <= main {
        windows.push(Window { start, end: start + lasts });
        start = match timing.every {
            Some(every) => start + every,
            None => {
                let rest = lasts.max(millis(500));
                start + lasts + random.duration(rest / 2, rest * 3 / 2)
            }
        };
    }
    Ok(windows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    fn lane(timing: Timing, lasts: Duration, main: Duration) -> Result<Vec<Window>, Error> {
        windows("bridge", &timing, lasts, main, &mut Seed(7).stream("lane"))
    }

    #[test]
    fn every_fault_fits_into_the_main_phase_and_none_overlap() {
        let all = lane(Timing::default(), secs(8), secs(120)).unwrap();
        assert!(all.len() > 3, "{all:?}");
        assert_eq!(all[0], Window { start: secs(3), end: secs(11) });
        assert!(all.windows(2).all(|w| w[1].start >= w[0].end + secs(4)));
        assert!(all.iter().all(|w| w.end <= secs(120)));
    }

    #[test]
    fn a_period_is_kept_exactly() {
        let timing = Timing { every: Some(secs(10)), ..Timing::default() };
        let starts: Vec<_> =
            lane(timing, secs(2), secs(30)).unwrap().iter().map(|w| w.start).collect();
        assert_eq!(starts, [secs(3), secs(13), secs(23)]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_to_do() {
        let error = lane(Timing::default(), secs(8), secs(10)).unwrap_err().to_string();
        assert!(error.contains("raise `time_limit` to at least 11s"), "{error}");
        let timing = Timing { every: Some(secs(5)), ..Timing::default() };
        let error = lane(timing, secs(8), secs(30)).unwrap_err().to_string();
        assert!(error.contains("make `every` longer"), "{error}");
    }

    #[test]
    fn cuts_follow_net_ticktime() {
        let t = Timing::default();
        assert_eq!(t.lasts(None, Some(secs(4))), secs(8));
        assert_eq!(t.lasts(None, Some(secs(60))), secs(120));
        assert_eq!(t.lasts(Some(Duration::ZERO), Some(secs(60))), Duration::ZERO);
        assert_eq!(Timing { lasting: Some(secs(1)), ..t }.lasts(None, None), secs(1));
    }
}
