//! What nodes reported about themselves: who lost whom, who was split from whom.
//!
//! It is recorded as events of [`Process::RUNTIME`] on the node that said it, such as `nodedown`
//! with the values `peer` and `reason`, or `mnesia` with `event` and `peer`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::{FaultSpan, History};
use crate::op::{Name, NodeId, Process, Value};
use crate::time::Time;

/// One node saw another one go.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeDown {
    /// Who saw it.
    pub seen_by: NodeId,
    /// Who was gone: a node of the test, or the name of another Erlang node.
    pub gone: Name,
    /// When.
    pub time: Time,
    /// Why, in the runtime's words: `net_tick_timeout`, `connection_closed`, `disconnect`.
    pub reason: Name,
    /// When the two were connected again.
    pub up: Option<Time>,
    /// The number of the fault that acted then, or had ended at most one net_ticktime before; `None` where one of
    /// the two left the cluster.
    pub fault: Option<i64>,
    /// Which of the two was leaving the cluster, or had left it: then the connection ended for that.
    pub left: Option<NodeId>,
    /// The event.
    pub event: usize,
}

/// Mnesia on one node found that another one had gone on without it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MnesiaSplit {
    /// Who found it.
    pub on: NodeId,
    /// Of whom.
    pub peer: Name,
    /// When first.
    pub time: Time,
    /// The first event.
    pub event: usize,
}

impl History {
    /// Who saw whom go, when and why, in the order in which it was recorded.
    pub fn nodedowns(&self) -> Vec<NodeDown> {
        let faults = self.faults();
        let late = self.meta("net_ticktime_ms").and_then(Value::as_int).unwrap_or(0);
        let late = Duration::from_millis(u64::try_from(late).unwrap_or(0));
        let leaves = self.leaves();
        let mut downs: Vec<NodeDown> = Vec::new();
        for i in self.said() {
            let Some((seen_by, peer)) = self.of_peer(i) else { continue };
            let time = self.time(i);
            match &**self.function(i) {
                "nodedown" => {
                    let has_left = |(node, leaving): &&(NodeId, Range<usize>)| {
                        let is_of_it = *node == seen_by || *self.node_name(*node) == *peer;
                        is_of_it && leaving.contains(&i)
                    };
                    let left = leaves.iter().find(has_left).map(|(node, _)| *node);
                    let fault = if left.is_none() { cause(&faults, time, late) } else { None };
                    let reason = self.detail(i, "reason").unwrap_or("unknown").into();
                    let (gone, up, event) = (peer, None, i);
                    downs.push(NodeDown { seen_by, gone, time, reason, up, fault, left, event });
                }
                "nodeup" => {
                    let same = |d: &&mut NodeDown| d.seen_by == seen_by && d.gone == peer;
                    if let Some(down) = downs.iter_mut().rev().find(same) {
                        down.up = down.up.or(Some(time));
                    }
                }
                _ => {}
            }
        }
        downs
    }

    /// The first time that mnesia reported `inconsistent_database`, for every pair of nodes.
    pub fn mnesia_splits(&self) -> Vec<MnesiaSplit> {
        let mut splits: Vec<MnesiaSplit> = Vec::new();
        for i in self.said().filter(|i| &**self.function(*i) == "mnesia") {
            if self.detail(i, "event") != Some("inconsistent_database") {
                continue;
            }
            let Some((on, peer)) = self.of_peer(i) else { continue };
            if !splits.iter().any(|s| s.on == on && s.peer == peer) {
                splits.push(MnesiaSplit { on, peer, time: self.time(i), event: i });
            }
        }
        splits
    }

    /// All that the runtime said, in one line; `None` where nobody observed it.
    ///
    /// `runtime: nodedown 2 (connection_closed 1, disconnect 1): n1 lost n2; n2 lost n1; mnesia
    /// inconsistent_database on n1 of n2; log 3`
    pub fn runtime_line(&self) -> Option<String> {
        let mut others: BTreeMap<&str, usize> = BTreeMap::new();
        let mut observed = false;
        for i in self.said() {
            match &**self.function(i) {
                "observed" => observed = true,
                "status" | "nodedown" | "nodeup" | "member" => {}
                "mnesia" if self.detail(i, "event") == Some("inconsistent_database") => {}
                f => *others.entry(f).or_default() += 1,
            }
        }
        if !observed {
            return None;
        }
        let (mut parts, downs) = (Vec::new(), self.nodedowns());
        if downs.is_empty() {
            parts.push("no nodedown".to_string());
        } else {
            let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
            let mut lost: BTreeMap<NodeId, Vec<&str>> = BTreeMap::new();
            for down in &downs {
                *reasons.entry(&down.reason).or_default() += 1;
                let gone = lost.entry(down.seen_by).or_default();
                if !gone.contains(&&*down.gone) {
                    gone.push(&down.gone);
                }
            }
            let reasons: Vec<String> = reasons.iter().map(|(r, n)| format!("{r} {n}")).collect();
            let lost = lost.iter();
            let lost: Vec<String> = lost
                .map(|(by, gone)| format!("{} lost {}", self.node_name(*by), gone.join(" ")))
                .collect();
            let (count, reasons) = (downs.len(), reasons.join(", "));
            parts.push(format!("nodedown {count} ({reasons}): {}", lost.join(", ")));
        }
        let splits: Vec<String> = self
            .mnesia_splits()
            .iter()
            .map(|s| format!("{} of {}", self.node_name(s.on), s.peer))
            .collect();
        if !splits.is_empty() {
            parts.push(format!("mnesia inconsistent_database on {}", splits.join(", ")));
        }
        parts.extend(others.iter().map(|(f, n)| format!("{f} {n}")));
        Some(format!("runtime: {}", parts.join("; ")))
    }

    /// The events that say it.
    #[doc(hidden)]
    pub fn said(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).filter(|i| self.process(*i) == Process::RUNTIME)
    }

    /// One detail of it.
    #[doc(hidden)]
    pub fn detail(&self, i: usize, key: &str) -> Option<&str> {
        self.view(i)?.get(key)?.as_text()
    }

    /// Who said it, and of which peer.
    fn of_peer(&self, i: usize) -> Option<(NodeId, Name)> {
        Some((self.node(i)?, self.detail(i, "peer")?.into()))
    }
}

/// The latest fault that acted at `time`, or ended at most `late` before.
fn cause(faults: &[FaultSpan], time: Time, late: Duration) -> Option<i64> {
    let acts = |f: &&FaultSpan| f.start <= time && f.stopped.is_none_or(|end| time <= end + late);
    faults.iter().rev().find(acts).map(|f| f.id)
}

#[cfg(test)]
mod tests {
    use super::super::{Edge, MemberState};
    use super::*;
    use crate::op::{Event, Kind, Phase};

    /// A history in which things are said at given milliseconds.
    struct Hand(History);

    impl Hand {
        fn new() -> Hand {
            let mut history = History::new(["n1", "n2", "n3"]);
            history.set_meta("net_ticktime_ms", 4000);
            Hand(history)
        }

        fn event(&mut self, ms: u64, process: Process, node: Option<u16>, f: &str, value: Value) {
            self.0
                .push(Event {
                    time: Time::from_millis(ms),
                    process,
                    node: node.map(NodeId),
                    kind: Kind::Info,
                    f: f.into(),
                    value,
                    error: None,
                    phase: Phase::Main,
                })
                .unwrap();
        }

        fn says(&mut self, ms: u64, node: u16, f: &str, details: &[(&str, &str)]) {
            let details = Value::map(details.iter().map(|(k, v)| (*k, Value::from(*v))));
            self.event(ms, Process::RUNTIME, Some(node), f, details);
        }

        fn fault(&mut self, id: i64, from: u64, to: u64) {
            let check = |edge| match edge {
                Edge::Started | Edge::Stopped => Some((Some(true), Value::Nil)),
                _ => None,
            };
            let edges =
                [(from, Edge::Start), (from, Edge::Started), (to, Edge::Stop), (to, Edge::Stopped)];
            for (ms, edge) in edges {
                let value = History::fault_value(id, edge, "n1 x n2", check(edge));
                self.event(ms, Process::NEMESIS, None, "blip", value);
            }
        }
    }

    fn blipped() -> History {
        let mut hand = Hand::new();
        hand.says(0, 0, "observed", &[("otp_release", "25")]);
        hand.fault(0, 1000, 1001);
        hand.says(1000, 0, "nodedown", &[("peer", "n2"), ("reason", "disconnect")]);
        hand.says(1001, 1, "nodedown", &[("peer", "n1"), ("reason", "connection_closed")]);
        hand.says(1020, 0, "nodeup", &[("peer", "n2")]);
        let split = [("event", "inconsistent_database"), ("peer", "n2")];
        hand.says(1030, 0, "mnesia", &split);
        hand.says(1040, 0, "mnesia", &split);
        hand.event(1050, Process::RUNTIME, Some(2), "log", "error: a line".into());
        hand.0
    }

    #[test]
    fn nodedowns_know_their_reason_their_end_and_the_fault_they_came_from() {
        let downs = blipped().nodedowns();
        assert_eq!(downs.len(), 2);
        assert_eq!((downs[0].seen_by, &*downs[0].gone), (NodeId(0), "n2"));
        assert_eq!(&*downs[0].reason, "disconnect");
        assert_eq!((downs[0].up, downs[0].fault), (Some(Time::from_millis(1020)), Some(0)));
        assert_eq!((downs[1].up, downs[1].fault), (None, Some(0)));
    }

    #[test]
    fn a_nodedown_long_after_every_fault_came_from_none() {
        let mut hand = Hand::new();
        hand.says(10, 0, "nodedown", &[("peer", "n3")]);
        hand.fault(0, 1000, 2000);
        hand.says(6000, 0, "nodedown", &[("peer", "n3")]);
        hand.says(6001, 0, "nodedown", &[("peer", "n3")]);
        hand.fault(1, 6002, 6003);
        let faults: Vec<_> = hand.0.nodedowns().iter().map(|d| d.fault).collect();
        assert_eq!(faults, [None, Some(0), None]);
    }

    /// Who leaves is lost on purpose, and loses the others: no fault that acts at the time did it. One that is not
    /// let go is lost to the fault.
    #[test]
    fn a_nodedown_of_a_node_that_leaves_comes_from_no_fault() {
        let mut hand = Hand::new();
        hand.fault(0, 1000, 5000);
        let member = |state: MemberState, name: &str| History::member_event(name, state).1;
        for (ms, node, state) in [(2000, 0, MemberState::Leaving), (2300, 0, MemberState::Left)] {
            hand.says(ms - 100, 1, "nodedown", &[("peer", "n1"), ("reason", "net_tick_timeout")]);
            hand.event(ms, Process::RUNTIME, Some(node), "member", member(state, "n1"));
        }
        hand.event(2400, Process::RUNTIME, Some(2), "member", member(MemberState::Leaving, "n3"));
        hand.says(2500, 0, "nodedown", &[("peer", "n2"), ("reason", "connection_closed")]);
        hand.says(2600, 1, "nodedown", &[("peer", "n3"), ("reason", "net_tick_timeout")]);
        let downs = hand.0.nodedowns();
        let blamed: Vec<_> = downs.iter().map(|d| (d.fault, d.left)).collect();
        let (fault, leave) = ((Some(0), None), (None, Some(NodeId(0))));
        assert_eq!(blamed, [fault, leave, leave, fault]);
    }

    /// Whoever was refused belongs to the cluster until the next attempt: what it loses meanwhile, a fault took. An
    /// attempt that was given up may have let it go.
    #[test]
    fn a_nodedown_after_a_refused_leave_comes_from_a_fault() {
        for refused in [true, false] {
            let mut hand = Hand::new();
            hand.fault(0, 1000, 9000);
            let leaving = History::member_event("n1", MemberState::Leaving).1;
            let refusal = History::leave_refused_event("n1", "partitions move").1;
            let left = History::member_event("n1", MemberState::Left).1;
            let steps = [leaving.clone(), refusal, leaving, left];
            for (i, value) in steps.into_iter().enumerate() {
                if i != 1 || refused {
                    let ms = 2000 + 100 * i as u64;
                    hand.event(ms, Process::RUNTIME, Some(0), "member", value);
                }
                let lost = [("peer", "n1"), ("reason", "net_tick_timeout")];
                hand.says(2050 + 100 * i as u64, 1, "nodedown", &lost);
            }
            let faults: Vec<_> = hand.0.nodedowns().iter().map(|d| d.fault).collect();
            assert_eq!(faults, [None, refused.then_some(0), None, None]);
            let states: Vec<_> = hand.0.member_changes().iter().map(|c| c.state).collect();
            assert_eq!(states, [MemberState::Leaving, MemberState::Left]);
        }
    }

    #[test]
    fn splits_are_reported_once() {
        let splits = blipped().mnesia_splits();
        assert_eq!(splits.len(), 1);
        assert_eq!((splits[0].on, &*splits[0].peer), (NodeId(0), "n2"));
        assert_eq!(splits[0].time, Time::from_millis(1030));
    }

    #[test]
    fn one_line_says_it_all_and_nothing_where_nobody_observed() {
        assert_eq!(
            blipped().runtime_line().unwrap(),
            "runtime: nodedown 2 (connection_closed 1, disconnect 1): n1 lost n2, n2 lost n1; \
             mnesia inconsistent_database on n1 of n2; log 1"
        );
        assert_eq!(Hand::new().0.runtime_line(), None);
    }
}
