//! Could this run have found anything? Verdicts that are vacuous are unknown.

use std::time::Duration;

use super::evidence::{Faults, count, serving};
use super::{Checker, Verdict};
use fuzz_dist_history::op::{Kind, Name, Phase};
use fuzz_dist_history::time::{Time, secs};
use fuzz_dist_history::{FaultSpan, FaultStatus, History};

/// Judges whether a run could have found anything; see [`power`].
#[derive(Clone, Debug, Default)]
pub struct Power {
    kinds: Vec<Name>,
    clients: usize,
    faults_asked: bool,
}

/// Judges whether a run had the power to find anything at all: an operation of every declared
/// kind succeeded, one succeeded on every node while no fault was active (final reads count),
/// every fault was verified as removed, and where the test has faults, some operation
/// overlapped one that took effect. `unknown` otherwise, never `invalid`.
///
/// Nodes that serve nothing by design are named in the history's `idle_nodes`; those that left need not
/// serve.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, Validity, power, histories::Script};
/// let history = Script::parse("a1 a1'");
/// let verdict = power().kinds(["add", "read"]).check(&history);
/// assert_eq!(verdict.validity, Validity::Unknown);
/// assert!(power().kinds(["add"]).check(&history).is_valid());
/// ```
pub fn power() -> Power {
    Power::default()
}

impl Power {
    /// The functions that the workload declares.
    #[must_use]
    pub fn kinds<N: Into<Name>>(mut self, kinds: impl IntoIterator<Item = N>) -> Power {
        self.kinds = kinds.into_iter().map(Into::into).collect();
        self
    }

    /// How many clients the main phase had: it has at least as many operations, and one of every
    /// declared kind succeeds in it. Without a main phase, as in scenarios, the kinds count wherever
    /// they succeed.
    #[must_use]
    pub fn clients(mut self, clients: usize) -> Power {
        self.clients = clients;
        self
    }

    /// Does the test have faults?
    #[must_use]
    pub fn faults_asked(mut self, asked: bool) -> Power {
        self.faults_asked = asked;
        self
    }
}

impl Checker for Power {
    fn check(&self, history: &History) -> Verdict {
        let faults = Faults::of(history);
        let felt = merged(faults.spans(), Duration::ZERO);
        let mut worked = vec![false; history.functions().len()];
        let mut healthy = vec![false; history.nodes().len()];
        let (mut calls, mut main, mut overlapping) = (0usize, 0usize, 0usize);
        let acting: Vec<(Time, Time)> = merged(
            &faults
                .spans()
                .iter()
                .filter(|f| f.status == FaultStatus::Installed)
                .cloned()
                .collect::<Vec<_>>(),
            secs(1),
        );
        let invoked = (0..history.len())
            .filter(|i| history.kind(*i) == Kind::Invoke && history.process(*i).is_client());
        for i in invoked {
            calls += 1;
            let of_main = history.phase(i) == Phase::Main;
            main += usize::from(of_main);
            let end = history.completion(i);
            let from = history.time(i);
            let to = end.map_or(Time(u64::MAX), |c| history.time(c));
            overlapping += usize::from(touches(&acting, from, to));
            if end.is_some_and(|c| history.kind(c) == Kind::Ok) {
                worked[history.function_index(i)] |= of_main || self.clients == 0;
                if let Some(node) = history.node(i).and_then(|n| healthy.get_mut(n.index()))
                    && !*node
                {
                    *node = !touches(&felt, from, to);
                }
            }
        }
        let mut reasons = self.reasons(history, &faults, &worked, &healthy, overlapping);
        if main < self.clients {
            reasons.push(format!(
                "the main phase was too short: {} for {}; give it a longer `time_limit` or a higher `rate`",
                count(main, "operation"),
                count(self.clients, "client"),
            ));
        }
        let verdict = match reasons.split_first() {
            None => Verdict::valid("power"),
            Some((first, rest)) => {
                rest.iter().fold(Verdict::unknown("power", first), |v, r| v.because(r))
            }
        };
        let could = format!(
            "{} on {}, {overlapping} of them during a fault that took effect",
            count(calls, "operation"),
            count(history.nodes().len(), "node"),
        );
        let verdict =
            verdict.with("operations_under_fault", overlapping).with("could_detect", could);
        faults.state(history, verdict)
    }
}

impl Power {
    fn reasons(
        &self,
        history: &History,
        faults: &Faults,
        worked: &[bool],
        healthy: &[bool],
        overlapping: usize,
    ) -> Vec<String> {
        let mut reasons = Vec::new();
        for kind in &self.kinds {
            if !history.find_function(kind).is_some_and(|f| worked[f]) {
                let phase = if self.clients > 0 { " in the main phase" } else { "" };
                reasons.push(format!("no `{kind}` succeeded{phase}"));
            }
        }
        for node in serving(history).into_iter().filter(|node| !healthy[node.index()]) {
            let name = history.node_name(node);
            reasons.push(format!("no operation succeeded on {name} while no fault was active"));
        }
        let not_undone: Vec<String> =
            faults.spans().iter().filter_map(FaultSpan::not_undone).collect();
        if history.heal_proved() == Some(false) && not_undone.is_empty() {
            reasons.push("the network was not proved healed after the faults".into());
        }
        reasons.extend(not_undone);
        if !self.faults_asked {
            return reasons;
        }
        if faults.spans().is_empty() {
            reasons.push("the test has faults, but none was started".into());
        }
        let mut names: Vec<&Name> = faults.spans().iter().map(|f| &f.name).collect();
        names.sort_unstable();
        names.dedup();
        let mut installed = 0;
        for name in names {
            let seen = |f: &FaultSpan| f.name == *name && f.status == FaultStatus::Installed;
            if faults.spans().iter().any(seen) {
                installed += 1;
            } else {
                reasons.push(format!("nemesis `{name}` never took effect"));
            }
        }
        if installed > 0 && overlapping == 0 {
            reasons.push("no operation overlapped a fault that took effect".into());
        }
        reasons
    }
}

/// The times in which some fault could be felt, ascending and disjoint; each counts for
/// `at_least` so long. An operation that is to meet a fault may meet one without duration within
/// a second; one that is to meet none need not wait for that second to pass.
fn merged(faults: &[FaultSpan], at_least: Duration) -> Vec<(Time, Time)> {
    let mut spans: Vec<(Time, Time)> = faults
        .iter()
        .map(|f| {
            (f.start, f.felt_until().map_or(Time(u64::MAX), |end| end.max(f.start + at_least)))
        })
        .collect();
    spans.sort_unstable();
    let mut merged: Vec<(Time, Time)> = Vec::new();
    for (from, to) in spans {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

fn touches(spans: &[(Time, Time)], from: Time, to: Time) -> bool {
    let next = spans.partition_point(|(_, end)| *end < from);
    spans.get(next).is_some_and(|(start, _)| *start <= to)
}

#[cfg(test)]
mod tests {
    use super::super::Validity;
    use super::super::histories::{Recorder, Script};
    use super::*;
    use fuzz_dist_history::op::{NodeId, Process, Value};
    use fuzz_dist_history::{Edge, MemberState};

    /// Two nodes; a fault from 1 s to 3 s that is undone; one add on each node at the given times.
    fn run(acts: Option<bool>, adds_at_s: [u64; 2]) -> History {
        ending((acts, Some(true)), adds_at_s)
    }

    fn ending((start, end): (Option<bool>, Option<bool>), adds_at_s: [u64; 2]) -> History {
        let mut r = Recorder::new(["n1", "n2"]);
        let edges = [(1, Edge::Start), (1, Edge::Started), (3, Edge::Stop), (3, Edge::Stopped)];
        let mut steps: Vec<(u64, Option<Edge>, u32)> =
            edges.map(|(t, edge)| (t, Some(edge), 0)).to_vec();
        steps.extend(adds_at_s.iter().zip(0..).map(|(t, client)| (*t, None, client)));
        steps.sort_by_key(|s| s.0);
        for (t, edge, client) in steps {
            r.time = Time::from_secs(t);
            match edge {
                Some(edge) => {
                    let seen = if edge == Edge::Started { start } else { end };
                    let check = (edge.kind() == Kind::Info).then_some((seen, Value::from("seen")));
                    let value = History::fault_value(1, edge, "{n1} | {n2}", check);
                    r.event(Process::NEMESIS, None, edge.kind(), "halves".into(), value);
                }
                None => {
                    r.invoke(client, "add", i64::from(client));
                    r.done(client);
                }
            }
        }
        r.history()
    }

    fn reasons(history: &History) -> Vec<String> {
        power().kinds(["add"]).faults_asked(true).check(history).reasons
    }

    #[test]
    fn nothing_on_a_healthy_node_is_vacuous() {
        let reasons = reasons(&run(Some(true), [2, 5]));
        assert_eq!(reasons, ["no operation succeeded on n1 while no fault was active"]);
    }

    #[test]
    fn nothing_under_a_fault_is_vacuous() {
        let reasons = reasons(&run(Some(true), [0, 5]));
        assert_eq!(reasons, ["no operation overlapped a fault that took effect"]);
    }

    #[test]
    fn a_fault_that_never_acted_is_vacuous() {
        let reasons = reasons(&run(Some(false), [0, 5]));
        assert_eq!(reasons, ["nemesis `halves` never took effect"]);
    }

    #[test]
    fn a_main_phase_without_room_for_its_clients_and_kinds_is_vacuous() {
        let reasons = |clients, text| {
            let power = power().kinds(["add", "read"]).clients(clients);
            power.check(&Script::parse(text)).reasons
        };
        let short = "a1 a1' |heal |final r r'{1}";
        let [no_read, few] = &reasons(2, short)[..] else { panic!("{:?}", reasons(2, short)) };
        assert_eq!(no_read, "no `read` succeeded in the main phase");
        assert!(
            few.starts_with("the main phase was too short: 1 operation for 2 clients"),
            "{few}"
        );
        assert_eq!(reasons(2, "a1 a1' r r'{1}"), [""; 0]);
        assert_eq!(reasons(0, short), [""; 0], "a scenario has no main phase of its own");
    }

    #[test]
    fn a_fault_that_was_not_seen_undone_is_unknown_with_what_was_seen() {
        let not_undone = "`halves {n1} | {n2}` was not verified as removed: seen";
        for end in [Some(false), None] {
            let history = ending((Some(true), end), [0, 2]);
            assert!(reasons(&history).iter().any(|r| r == not_undone), "{:?}", reasons(&history));
            // Also where the scenario, not the nemesis, began it.
            let verdict = power().check(&history);
            assert_eq!(verdict.validity, Validity::Unknown);
        }
        let undone = ending((Some(true), Some(true)), [0, 5]);
        assert!(power().check(&undone).is_valid(), "{:?}", power().check(&undone));
    }

    #[test]
    fn a_fault_without_an_end_is_not_undone() {
        let mut r = Recorder::new(["n1"]);
        let value = History::fault_value(0, Edge::Start, "n1", None);
        r.event(Process::NEMESIS, None, Kind::Invoke, "kill".into(), value);
        let reasons = power().check(&r.history()).reasons;
        let no_end = "`kill n1` was not verified as removed: no end is recorded";
        assert!(reasons.contains(&no_end.to_string()), "{reasons:?}");
    }

    #[test]
    fn an_idle_node_need_not_serve() {
        let mut history = Script::parse("a1 a1' r2@2 r2!");
        assert_eq!(power().check(&history).validity, Validity::Unknown);
        history.set_meta("idle_nodes", Value::list(["n2"]));
        assert!(power().check(&history).is_valid());
    }

    #[test]
    fn a_node_that_left_need_not_serve_and_one_that_joined_has_to() {
        let changed = |node: u16, name: &str, state| {
            let mut r = Recorder::new(["n1", "n2"]);
            r.invoke(0, "add", 1);
            r.done(0);
            let (f, value) = History::member_event(name, state);
            r.event(Process::RUNTIME, Some(NodeId(node)), Kind::Info, f, value);
            power().check(&r.history()).reasons
        };
        let idle = |name| format!("no operation succeeded on {name} while no fault was active");
        assert_eq!(changed(1, "n2", MemberState::Left), [""; 0]);
        assert_eq!(changed(2, "n3", MemberState::Member), [idle("n2"), idle("n3")]);
        assert_eq!(changed(2, "n3", MemberState::Joining), [idle("n2")]);
    }

    #[test]
    fn a_run_without_nodedown_says_so() {
        let mut history = run(Some(true), [0, 5]);
        history.set_meta("net_ticktime_ms", 60_000);
        let verdict = power().check(&history);
        assert_eq!(verdict.results["nodedown_possible"], false);
        assert!(verdict.results["note"].as_str().is_some_and(|n| n.contains("2.000 s")));
    }
}
