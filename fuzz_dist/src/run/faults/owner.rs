//! The task that owns the faults: it begins and ends them, several at once.
//!
//! Every fault that was begun ends, whatever becomes of whoever asked for it. Steps that run the code
//! of faults are tasks, so that one that panics, hangs or blocks its thread does not keep the owner from
//! ending the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, Id, JoinSet};

use super::board::Board;
use super::entry::{Entry, State, hit};
use super::heal::Heal;
use super::step::{self, Done, Planned};
use super::{Begin, Begun, Held, Request, Scene};
use crate::db::AnyDb;
use crate::error::{Error, ErrorKind};
use crate::history::{Edge, History};
use crate::nemesis::Check;
use crate::node::Cluster;
use crate::op::Value;
use crate::time::Time;

/// How long one step of a fault may take: starting it, or undoing it with a restart. What is left of
/// the total limit may be less.
const STEP_LIMIT: Duration = Duration::from_secs(90);
/// Undoing gets at least so long, also where the total limit has passed.
const STOP_LEAST: Duration = Duration::from_secs(10);
/// How long a start that does not wait for its moment is awaited when its end is due.
const START_GRACE: Duration = Duration::from_secs(5);
/// How long the future of a cancelled step may take to be gone.
const CANCEL_LIMIT: Duration = Duration::from_secs(1);

/// Owns the faults of a test.
pub(super) struct Owner {
    pub(super) scene: Scene,
    pub(super) board: Arc<Board>,
    pub(super) entries: Vec<Entry>,
    pub(super) heal: Heal,
    planning: HashMap<Id, Planning>,
    steps: JoinSet<Done>,
    running: HashMap<Id, Step>,
    requests: mpsc::UnboundedReceiver<Request>,
    sender: mpsc::WeakUnboundedSender<Request>,
}

/// Whose step a task is.
#[derive(Clone, Copy)]
enum Step {
    Plan,
    Start(usize),
    Stop(usize),
    Heal,
}

/// A fault that is being planned.
struct Planning {
    begin: Begin,
    reply: oneshot::Sender<Result<Begun, Error>>,
    polled: Option<oneshot::Sender<Held>>,
    task: AbortHandle,
    until: Time,
}

impl Owner {
    pub(super) fn new(
        scene: Scene,
        board: Arc<Board>,
        requests: mpsc::UnboundedReceiver<Request>,
        sender: mpsc::WeakUnboundedSender<Request>,
    ) -> Owner {
        Owner {
            scene,
            board,
            entries: Vec::new(),
            heal: Heal::default(),
            planning: HashMap::new(),
            steps: JoinSet::new(),
            running: HashMap::new(),
            requests,
            sender,
        }
    }

    /// Until nobody can ask for anything any more.
    pub(super) async fn run(mut self) {
        let clock = self.scene.clock.clone();
        loop {
            let due = self.due();
            let wait = async {
                match due {
                    Some(due) => clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // In this order, so that what is over in time does not count as late.
                biased;
                request = self.requests.recv() => match request {
                    Some(request) => self.serve(request),
                    None => return,
                },
                Some(done) = self.steps.join_next_with_id() => match done {
                    Ok((id, done)) => self.done(id, Ok(done)),
                    Err(e) => self.done(e.id(), Err(step::died(e))),
                },
                () = wait => self.overdue(self.now()),
            }
            self.heal_on();
            let shown = self.entries.iter().filter(|e| !e.is_over()).map(Entry::shown).collect();
            self.board.show(shown, hit(&self.entries));
        }
    }

    pub(super) fn now(&self) -> Time {
        self.scene.clock.now()
    }

    fn due(&self) -> Option<Time> {
        let entries = self.entries.iter().filter_map(Entry::due);
        let planning = self.planning.values().map(|p| p.until);
        entries.chain(planning).chain(self.heal.due()).min()
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Lanes(lanes) => {
                self.scene.schedule.lanes = lanes;
                self.kept(self.scene.write());
            }
            Request::Begin { begin, reply, polled } => self.plan(*begin, reply, polled),
            Request::End { id, reply } => {
                let Some(entry) = usize::try_from(id).ok().and_then(|i| self.entries.get_mut(i))
                else {
                    return;
                };
                match (&entry.state, reply) {
                    (State::Over(status), Some(reply)) => drop(reply.send(*status)),
                    (_, reply) => entry.ended.extend(reply),
                }
                self.ask_end(id as usize);
            }
            Request::Heal { limit, reply } => self.ask_heal(limit, reply),
        }
    }

    pub(super) fn reach(&self) -> (Cluster, AnyDb) {
        (self.scene.cluster.clone(), self.scene.db.clone())
    }

    /// The step of a fault, whose code is the user's: one that blocks its thread is named.
    fn watched<F>(&self, what: String, step: F) -> impl Future<Output = Done> + Send + use<F>
    where
        F: Future<Output = Done> + Send + 'static,
    {
        let calls = self.scene.calls.clone();
        async move { calls.watch(what, STEP_LIMIT, step).await }
    }

    fn step_limit(&self, least: Duration) -> Time {
        let now = self.now();
        let left = self.scene.until.since(now);
        self.heal.bound(now + STEP_LIMIT.min(left).max(least))
    }

    pub(super) fn spawn(
        &mut self,
        step: impl Future<Output = Done> + Send + 'static,
    ) -> AbortHandle {
        let task = self.steps.spawn(step);
        self.running.insert(task.id(), Step::Heal);
        task
    }

    fn plan(
        &mut self,
        begin: Begin,
        reply: oneshot::Sender<Result<Begun, Error>>,
        polled: Option<oneshot::Sender<Held>>,
    ) {
        if self.heal.is_asked() {
            let _ = reply.send(Err(closed()));
            return;
        }
        let slot = begin.slot;
        let (stored, known) = (self.scene.replay.clone(), self.scene.cluster.all_nodes().len());
        let stored = move |fault: &dyn crate::nemesis::DynFault| {
            stored.map(|replay| super::scene::stored(&replay, slot, fault, known))
        };
        let step = step::plan(begin.fault.clone(), self.reach(), begin.random.clone(), stored);
        let task = self.steps.spawn(self.watched("`Fault::plan`".into(), step));
        self.running.insert(task.id(), Step::Plan);
        let until = self.step_limit(Duration::ZERO);
        self.planning.insert(task.id(), Planning { begin, reply, polled, task, until });
    }

    /// A task is over, or died of something.
    fn done(&mut self, id: Id, done: Result<Done, String>) {
        // One that was given up has no place any more.
        let Some(step) = self.running.remove(&id) else { return };
        match step {
            Step::Plan => {
                let Some(planning) = self.planning.remove(&id) else { return };
                match done {
                    Ok(Done::Planned(Ok(planned))) => self.start(planning, planned),
                    Ok(Done::Planned(Err(error))) => drop(planning.reply.send(Err(error))),
                    Ok(_) => unreachable!("a plan step gives a plan"),
                    Err(why) => self.not_planned(planning, &why),
                }
            }
            Step::Start(i) => self.started(i, checked(done)),
            Step::Stop(i) => self.stopped(i, checked(done)),
            Step::Heal => self.healing_done(done),
        }
    }

    /// Planning died; nothing was begun.
    fn not_planned(&mut self, planning: Planning, why: &str) {
        let problem = format!("planning a fault for {} {why}", planning.begin.slot);
        self.board.problem(problem.clone());
        let _ = planning.reply.send(Err(Error::new(ErrorKind::Test, problem)));
    }

    /// Begins a fault that is planned.
    fn start(&mut self, planning: Planning, planned: Planned) {
        let Planning { begin, reply, polled, .. } = planning;
        if self.heal.is_asked() {
            let _ = reply.send(Err(closed()));
            return;
        }
        if reply.is_closed() {
            // Nobody waits for it, and nothing has been done yet.
            return;
        }
        let Planned { name, plan, lead, departure } = planned;
        departure.into_iter().for_each(|text| self.board.departure(text));
        let kept = self.scene.drawn(begin.slot, name.clone(), &plan);
        self.kept(kept);
        let (i, id) = (self.entries.len(), self.entries.len() as i64);
        let value = History::fault_start(id, &plan.hit().shape, begin.zone.as_deref());
        self.scene.record(name.clone(), Edge::Start, value);
        let announced = format!("{name} {}", plan.hit().shape);
        self.scene.announcements.fault(Edge::Start, id, &announced);
        let plan = Arc::new(plan);
        let polled = polled.and_then(|polled| Some((polled, self.held(id)?)));
        let step = step::start((id, begin.fault.clone()), self.reach(), plan.clone(), polled);
        let task = self.steps.spawn(self.watched(format!("`Fault::start` of `{name}`"), step));
        self.running.insert(task.id(), Step::Start(i));
        let until = self.step_limit(Duration::ZERO);
        self.entries.push(Entry {
            id,
            name,
            fault: begin.fault,
            plan,
            lead,
            state: State::Starting { task, until },
            edge: Edge::Start,
            begun: Some(reply),
            ended: Vec::new(),
            end_asked: false,
            stops: 0,
        });
    }

    fn held(&self, id: i64) -> Option<Held> {
        self.sender.upgrade().map(|requests| Held { id, requests: Some(requests) })
    }

    /// A start is over: it is recorded, and whoever asked for it has the fault from now on.
    fn started(&mut self, i: usize, checked: Result<Check, String>) {
        let entry = &mut self.entries[i];
        let check = match (&entry.state, &checked) {
            (State::Cancelling { why, .. }, Err(_)) => indeterminate(why.clone()),
            (_, Ok(check)) => check.clone(),
            (_, Err(why)) => {
                let problem = format!("starting `{}` {why}", entry.name);
                self.board.problem(problem.clone());
                indeterminate(problem)
            }
        };
        let failed = checked.err().map(|_| check.evidence.to_string());
        entry.enter(Edge::Started);
        entry.state = State::Acting;
        let (id, status, name) = (entry.id, check.seen.into(), entry.name.clone());
        let reply = entry.begun.take();
        let value = (check.seen, check.evidence);
        let value = History::fault_value(id, Edge::Started, "", Some(value));
        self.scene.record(name, Edge::Started, value);
        if let (Some(reply), Some(held)) = (reply, self.held(id)) {
            // Where nobody waits any more, the fault is dropped with the reply, which ends it.
            let _ = reply.send(Ok(Begun { held, status, failed }));
        }
        self.ask_end_again(i);
    }

    /// Ends a fault as soon as it can be: a start that is under way is awaited or cancelled first.
    pub(super) fn ask_end(&mut self, i: usize) {
        let now = self.now();
        let entry = &mut self.entries[i];
        if entry.is_over() || std::mem::replace(&mut entry.end_asked, true) {
            return;
        }
        match &mut entry.state {
            State::Starting { until, .. } => {
                let grace = if entry.lead.is_zero() { START_GRACE } else { Duration::ZERO };
                *until = (*until).min(now + grace);
            }
            State::Acting => self.stop(i),
            State::Cancelling { .. } | State::Stopping { .. } | State::Over(_) => {}
        }
    }

    fn ask_end_again(&mut self, i: usize) {
        if self.entries[i].end_asked {
            self.stop(i);
        }
    }

    /// Runs `stop`: for the first time, or again where the fault was not verified as removed.
    pub(super) fn stop(&mut self, i: usize) {
        let until = self.step_limit(STOP_LEAST);
        let entry = &mut self.entries[i];
        entry.enter(Edge::Stop);
        entry.stops += 1;
        let (fault, plan, name) = (entry.fault.clone(), entry.plan.clone(), entry.name.clone());
        let id = entry.id;
        let value = History::fault_value(id, Edge::Stop, "", None);
        self.scene.record(name.clone(), Edge::Stop, value);
        let step = step::stop((id, fault), self.reach(), plan);
        let step = self.watched(format!("`Fault::stop` of `{name}`"), step);
        let task = self.steps.spawn(step);
        self.running.insert(task.id(), Step::Stop(i));
        self.entries[i].state = State::Stopping { task, until };
    }

    /// A stop is over.
    pub(super) fn stopped(&mut self, i: usize, checked: Result<Check, String>) {
        let entry = &mut self.entries[i];
        let check =
            checked.unwrap_or_else(|why| indeterminate(format!("undoing `{}` {why}", entry.name)));
        entry.enter(Edge::Stopped);
        entry.state = State::Over(check.seen);
        let value = (check.seen, check.evidence);
        let value = History::fault_value(entry.id, Edge::Stopped, "", Some(value));
        self.scene.announcements.fault(Edge::Stop, entry.id, &entry.shown());
        self.scene.record(entry.name.clone(), Edge::Stopped, value);
        for ended in entry.ended.drain(..) {
            let _ = ended.send(check.seen);
        }
    }

    /// Cancels what takes too long.
    fn overdue(&mut self, now: Time) {
        for i in 0..self.entries.len() {
            if self.entries[i].due().is_some_and(|due| due <= now) {
                self.give_up(i);
            }
        }
        let late = self.planning.iter().filter(|(_, p)| p.until <= now).map(|(id, _)| *id);
        for id in late.collect::<Vec<_>>() {
            let Some(planning) = self.planning.remove(&id) else { continue };
            planning.task.abort();
            self.running.remove(&id);
            self.not_planned(planning, "took too long");
        }
        self.heal_overdue(now);
    }

    /// The step of a fault passed its limit.
    fn give_up(&mut self, i: usize) {
        let now = self.now();
        let entry = &mut self.entries[i];
        match &entry.state {
            State::Starting { task, .. } => {
                task.abort();
                let why = match entry.end_asked {
                    true => "it was ended before it took effect".into(),
                    false => {
                        let problem = format!("starting `{}` took too long", entry.name);
                        self.board.problem(problem.clone());
                        problem
                    }
                };
                entry.state = State::Cancelling { until: now + CANCEL_LIMIT, why };
            }
            State::Cancelling { .. } => {
                // Its thread is blocked; it cannot be waited for.
                let name = entry.name.clone();
                self.forget(i);
                self.board.problem(format!("`start` of `{name}` blocks its thread"));
                self.started(i, Err("blocks its thread".into()));
            }
            State::Stopping { task, .. } => {
                task.abort();
                self.forget(i);
                self.stopped(i, Err("took too long".into()));
            }
            State::Acting | State::Over(_) => {}
        }
    }

    /// The task of a fault has no say any more.
    fn forget(&mut self, i: usize) {
        self.running.retain(|_, step| !matches!(step, Step::Start(j) | Step::Stop(j) if *j == i));
    }

    /// The task of the heal has no say any more.
    pub(super) fn forget_heal(&mut self) {
        self.running.retain(|_, step| !matches!(step, Step::Heal));
    }

    /// The time for the heal is over: every life is brought to its end, with the reason.
    pub(super) fn end_lives(&mut self, why: &str) {
        for i in 0..self.entries.len() {
            if self.entries[i].is_over() {
                continue;
            }
            match &self.entries[i].state {
                State::Starting { task, .. } | State::Stopping { task, .. } => task.abort(),
                State::Cancelling { .. } | State::Acting | State::Over(_) => {}
            }
            self.forget(i);
            let now = self.now();
            let entry = &mut self.entries[i];
            if entry.edge == Edge::Start {
                entry.end_asked = false;
                entry.state = State::Cancelling { until: now, why: why.into() };
                self.started(i, Err("was cut off".into()));
            }
            let entry = &mut self.entries[i];
            if entry.edge == Edge::Started {
                entry.enter(Edge::Stop);
                let value = History::fault_value(entry.id, Edge::Stop, "", None);
                self.scene.record(entry.name.clone(), Edge::Stop, value);
            }
            self.stopped(i, Err(format!("was cut off: {why}")));
        }
    }

    fn kept(&self, written: Result<(), String>) {
        if let Err(problem) = written
            && !self.board.problems().contains(&problem)
        {
            self.board.problem(problem);
        }
    }

    /// Where this run does not do what the run did that it replays.
    pub(super) fn report_departures(&self) {
        let Some(replay) = &self.scene.replay else { return };
        for slot in replay.slots() {
            if self.scene.schedule.drawn(slot).is_none() {
                self.board.departure(format!("replay: {slot} of the stored run did not happen"));
            }
        }
    }
}

fn checked(done: Result<Done, String>) -> Result<Check, String> {
    match done {
        Ok(Done::Checked(Ok(check))) => Ok(check),
        Ok(Done::Checked(Err(e))) => Err(format!("failed: {e}")),
        Ok(_) => unreachable!("start and stop give a check"),
        Err(why) => Err(why),
    }
}

fn indeterminate(why: String) -> Check {
    Check { seen: None, evidence: Value::from(why) }
}

fn closed() -> Error {
    Error::new(ErrorKind::Cancelled, "no fault begins any more: the run is healing")
}
