//! Final reads: which node gave one, what it means where one did not, and what may be claimed of the
//! end of a run that has none.
//!
//! What is missing in the end can be claimed only of a run that came to its end: until then it may
//! merely not have been replicated yet. Every checker with such a claim (lost, missing, different,
//! not converged) asks here first. What is wrong whatever follows is claimed all the same.

use super::evidence::{node_name, serving};
use super::{Anomaly, Validity, Verdict};
use fuzz_dist_history::op::{Kind, NodeId, Phase, Process, Value};
use fuzz_dist_history::{COMPLETED, ENDED_EARLY, History, OVERLOADED, SILENT, View};

/// What the final reads of a run are worth.
#[derive(Debug)]
pub(crate) struct Finals {
    /// Does the history come from a run with phases? Others are judged without final reads.
    pub(crate) expected: bool,
    /// Per node, the completion of its successful final read that was invoked last; none where the run
    /// has no end.
    pub(crate) reads: Vec<(NodeId, usize)>,
    /// Has the run an end of which something may be claimed?
    pub(crate) settled: bool,
    validity: Validity,
    reasons: Vec<String>,
    anomalies: Vec<Anomaly>,
}

impl Finals {
    /// Finds the final reads by the function `read`.
    pub(crate) fn of(history: &History, read: &str) -> Finals {
        let mut finals = Finals {
            expected: run_has_phases(history),
            reads: Vec::new(),
            settled: true,
            validity: Validity::Valid,
            reasons: Vec::new(),
            anomalies: Vec::new(),
        };
        if let Some(why) = unsettled(history).or_else(|| untaken(history)) {
            finals.settled = false;
            finals.doubt(why);
            return finals;
        }
        let mut last: Vec<Option<(usize, usize)>> = vec![None; history.nodes().len()];
        let mut nameless = false;
        let function = history.find_function(read);
        let has_any = history.latest_phase() == Some(Phase::Final);
        let mut events = 0..history.len();
        let first = has_any.then(|| events.find(|i| history.phase(*i) == Phase::Final)).flatten();
        for i in first.unwrap_or(history.len())..history.len() {
            let Some(invoked) = history.invocation(i) else { continue };
            if Some(history.function_index(i)) != function
                || history.kind(i) != Kind::Ok
                || history.phase(invoked) != Phase::Final
            {
                continue;
            }
            match history.node(i).and_then(|n| last.get_mut(n.index())) {
                Some(slot) if slot.is_none_or(|(inv, _)| inv < invoked) => {
                    *slot = Some((invoked, i));
                }
                Some(_) => {}
                None => nameless = true,
            }
        }
        for (n, read) in last.into_iter().enumerate() {
            finals.reads.extend(read.map(|(_, i)| (NodeId(n as u16), i)));
        }
        if finals.expected && !(nameless && finals.reads.is_empty()) {
            finals.judge(history);
        }
        finals
    }

    fn judge(&mut self, history: &History) {
        if self.reads.is_empty() {
            self.doubt("no node gave a final read".into());
            return;
        }
        for node in serving(history) {
            if self.reads.iter().any(|(r, _)| *r == node) {
                continue;
            }
            let name = history.node_name(node);
            let status = status(history, node);
            match (history.heal_proved(), status) {
                (Some(true), Some((true, true))) => {
                    let others: Vec<String> =
                        self.reads.iter().map(|(r, _)| node_name(history, Some(*r))).collect();
                    let text = format!(
                        "no final read on {name}: the network was proved healed, its host and its process were alive, and {} answered",
                        others.join(" ")
                    );
                    let proof = self.reads.iter().map(|(_, i)| *i);
                    self.anomalies.push(
                        Anomaly::new("no_final_read", name)
                            .explained(text)
                            .on(Some(node))
                            .proved_by(proof),
                    );
                    self.reasons.push(format!("no final read on {name}"));
                    self.validity = Validity::Invalid;
                }
                (Some(true), Some((host, _))) => {
                    let dead = if host { "process" } else { "host" };
                    self.doubt(format!("no final read on {name}: its {dead} was not alive"));
                }
                (Some(true), None) => self.doubt(format!(
                    "no final read on {name}, and nothing recorded whether it was alive"
                )),
                _ => self.doubt(format!("no final read on {name}, and no heal was proved")),
            }
        }
    }

    fn doubt(&mut self, reason: String) {
        self.reasons.push(reason);
        self.validity = self.validity.max(Validity::Unknown);
    }

    /// Adds to a verdict what missing final reads mean for it.
    pub(crate) fn apply(&self, verdict: &mut Verdict) {
        if self.validity > verdict.validity {
            verdict.validity = self.validity;
            verdict.reasons.clear();
        }
        if self.validity == verdict.validity {
            verdict.reasons.extend(self.reasons.iter().cloned());
        }
        verdict.anomalies.extend(self.anomalies.iter().cloned());
    }
}

const UNCLAIMED: &str = "nothing is called lost, missing or different";

/// Why nothing may be claimed of the end of a run: it was interrupted, its test ended early, or its
/// heal was not proved, so that a replica may still be cut off or down. A run says in its history
/// whether it came to its end; histories from elsewhere do not, and are judged as they are.
///
/// Nor may anything be claimed where an overloaded machine kept nodes from agreeing, or from answering: with
/// more time they might have.
pub(crate) fn unsettled(history: &History) -> Option<String> {
    if history.meta(COMPLETED) != Some(&Value::Bool(false)) {
        let unproved = history.heal_proved() == Some(false);
        let unproved = unproved.then(|| "the heal was not proved".to_string());
        return unproved.or_else(|| too_slow(history)).map(|why| format!("{why}: {UNCLAIMED}"));
    }
    let why = history.meta(ENDED_EARLY).and_then(Value::as_text);
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    Some(format!("the run ended early, before its final reads{why}: {UNCLAIMED}"))
}

/// That an overloaded machine kept nodes from agreeing, or from answering.
fn too_slow(history: &History) -> Option<String> {
    let why = overloaded(history)?;
    let disagree = history.meta("converged_ms") == Some(&Value::Nil);
    match (disagree, history.meta(SILENT)) {
        (true, _) => Some(format!("{why}; its time was over before all nodes agreed")),
        (false, Some(_)) => {
            Some(format!("{why}; its time was over before all nodes gave a final read"))
        }
        (false, None) => None,
    }
}

/// That the machine was overloaded while the run went on, in a sentence.
pub(crate) fn overloaded(history: &History) -> Option<&str> {
    history.meta(OVERLOADED).and_then(Value::as_text)
}

/// Why nothing may be claimed of final reads: the run came to its end without taking any, since its
/// workload has none.
fn untaken(history: &History) -> Option<String> {
    if history.meta(COMPLETED) != Some(&Value::Bool(true)) {
        return None;
    }
    let tried = |i: usize| {
        history.phase(i) == Phase::Final
            && history.kind(i) == Kind::Invoke
            && history.process(i).is_client()
    };
    let took = (0..history.len()).rev().any(tried);
    (!took).then(|| format!("the run took no final reads: {UNCLAIMED}"))
}

/// A verdict of a checker that looks at no final reads, about a run that ended early: unknown, unless
/// something is wrong whatever follows.
pub(crate) fn heed_the_end(history: &History, verdict: &mut Verdict) {
    if let Some(why) = unsettled(history)
        && !verdict.is_invalid()
    {
        verdict.validity = Validity::Unknown;
        verdict.reasons.push(why);
    }
}

/// Runs record phases after the main one; histories that come from elsewhere have none.
fn run_has_phases(history: &History) -> bool {
    history.latest_phase() >= Some(Phase::Heal)
}

/// Were the host and the process of a node alive after the final reads?
fn status(history: &History, node: NodeId) -> Option<(bool, bool)> {
    (0..history.len()).rev().find_map(|i| {
        let says = history.process(i) == Process::RUNTIME
            && history.node(i) == Some(node)
            && &**history.function(i) == "status";
        let value = says.then(|| history.view(i)).flatten()?;
        let alive = |what| value.get(what).and_then(View::as_bool) == Some(true);
        Some((alive("host"), alive("process")))
    })
}
