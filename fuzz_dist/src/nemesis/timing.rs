//! When faults start and end: a schedule that a seed determines.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Boundaries, Near};
use crate::error::Error;
use crate::op::Name;
use crate::random::Stream;
use crate::time::{millis, secs};

/// The first fault of a lane, when nobody says it.
const FIRST: Duration = secs(3);
/// The shortest cut that is long enough for anything to notice, when nobody says it.
const LASTING_MIN: Duration = secs(8);

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// Always so long.
    Always(Duration),
    /// Drawn anew for every one, near a boundary.
    Near(Near),
}

impl From<Duration> for Lasting {
    fn from(duration: Duration) -> Lasting {
        Lasting::Always(duration)
    }
}

impl From<Near> for Lasting {
    fn from(near: Near) -> Lasting {
        Lasting::Near(near)
    }
}

/// When, how long, how often; what is not said follows from the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// From the start of the main phase to the first fault.
    pub first: Option<Duration>,
    /// From the start of a fault to its end.
    pub lasting: Option<Lasting>,
    /// From the start of a fault to the start of the next one.
    pub every: Option<Duration>,
}

/// From when to when a fault acts, counted from the start of the main phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its start.
    #[serde(rename = "start_ns", with = "nanoseconds")]
    pub start: Duration,
    /// Its end; the same as its start for faults that are over at once.
    #[serde(rename = "end_ns", with = "nanoseconds")]
    pub end: Duration,
    /// The zone that its length was drawn from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Name>,
}

/// Durations as whole numbers.
mod nanoseconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u64::deserialize(d).map(Duration::from_nanos)
    }
}

impl Timing {
    /// How long a fault lasts: as said here, by the fault, or the longer of 8 s and twice the
    /// nodes' net_ticktime, since a shorter cut may go unnoticed by distributed Erlang.
    pub fn lasts(&self, fault: Option<Duration>, net_ticktime: Option<Duration>) -> Lasting {
        let default = || net_ticktime.map_or(LASTING_MIN, |t| (2 * t).max(LASTING_MIN));
        self.lasting.unwrap_or_else(|| fault.unwrap_or_else(default).into())
    }
}

/// The windows of a lane within a main phase of length `main`. In each the fault waits for at most
/// `lead` for the moment at which it acts, and acts for as long as `lasts` says.
///
/// # Errors
///
/// A usage error where no fault can start and end within `main`, where faults would start
/// before the former one ended, or where nobody knows the boundaries that they are to be near.
pub fn windows(
    name: &str,
    timing: &Timing,
    lead: Duration,
    lasts: Lasting,
    boundaries: Option<&Boundaries>,
    main: Duration,
    random: &mut Stream,
) -> Result<Vec<Window>, Error> {
    let first = timing.first.unwrap_or(FIRST);
    let (needs, near) = match (lasts, boundaries) {
        (Lasting::Always(lasts), _) => (lasts, None),
        (Lasting::Near(near), Some(b)) => (near.needs(b), Some((near, b))),
        (Lasting::Near(_), None) => {
            return Err(Error::usage(format!(
                "`{name}` is to last near the boundaries of distributed Erlang, and the database \
                 says no net_ticktime of its nodes; say how long with `lasting(secs(..))`"
            )));
        }
    };
    let needs = lead + needs;
    if let Some(every) = timing.every.filter(|every| *every < needs || every.is_zero()) {
        return Err(Error::usage(format!(
            "`{name}` takes {needs:?} but is to start every {every:?}; make `every` longer or \
             `lasting` shorter, or put overlapping faults into lanes of their own with `and`"
        )));
    }
    if first + needs > main {
        return Err(Error::usage(format!(
            "no `{name}` can start and end within the time limit of {main:?}: the first one starts \
             after {first:?} and takes {needs:?}; raise `time_limit` to at least {:?}, or shorten \
             the fault with `lasting` (and net_ticktime, which it follows)",
            first + needs
        )));
    }
    let mut windows = Vec::new();
    let mut start = first;
    while start <= main {
        let room = timing.every.map_or(main - start, |every| every.min(main - start));
        let drawn = match near {
            Some((near, boundaries)) => near
                .draw(boundaries, room.saturating_sub(lead), random)
                .map(|(lasts, zone)| (lead + lasts, Some(zone))),
            None => Some((needs, None)).filter(|(takes, _)| *takes <= main - start),
        };
        let Some((lasts, zone)) = drawn else { break };
        windows.push(Window { start, end: start + lasts, zone: zone.map(Name::from) });
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
        windows(
            "bridge",
            &timing,
            Duration::ZERO,
            lasts.into(),
            None,
            main,
            &mut Seed(7).stream("lane"),
        )
    }

    #[test]
    fn every_fault_fits_into_the_main_phase_and_none_overlap() {
        let all = lane(Timing::default(), secs(8), secs(120)).unwrap();
        assert!(all.len() > 3, "{all:?}");
        assert_eq!(all[0], Window { start: secs(3), end: secs(11), zone: None });
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
        assert_eq!(t.lasts(None, Some(secs(4))), secs(8).into());
        assert_eq!(t.lasts(None, Some(secs(60))), secs(120).into());
        assert_eq!(t.lasts(Some(Duration::ZERO), Some(secs(60))), Duration::ZERO.into());
        let said = Timing { lasting: Some(secs(1).into()), ..t };
        assert_eq!(said.lasts(None, None), secs(1).into());
    }

    #[test]
    fn lengths_near_a_boundary_are_drawn_anew_and_fit() {
        let near = |lead, main, boundaries: Option<&Boundaries>| {
            let mut random = Seed(7).stream("lane");
            let lasts = Near::Tick.into();
            windows("bridge", &Timing::default(), lead, lasts, boundaries, main, &mut random)
        };
        let nodes = Boundaries::with_ticktime(secs(4));
        let all = near(secs(0), secs(120), Some(&nodes)).unwrap();
        assert!(all.len() > 8, "{all:?}");
        assert!(all.windows(2).all(|w| w[0].end <= w[1].start));
        assert!(all.iter().all(|w| w.end <= secs(120) && w.zone.is_some()));
        let mut lengths: Vec<_> = all.iter().map(|w| w.end - w.start).collect();
        lengths.dedup();
        assert_eq!(lengths.len(), all.len());
        let error = near(secs(0), secs(7), Some(&nodes)).unwrap_err().to_string();
        assert!(error.contains("raise `time_limit` to at least 8s"), "{error}");
        let later = near(secs(2), secs(120), Some(&nodes)).unwrap();
        assert!(later.iter().all(|w| w.end - w.start > secs(2) && w.end <= secs(120)));
        let error = near(secs(0), secs(120), None).unwrap_err().to_string();
        assert!(error.contains("says no net_ticktime"), "{error}");
    }
}
