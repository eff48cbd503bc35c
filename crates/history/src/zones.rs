//! What came of the faults that were drawn near a boundary, zone by zone.

use super::{FaultSpan, FaultStatus, History};
use crate::op::{Kind, Name, Value};
use crate::time::Time;

/// The error of operations that nobody answered in time.
const TIMEOUT: &str = "timeout";

/// What came of the faults of one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZoneCount {
    /// Its name, such as `tick`.
    pub zone: Name,
    /// The numbers of its faults that were seen to act.
    pub faults: Vec<i64>,
    /// How long each of them lasted, in milliseconds.
    pub lasted_ms: Vec<u64>,
    /// How often a node took another one for dead because of them.
    pub nodedowns: usize,
    /// How many operations timed out that were under way while they acted, or before data flowed
    /// again: after a cut that is healed naturally TCP takes up to its length for that.
    pub timeouts: usize,
}

impl History {
    /// What came of the faults that were drawn near a boundary, in the order in which their zones
    /// were drawn first; empty where there were none.
    pub fn zones(&self) -> Vec<ZoneCount> {
        let faults = self.faults();
        let mut zones: Vec<ZoneCount> = Vec::new();
        let acted = |f: &&FaultSpan| f.status == FaultStatus::Installed;
        for fault in faults.iter().filter(acted) {
            let Some(zone) = &fault.zone else { continue };
            let at = zones.iter().position(|z| z.zone == *zone).unwrap_or_else(|| {
                zones.push(ZoneCount { zone: zone.clone(), ..ZoneCount::default() });
                zones.len() - 1
            });
            let end = fault.stop.unwrap_or(fault.start);
            zones[at].faults.push(fault.id);
            zones[at].lasted_ms.push(end.since(fault.started.unwrap_or(end)).as_millis() as u64);
        }
        if zones.is_empty() {
            return zones;
        }
        let zone_of = |id: i64| move |z: &&mut ZoneCount| z.faults.contains(&id);
        for down in self.nodedowns() {
            let zone = down.fault.and_then(|id| zones.iter_mut().find(zone_of(id)));
            zone.into_iter().for_each(|zone| zone.nodedowns += 1);
        }
        let prompt = self.meta("heal").and_then(Value::as_text) == Some("prompt");
        let felt = |f: &FaultSpan| {
            let lasted = f.stop.unwrap_or(f.start).since(f.start);
            f.stopped.map(|end| if prompt { end } else { end + lasted })
        };
        for (from, to) in self.timeouts() {
            let met = |f: &&FaultSpan| {
                f.zone.is_some() && f.start <= to && felt(f).is_none_or(|end| from <= end)
            };
            let met = faults.iter().rev().filter(acted).find(met);
            let zone = met.and_then(|f| zones.iter_mut().find(zone_of(f.id)));
            zone.into_iter().for_each(|zone| zone.timeouts += 1);
        }
        zones
    }

    /// From when to when each operation was under way that timed out.
    fn timeouts(&self) -> impl Iterator<Item = (Time, Time)> + '_ {
        let timed_out = |i: &usize| {
            self.kind(*i) != Kind::Invoke && self.error(*i).is_some_and(|e| &*e.kind == TIMEOUT)
        };
        let clients = (0..self.len()).filter(|i| self.process(*i).is_client()).filter(timed_out);
        clients.map(|i| (self.time(self.invocation(i).unwrap_or(i)), self.time(i)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Edge;
    use super::*;
    use crate::op::{Event, NodeId, OpError, Phase, Process};

    struct Hand(History);

    impl Hand {
        fn event(&mut self, ms: u64, process: Process, kind: Kind, f: &str, value: Value) {
            let error = (kind == Kind::Info && process.is_client())
                .then(|| OpError::new(TIMEOUT, "no answer"));
            let node = (process != Process::NEMESIS).then_some(NodeId(0));
            let (time, f, phase) = (Time::from_millis(ms), f.into(), Phase::Main);
            self.0.push(Event { time, process, node, kind, f, value, error, phase }).unwrap();
        }

        fn fault(&mut self, id: i64, zone: Option<&str>, from: u64, to: u64) {
            let done = || Some((Some(true), Value::Nil));
            let edges = [
                (from, Edge::Start, History::fault_start(id, "n1 | n2", zone)),
                (from, Edge::Started, History::fault_value(id, Edge::Started, "", done())),
                (to, Edge::Stop, History::fault_value(id, Edge::Stop, "", None)),
                (to, Edge::Stopped, History::fault_value(id, Edge::Stopped, "", done())),
            ];
            for (ms, edge, value) in edges {
                self.event(ms, Process::NEMESIS, edge.kind(), "halves", value);
            }
        }
    }

    #[test]
    fn every_zone_has_its_own_faults_nodedowns_and_timeouts() {
        let mut hand = Hand(History::new(["n1", "n2"]));
        hand.fault(0, Some("tick"), 1000, 4000);
        hand.event(900, Process(0), Kind::Invoke, "add", 1.into());
        hand.event(5900, Process(0), Kind::Info, "add", 1.into());
        let down = |peer: &str| Value::map([("peer", Value::from(peer))]);
        hand.event(3500, Process::RUNTIME, Kind::Info, "nodedown", down("n2"));
        hand.fault(1, None, 10_000, 11_000);
        hand.event(10_500, Process::RUNTIME, Kind::Info, "nodedown", down("n2"));
        hand.event(10_500, Process(1), Kind::Invoke, "add", 2.into());
        hand.event(10_600, Process(1), Kind::Info, "add", 2.into());
        hand.fault(2, Some("blip"), 20_000, 20_020);
        hand.fault(3, Some("tick"), 30_000, 34_500);
        let zones = hand.0.zones();
        assert_eq!(zones.len(), 2);
        assert_eq!((&*zones[0].zone, &zones[0].faults[..]), ("tick", &[0, 3][..]));
        assert_eq!((zones[0].nodedowns, zones[0].timeouts), (1, 1));
        assert_eq!(zones[0].lasted_ms, [3000, 4500]);
        assert_eq!((&*zones[1].zone, zones[1].nodedowns, zones[1].timeouts), ("blip", 0, 0));
    }

    #[test]
    fn a_timeout_after_the_cut_is_its_own_while_data_do_not_flow() {
        let after_the_cut = |heal: &str, from: u64| {
            let mut hand = Hand(History::new(["n1", "n2"]));
            hand.0.set_meta("heal", heal);
            hand.fault(0, Some("tick"), 1000, 4000);
            hand.event(from, Process(0), Kind::Invoke, "add", 1.into());
            hand.event(from + 1000, Process(0), Kind::Info, "add", 1.into());
            hand.0.zones()[0].timeouts
        };
        assert_eq!((after_the_cut("natural", 6900), after_the_cut("natural", 7100)), (1, 0));
        assert_eq!((after_the_cut("prompt", 3900), after_the_cut("prompt", 4100)), (1, 0));
    }

    #[test]
    fn without_draws_there_are_no_zones() {
        let mut hand = Hand(History::new(["n1"]));
        hand.fault(0, None, 1000, 4000);
        assert!(hand.0.zones().is_empty());
    }
}
