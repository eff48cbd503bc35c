//! `liveness`: every node works again soon after the faults are over.

use super::Arguments;
use std::collections::BTreeMap;
use std::time::Duration;

use super::calls::{Call, Outcome, calls};
use super::evidence::{Faults, count, node_name};
use super::finals::overloaded;
use super::verify::{self, verified};
use super::{Anomaly, Checker, Validity, Verdict};
use crate::registration::{Judges, Needs, Opt, Registration, built};
use fuzz_dist_history::op::{Name, NodeId};
use fuzz_dist_history::time::Time;
use fuzz_dist_history::{FaultSpan, FaultStatus, History, MemberChange, MemberState};

/// Judges how soon operations work again; see [`liveness`].
#[derive(Clone, Debug)]
pub struct Liveness {
    within: Duration,
    kinds: Vec<Name>,
}

/// Judges whether operations work again `within` a time after the heal: whenever no fault acts any
/// more for that long, one operation of each function succeeds on each node that tries any.
///
/// A *heal* is the end of a fault after which none acts for at least `within`. An operation works
/// where it succeeds, or fails without an error (the answer of a compare-and-set that did not
/// match). A node is `not_recovered` where an operation of a function that was invoked in that time
/// ended with an error or was never answered, and none that completed in it worked. Unknown where
/// there was no heal, or no operation after it.
///
/// ```
/// # use std::time::Duration;
/// # use fuzz_dist_checkers::{Checker, Validity, liveness, histories::Script};
/// let verdict = liveness(Duration::from_secs(10)).check(&Script::parse("a1 a1'"));
/// assert_eq!(verdict.validity, Validity::Unknown);
/// ```
pub fn liveness(within: Duration) -> Liveness {
    Liveness { within, kinds: Vec::new() }
}

impl Liveness {
    /// Judges only these functions; by default all that clients called.
    #[must_use]
    pub fn kinds<N: Into<Name>>(mut self, kinds: impl IntoIterator<Item = N>) -> Liveness {
        self.kinds = kinds.into_iter().map(Into::into).collect();
        self
    }
}

/// What a function did on a node after a heal.
#[derive(Default)]
struct Tries {
    /// The first completion that worked.
    worked: Option<usize>,
    /// Those that were invoked in time and did not work.
    failed: Vec<usize>,
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "liveness",
    about: "every node works again soon after the heal",
    judges: Judges::Anything,
    needs: Needs::Order,
    options: &[Opt::value(
        "within-ms",
        "how soon operations must work after the heal, in milliseconds (default: 10000)",
        "77",
    )],
    build: |o| {
        let within_ms = o.parsed("within-ms")?.unwrap_or(10_000);
        built(liveness(Duration::from_millis(within_ms)))
    },
};

impl Checker for Liveness {
    fn check(&self, history: &History) -> Verdict {
        let faults = Faults::of(history);
        let heals = heals(faults.spans(), end(history), self.within);
        let all: Vec<Call> = calls_of(history, &self.kinds);
        let mut found: Vec<Anomaly> = Vec::new();
        let changes = history.member_changes();
        let has_left = |node: Option<NodeId>, by: Time| {
            let of = |change: &&MemberChange| Some(change.node) == node && change.time <= by;
            let mut states = changes.iter().filter(of).map(|change| change.state);
            states.any(|state| matches!(state, MemberState::Leaving | MemberState::Left))
        };
        let (mut judged, mut slowest): (usize, Option<Duration>) = (0, None);
        for heal in &heals {
            let limit = *heal + self.within;
            let tries = tries(history, &all, *heal, limit).into_iter();
            // Nodes that began to leave within that time need not work again.
            for ((node, f), tries) in tries.filter(|((node, _), _)| !has_left(*node, limit)) {
                match tries.worked {
                    Some(done) => {
                        judged += 1;
                        let took = history.time(done).since(*heal);
                        slowest = Some(slowest.map_or(took, |s| s.max(took)));
                    }
                    None if tries.failed.is_empty() => {}
                    None => {
                        judged += 1;
                        found.push(self.anomaly(history, *heal, node, f, &tries));
                    }
                }
            }
        }
        let mut verdict = match (found.is_empty(), judged, heals.len()) {
            (false, ..) => {
                let nodes: std::collections::BTreeSet<String> =
                    found.iter().map(|a| node_name(history, a.node)).collect();
                let nodes: Vec<String> = nodes.into_iter().collect();
                let why =
                    format!("not working {:?} after the heal: {}", self.within, nodes.join(" "));
                Verdict::invalid("liveness", why)
            }
            (true, _, 0) => {
                let why = format!("no fault was followed by {:?} without one", self.within);
                Verdict::unknown("liveness", why)
            }
            (true, 0, _) => Verdict::unknown("liveness", "no operation was tried after a heal"),
            (true, ..) => Verdict::valid("liveness"),
        };
        verdict.sample(found);
        let mut verdict = verdict
            .with("heal_count", heals.len())
            .with("judged_count", judged)
            .with("slowest_ms", slowest.map(|s| s.as_millis() as u64));
        if let (true, Some(why)) = (verdict.is_invalid(), overloaded(history)) {
            verdict.validity = Validity::Unknown;
            verdict.reasons.insert(0, why.into());
        }
        let within = self.within;
        let verdict = verified(history, verdict, |f, a| verify::liveness(f, a, within));
        faults.state(history, verdict)
    }

    fn arguments(&self) -> Option<Arguments> {
        let liveness = Arguments::of("liveness");
        let within = u64::try_from(self.within.as_millis()).ok()?;
        let whole = Duration::from_millis(within) == self.within;
        (whole && self.kinds.is_empty()).then(|| liveness.option("within-ms", within, 10_000))
    }
}

impl Liveness {
    fn anomaly(
        &self,
        history: &History,
        heal: Time,
        node: Option<NodeId>,
        f: &str,
        tries: &Tries,
    ) -> Anomaly {
        let mut errors: BTreeMap<String, usize> = BTreeMap::new();
        for invoked in &tries.failed {
            let error = history.completion(*invoked).and_then(|end| history.error(end));
            let kind = error.map_or("no answer".into(), |e| e.kind.to_string());
            *errors.entry(kind).or_default() += 1;
        }
        let errors: Vec<String> = errors.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
        let limit = heal + self.within;
        let text = format!(
            "no `{f}` worked on {} from the heal at {heal} to {limit}: {} ended with {}",
            node_name(history, node),
            count(tries.failed.len(), "operation"),
            errors.join(", ")
        );
        Anomaly::new("not_recovered", f)
            .explained(text)
            .on(node)
            .at(limit)
            .came_about(Some((heal, limit)))
            .proved_by(tries.failed.iter().copied().take(super::ANOMALIES_MAX))
    }
}

fn end(history: &History) -> Time {
    history.len().checked_sub(1).map_or(Time::ZERO, |i| history.time(i))
}

fn calls_of(history: &History, kinds: &[Name]) -> Vec<Call> {
    let asked: Vec<&str> = match kinds {
        [] => history.functions().iter().map(|f| &**f).collect(),
        kinds => kinds.iter().map(|f| &**f).collect(),
    };
    calls(history, &asked).collect()
}

/// The ends of faults after which none acted for at least `within`, before the history's `end`.
fn heals(faults: &[FaultSpan], end: Time, within: Duration) -> Vec<Time> {
    let acted = || faults.iter().filter(|f| f.status != FaultStatus::Ineffective);
    let over = FaultSpan::felt_until;
    let mut heals: Vec<Time> = acted()
        .filter_map(over)
        .filter(|heal| {
            let limit = *heal + within;
            limit <= end
                && !acted().any(|f| f.start <= limit && over(f).is_none_or(|over| over > *heal))
        })
        .collect();
    heals.sort_unstable();
    heals.dedup();
    heals
}

/// What each function did on each node between a heal and the limit.
fn tries<'a>(
    history: &'a History,
    all: &[Call],
    heal: Time,
    limit: Time,
) -> BTreeMap<(Option<NodeId>, &'a str), Tries> {
    let mut tries: BTreeMap<(Option<NodeId>, &str), Tries> = BTreeMap::new();
    for call in all {
        let invoked = history.time(call.invoked);
        let done = call.completed.map(|done| (done, history.time(done)));
        if invoked > limit || done.is_some_and(|(_, time)| time < heal) {
            continue;
        }
        let key = (history.node(call.invoked), &**history.function(call.invoked));
        let tries = tries.entry(key).or_default();
        let worked = works(history, call);
        match done {
            Some((done, time)) if worked && time <= limit => {
                tries.worked = Some(tries.worked.map_or(done, |first| first.min(done)));
            }
            // One that worked later was answered late, which proves nothing of the others.
            _ if !worked && heal <= invoked => tries.failed.push(call.invoked),
            _ => {}
        }
    }
    tries
}

/// Was it answered, as it would be in health?
fn works(history: &History, call: &Call) -> bool {
    match (call.outcome, call.completed) {
        (Outcome::Acknowledged, _) => true,
        (Outcome::Failed, Some(done)) => history.error(done).is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Validity;
    use super::super::histories::Recorder;
    use super::*;
    use fuzz_dist_history::Edge;
    use fuzz_dist_history::op::{Kind, Process, Value};
    use fuzz_dist_random::Seed;

    struct Hand(Recorder);

    impl Hand {
        fn new() -> Hand {
            let mut recorder = Recorder::new(["n1", "n2"]);
            recorder.step_ns = 0;
            Hand(recorder)
        }

        fn at(&mut self, ms: u64) -> &mut Recorder {
            self.0.time = Time::from_millis(ms);
            &mut self.0
        }

        /// The second node begins to leave.
        fn leaves(&mut self, ms: u64) {
            let (f, value) = History::member_event("n2", MemberState::Leaving);
            self.at(ms).event(Process::RUNTIME, Some(NodeId(1)), Kind::Info, f, value);
        }

        fn fault(&mut self, ms: u64, id: i64, edges: &[Edge]) {
            for edge in edges {
                let check = (edge.kind() == Kind::Info).then_some((Some(true), Value::Nil));
                let value = History::fault_value(id, *edge, "n1 | n2", check);
                self.at(ms).event(Process::NEMESIS, None, edge.kind(), "halves".into(), value);
            }
        }
    }

    const BEGIN: [Edge; 2] = [Edge::Start, Edge::Started];
    const END: [Edge; 2] = [Edge::Stop, Edge::Stopped];

    /// A fault from 1 s to 2 s; then operations `(invoked, completed, client, outcome)` in ms.
    fn judged(ops: &[(u64, u64, u32, char)]) -> Verdict {
        let mut hand = Hand::new();
        hand.fault(1000, 0, &BEGIN);
        let mut points: Vec<(u64, usize, bool)> = Vec::new();
        for (i, (from, to, ..)) in ops.iter().enumerate() {
            points.extend([(*from, i, true), (*to, i, false)]);
        }
        points.sort_unstable();
        let mut healed = false;
        for (ms, i, begins) in points {
            if ms >= 2000 && !std::mem::replace(&mut healed, true) {
                hand.fault(2000, 0, &END);
            }
            let (_, _, client, outcome) = ops[i];
            let r = hand.at(ms);
            match (begins, outcome) {
                (true, _) => drop(r.invoke(client, "add", i as i64)),
                (false, 'o') => drop(r.done(client)),
                (false, 'f') => drop(r.fail(client)),
                (false, _) => drop(r.info(client)),
            }
        }
        if !healed {
            hand.fault(2000, 0, &END);
        }
        hand.at(20_000).invoke(9, "read", Value::Nil);
        hand.0.done(9);
        liveness(Duration::from_secs(5)).check(&hand.0.history())
    }

    #[test]
    fn each_node_works_again_in_time_or_is_named() {
        assert!(judged(&[(1500, 1600, 0, 'i'), (2500, 2600, 0, 'o')]).is_valid());
        // One that was invoked before the heal and is answered after it, and an answer that is no.
        assert!(judged(&[(1500, 2600, 0, 'o')]).is_valid());
        assert!(judged(&[(2500, 2600, 0, 'f')]).is_valid());
        let verdict = judged(&[(2500, 2600, 0, 'o'), (2500, 4000, 1, 'i'), (7500, 7600, 1, 'o')]);
        assert!(verdict.is_invalid());
        assert_eq!(
            verdict.anomalies[0].explanation,
            "no `add` worked on n2 from the heal at 2.000 s to 7.000 s: 1 operation ended with no \
             answer 1"
        );
        assert_eq!(verdict.anomalies.len(), 1);
        // Nobody tried: neither valid nor invalid.
        assert_eq!(judged(&[(1500, 1600, 0, 'i')]).validity, Validity::Unknown);
        assert_eq!(judged(&[(6900, 7600, 0, 'o')]).validity, Validity::Unknown);
    }

    /// A node is excused where it begins to leave within the time, and only there.
    #[test]
    fn who_leaves_in_time_need_not_work_again() {
        for (leaves, validity) in [
            (2400, Validity::Unknown),
            (7000, Validity::Unknown),
            (7001, Validity::Invalid),
            (15_000, Validity::Invalid),
        ] {
            let mut hand = Hand::new();
            hand.fault(1000, 0, &BEGIN);
            hand.fault(2000, 0, &END);
            // It is invoked before the node leaves, and never answered.
            hand.at(2300).invoke(1, "add", 1);
            if leaves < 2500 {
                hand.leaves(leaves);
            }
            hand.at(2500).info(1);
            if leaves > 2500 {
                hand.leaves(leaves);
            }
            hand.at(20_000).invoke(8, "read", Value::Nil);
            let verdict = liveness(Duration::from_secs(5)).check(&hand.0.history());
            assert_eq!(verdict.validity, validity, "{leaves}: {verdict:#?}");
        }
    }

    /// Both ends of the time belong to it.
    #[test]
    fn what_happens_at_the_heal_or_at_the_limit_counts() {
        assert!(judged(&[(1500, 2000, 0, 'o')]).is_valid());
        assert!(judged(&[(2500, 7000, 0, 'o')]).is_valid());
        assert!(judged(&[(2000, 2600, 0, 'i')]).is_invalid());
        assert!(judged(&[(7000, 7600, 0, 'i')]).is_invalid());
        assert_eq!(judged(&[(1999, 2600, 0, 'i')]).validity, Validity::Unknown);
        assert_eq!(judged(&[(7001, 7600, 0, 'i')]).validity, Validity::Unknown);
        // A history that ends at the limit was long enough; a fault that begins then is one too early.
        for (end, next, heals) in
            [(7000, None, 1), (6999, None, 0), (9000, Some(7000), 0), (9000, Some(7001), 1)]
        {
            let mut hand = Hand::new();
            hand.fault(1000, 0, &BEGIN);
            hand.fault(2000, 0, &END);
            if let Some(next) = next {
                hand.fault(next, 1, &BEGIN);
            }
            hand.at(end).invoke(0, "add", 1);
            let verdict = liveness(Duration::from_secs(5)).check(&hand.0.history());
            assert_eq!(verdict.results["heal_count"], heals, "{end} {next:?}: {verdict:#?}");
        }
    }

    #[test]
    fn a_heal_is_one_only_where_no_other_fault_acts() {
        let mut hand = Hand::new();
        hand.fault(1000, 0, &BEGIN);
        hand.fault(1500, 1, &BEGIN);
        hand.fault(2000, 0, &END);
        hand.at(2500).invoke(0, "add", 1);
        hand.at(3000).info(0);
        hand.fault(9000, 1, &END);
        hand.at(9500).invoke(10, "add", 2);
        hand.at(9600).done(10);
        hand.at(20_000).invoke(10, "add", 3);
        let history = hand.0.history();
        let verdict = liveness(Duration::from_secs(5)).check(&history);
        assert!(verdict.is_valid() && verdict.results["heal_count"] == 1, "{verdict:#?}");
        let verdict = liveness(Duration::from_secs(12)).check(&history);
        assert_eq!(verdict.validity, Validity::Unknown, "the history ends before that");
    }

    #[test]
    fn the_oracle_agrees_on_random_histories() {
        let mut seen = [0; 3];
        for seed in 0..3000 {
            let mut s = Seed(seed).stream("liveness");
            let mut ops: Vec<(u64, u64, u32, char)> = Vec::new();
            for client in 0..4 {
                let mut now = 0;
                for _ in 0..s.index(3) {
                    let from = now + 1 + s.below(4500);
                    now = from + 1 + s.below(4500);
                    let outcome = ['o', 'i', 'i', 'f'][s.index(4)];
                    ops.push((from, now, client, outcome));
                    if outcome == 'i' {
                        break;
                    }
                }
            }
            let verdict = judged(&ops);
            // Per node, by definition, from the list of operations alone.
            let states: Vec<Option<bool>> = (0..2)
                .map(|node| {
                    let here = || ops.iter().filter(|op| op.2 % 2 == node);
                    let works = here().any(|o| o.3 != 'i' && (2000..=7000).contains(&o.1));
                    let fails = here().any(|o| o.3 == 'i' && (2000..=7000).contains(&o.0));
                    if works { Some(true) } else { fails.then_some(false) }
                })
                .collect();
            let expected = match () {
                () if states.contains(&Some(false)) => Validity::Invalid,
                () if states.contains(&Some(true)) => Validity::Valid,
                () => Validity::Unknown,
            };
            assert_eq!(verdict.validity, expected, "seed {seed} {ops:?}: {verdict:#?}");
            // The slowest is the later of the first ones that worked.
            let first = |node| {
                let here = ops.iter().filter(|op| op.2 % 2 == node && op.3 != 'i');
                here.map(|op| op.1).filter(|done| (2000..=7000).contains(done)).min()
            };
            let slowest = (0..2).filter_map(first).max().map(|done| done - 2000);
            assert_eq!(verdict.results["slowest_ms"].as_u64(), slowest, "seed {seed} {ops:?}");
            let judged_count = states.iter().flatten().count();
            assert_eq!(verdict.results["judged_count"], judged_count, "seed {seed} {ops:?}");
            let found: Vec<(&str, Option<NodeId>)> =
                verdict.anomalies.iter().map(|a| (&*a.kind, a.node)).collect();
            let dead = (0..2u16).filter(|n| states[usize::from(*n)] == Some(false));
            let dead = dead.map(|n| ("not_recovered", Some(NodeId(n))));
            assert_eq!(found, dead.collect::<Vec<_>>(), "seed {seed} {ops:?}: {verdict:#?}");
            seen[expected as usize] += 1;
        }
        assert!(seen.iter().all(|n| *n > 100), "{seen:?}");
    }
}
