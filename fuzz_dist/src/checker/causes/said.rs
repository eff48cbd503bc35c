//! What all nodes said, gathered once, and what of it bears on one anomaly.

use super::{Cause, CauseKind};
use crate::checker::Anomaly;
use crate::history::{FaultSpan, FaultStatus, History, MnesiaSplit, NodeDown, View};
use crate::op::{Name, NodeId, Phase};
use crate::time::Time;

/// So much of a logged line is told.
const LINE_MAX: usize = 90;

/// Where and when an anomaly came about.
pub(super) struct Scene {
    /// The node that took the operation.
    origin: NodeId,
    /// The node where it is missed, where that is another one.
    other: Option<NodeId>,
    /// When the operation was invoked.
    invoked: Time,
    /// When it was done, as far as its client knows.
    pub(super) taken: Time,
    /// When it showed.
    shown: Time,
}

impl Scene {
    /// `None` where the anomaly names no operation of a client.
    pub(super) fn of(anomaly: &Anomaly, history: &History) -> Option<Scene> {
        let within = |i: &&usize| **i < history.len() && history.process(**i).is_client();
        let mut events: Vec<usize> = anomaly.events.iter().filter(within).copied().collect();
        events.sort_unstable();
        let (first, last) = (*events.first()?, *events.last()?);
        let invoked = history.invocation(first).unwrap_or(first);
        let taken = history.completion(invoked).unwrap_or(invoked);
        let origin = history.node(invoked)?;
        let shown = history.time(last).max(anomaly.time.unwrap_or(Time::ZERO));
        // What only final reads prove may have come about at any time.
        let whole = history.phase(invoked) == Phase::Final;
        Some(Scene {
            origin,
            other: anomaly.node.or(history.node(last)).filter(|node| *node != origin),
            invoked: if whole { Time::ZERO } else { history.time(invoked) },
            taken: if whole { shown } else { history.time(taken).min(shown) },
            shown,
        })
    }

    fn nodes(&self) -> impl Iterator<Item = NodeId> {
        std::iter::once(self.origin).chain(self.other)
    }

    /// Is this between the two nodes, or of the only one?
    fn between(&self, history: &History, by: NodeId, peer: &str) -> bool {
        let named = |node: NodeId| history.node_name(node) == peer;
        match self.other {
            Some(other) => by == self.origin && named(other) || by == other && named(self.origin),
            None => by == self.origin || named(self.origin),
        }
    }
}

/// What all nodes said.
pub(super) struct Said {
    faults: Vec<FaultSpan>,
    downs: Vec<NodeDown>,
    splits: Vec<MnesiaSplit>,
    restarts: Vec<Cause>,
    blocked: Vec<Cause>,
    crashes: Vec<Cause>,
}

impl Said {
    pub(super) fn by(history: &History) -> Said {
        let mut said = Said {
            faults: history.faults(),
            downs: history.nodedowns(),
            splits: history.mnesia_splits(),
            restarts: Vec::new(),
            blocked: Vec::new(),
            crashes: Vec::new(),
        };
        let mut incarnations: Vec<Option<&str>> = vec![None; history.nodes().len()];
        for i in history.said() {
            let Some(node) = history.node(i) else { continue };
            match &**history.function(i) {
                "busy_dist_port" => said.blocked.push(cause(CauseKind::Blocked, node, i, history)),
                "observed" => {
                    let incarnation = history.detail(i, "incarnation");
                    let Some(last) = incarnations.get_mut(node.index()) else { continue };
                    if last.is_some() && incarnation.is_some() && *last != incarnation {
                        said.restarts.push(cause(CauseKind::Restart, node, i, history));
                    }
                    *last = incarnation.or(*last);
                }
                "log" => {
                    let line = history.view(i).and_then(View::as_text).unwrap_or("");
                    if line.contains("crash") || line.contains("terminate") {
                        let reason = shortened(line);
                        let crash = cause(CauseKind::Crash, node, i, history);
                        said.crashes.push(Cause { reason, ..crash });
                    }
                }
                _ => {}
            }
        }
        for cause in said.restarts.iter_mut().chain(&mut said.blocked).chain(&mut said.crashes) {
            let acts = |f: &&FaultSpan| acts(f, cause.since, cause.since);
            cause.fault = said.faults.iter().rev().find(acts).map(|f| f.id);
        }
        said
    }

    pub(super) fn faults(&self) -> &[FaultSpan] {
        &self.faults
    }

    /// The fault that acted while the operation was under way.
    pub(super) fn fault_at(&self, scene: &Scene) -> Option<&FaultSpan> {
        self.faults.iter().rev().find(|f| acts(f, scene.invoked, scene.taken))
    }

    /// The nearest first.
    pub(super) fn causes(&self, history: &History, scene: &Scene) -> Vec<Cause> {
        let split = self.split(history, scene);
        // A split came from a nodedown between the two; without one, what counts is whom the node
        // missed while it took the operation, or lost before the anomaly showed.
        let down = match &split {
            Some(split) => self.down_between(history, scene, Time::ZERO, split.since),
            None => self
                .lost_meanwhile(history, scene)
                .or_else(|| self.down_between(history, scene, scene.invoked, scene.shown)),
        };
        let of = |causes: &[Cause], from: Time, to: Time, nodes: &[NodeId]| {
            let meets = |c: &&Cause| nodes.contains(&c.node) && from <= c.since && c.since <= to;
            causes.iter().rev().find(meets).cloned()
        };
        let nodes: Vec<NodeId> = scene.nodes().collect();
        let mut causes = Vec::new();
        causes.extend(split);
        causes.extend(of(&self.restarts, scene.taken, scene.shown, &nodes));
        causes.extend(of(&self.blocked, scene.invoked, scene.taken, &[scene.origin]));
        causes.extend(down);
        causes.extend(of(&self.crashes, scene.invoked, scene.shown, &nodes));
        causes
    }

    fn split(&self, history: &History, scene: &Scene) -> Option<Cause> {
        let before = |s: &&MnesiaSplit| s.time <= scene.shown;
        let between = |s: &&MnesiaSplit| scene.between(history, s.on, &s.peer);
        let concerns = |s: &&MnesiaSplit| scene.nodes().any(|node| node == s.on);
        let mut splits = self.splits.iter().filter(before);
        let split = splits.clone().find(between).or_else(|| splits.find(concerns))?;
        Some(Cause {
            kind: CauseKind::Split,
            node: split.on,
            peers: vec![split.peer.clone()],
            since: split.time,
            until: None,
            reason: "inconsistent_database".into(),
            fault: None,
            events: vec![split.event],
        })
    }

    /// The last time before `to`, and not before `from`, that one of the two saw the other one go.
    fn down_between(
        &self,
        history: &History,
        scene: &Scene,
        from: Time,
        to: Time,
    ) -> Option<Cause> {
        let meets = |d: &&NodeDown| {
            from <= d.time && d.time <= to && scene.between(history, d.seen_by, &d.gone)
        };
        let down = self.downs.iter().filter(meets).max_by_key(|d| d.time)?;
        Some(nodedown(std::slice::from_ref(&down), scene.shown))
    }

    /// Whom the node missed while it took the operation.
    fn lost_meanwhile(&self, history: &History, scene: &Scene) -> Option<Cause> {
        let known = |d: &NodeDown| history.nodes().contains(&d.gone);
        let missed = |d: &&NodeDown| {
            d.seen_by == scene.origin
                && known(d)
                && d.time <= scene.taken
                && d.up.is_none_or(|up| scene.invoked <= up)
        };
        let downs: Vec<&NodeDown> = self.downs.iter().filter(missed).collect();
        (!downs.is_empty()).then(|| nodedown(&downs, scene.shown))
    }
}

/// Some nodedowns that one node saw, as one cause.
fn nodedown(downs: &[&NodeDown], shown: Time) -> Cause {
    let (mut peers, mut reasons): (Vec<Name>, Vec<&str>) = (Vec::new(), Vec::new());
    for down in downs {
        if !peers.contains(&down.gone) {
            peers.push(down.gone.clone());
        }
        if !reasons.contains(&&*down.reason) {
            reasons.push(&down.reason);
        }
    }
    peers.sort_unstable();
    let all_up: Option<Vec<Time>> = downs.iter().map(|d| d.up).collect();
    Cause {
        kind: CauseKind::Nodedown,
        node: downs[0].seen_by,
        peers,
        since: downs.iter().map(|d| d.time).min().unwrap_or(Time::ZERO),
        until: all_up.and_then(|ups| ups.into_iter().max()).filter(|up| *up <= shown),
        reason: reasons.join(", "),
        fault: downs.iter().find_map(|d| d.fault),
        events: downs.iter().map(|d| d.event).collect(),
    }
}

fn cause(kind: CauseKind, node: NodeId, event: usize, history: &History) -> Cause {
    Cause {
        kind,
        node,
        peers: Vec::new(),
        since: history.time(event),
        until: None,
        reason: history.function(event).to_string(),
        fault: None,
        events: vec![event],
    }
}

/// Could the fault be felt at some time from `from` to `to`?
fn acts(fault: &FaultSpan, from: Time, to: Time) -> bool {
    fault.status != FaultStatus::Ineffective
        && fault.start <= to
        && fault.stopped.is_none_or(|end| from <= end)
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(LINE_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_string(),
    }
}
