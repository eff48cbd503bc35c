//! Causes out of histories in which nodes say things at given milliseconds.

use super::super::histories::Recorder;
use super::*;
use fuzz_dist_history::op::{Kind, Process, Value};
use fuzz_dist_history::{Edge, MemberState};

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
        self.numbered_fault(7, "blip", from, to);
    }

    fn numbered_fault(&mut self, id: i64, name: &str, from: u64, to: u64) {
        for (ms, edge) in
            [(from, Edge::Start), (from, Edge::Started), (to, Edge::Stop), (to, Edge::Stopped)]
        {
            let check = (edge.kind() == Kind::Info).then_some((Some(true), Value::Nil));
            let value = History::fault_value(id, edge, "n1 x n2", check);
            self.at(ms).event(Process::NEMESIS, None, edge.kind(), name.into(), value);
        }
    }

    fn add(&mut self) {
        self.at(5000).invoke(0, "add", 1);
        self.at(5001).done(0);
    }

    /// The anomaly, explained.
    fn explained(mut self) -> Anomaly {
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
    let anomaly = scenery.explained();
    assert_eq!(
        anomaly.explanation,
        "1 is lost. Mnesia on n1 had been split from n2 since 1.030 s. n1 had lost n2 since 1.000 s \
         until 1.020 s (disconnect), under blip n1 x n2."
    );
    assert_eq!(anomaly.fault, Some(7));
    assert_eq!(anomaly.causes[0].kind, CauseKind::Split);
    assert_eq!(anomaly.causes[1].peers, ["n2".into()]);
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
    let anomaly = scenery.explained();
    assert_eq!(
        anomaly.explanation,
        "1 is lost. n1 had lost n2 n3 since 1.000 s (net_tick_timeout)."
    );
}

#[test]
fn what_was_over_before_the_operation_is_no_cause() {
    let mut scenery = Scenery::new();
    scenery.says(1000, 0, "nodedown", &[("peer", "n2"), ("reason", "disconnect")]);
    scenery.says(2000, 0, "nodeup", &[("peer", "n2")]);
    scenery.says(4000, 0, "busy_dist_port", &[]);
    scenery.add();
    let anomaly = scenery.explained();
    assert_eq!(anomaly.explanation, "1 is lost");
    assert_eq!((anomaly.causes, anomaly.fault), (vec![], None));
}

#[test]
fn restarts_blocked_senders_and_crashes_are_reported() {
    let mut scenery = Scenery::new();
    scenery.says(10, 1, "observed", &[("incarnation", "1")]);
    scenery.at(5000).invoke(0, "add", 1);
    scenery.says(5000, 0, "busy_dist_port", &[]);
    scenery.at(5001).done(0);
    // The agent came again, and then the node.
    scenery.says(6000, 1, "observed", &[("incarnation", "1")]);
    scenery.says(7000, 1, "observed", &[("incarnation", "2")]);
    let anomaly = scenery.explained();
    assert_eq!(
        anomaly.explanation,
        "1 is lost. n2 was started again at 7.000 s. A sender on n1 stood still at 5.000 s, its \
         connection's buffer was full."
    );
    let mut scenery = Scenery::new();
    scenery.add();
    let line = Value::from("error proc_lib crash: a server went away");
    let node = Some(NodeId(1));
    scenery.at(6000).event(Process::RUNTIME, node, Kind::Info, "log".into(), line);
    scenery.says(9500, 0, "nodedown", &[("peer", "n2"), ("reason", "disconnect")]);
    let anomaly = scenery.explained();
    assert_eq!(
        anomaly.explanation,
        "1 is lost. n2 logged at 6.000 s: error proc_lib crash: a server went away."
    );
}

/// What a node left on purpose is not blamed on a fault that acts at the time, and does not hide what the fault did.
#[test]
fn a_node_that_left_is_not_lost_to_a_fault() {
    for cut in [false, true] {
        let mut scenery = Scenery::new();
        scenery.fault(500, 4000);
        for (ms, state) in [(600, MemberState::Leaving), (900, MemberState::Left)] {
            let (f, value) = History::member_event("n3", state);
            let node = Some(NodeId(2));
            scenery.at(ms).event(Process::RUNTIME, node, Kind::Info, f, value);
        }
        scenery.says(910, 0, "nodedown", &[("peer", "n3"), ("reason", "connection_closed")]);
        if cut {
            scenery.says(1000, 0, "nodedown", &[("peer", "n2"), ("reason", "net_tick_timeout")]);
        }
        scenery.add();
        let anomaly = scenery.explained();
        let expected = match cut {
            false => "1 is lost. n1 had lost n3 since 0.910 s (left the cluster).",
            true => {
                "1 is lost. n1 had lost n2 since 1.000 s (net_tick_timeout), under blip n1 x n2."
            }
        };
        assert_eq!(anomaly.explanation, expected);
        assert_eq!(anomaly.fault, cut.then_some(7));
    }
}

#[test]
fn a_later_nodedown_between_the_two_is_reported_as_later() {
    let mut scenery = Scenery::new();
    scenery.fault(5500, 8000);
    scenery.add();
    scenery.says(6000, 1, "nodedown", &[("peer", "n1"), ("reason", "connection_closed")]);
    let anomaly = scenery.explained();
    assert_eq!(
        anomaly.explanation,
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
    scenery.0.phase = fuzz_dist_history::op::Phase::Final;
    scenery.at(9000).invoke(0, "read", Value::Nil);
    let read = scenery.0.ok(0, 5);
    let anomaly = Anomaly::new("lost_increments", 5).explained("5 is too low").proved_by([read]);
    let mut verdict = Verdict::invalid("counter", "lost");
    verdict.anomalies.push(anomaly);
    let anomaly = explained(verdict, &scenery.0.history()).anomalies.remove(0);
    assert_eq!(
        anomaly.explanation,
        "5 is too low. n1 had lost n2 since 1.000 s until 3.100 s (net_tick_timeout), under blip \
         n1 x n2."
    );
}

/// A node that vanished element by element: the anomaly says between which reads.
fn vanished(mut scenery: Scenery, from: u64, to: u64) -> Anomaly {
    scenery.at(9000).invoke(1, "read", Value::Nil);
    let shown = scenery.0.ok(1, Value::set([]));
    let history = scenery.0.history();
    let added = (0..history.len()).find(|i| &**history.function(*i) == "add").unwrap();
    let anomaly = Anomaly::new("missing", 1)
        .proved_by([added, shown])
        .on(Some(NodeId(1)))
        .came_about(Some((Time::from_millis(from), Time::from_millis(to))));
    let mut verdict = Verdict::invalid("set", "missing");
    verdict.anomalies.push(anomaly);
    explained(verdict, &history).anomalies.remove(0)
}

#[test]
fn what_happened_after_the_first_read_without_it_is_no_cause() {
    let scenery = || {
        let mut scenery = Scenery::new();
        scenery.says(10, 1, "observed", &[("incarnation", "1")]);
        scenery.add();
        scenery.says(7000, 1, "observed", &[("incarnation", "2")]);
        scenery.fault(7000, 7100);
        scenery.says(7000, 1, "nodedown", &[("peer", "n1"), ("reason", "disconnect")]);
        scenery.says(7000, 1, "mnesia", &[("event", "inconsistent_database"), ("peer", "n1")]);
        let line = Value::from("error gen_server terminate: #{name => a,reason => b}");
        scenery.at(7000).event(Process::RUNTIME, Some(NodeId(1)), Kind::Info, "log".into(), line);
        scenery
    };
    // A split lasts; everything else is over when the element was seen for the last time.
    for (from, to, kinds) in [
        (5500, 6999, vec![]),
        (6500, 8000, vec![CauseKind::Split, CauseKind::Restart]),
        (7001, 8000, vec![CauseKind::Split, CauseKind::Nodedown]),
    ] {
        let anomaly = vanished(scenery(), from, to);
        let found: Vec<CauseKind> = anomaly.causes.iter().map(|c| c.kind).collect();
        assert_eq!(found, kinds, "{from}..{to}: {anomaly:?}");
        assert_eq!(anomaly.fault, (to == 8000).then_some(7), "{from}..{to}");
    }
}

#[test]
fn the_fault_blamed_acted_at_the_operation_and_is_not_that_of_the_last_nodedown() {
    let mut scenery = Scenery::new();
    scenery.numbered_fault(1, "majority_minority", 4000, 6000);
    scenery.add();
    scenery.says(5900, 0, "nodedown", &[("peer", "n2"), ("reason", "net_tick_timeout")]);
    scenery.says(6100, 0, "nodeup", &[("peer", "n2")]);
    scenery.numbered_fault(2, "bridge", 7000, 8500);
    scenery.says(8000, 0, "nodedown", &[("peer", "n2"), ("reason", "disconnect")]);
    let anomaly = scenery.explained();
    assert_eq!(anomaly.fault, Some(1));
    assert_eq!(
        anomaly.explanation,
        "1 is lost. n1 lost n2 at 5.900 s until 6.100 s (net_tick_timeout), under \
         majority_minority n1 x n2."
    );
    // Where the fault at the operation caused no nodedown, that of a later one explains nothing.
    let mut scenery = Scenery::new();
    scenery.numbered_fault(1, "majority_minority", 4000, 6000);
    scenery.add();
    scenery.numbered_fault(2, "bridge", 7000, 8500);
    scenery.says(8000, 0, "nodedown", &[("peer", "n2"), ("reason", "disconnect")]);
    let anomaly = scenery.explained();
    assert_eq!((anomaly.causes, anomaly.fault), (vec![], Some(1)));
}

#[test]
fn mnesia_is_named_only_where_the_workload_can_touch_it() {
    let split = |tables: Option<&str>, touches: Option<&str>| {
        let mut scenery = Scenery::new();
        if let Some(touches) = touches {
            let touches = Value::list([Value::from(touches)]);
            scenery.0.history_mut().set_meta("touches", touches);
        }
        let mut details = vec![("event", "inconsistent_database"), ("peer", "n2")];
        details.extend(tables.map(|tables| ("tables", tables)));
        scenery.says(1030, 0, "mnesia", &details);
        scenery.add();
        !scenery.explained().causes.is_empty()
    };
    assert!(split(None, None) && split(Some("cart stock"), None));
    assert!(!split(Some(""), None), "mnesia runs and holds nothing");
    assert!(!split(Some("cart stock"), Some("ets")) && !split(None, Some("ets")));
    assert!(split(Some("cart stock"), Some("stock")) && split(None, Some("mnesia")));
}
