//! Why an anomaly came about, as far as the nodes' runtimes said: nearest cause first.
//!
//! A cause is never later than its effect. What explains an operation's outcome happened on its node
//! and in its time; what explains that an element vanished happened between the last read with it
//! and the first one without it on the same node.

mod crash;
mod errors;
mod said;
mod scene;
#[cfg(test)]
mod tests;

use super::{Anomaly, Validity, Verdict};
use fuzz_dist_history::op::{Name, NodeId};
use fuzz_dist_history::time::Time;
use fuzz_dist_history::{FaultSpan, History};
use said::Said;
use scene::Scene;
use serde::{Deserialize, Serialize};

/// At most so many causes are shown of an anomaly: later ones explain no more.
const CAUSES_MAX: usize = 2;

/// What kind of thing a runtime said; the nearest to an anomaly first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CauseKind {
    /// Mnesia found that another node had gone on without this one.
    Split,
    /// The node's virtual machine was started again.
    Restart,
    /// A sender was suspended, since a connection's buffer was full.
    Blocked,
    /// The node took others for dead.
    Nodedown,
    /// The node was connected again to one that it had taken for dead.
    Reconnect,
    /// A process crashed.
    Crash,
}

impl CauseKind {
    /// As it is written in results.
    pub const fn as_str(self) -> &'static str {
        match self {
            CauseKind::Split => "split",
            CauseKind::Restart => "restart",
            CauseKind::Blocked => "blocked",
            CauseKind::Nodedown => "nodedown",
            CauseKind::Reconnect => "reconnect",
            CauseKind::Crash => "crash",
        }
    }
}

/// Something that a node's runtime said and that bears on an anomaly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cause {
    /// What it was.
    pub kind: CauseKind,
    /// Who said it.
    pub node: NodeId,
    /// Of whom it was said.
    pub peers: Vec<Name>,
    /// When.
    pub since: Time,
    /// When it was over, where that was before the anomaly showed.
    pub until: Option<Time>,
    /// The runtime's own word, such as `net_tick_timeout`; of a crash, the process and the reason.
    pub reason: String,
    /// The number of the fault that it came from.
    pub fault: Option<i64>,
    /// The events that say so.
    pub events: Vec<usize>,
}

impl Cause {
    /// For people; `taken` is when the anomaly's operation was done: what was so by then had been
    /// so.
    fn sentence(&self, history: &History, taken: Time) -> String {
        let node = history.node_name(self.node);
        let peers = self.peers.iter().map(|p| &**p).collect::<Vec<_>>().join(" ");
        let since = self.since;
        match (self.kind, since <= taken) {
            (CauseKind::Split, true) => {
                format!("Mnesia on {node} had been split from {peers} since {since}")
            }
            (CauseKind::Split, false) => {
                format!("Mnesia on {node} found itself split from {peers} at {since}")
            }
            (CauseKind::Restart, _) => format!("{node} was started again at {since}"),
            (CauseKind::Blocked, _) => {
                format!(
                    "A sender on {node} stood still at {since}, its connection's buffer was full"
                )
            }
            (CauseKind::Nodedown, true) => {
                let until = self.until.map_or(String::new(), |until| format!(" until {until}"));
                format!("{node} had lost {peers} since {since}{until} ({})", self.reason)
            }
            (CauseKind::Nodedown, false) => {
                let until = self.until.map_or(String::new(), |until| format!(" until {until}"));
                format!("{node} lost {peers} at {since}{until} ({})", self.reason)
            }
            (CauseKind::Reconnect, _) => {
                let up = self.until.unwrap_or(since);
                format!(
                    "{node} was connected to {peers} again at {up}, lost at {since} ({})",
                    self.reason
                )
            }
            (CauseKind::Crash, _) => format!("{node} logged at {since}: {}", self.reason),
        }
    }
}

/// The same verdict; its anomalies have their causes, in words, too. An unknown one says with which
/// errors the operations ended.
///
/// Runs call it; it is for checkers that judge kept histories.
///
/// ```
/// use fuzz_dist_checkers::{Checker, explained, histories::Script, set_full};
///
/// let history = Script::parse("a1 a1' r2 r2'{}");
/// let verdict = explained(set_full().check(&history), &history);
/// assert!(verdict.is_invalid() && verdict.anomalies[0].causes.is_empty());
/// ```
pub fn explained(mut verdict: Verdict, history: &History) -> Verdict {
    if verdict.validity != Validity::Valid {
        explain(&mut verdict, history, &Said::by(history));
    }
    // Only then is it worth a walk through the whole history.
    if verdict.validity == Validity::Unknown
        && let Some(errors) = errors::sentence(history)
    {
        // Behind the first reason, so that a line that is cut still has it.
        verdict.reasons.insert(verdict.reasons.len().min(1), errors);
    }
    verdict
}

fn explain(verdict: &mut Verdict, history: &History, said: &Said) {
    for anomaly in &mut verdict.anomalies {
        let Some(scene) = Scene::of(anomaly, history) else { continue };
        anomaly.causes = said.causes(history, &scene);
        anomaly.causes.truncate(CAUSES_MAX);
        anomaly.fault = said.fault(&scene, &anomaly.causes);
        relate(anomaly, history, &scene, said.faults());
    }
    for part in &mut verdict.parts {
        explain(part, history, said);
    }
}

/// Puts the causes behind what the checker says.
fn relate(anomaly: &mut Anomaly, history: &History, scene: &Scene, faults: &[FaultSpan]) {
    let mut text = anomaly.explanation.trim_end().to_string();
    for cause in &anomaly.causes {
        let sentence = cause.sentence(history, scene.taken);
        if text.contains(&sentence) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(if text.ends_with('.') { " " } else { ". " });
        }
        text.push_str(&sentence);
        let fault = faults.iter().find(|f| Some(f.id) == cause.fault).map(words);
        if let Some(fault) = fault.filter(|fault| !text.contains(fault)) {
            text.push_str(&format!(", under {fault}"));
        }
        text.push('.');
    }
    anomaly.explanation = text;
}

/// A fault in words.
fn words(fault: &FaultSpan) -> String {
    format!("{} {}", fault.name, fault.shape).trim_end().to_string()
}
