//! Causes out of histories in which nodes say things at given milliseconds.

use super::super::histories::Recorder;
use super::*;
use crate::history::{Edge, FaultStatus};
use crate::op::{Kind, Process, Value};

/// n1 takes an add from 5.000 s to 5.001 s; a read on n2 at 9 s lacks it.
struct Scenery(Recorder);

impl Scenery {
    fn new() -> Scenery {
        let mut recorder = Recorder::new(["n1", "n2", "n3"]);
        recorder.step_ns = 0;
        Scenery(recorder)
    }

    fn at(&mut self, ms: u64) -> &mut Recorder {
        self.0.time = Time::from_millis(ms);
        &mut self.0
    }

    fn says(&mut self, ms: u64, node: u16, f: &str, details: &[(&str, &str)]) {
        let details = Value::map(details.iter().map(|(k, v)| (*k, Value::from(*v))));
        let node = Some(NodeId(node));
        self.at(ms).event(Process::RUNTIME, node, Kind::Info, f.into(), details);
    }

    fn fault(&mut self, from: u64, to: u64) {
        for (ms, edge) in
            [(from, Edge::Start), (from, Edge::Started), (to, Edge::Stop), (to, Edge::Stopped)]
        {
            let check = (edge.kind() == Kind::Info).then_some((FaultStatus::Installed, Value::Nil));
            let value = History::fault_value(7, edge, "n1 x n2", check);
            self.at(ms).event(Process::NEMESIS, None, edge.kind(), "blip".into(), value);
        }
    }

    fn add(&mut self) {
        self.at(5000).invoke(0, "add", 1);
        self.at(5001).done(0);
    }

    /// The anomaly, explained.
    fn told(mut self) -> Anomaly {
        self.at(9000).invoke(1, "read", Value::Nil);
        let shown = self.0.ok(1, Value::set([]));
        let history = self.0.history();
        let added = (0..history.len()).find(|i| &**history.function(*i) == "add").unwrap();
        let anomaly = Anomaly::new("lost", 1).explained("1 is lost").proved_by([added, shown]);
        let mut verdict = Verdict::invalid("set", "lost");
        verdict.anomalies.push(anomaly);
        explained(verdict, &history).anomalies.remove(0)
    }
}

#[test]
fn a_split_comes_first_and_the_nodedown_that_led_to_it_second() {
    let mut scenery = Scenery::new();
    scenery.fault(1000, 1001);
    scenery.says(1000, 0, "nodedown", &[("peer", "n2"), ("reason", "disconnect")]);
    scenery.says(1010, 0, "nodedown", &[("peer", "n3"), ("reason", "net_tick_timeout")]);
    scenery.says(1020, 0, "nodeup", &[("peer", "n2")]);
    scenery.says(1030, 0, "mnesia", &[("event", "inconsistent_database"), ("peer", "n2")]);
    scenery.add();
    let told = scenery.told();
    assert_eq!(
        told.explanation,
        "1 is lost. Mnesia on n1 had been split from n2 since 1.030 s. n1 had lost n2 since 1.000 s \
         until 1.020 s (disconnect), under blip n1 x n2."
    );
    assert_eq!(told.fault, Some(7));
    assert_eq!(told.causes[0].kind, CauseKind::Split);
    assert_eq!(told.causes[1].peers, ["n2".into()]);
}

#[test]
fn without_a_split_it_is_whom_the_node_missed_meanwhile() {
    let mut scenery = Scenery::new();
    scenery.says(1000, 0, "nodedown", &[("peer", "n2"), ("reason", "net_tick_timeout")]);
    scenery.says(1001, 0, "nodedown", &[("peer", "n3"), ("reason", "net_tick_timeout")]);
    scenery.says(1002, 0, "nodedown", &[("peer", "other@host"), ("reason", "disconnect")]);
    // What n2 and n3 saw of each other has nothing to do with it, nor has what was over.
    scenery.says(1003, 1, "nodedown", &[("peer", "n3"), ("reason", "disconnect")]);
    scenery.add();
    let told = scenery.told();
    assert_eq!(told.explanation, "1 is lost. n1 had lost n2 n3 since 1.000 s (net_tick_timeout).");
}

#[test]
fn what_was_over_before_the_operation_is_no_cause() {
    let mut scenery = Scenery::new();
    scenery.says(1000, 0, "nodedown", &[("peer", "n2"), ("reason", "disconnect")]);
    scenery.says(2000, 0, "nodeup", &[("peer", "n2")]);
    scenery.says(4000, 0, "busy_dist_port", &[]);
    scenery.add();
    let told = scenery.told();
    assert_eq!(told.explanation, "1 is lost");
    assert_eq!((told.causes, told.fault), (vec![], None));
}

#[test]
fn restarts_blocked_senders_and_crashes_are_told() {
    let mut scenery = Scenery::new();
    scenery.says(10, 1, "observed", &[("incarnation", "1")]);
    scenery.at(5000).invoke(0, "add", 1);
    scenery.says(5000, 0, "busy_dist_port", &[]);
    scenery.at(5001).done(0);
    // The agent came again, and then the node.
    scenery.says(6000, 1, "observed", &[("incarnation", "1")]);
    scenery.says(7000, 1, "observed", &[("incarnation", "2")]);
    let told = scenery.told();
    assert_eq!(
        told.explanation,
        "1 is lost. n2 was started again at 7.000 s. A sender on n1 stood still at 5.000 s, its \
         connection's buffer was full."
    );
    let mut scenery = Scenery::new();
    scenery.add();
    let line = Value::from("error proc_lib crash: a server went away");
    let node = Some(NodeId(1));
    scenery.at(6000).event(Process::RUNTIME, node, Kind::Info, "log".into(), line);
    scenery.says(9500, 0, "nodedown", &[("peer", "n2"), ("reason", "disconnect")]);
    let told = scenery.told();
    assert_eq!(
        told.explanation,
        "1 is lost. n2 logged at 6.000 s: error proc_lib crash: a server went away."
    );
}

#[test]
fn a_later_nodedown_between_the_two_is_told_as_later() {
    let mut scenery = Scenery::new();
    scenery.fault(5500, 8000);
    scenery.add();
    scenery.says(6000, 1, "nodedown", &[("peer", "n1"), ("reason", "connection_closed")]);
    let told = scenery.told();
    assert_eq!(
        told.explanation,
        "1 is lost. n2 lost n1 at 6.000 s (connection_closed), under blip n1 x n2."
    );
}

/// A counter that is wrong in the end may have gone wrong at any time.
#[test]
fn what_only_final_reads_prove_is_bound_to_the_whole_run() {
    let mut scenery = Scenery::new();
    scenery.fault(500, 3000);
    scenery.says(1000, 0, "nodedown", &[("peer", "n2"), ("reason", "net_tick_timeout")]);
    scenery.says(3100, 0, "nodeup", &[("peer", "n2")]);
    scenery.0.phase = crate::op::Phase::Final;
    scenery.at(9000).invoke(0, "read", Value::Nil);
    let read = scenery.0.ok(0, 5);
    let anomaly = Anomaly::new("lost_increments", 5).explained("5 is too low").proved_by([read]);
    let mut verdict = Verdict::invalid("counter", "lost");
    verdict.anomalies.push(anomaly);
    let told = explained(verdict, &scenery.0.history()).anomalies.remove(0);
    assert_eq!(
        told.explanation,
        "5 is too low. n1 had lost n2 since 1.000 s until 3.100 s (net_tick_timeout), under blip \
         n1 x n2."
    );
}
