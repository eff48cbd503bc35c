//! `names`: each name has one process, and after the heal every node knows the same one.

mod sightings;
#[cfg(test)]
mod tests;

use super::Arguments;
use std::collections::{BTreeMap, BTreeSet};

use super::evidence::{Faults, count, listed, node_name, node_of, seconds_ms};
use super::finals::Finals;
use super::verify::{self, verified};
use super::{Anomaly, Checker, Verdict};
use crate::registration::{Judges, Needs, Opt, Registration, built};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;
pub(super) use sightings::pairs;
use sightings::{Holder, Names};

/// Judges names and singletons; see [`names`].
#[derive(Clone, Copy, Debug, Default)]
pub struct NamesChecker {
    always: bool,
}

/// Judges registered names (and singletons, which are names that the application registers itself):
/// after the heal each name has exactly one process and every node knows it.
///
/// - `register name` starts a process under the name, `unregister name` ends it;
/// - `lookup name` asks the process of this name, as the node finds it, who it is: text that no
///   other process ever has (pid and start time), or nil where the node finds nobody;
/// - `names` does so for all names: a list of pairs `[name process]`. The final reads are of these.
///
/// Two processes certainly had a name at the same time where each was seen before the other was seen
/// for the last time. That is `duplicate_stays` where final reads show both, and always invalid.
/// One that was over by then is a `duplicate`: a result, as during a split no register can be
/// unique and available, and invalid with [`NamesChecker::always`]. In the final reads a name may be
/// `unknown_to` some nodes, or have `nobody`. Unknown where final reads show different processes that
/// may have followed one another.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, names, histories::Recorder};
/// let mut r = Recorder::new(["n1", "n2"]);
/// for (client, process) in [(0, "a"), (1, "b"), (0, "a"), (1, "b")] {
///     r.invoke(client, "lookup", "shop");
///     r.ok(client, process);
/// }
/// let history = r.history();
/// assert!(names().check(&history).is_valid());
/// assert!(names().always(true).check(&history).is_invalid());
/// ```
pub fn names() -> NamesChecker {
    NamesChecker::default()
}

impl NamesChecker {
    /// Must a name have at most one process at any time, during faults, too?
    #[must_use]
    pub fn always(mut self, asked: bool) -> NamesChecker {
        self.always = asked;
        self
    }
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "names",
    about: "each name has one process, which all nodes know after the heal",
    judges: Judges::Only(&["register", "unregister", "lookup", "names"]),
    needs: Needs::Clients,
    options: &[Opt::flag("always", "two processes at a time are invalid during faults, too")],
    build: |o| built(names().always(o.flag("always")?)),
};

impl Checker for NamesChecker {
    fn check(&self, history: &History) -> Verdict {
        let all = match Names::of(history) {
            Ok(all) => all,
            Err(event) => {
                let why = format!(
                    "the read at event {event} gave {}, which is no list of pairs [name process]",
                    history.value(event)
                );
                return Verdict::unknown("names", why);
            }
        };
        let finals = Finals::of(history, "names");
        let faults = Faults::of(history);
        let mut found = Found::default();
        for (name, holders) in &all.holders {
            for (a, b) in sightings::overlaps(holders) {
                found.duplicate(history, &faults, name, a, b);
            }
        }
        if finals.expected {
            found.finals(history, &all, &finals);
        }
        found.verdict(history, self.always, &all, &finals, &faults)
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of("names").flag("always", self.always))
    }
}

/// What was found.
#[derive(Default)]
struct Found {
    stays: Vec<Anomaly>,
    over: Vec<Anomaly>,
    others: Vec<Anomaly>,
    /// Names whose final reads show processes that may have followed one another.
    moved: BTreeSet<Value>,
    /// How long, at least, a name had two processes.
    longest_ms: u64,
}

impl Found {
    fn duplicate(
        &mut self,
        history: &History,
        faults: &Faults,
        name: &Value,
        a: &Holder,
        b: &Holder,
    ) {
        let (from, to) = (a.first.max(b.first), a.last_invoked.min(b.last_invoked));
        let (from, to) = (history.time(from.min(to)), history.time(from.max(to)));
        self.longest_ms = self.longest_ms.max(to.since(from).as_millis() as u64);
        let seen = |h: &Holder| {
            let (on, at) = (node_of(history, h.last), history.time(h.last));
            format!(
                "{} (first seen on {} at {}, last on {on} at {at})",
                h.process,
                node_of(history, h.first),
                history.time(h.first)
            )
        };
        let stays = a.is_final && b.is_final;
        let mut text =
            format!("{name} had two processes at the same time: {} and {}", seen(a), seen(b));
        text.push_str(match stays {
            true => "; both are there in the final reads",
            false => "; in the final reads at most one of them is left",
        });
        let active = faults.between(from, to);
        if !active.is_empty() {
            text.push_str(&format!("; active meanwhile: {active}"));
        }
        let mut events = vec![a.first, a.last, b.first, b.last];
        events.sort_unstable();
        events.dedup();
        let last = a.last.max(b.last);
        let (kind, list) = match stays {
            true => ("duplicate_stays", &mut self.stays),
            false => ("duplicate", &mut self.over),
        };
        list.push(
            Anomaly::new(kind, name.clone())
                .explained(text)
                .on(history.node(last))
                .at(history.time(last))
                .proved_by(events),
        );
    }

    fn finals(&mut self, history: &History, all: &Names, finals: &Finals) {
        let reads: Vec<(usize, BTreeMap<Value, Value>)> = finals
            .reads
            .iter()
            .map(|(_, i)| (*i, pairs(history, *i).unwrap_or_default().into_iter().collect()))
            .collect();
        for (name, known) in all.known.iter().filter(|(name, _)| !all.unregistered.contains(name)) {
            let process =
                |read: &BTreeMap<Value, Value>| read.get(name).filter(|p| !p.is_nil()).cloned();
            let (with, without): (Vec<_>, Vec<_>) =
                reads.iter().partition(|(_, r)| process(r).is_some());
            let processes: BTreeSet<Value> = with.iter().filter_map(|(_, r)| process(r)).collect();
            if let (Some((read, _)), false) = (with.first(), without.is_empty()) {
                for (lacks, _) in without {
                    let node = history.node(*lacks);
                    let text = format!(
                        "{} does not know {name} in its final read at {}, and {} does",
                        node_name(history, node),
                        history.time(*lacks),
                        node_of(history, *read)
                    );
                    let mut events = vec![*read, *lacks];
                    events.sort_unstable();
                    self.others.push(
                        Anomaly::new("unknown_to", name.clone())
                            .explained(text)
                            .on(node)
                            .at(history.time(*lacks))
                            .proved_by(events),
                    );
                }
            } else if let (true, Some((last, _))) = (with.is_empty(), reads.last()) {
                let text = format!(
                    "no node knows {name} in its final read; {} at {} shows that it was there",
                    node_of(history, *known),
                    history.time(*known)
                );
                let events = std::iter::once(*known).chain(reads.iter().map(|(i, _)| *i));
                self.others.push(
                    Anomaly::new("nobody", name.clone())
                        .explained(text)
                        .at(history.time(*last))
                        .proved_by(events.collect::<BTreeSet<_>>()),
                );
            }
            if processes.len() > 1 && !self.stays.iter().any(|a| a.subject == *name) {
                self.moved.insert(name.clone());
            }
        }
    }

    fn verdict(
        self,
        history: &History,
        always: bool,
        all: &Names,
        finals: &Finals,
        faults: &Faults,
    ) -> Verdict {
        let names = |of: &[Anomaly]| -> Vec<Value> {
            of.iter().map(|a| a.subject.clone()).collect::<BTreeSet<_>>().into_iter().collect()
        };
        let (stays, over, lost) = (names(&self.stays), names(&self.over), names(&self.others));
        let mut reasons = Vec::new();
        for (found, words) in [
            (&stays, "with two processes that stay"),
            (&lost, "that not every node knows in the end"),
        ] {
            if !found.is_empty() {
                reasons.push(format!("{} {words}: {}", count(found.len(), "name"), listed(found)));
            }
        }
        if always && !over.is_empty() {
            let n = count(over.len(), "name");
            reasons.push(format!("{n} with two processes at a time: {}", listed(&over)));
        }
        let mut verdict = match reasons.split_first() {
            Some((first, rest)) => {
                rest.iter().fold(Verdict::invalid("names", first), |v, r| v.because(r))
            }
            None if all.holders.is_empty() => Verdict::unknown("names", "no process was found"),
            None if !self.moved.is_empty() => {
                let moved: Vec<&Value> = self.moved.iter().collect();
                let why = "with different processes in the final reads, which may have followed one another";
                Verdict::unknown(
                    "names",
                    format!("{} {why}: {}", count(moved.len(), "name"), listed(&moved)),
                )
            }
            None => Verdict::valid("names"),
        };
        verdict.sample(self.stays);
        verdict.sample(self.others);
        let (over_count, longest) = (self.over.len(), self.longest_ms);
        if always {
            verdict.sample(self.over);
        }
        finals.apply(&mut verdict);
        let verdict = verdict
            .with("name_count", all.known.len())
            .with("process_count", all.holders.values().map(Vec::len).sum::<usize>())
            .with("duplicate_count", over_count)
            .with("longest_duplicate_ms", longest)
            .with("longest_duplicate", seconds_ms(longest));
        let verdict = verified(history, verdict, verify::names);
        faults.state(history, verdict)
    }
}
