//! Durations drawn around a boundary, in clusters: what lies well above it has an effect, what lies
//! well below it has none, and the result counts both in the zone that they came from.

use super::{Judge, app, set};
use fuzz_dist::history::{FaultSpan, FaultStatus, History};
use fuzz_dist::nemesis::{near_call_timeout_of, near_tick_pause};
use fuzz_dist::op::{Kind, Name};
use fuzz_dist::prelude::*;
use fuzz_dist::time::Time;
use std::time::Duration;

/// One server on the first node; who calls it from another node gives up after [`CALL_LIMIT`].
fn late_set() -> ErlangApp {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/late_call/late_set.erl");
    ErlangApp::new("late_set", [source])
        .start("ok = late_set:start(Peers)")
        .formed("late_set", "formed")
}

const CALL_LIMIT: Duration = secs(1);

fn calls() -> Workload {
    set_workload()
        .add(|node, item| node.call::<()>("late_set", "add", args![item]))
        .read(|node| node.call::<Vec<i64>>("late_set", "read", args![]))
        .into()
}

/// What one fault was seen to do.
struct Drawn {
    fault: FaultSpan,
    /// It acted for at least so long.
    at_least: Duration,
    /// It acted for at most so long.
    at_most: Duration,
    effects: usize,
}

/// Every fault, with how many effects were seen since its start and before that of the next.
fn drawn(history: &History, effects: &[Time]) -> Vec<Drawn> {
    let acted = |f: &FaultSpan| f.status == FaultStatus::Installed;
    let faults: Vec<FaultSpan> = history.faults().into_iter().filter(acted).collect();
    let nexts = faults.iter().skip(1).map(|f| f.start).chain([Time(u64::MAX)]);
    let drawn = faults.iter().cloned().zip(nexts).map(|(fault, next)| {
        let end = |time: Option<Time>| time.expect("the run ends its faults");
        let (stop, stopped) = (end(fault.stop), end(fault.stopped));
        let at_least = stop.since(end(fault.started));
        let at_most = stopped.since(fault.start);
        let effects = effects.iter().filter(|at| (fault.start..next).contains(at)).count();
        Drawn { fault, at_least, at_most, effects }
    });
    drawn.collect()
}

/// Where a duration is certain to have no effect, and from where on it is certain to have one.
struct Boundary {
    zone: &'static str,
    none_below: Duration,
    some_above: Duration,
}

impl Boundary {
    /// Both sides were drawn, each cut that was certainly on a side had the effect that it must have, and the
    /// zone counts all effects. On a machine that takes its time between the cuts, too, a short cut may have
    /// an effect: what it adds makes a call late, and TCP waits longer for answers that come late.
    fn holds(&self, history: &History, drawn: &[Drawn], counted: usize) -> Result<(), String> {
        let wrong = |why: &str| {
            let lines = drawn.iter().map(|d| {
                format!(
                    "\n{} to {} ms: {}",
                    d.at_least.as_millis(),
                    d.at_most.as_millis(),
                    d.effects
                )
            });
            Err(format!("{why}{}", lines.collect::<String>()))
        };
        // What a busy machine adds can take a cut's side away, but not that it was drawn there.
        let planned = |d: &Drawn| d.fault.stop.map(|stop| stop.since(d.fault.start));
        let drawn_below = drawn.iter().filter_map(planned).any(|d| d < self.none_below);
        let drawn_above = drawn.iter().filter_map(planned).any(|d| d > self.some_above);
        let below: Vec<_> = drawn.iter().filter(|d| d.at_most < self.none_below).collect();
        let above: Vec<_> = drawn.iter().filter(|d| d.at_least > self.some_above).collect();
        match () {
            () if !drawn_below || !drawn_above => wrong("one side was not drawn"),
            () if below.iter().any(|d| d.effects > 0) && slowest(history, drawn) < SLOW => {
                wrong("an effect below the boundary")
            }
            () if above.iter().any(|d| d.effects == 0) => wrong("no effect above the boundary"),
            () if drawn.iter().any(|d| d.fault.zone.as_deref() != Some(self.zone)) => {
                wrong("a fault of another zone")
            }
            () if counted != drawn.iter().map(|d| d.effects).sum::<usize>() => {
                wrong(&format!("the zone counts {counted} effects"))
            }
            () => Ok(()),
        }
    }
}

/// A machine on which an operation takes so long for no fault has no short cuts.
const SLOW: Duration = millis(50);

/// The longest operation that ended before the first fault, or began a second after one and ended before
/// the next.
fn slowest(history: &History, drawn: &[Drawn]) -> Duration {
    let calm = |(begun, ended): (Time, Time)| {
        drawn.iter().all(|d| {
            let over = d.fault.stopped.expect("the run ends its faults") + secs(1);
            ended < d.fault.start || over < begun
        })
    };
    let of_clients = (0..history.len()).filter(|i| history.process(*i).is_client());
    let spans =
        of_clients.filter_map(|i| Some((history.time(history.invocation(i)?), history.time(i))));
    spans
        .filter(|span| calm(*span))
        .map(|(begun, ended)| ended.since(begun))
        .max()
        .unwrap_or_default()
}

fn nodedowns(history: &History) -> Vec<Time> {
    history.nodedowns().iter().map(|d| d.time).collect()
}

/// When operations ended with a call that nobody answered in time.
fn timeouts(history: &History) -> Vec<Time> {
    let timed_out = |i: &usize| {
        history.kind(*i) != Kind::Invoke && history.error(*i).is_some_and(|e| &*e.kind == "timeout")
    };
    let clients = (0..history.len()).filter(|i| history.process(*i).is_client());
    clients.filter(timed_out).map(|i| history.time(i)).collect()
}

fn counted(
    history: &History,
    zone: &str,
    count: fn(&fuzz_dist::history::ZoneCount) -> usize,
) -> usize {
    let zone: Name = zone.into();
    history.zones().iter().filter(|z| z.zone == zone).map(count).sum()
}

/// A node that stands still for less than net_ticktime is not taken for dead, one that stands still for
/// longer than that and a tick is.
#[fuzz_dist::test(
    db = app(),
    workload = set(),
    nemesis = near_tick_pause().after(secs(1)).every(secs(7)),
    nodes = 3,
    time_limit = "14s",
    seed = 203
)]
async fn pauses_are_drawn_around_net_ticktime(test: Test) -> Outcome {
    let judge = Judge(|history| {
        let (ntt, tick) = (secs(4), secs(1));
        let tick = Boundary { zone: "tick", none_below: ntt - tick / 4, some_above: ntt + tick };
        tick.holds(
            history,
            &drawn(history, &nodedowns(history)),
            counted(history, "tick", |z| z.nodedowns),
        )
    });
    test.checker(judge).run().await
}

/// Longer than a call waits: the longest cuts are longer than it also where a busy machine takes a
/// quarter of a second to verify them.
const AIM: Duration = CALL_LIMIT.saturating_mul(6).checked_div(5).unwrap();

/// A cut that is shorter than a call waits, and ends promptly, costs nobody his answer; a longer one
/// does.
#[fuzz_dist::test(
    db = late_set(),
    workload = calls(),
    nemesis = near_call_timeout_of(AIM).after(secs(1)).every(secs(2)),
    heal = "prompt",
    nodes = 3,
    rate = 300,
    time_limit = "15s",
    seed = 29
)]
async fn cuts_are_drawn_around_the_time_out_of_a_call(test: Test) -> Outcome {
    let judge = Judge(|history| {
        let zone = "call_timeout";
        // Somebody calls within a few hundredths of a second after the cut has begun.
        let (none_below, some_above) = (CALL_LIMIT * 4 / 5, CALL_LIMIT + millis(20));
        let boundary = Boundary { zone, none_below, some_above };
        let counted = counted(history, zone, |z| z.timeouts);
        boundary.holds(history, &drawn(history, &timeouts(history)), counted)
    });
    test.checker(judge).run().await
}

/// After a cut data flow again with TCP's next retransmission: of cuts that end around one, some bring
/// it at once, and some as much later as they were long. Calls wait for 1 s: those of short cuts are
/// answered either way, those of long ones never.
#[fuzz_dist::test(
    db = late_set(),
    workload = calls(),
    nemesis = retransmission().after(secs(1)).every(secs(4)),
    nodes = 3,
    rate = 300,
    time_limit = "21s",
    seed = 38
)]
async fn cuts_are_drawn_around_retransmissions(test: Test) -> Outcome {
    let judge = Judge(|history| {
        let zone = "retransmission";
        let boundary = Boundary { zone, none_below: CALL_LIMIT / 2, some_above: CALL_LIMIT };
        let drawn = drawn(history, &timeouts(history));
        boundary.holds(history, &drawn, counted(history, zone, |z| z.timeouts))?;
        let late: Vec<Duration> = drawn.iter().map(|d| late(history, &d.fault)).collect();
        let fits = |d: &Drawn, late: &Duration| *late <= d.at_most + millis(500);
        // The retransmissions of both directions count, and a busy machine takes its time as well.
        let soon = |(d, late): (&Drawn, &Duration)| *late * 2 < d.at_least;
        let some_soon = drawn.iter().zip(&late).any(soon);
        let some_late = late.iter().any(|late| *late > millis(100));
        match drawn.iter().zip(&late).all(|(d, late)| fits(d, late)) {
            true if some_soon && some_late => Ok(()),
            _ => Err(format!("data flowed again {late:?} after the cuts")),
        }
    });
    test.checker(judge).run().await
}

/// How long after the cut the last call ended that had begun before its end.
fn late(history: &History, fault: &FaultSpan) -> Duration {
    let stop = fault.stop.expect("the run ends its faults");
    let begun = |i: &usize| {
        let invoked = history.invocation(*i).map(|i| history.time(i));
        history.process(*i).is_client() && invoked.is_some_and(|t| fault.start <= t && t < stop)
    };
    let ends = (0..history.len()).filter(begun).map(|i| history.time(i)).max();
    ends.filter(|end| *end > stop).map_or(Duration::ZERO, |end| end.since(stop))
}
