//! The heal: all faults ended in their order, the links opened, and that proved.

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use std::time::Duration;

use super::owner::Owner;
use super::step::{self, Done};
use crate::history::Edge;
use crate::op::Value;
use crate::time::Time;

/// How long the proof, and reconnecting the nodes, may take.
const STEP_LIMIT: Duration = Duration::from_secs(90);
/// How often `stop` is run for a fault that is not verified as removed.
const STOPS_MAX: u32 = 2;

/// How far the heal is.
#[derive(Default)]
pub(super) struct Heal {
    stage: Stage,
    waiting: Vec<oneshot::Sender<bool>>,
    /// What is not undone by then is not.
    until: Option<Time>,
}

#[derive(Default)]
enum Stage {
    #[default]
    NotAsked,
    /// Faults are ended.
    Ending,
    /// The links are opened and proved open.
    Proving {
        task: AbortHandle,
        until: Time,
    },
    /// The database connects its nodes.
    Reconnecting {
        task: AbortHandle,
        until: Time,
        proved: bool,
    },
    Healed(bool),
}

impl Heal {
    /// Was it asked for? Then no fault begins any more.
    pub(super) fn is_asked(&self) -> bool {
        !matches!(self.stage, Stage::NotAsked)
    }

    pub(super) fn due(&self) -> Option<Time> {
        let stage = match &self.stage {
            Stage::Proving { until, .. } | Stage::Reconnecting { until, .. } => Some(*until),
            Stage::Ending => None,
            Stage::NotAsked | Stage::Healed(_) => return None,
        };
        stage.into_iter().chain(self.until).min()
    }

    /// The earlier one of this and the end of the heal.
    pub(super) fn bound(&self, until: Time) -> Time {
        self.until.map_or(until, |end| end.min(until))
    }
}

impl Owner {
    pub(super) fn ask_heal(&mut self, limit: Option<Duration>, reply: oneshot::Sender<bool>) {
        if let Stage::Healed(proved) = self.heal.stage {
            let _ = reply.send(proved);
            return;
        }
        self.heal.waiting.push(reply);
        let until = limit.map(|limit| self.now() + limit);
        self.heal.until = self.heal.until.into_iter().chain(until).min();
        if !self.heal.is_asked() {
            self.heal.stage = Stage::Ending;
        }
    }

    /// Takes the next steps of the heal that can be taken.
    pub(super) fn heal_on(&mut self) {
        if !matches!(self.heal.stage, Stage::Ending) {
            return;
        }
        if self.entries.iter().any(|e| !e.is_over()) {
            self.end_those_that_can();
            return;
        }
        // One that was not verified as removed has another chance, now that the others are gone.
        let again = |e: &super::entry::Entry| !e.is_undone() && e.stops < STOPS_MAX;
        if let Some(i) = self.entries.iter().rposition(again) {
            self.stop(i);
            return;
        }
        let task = self.spawn(step::prove(self.scene.cluster.clone()));
        let until = self.heal.bound(self.now() + STEP_LIMIT);
        self.heal.stage = Stage::Proving { task, until };
    }

    /// Ends every fault that no later one keeps: the last of those that hit the same nodes goes first.
    fn end_those_that_can(&mut self) {
        for i in 0..self.entries.len() {
            let (entry, later) = (&self.entries[i], &self.entries[i + 1..]);
            let kept = later.iter().any(|other| !other.is_over() && other.conflicts(entry));
            if !entry.is_over() && !kept {
                self.ask_end(i);
            }
        }
    }

    /// The proof is there, or the nodes are connected.
    pub(super) fn healing_done(&mut self, done: Result<Done, String>) {
        match done {
            Ok(Done::Proved(proof, error)) => {
                if let Some(e) = &error {
                    self.board.problem(format!("healing the links failed: {e}"));
                }
                let whole = error.is_none() && proof.holds() == Some(true);
                self.proved(whole, proof.evidence());
            }
            Ok(Done::Reconnected(result)) => {
                if let Err(e) = result {
                    self.board.problem(format!("reconnecting the nodes failed: {e}"));
                }
                self.healed();
            }
            Ok(_) => unreachable!("the heal proves and reconnects"),
            Err(why) => match &self.heal.stage {
                Stage::Proving { .. } => {
                    self.board.problem(format!("the proof of the heal {why}"));
                    self.proved(false, why.into());
                }
                _ => {
                    self.board.problem(format!("reconnecting the nodes {why}"));
                    self.healed();
                }
            },
        }
    }

    /// Records whether the heal is proved: the network is whole, and every fault was verified as removed.
    fn proved(&mut self, whole: bool, evidence: Value) {
        assert!(
            self.entries.iter().all(|e| e.is_over()),
            "a heal is proved after all faults ended"
        );
        let proved = whole && self.entries.iter().all(|e| e.is_undone());
        let value = Value::map([("proved", proved.into()), ("evidence", evidence)]);
        self.scene.record("heal".into(), Edge::Stopped, value);
        self.heal.stage = Stage::Healed(proved);
        if self.scene.reconnect {
            let task = self.spawn(step::reconnect(self.reach()));
            let until = self.heal.bound(self.now() + STEP_LIMIT);
            self.heal.stage = Stage::Reconnecting { task, until, proved };
            return;
        }
        self.healed();
    }

    fn healed(&mut self) {
        let proved = match self.heal.stage {
            Stage::Healed(proved) | Stage::Reconnecting { proved, .. } => proved,
            _ => false,
        };
        if self.scene.reconnect {
            self.scene.recorder.set_meta("reconnected", true);
        }
        self.heal.stage = Stage::Healed(proved);
        self.report_departures();
        self.board.heal(proved);
        for waiting in self.heal.waiting.drain(..) {
            let _ = waiting.send(proved);
        }
    }

    /// Ends the heal where its time, or that of its step, is over.
    pub(super) fn heal_overdue(&mut self, now: Time) {
        if self.heal.due().is_none_or(|due| due > now) {
            return;
        }
        let why = "the time limit of the heal passed";
        match &self.heal.stage {
            Stage::Ending => {
                self.end_lives(why);
                self.board.problem(format!("{why} before the links were proved"));
                self.proved(false, why.into());
            }
            Stage::Proving { task, .. } | Stage::Reconnecting { task, .. } => {
                task.abort();
                self.forget_heal();
                self.healing_done(Err("took too long".into()));
            }
            Stage::NotAsked | Stage::Healed(_) => {}
        }
    }
}
