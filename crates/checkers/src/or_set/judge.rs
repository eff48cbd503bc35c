//! What the final reads of an add-wins set, and any read of what was never there, prove.

use std::collections::HashMap;

use super::super::Anomaly;
use super::super::calls::{Call, Outcome};
use super::super::evidence::node_of;
use super::{Element, Facts, Finding};
use fuzz_dist_history::History;
use fuzz_dist_history::op::NodeId;

/// The kinds of findings that are judged in any case.
pub(super) const KINDS: [&str; 8] = [
    "lost",
    "missing",
    "not_removed",
    "differs",
    "unexpected",
    "early",
    "resurrected",
    "duplicate",
];

impl Element<'_> {
    /// The acknowledged add that no remove can have seen, which keeps the element in the set.
    pub(super) fn keeper(&self) -> Option<&Call> {
        let last = self.removes.iter().map(Call::end).max();
        let mut adds = self.adds.iter().rev();
        // An add that was invoked before a remove ended may have been seen by it.
        adds.find(|a| a.acknowledged().is_some() && last.is_none_or(|end| a.invoked > end))
    }

    /// May an add or a remove still take effect?
    fn has_open(&self) -> bool {
        self.adds.iter().chain(self.removes).any(|c| c.outcome == Outcome::Open)
    }
}

impl Facts<'_> {
    /// All findings that need no session, and the elements in which final reads differ by what an
    /// update of unknown outcome may have done between them.
    pub(super) fn judge(&self) -> (Vec<Finding>, Vec<u32>) {
        let (mut findings, mut unsure) = (self.strangers(), Vec::new());
        self.final_reads(&mut findings, &mut unsure);
        (findings, unsure)
    }

    /// Elements read that cannot have been there, and those read twice at a time.
    fn strangers(&self) -> Vec<Finding> {
        let mut first: Vec<Option<(u32, usize)>> = vec![None; self.elements.len()];
        for (s, stream) in self.streams.streams.iter().enumerate() {
            for change in stream.changes.iter().filter(|c| c.appears()) {
                let completed = stream.completed[change.read() as usize];
                let slot = &mut first[change.id as usize];
                if slot.is_none_or(|(earliest, _)| completed < earliest) {
                    *slot = Some((completed, s));
                }
            }
        }
        let mut findings = Vec::new();
        for (id, seen) in first.into_iter().enumerate() {
            let Some((read, stream)) = seen else { continue };
            let element = &self.elements[id];
            let begun = |calls: &[Call]| calls.iter().any(|c| c.invoked < read as usize);
            let kind = if begun(element.adds) {
                continue;
            } else if begun(element.failed_adds) {
                "resurrected"
            } else if element.adds.is_empty() && element.failed_adds.is_empty() {
                "unexpected"
            } else {
                "early"
            };
            findings.push(Finding { kind, id: id as u32, stream, read });
        }
        let mut twice: Vec<(u32, u32)> =
            self.streams.duplicates.iter().map(|(id, d)| (*id, d.event)).collect();
        twice.sort_unstable();
        for (id, read) in twice {
            findings.push(Finding { kind: "duplicate", id, stream: 0, read });
        }
        findings
    }

    fn final_reads(&self, findings: &mut Vec<Finding>, unsure: &mut Vec<u32>) {
        let finals: Vec<(usize, u32)> = (self.streams.streams.iter().enumerate())
            .filter_map(|(s, stream)| Some((s, stream.final_read(self.history)?)))
            .collect();
        if finals.is_empty() || !self.settled {
            return;
        }
        let has: Vec<Vec<bool>> = finals
            .iter()
            .map(|(s, place)| {
                let mut has = vec![false; self.elements.len()];
                let changes = self.streams.streams[*s].changes.iter();
                for change in changes.take_while(|c| c.read() <= *place) {
                    has[change.id as usize] = change.appears();
                }
                has
            })
            .collect();
        for (id, element) in self.elements.iter().enumerate().filter(|(_, e)| !e.adds.is_empty()) {
            let present = has.iter().filter(|h| h[id]).count();
            let read = |i: usize, kind| {
                let (stream, place) = finals[i];
                let read = self.streams.streams[stream].completed[place as usize];
                Finding { kind, id: id as u32, stream, read }
            };
            if element.keeper().is_some() {
                let kind = if present == 0 { "lost" } else { "missing" };
                let absent = (0..finals.len()).filter(|i| !has[*i][id]);
                findings.extend(
                    absent.take(if present == 0 { 1 } else { usize::MAX }).map(|i| read(i, kind)),
                );
            } else if present > 0 && self.removed(id as u32) {
                findings.extend(
                    (0..finals.len()).filter(|i| has[*i][id]).map(|i| read(i, "not_removed")),
                );
            } else if present > 0 && present < finals.len() && element.has_open() {
                unsure.push(id as u32);
            } else if present > 0 && present < finals.len() {
                findings
                    .extend((0..finals.len()).find(|i| !has[*i][id]).map(|i| read(i, "differs")));
            }
        }
    }

    /// Does every add that may have happened precede an acknowledged remove causally?
    fn removed(&self, id: u32) -> bool {
        let element = &self.elements[id as usize];
        let mut last: HashMap<(u32, Option<NodeId>), usize> = HashMap::new();
        for remove in element.removes.iter().filter(|r| r.acknowledged().is_some()) {
            // Removes stand in the order of their invocation.
            for session in self.sessions_of(remove) {
                last.insert(session, remove.invoked);
            }
        }
        element.adds.iter().enumerate().all(|(i, add)| {
            let own = add.acknowledged().is_some_and(|done| {
                self.sessions_of(add).iter().any(|s| last.get(s).is_some_and(|r| done < *r))
            });
            // Reads before the second add was invoked show the first one, if anything.
            let until = element.adds.get(1).map_or(usize::MAX, |a| a.invoked);
            own || (i == 0 && self.was_read_and_removed(element, id, add.invoked, until))
        })
    }

    /// The client, and the node where that is sequential.
    fn sessions_of(&self, call: &Call) -> Vec<(u32, Option<NodeId>)> {
        let mut sessions = vec![(call.process.0, None)];
        if self.options.sequential_nodes {
            sessions.push((u32::MAX, self.history.node(call.invoked)));
        }
        sessions
    }

    /// Did a client read the element between two events, and remove it later?
    fn was_read_and_removed(
        &self,
        element: &Element<'_>,
        id: u32,
        from: usize,
        until: usize,
    ) -> bool {
        element.removes.iter().filter(|r| r.acknowledged().is_some()).any(|remove| {
            let until = until.min(remove.invoked);
            self.views.iter().zip(&self.streams.streams).any(|(view, stream)| {
                view.read_between(stream, id as usize, remove.process.0, from, until)
            })
        })
    }

    /// A finding in words.
    pub(super) fn explain(&self, finding: &Finding) -> Anomaly {
        let (h, element) = (self.history, &self.elements[finding.id as usize]);
        let name = &self.names[finding.id as usize];
        let read = finding.read as usize;
        let (node, time) = (node_of(h, read), h.time(read));
        let add = element.keeper().or(element.adds.last()).or(element.failed_adds.last());
        let remove = element.removes.iter().rev().find(|r| r.acknowledged().is_some());
        let text = match finding.kind {
            "lost" | "missing" => {
                let place = if finding.kind == "lost" { "every node".into() } else { node };
                format!(
                    "{name}, {}, is missing on {place} in the end (read at {time}), though no remove can have seen that add",
                    add.map_or_else(String::new, |a| did(h, "added", a))
                )
            }
            "not_removed" => format!(
                "{name}, {}, is still on {node} in the end (read at {time}), though every add of it came before",
                remove.map_or_else(String::new, |r| did(h, "removed", r))
            ),
            "differs" => {
                format!("{name} is not on {node} in the end (read at {time}), but on others")
            }
            "unexpected" => {
                format!("{name} was read on {node} at {time}, but no client added it")
            }
            "early" => format!("{name} was read on {node} at {time}, before its add was invoked"),
            "resurrected" => format!("{name} was read on {node} at {time}, but its add had failed"),
            "duplicate" => format!("{name} stood more than once in the read on {node} at {time}"),
            "own_add_unread" => {
                format!("a client read on {node} at {time} without {name}, which it had added")
            }
            _ => format!("a client read {name} on {node} at {time}, which it had removed"),
        };
        let mut events: Vec<usize> = [add, remove]
            .into_iter()
            .flatten()
            .flat_map(|c| [Some(c.invoked), c.completed])
            .flatten()
            .collect();
        let from = events.iter().min().map_or(time, |e| h.time(*e));
        events.push(read);
        events.sort_unstable();
        let active = self.faults.between(from, time);
        let text =
            if active.is_empty() { text } else { format!("{text}; active meanwhile: {active}") };
        Anomaly::new(finding.kind, name.clone())
            .explained(text)
            .on(h.node(read))
            .at(time)
            .proved_by(events)
    }
}

/// Of an operation that was acknowledged.
fn did(h: &History, verb: &str, call: &Call) -> String {
    let at = h.time(call.completed.unwrap_or(call.invoked));
    let node = node_of(h, call.invoked);
    format!("{verb} by client {} (acknowledged by {node} at {at})", call.process)
}
