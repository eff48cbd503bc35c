//! What all nodes said, gathered once, and what of it bears on one anomaly.

use super::crash::Crash;
use super::scene::Scene;
use super::{Cause, CauseKind};
use fuzz_dist_history::op::{Name, NodeId, Value};
use fuzz_dist_history::time::Time;
use fuzz_dist_history::{FaultSpan, History, MnesiaSplit, NodeDown, View};

/// What all nodes said.
pub(super) struct Said {
    faults: Vec<FaultSpan>,
    downs: Vec<NodeDown>,
    splits: Vec<MnesiaSplit>,
    restarts: Vec<Cause>,
    blocked: Vec<Cause>,
    /// With their ranks; see [`Crash`].
    crashes: Vec<(u8, Cause)>,
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
        said.splits.retain(|split| touched(history, split));
        let mut incarnations: Vec<Option<&str>> = vec![None; history.nodes().len()];
        for i in history.said() {
            let Some(node) = history.node(i) else { continue };
            match &**history.function(i) {
                "busy_dist_port" => {
                    let blocked = said.cause(CauseKind::Blocked, node, i, history);
                    said.blocked.push(blocked);
                }
                "observed" => {
                    let incarnation = history.detail(i, "incarnation");
                    let Some(last) = incarnations.get_mut(node.index()) else { continue };
                    if last.is_some() && incarnation.is_some() && *last != incarnation {
                        let restart = said.cause(CauseKind::Restart, node, i, history);
                        said.restarts.push(restart);
                    }
                    *last = incarnation.or(*last);
                }
                "log" => {
                    let line = history.view(i).and_then(View::as_text).unwrap_or("");
                    let Some(Crash { text, rank }) = Crash::of(line) else { continue };
                    let crash = said.cause(CauseKind::Crash, node, i, history);
                    said.crashes.push((rank, Cause { reason: text, ..crash }));
                }
                _ => {}
            }
        }
        said
    }

    pub(super) fn faults(&self) -> &[FaultSpan] {
        &self.faults
    }

    /// The fault that an anomaly came from: one that acted at its loss or at its operation, before
    /// all one that a cause names.
    pub(super) fn fault(&self, scene: &Scene, causes: &[Cause]) -> Option<i64> {
        let felt = |from, to| self.faults.iter().rev().filter(move |f| f.felt_between(from, to));
        let at_loss = scene.loss.into_iter().flat_map(|(from, to)| felt(from, to));
        let acted: Vec<i64> =
            at_loss.chain(felt(scene.invoked, scene.taken)).map(|f| f.id).collect();
        let named: Vec<i64> = causes.iter().filter_map(|c| c.fault).collect();
        let both = named.iter().find(|id| acted.contains(id));
        both.or(acted.first()).or(named.first()).copied()
    }

    /// The nearest first: what happened where and when the element vanished, then what was so where
    /// and when its operation was done.
    pub(super) fn causes(&self, history: &History, scene: &Scene) -> Vec<Cause> {
        let split = self.split(history, scene);
        let mut causes: Vec<Cause> = split.iter().cloned().collect();
        if let Some(loss) = scene.loss {
            let nodes = scene.places();
            let restart = last_within(&self.restarts, loss, &nodes).cloned();
            // Who is started again connects again.
            let connection = restart.is_none().then(|| self.connection_at(history, scene, loss));
            causes.extend(restart);
            causes.extend(connection.flatten());
            causes.extend(self.crash(loss, &nodes));
        } else {
            let after = (scene.taken, scene.shown);
            causes.extend(first_within(&self.restarts, after, &scene.places()).cloned());
        }
        let during = (scene.invoked, scene.taken);
        causes.extend(last_within(&self.blocked, during, &[scene.origin]).cloned());
        // A split came from a nodedown between the two; without one, what counts is whom the node
        // had lost when it took the operation, or lost soonest afterwards.
        causes.extend(match &split {
            Some(split) => self.down_before(history, scene, split.since),
            None => self.lost_meanwhile(history, scene).or_else(|| match scene.loss {
                Some(_) => None,
                None => self.down_after(history, scene),
            }),
        });
        if scene.loss.is_none() {
            causes.extend(self.crash((scene.invoked, scene.shown), &scene.places()));
        }
        let mut events: Vec<usize> = Vec::new();
        causes.retain(|cause| {
            let known = cause.events.iter().any(|event| events.contains(event));
            events.extend(&cause.events);
            !known
        });
        causes
    }

    /// The first crash that says the most.
    fn crash(&self, (from, to): (Time, Time), nodes: &[NodeId]) -> Option<Cause> {
        let meets =
            |c: &&(u8, Cause)| nodes.contains(&c.1.node) && from <= c.1.since && c.1.since <= to;
        let crashes = self.crashes.iter().filter(meets);
        crashes.min_by_key(|(rank, _)| *rank).map(|(_, cause)| cause.clone())
    }

    fn split(&self, history: &History, scene: &Scene) -> Option<Cause> {
        let before = |s: &&MnesiaSplit| s.time <= scene.limit();
        let between = |s: &&MnesiaSplit| scene.between(history, s.on, &s.peer);
        let concerns = |s: &&MnesiaSplit| scene.places().contains(&s.on);
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

    /// The connections that the node which lost the element lost or regained meanwhile.
    fn connection_at(
        &self,
        history: &History,
        scene: &Scene,
        (from, to): (Time, Time),
    ) -> Option<Cause> {
        let within = |time: Time| from <= time && time <= to;
        let on = scene.other.unwrap_or(scene.origin);
        let known = |d: &NodeDown| history.nodes().contains(&d.gone);
        let here = self.downs.iter().filter(|d| d.seen_by == on && known(d));
        let lost: Vec<&NodeDown> = here.clone().filter(|d| within(d.time)).collect();
        let again: Vec<&NodeDown> =
            here.filter(|d| !within(d.time) && d.up.is_some_and(within)).collect();
        let last_lost = lost.iter().map(|d| d.up.filter(|up| within(*up)).unwrap_or(d.time)).max();
        match last_lost >= again.iter().filter_map(|d| d.up).max() {
            true => last_lost.map(|_| nodedown(&lost, to)),
            false => Some(Cause { kind: CauseKind::Reconnect, ..nodedown(&again, to) }),
        }
    }

    /// The last time before `to` that one of the two lost the other.
    fn down_before(&self, history: &History, scene: &Scene, to: Time) -> Option<Cause> {
        let meets = |d: &&NodeDown| d.time <= to && scene.between(history, d.seen_by, &d.gone);
        let down = self.downs.iter().filter(meets).max_by_key(|d| d.time)?;
        Some(nodedown(std::slice::from_ref(&down), scene.shown))
    }

    /// The first time after the operation that one of the two lost the other. Where a fault acted at
    /// the operation, a nodedown that came from another one says nothing about it.
    fn down_after(&self, history: &History, scene: &Scene) -> Option<Cause> {
        let felt = |f: &&FaultSpan| f.felt_between(scene.invoked, scene.taken);
        let acted: Vec<i64> = self.faults.iter().filter(felt).map(|f| f.id).collect();
        let meets = |d: &&NodeDown| {
            scene.invoked <= d.time
                && d.time <= scene.shown
                && scene.between(history, d.seen_by, &d.gone)
                && (acted.is_empty() || d.fault.is_some_and(|id| acted.contains(&id)))
        };
        let down = self.downs.iter().filter(meets).min_by_key(|d| d.time)?;
        Some(nodedown(std::slice::from_ref(&down), scene.shown))
    }

    /// Whom the node had lost while it took the operation.
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

    fn cause(&self, kind: CauseKind, node: NodeId, event: usize, history: &History) -> Cause {
        let since = history.time(event);
        let fault = self.faults.iter().rev().find(|f| f.felt_between(since, since));
        Cause {
            kind,
            node,
            peers: Vec::new(),
            since,
            until: None,
            reason: history.function(event).to_string(),
            fault: fault.map(|f| f.id),
            events: vec![event],
        }
    }
}

/// Can the split concern what the workload uses? It cannot where mnesia held no tables but its own,
/// nor where the workload says what it touches (the history's `touches`) and mnesia is not in it.
fn touched(history: &History, split: &MnesiaSplit) -> bool {
    let tables = history.detail(split.event, "tables");
    if tables.is_some_and(str::is_empty) {
        return false;
    }
    let Some(touches) = history.meta("touches").and_then(Value::as_list) else { return true };
    let table = |name: &str| tables.is_some_and(|all| all.split(' ').any(|table| table == name));
    touches.iter().filter_map(Value::as_text).any(|name| name == "mnesia" || table(name))
}

fn meets(cause: &Cause, (from, to): (Time, Time), nodes: &[NodeId]) -> bool {
    nodes.contains(&cause.node) && from <= cause.since && cause.since <= to
}

/// The last one on the first of the nodes that has any.
fn last_within<'a>(causes: &'a [Cause], span: (Time, Time), nodes: &[NodeId]) -> Option<&'a Cause> {
    nodes.iter().find_map(|node| causes.iter().rev().find(|c| meets(c, span, &[*node])))
}

fn first_within<'a>(
    causes: &'a [Cause],
    span: (Time, Time),
    nodes: &[NodeId],
) -> Option<&'a Cause> {
    causes.iter().find(|c| meets(c, span, nodes))
}

/// The reason of a nodedown of which one side had left the cluster, whatever the runtime calls it.
const LEFT: &str = "left the cluster";

/// Some nodedowns that one node saw, as one cause. Those of nodes that left on purpose are named where there are no
/// others: nothing else is to be blamed on them, and they on nothing else.
fn nodedown(downs: &[&NodeDown], shown: Time) -> Cause {
    let mut downs = downs.to_vec();
    if downs.iter().any(|d| d.left.is_none()) {
        downs.retain(|d| d.left.is_none());
    }
    let (mut peers, mut reasons): (Vec<Name>, Vec<&str>) = (Vec::new(), Vec::new());
    for down in &downs {
        if !peers.contains(&down.gone) {
            peers.push(down.gone.clone());
        }
        let reason = if down.left.is_some() { LEFT } else { &*down.reason };
        if !reasons.contains(&reason) {
            reasons.push(reason);
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
