//! `set_full`: what was added and acknowledged is read, on every node, for good.
//!
//! A grow-only set under `add v` (each element at most once) and `read`. Every element is
//! followed through the whole history. The definitions, in the words of Jepsen's checker of
//! the same name (jepsen.checker/set-full), whose verdicts this one refines:
//!
//! - *known*: from the acknowledgement of its add, or from the first completed read with it;
//! - *stable*: the read with it was invoked after every read without it;
//! - *lost*: known, and a read invoked after that and after every read with it lacks it;
//! - *missing on n*: known, and not in n's final read, whatever the order of the final reads;
//! - *stale*: stable, but some read invoked after it was known lacks it;
//! - *unexpected* (no client added it), *resurrected* (its add failed, and it was not added again
//!   before), *early* (read before any add of it was invoked), *duplicate* (more than once in a read).

mod analysis;
mod convergence;
mod explain;
#[cfg(test)]
mod oracle;
mod report;
mod sessions;
mod shared;
#[cfg(test)]
mod tests;

use super::Arguments;
use super::evidence::{Faults, count, healed_at, listed, node_of};
use super::finals::Finals;
use super::online::OnlineSet;
use super::sets::{Elements, Streams, Unreadable};
use super::verify::{self, verified};
use super::{Checker, Online, Validity, Verdict};
use crate::registration::{ADD, Judges, Needs, Opt, READ, Registration, SESSIONS, built};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Name, Value};
#[cfg(test)]
pub(crate) use oracle::random_history;
use report::Report;

/// Judges sets that only grow; see [`set_full`].
#[derive(Clone, Debug)]
pub struct SetFull {
    add: Name,
    read: Name,
    linearizable: bool,
    sessions: bool,
}

/// Judges a grow-only set: nothing acknowledged is lost or missing on any node, nothing is read
/// twice at a time, nor without having been added.
///
/// Invalid with any element lost, missing, duplicate, unexpected, resurrected or early; unknown
/// when no element is stable, when no node gave a final read, or when an element was added
/// twice. Costs about as much as there are changes from read to read.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, set_full, histories::Script};
/// // Client 0 adds 1, which is acknowledged; a read that starts later lacks it.
/// let history = Script::parse("a1 a1' r r'{}");
/// let verdict = set_full().check(&history);
/// assert!(verdict.is_invalid());
/// assert_eq!(&*verdict.anomalies[0].kind, "lost");
/// ```
pub fn set_full() -> SetFull {
    SetFull { add: "add".into(), read: "read".into(), linearizable: false, sessions: false }
}

impl SetFull {
    /// Are stale reads a reason to say invalid?
    #[must_use]
    pub fn linearizable(mut self, asked: bool) -> SetFull {
        self.linearizable = asked;
        self
    }

    /// Are violations of session guarantees (read your writes, monotonic reads, flutter) a
    /// reason to say invalid? They are results in any case.
    #[must_use]
    pub fn sessions(mut self, asked: bool) -> SetFull {
        self.sessions = asked;
        self
    }

    /// The functions of the operations, where they are not `add` and `read`.
    #[must_use]
    pub fn functions(mut self, add: impl Into<Name>, read: impl Into<Name>) -> SetFull {
        (self.add, self.read) = (add.into(), read.into());
        self
    }
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "set_full",
    about: "every element of a grow-only set, through all reads",
    judges: Judges::Only(&["add", "read"]),
    needs: Needs::Order,
    options: &[Opt::flag("linearizable", "stale reads are invalid, too"), SESSIONS, ADD, READ],
    build: |o| {
        let checker =
            set_full().linearizable(o.flag("linearizable")?).sessions(o.flag("sessions")?);
        built(checker.functions(o.word_or("add", "add"), o.word_or("read", "read")))
    },
};

impl Checker for SetFull {
    fn check(&self, history: &History) -> Verdict {
        let (mut elements, adds) = match Elements::added(history, &self.add) {
            Ok(numbered) => numbered,
            Err((first, second)) => {
                let reason = format!(
                    "{} was added twice: on {} at {} (event {first}) and on {} at {} (event {second}); an element that is added more than once cannot be followed",
                    history.value(first),
                    node_of(history, first),
                    history.time(first),
                    node_of(history, second),
                    history.time(second),
                );
                return Verdict::unknown("set_full", reason);
            }
        };
        let acknowledged: Vec<bool> = (0..adds.len()).map(|id| adds.is_acknowledged(id)).collect();
        let streams = match Streams::of(history, &self.read, &mut elements, &acknowledged) {
            Ok(streams) => streams,
            Err(Unreadable(i)) => {
                let reason = format!(
                    "the read at event {i} gave {}, which is neither a set nor a list",
                    history.value(i)
                );
                return Verdict::unknown("set_full", reason);
            }
        };
        drop(acknowledged);
        let finals = Finals::of(history, &self.read);
        let all = elements.len();
        let names = elements.into_names();
        let mut analysis = analysis::analyse(history, &adds, &streams, all, healed_at(history));
        if !finals.settled {
            analysis.leave_open();
        }
        let faults = Faults::of(history);
        let facts = explain::Facts {
            history,
            adds: &adds,
            names: &names,
            streams: &streams,
            analysis: &analysis,
            faults: &faults,
        };
        let sessions = sessions::sessions(history, &adds, &streams);
        // A run with `sessions = true` says so in its history, so that whoever checks the
        // history again later comes to the same verdict.
        let asked = self.sessions || history.meta("sessions") == Some(&Value::Bool(true));
        let options = SetFull { sessions: asked, ..self.clone() };
        let report = Report { options: &options, facts: &facts, sessions: &sessions };
        let mut verdict = report.verdict();
        if finals.settled && !analysis.unsure.is_empty() && !verdict.is_invalid() {
            verdict.validity = Validity::Unknown;
            let names: Vec<Value> = analysis.unsure.iter().map(|id| names.get(*id)).collect();
            verdict.reasons.push(format!(
                "the final reads differ in {}, whose indeterminate (`info`) adds may have taken effect between them: {}",
                count(names.len(), "element"),
                listed(&names)
            ));
        }
        finals.apply(&mut verdict);
        verdict =
            report.figures(verdict, finals.settled).with("unsure_count", analysis.unsure.len());
        let verdict =
            verified(history, verdict, |f, a| verify::set_full(f, a, &self.add, &self.read));
        faults.state(history, verdict)
    }

    fn online(&self, history: &History) -> Option<Box<dyn Online>> {
        let sessions = self.sessions || history.meta("sessions") == Some(&Value::Bool(true));
        Some(Box::new(OnlineSet::new(&self.add, &self.read, sessions)))
    }

    fn arguments(&self) -> Option<Arguments> {
        let flags = Arguments::of("set_full").flag("linearizable", self.linearizable);
        let flags = flags.flag("sessions", self.sessions);
        Some(flags.option("add", &self.add, "add").option("read", &self.read, "read"))
    }
}
