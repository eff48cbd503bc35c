//! Sentences about elements: who acknowledged them, who showed them, when they were missed.

use super::super::Anomaly;
use super::super::calls::Outcome;
use super::super::dense::Values;
use super::super::evidence::{Faults, node_name, node_of};
use super::super::sets::{Adds, NONE, Sights, Stream, Streams};
use super::analysis::Analysis;
use fuzz_dist_history::History;
use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::{NodeId, Value};
use fuzz_dist_history::time::Time;

/// Everything that an explanation needs.
pub(super) struct Facts<'a> {
    pub(super) history: &'a History,
    pub(super) adds: &'a Adds,
    pub(super) names: &'a Values<'a>,
    pub(super) streams: &'a Streams<Sights>,
    pub(super) analysis: &'a Analysis,
    pub(super) faults: &'a Faults,
}

/// An element's life on every node, for the few elements that are explained.
pub(super) struct Life {
    /// Per stream, the runs of reads that have it.
    runs: Vec<Vec<(u32, u32)>>,
}

/// How an element ended.
struct Ends {
    /// The stream and the completion of the read that has it and was invoked last.
    seen: Option<(u32, u32)>,
    /// Between which reads of one node it vanished.
    loss: Option<(Time, Time)>,
}

impl Life {
    /// Did a read of this stream ever have it?
    pub(super) fn is_known_to(&self, stream: usize) -> bool {
        !self.runs[stream].is_empty()
    }
}

impl Facts<'_> {
    /// The element itself.
    pub(super) fn name(&self, id: u32) -> Value {
        self.names.get(id)
    }

    /// The lives of some elements.
    pub(super) fn lives(&self, ids: impl IntoIterator<Item = u32>) -> FastMap<u32, Life> {
        let streams = &self.streams.streams;
        let life = |id: u32| Life {
            runs: streams.iter().map(|s| s.changes.with_runs(id, <[_]>::to_vec)).collect(),
        };
        ids.into_iter().map(|id| (id, life(id))).collect()
    }

    /// Known, and gone from everywhere that a late read looked at.
    pub(super) fn lost(&self, id: u32, life: &Life) -> Anomaly {
        let seen = self.last_seen(life);
        // Where some read began later and has it, what the nodes read in the end proves it, or
        // else the absent read that began last.
        let last = |stream: &Stream<Sights>| {
            Some(stream.completed[stream.final_read(self.history)? as usize] as usize)
        };
        let ended = || self.streams.streams.iter().find_map(last);
        let absent = self.analysis.last_absent[id as usize];
        let absent =
            || (absent != NONE).then(|| self.history.completion(absent as usize)).flatten();
        let gone = self.first_gone(id, seen.map(|(_, completed)| completed));
        let gone = gone.or_else(ended).or_else(absent);
        let mut text = self.birth(id);
        text.push_str(&self.shown(life, seen));
        if let Some(gone) = gone {
            let (node, time) = (node_of(self.history, gone), self.history.time(gone));
            text.push_str(&format!("; lost: the read on {node} at {time} and later ones lack it"));
        }
        // Where it was seen last is where it vanished; where it was never seen, its own node had it.
        let (on, loss) = match seen {
            Some((stream, _)) => {
                let stream = stream as usize;
                (self.streams.streams[stream].node, self.vanished(life, stream))
            }
            None => (None, self.never_shown(id)),
        };
        let loss = loss.or_else(|| {
            let from = self.history.time(self.adds.invoked[id as usize] as usize);
            Some((from, self.history.time(gone?)))
        });
        self.finish("lost", id, text, gone, on, Ends { seen, loss })
    }

    /// Between which of a node's reads the element vanished from it for the last time: the
    /// invocation of the last read with it, and the completion of the first later one without it.
    pub(super) fn vanished(&self, life: &Life, stream: usize) -> Option<(Time, Time)> {
        let on = &self.streams.streams[stream];
        let (from, to) = *life.runs[stream].last()?;
        let invoked = on.invoked[on.last_invoked(from, to)? as usize];
        let gone = (to as usize..on.len()).find(|r| on.invoked[*r] > invoked)?;
        let time = |event: u32| self.history.time(event as usize);
        Some((time(invoked), time(on.completed[gone])))
    }

    /// Where nobody ever read it: from its add to the first read on the same node that lacks it.
    fn never_shown(&self, id: u32) -> Option<(Time, Time)> {
        let invoked = self.adds.invoked[id as usize];
        let known = self.analysis.known[id as usize];
        let node = self.history.node(invoked as usize);
        let on = self.streams.streams.iter().find(|stream| stream.node == node)?;
        let gone = (0..on.len()).find(|r| on.invoked[*r] > known)?;
        let time = |event: u32| self.history.time(event as usize);
        Some((time(invoked), time(on.completed[gone])))
    }

    /// Known, and not in this node's final read.
    pub(super) fn missing(&self, id: u32, life: &Life, stream: usize) -> Anomaly {
        let on = &self.streams.streams[stream];
        let node = node_name(self.history, on.node);
        let read = on.final_read(self.history).map(|r| on.completed[r as usize] as usize);
        let seen = self.last_seen(life);
        let mut text = self.birth(id);
        text.push_str(&self.shown(life, seen));
        let at = read.map_or(String::new(), |i| format!(" at {}", self.history.time(i)));
        let loss = self.vanished(life, stream);
        let ever = match (life.runs[stream].is_empty(), loss) {
            (true, _) => "never had it and".to_string(),
            (false, Some((_, gone))) if Some(gone) != read.map(|i| self.history.time(i)) => {
                format!("had it once, first lacked it at {gone} and")
            }
            (false, _) => "had it once, but".into(),
        };
        text.push_str(&format!("; missing on {node}, which {ever} lacks it in its final read{at}"));
        self.finish("missing", id, text, read, on.node, Ends { seen, loss })
    }

    /// A read has an element that must not be there.
    pub(super) fn intruder(&self, kind: &str, id: u32, read: u32) -> Anomaly {
        let (node, time) = (node_of(self.history, read as usize), self.history.time(read as usize));
        let name = self.name(id);
        let mut events = Vec::new();
        let why = match self.adds.invoked.get(id as usize) {
            None => "no client added it".to_string(),
            Some(last) => {
                // The add that had failed is the last one that was invoked before the read.
                let former = self.adds.former(id).iter().rev().find(|add| **add < read);
                let former = former.filter(|_| kind == "resurrected" && read < *last);
                let invoked = *former.unwrap_or(last) as usize;
                events.push(invoked);
                if kind == "resurrected" {
                    events.extend(self.history.completion(invoked));
                }
                let (at, on) = (self.history.time(invoked), node_of(self.history, invoked));
                if kind == "early" {
                    format!("its add on {on} was invoked only at {at}")
                } else {
                    format!("its add on {on} at {at} failed")
                }
            }
        };
        events.push(read as usize);
        events.sort_unstable();
        Anomaly::new(kind, name.clone())
            .explained(format!("{name} was read on {node} at {time}, but {why}"))
            .on(self.history.node(read as usize))
            .at(time)
            .proved_by(events)
    }

    /// A read has the element several times.
    pub(super) fn duplicate(&self, id: u32, event: u32, times: u32) -> Anomaly {
        let (node, time) =
            (node_of(self.history, event as usize), self.history.time(event as usize));
        let name = self.name(id);
        Anomaly::new("duplicate", name.clone())
            .explained(format!(
                "{name} stood more than once in the read on {node} at {time}, at most {times} times in one read"
            ))
            .on(self.history.node(event as usize))
            .at(time)
            .proved_by([event as usize])
    }

    /// A read invoked after the element was known lacks it, and later ones have it.
    pub(super) fn stale(&self, id: u32) -> Anomaly {
        let a = self.analysis;
        let read = a.last_absent[id as usize] as usize;
        let completed = self.history.completion(read).unwrap_or(read);
        let (node, time) = (node_of(self.history, completed), self.history.time(read));
        let text = format!(
            "{}; stale: the read on {node} invoked at {time} still lacks it",
            self.birth(id)
        );
        let ends = Ends { seen: None, loss: None };
        self.finish("stale", id, text, Some(completed), self.history.node(completed), ends)
    }

    fn finish(
        &self,
        kind: &str,
        id: u32,
        mut text: String,
        read: Option<usize>,
        node: Option<NodeId>,
        ends: Ends,
    ) -> Anomaly {
        let Ends { seen, loss } = ends;
        let (adds, history) = (self.adds, self.history);
        let known = self.analysis.known[id as usize];
        let from = history.time(adds.invoked[id as usize] as usize);
        let to =
            history.time(if known == NONE { adds.invoked[id as usize] } else { known } as usize);
        let then = self.faults.between(from, to);
        if !then.is_empty() {
            text.push_str(&format!("; active when it was added: {then}"));
        }
        if let Some((seen, gone)) = loss.filter(|_| seen.is_some()) {
            let since = self.faults.between(seen, gone);
            if !since.is_empty() && since != then {
                text.push_str(&format!("; active between its last sight and its absence: {since}"));
            }
        }
        let mut events =
            vec![adds.invoked[id as usize], adds.completed(history, id as usize), known];
        events.extend(seen.map(|(_, completed)| completed));
        events.extend(read.map(|r| r as u32));
        events.retain(|e| *e != NONE);
        events.sort_unstable();
        events.dedup();
        let anomaly = Anomaly::new(kind, self.name(id))
            .explained(text)
            .on(node)
            .came_about(loss)
            .proved_by(events.into_iter().map(|e| e as usize));
        match read {
            Some(read) => anomaly.at(history.time(read)),
            None => anomaly,
        }
    }

    /// Who acknowledged the element, when.
    pub(super) fn birth(&self, id: u32) -> String {
        let (adds, history) = (self.adds, self.history);
        let invoked = adds.invoked[id as usize] as usize;
        let (name, client, node) =
            (self.name(id), history.process(invoked), node_of(history, invoked));
        match adds.outcome[id as usize] {
            Outcome::Acknowledged => {
                let at = history.time(adds.completed(history, id as usize) as usize);
                format!("{name}, added by client {client}, was acknowledged by {node} at {at}")
            }
            _ => {
                let at = history.time(invoked);
                format!(
                    "{name}, added by client {client} on {node} at {at} without a known outcome"
                )
            }
        }
    }

    /// Which nodes ever showed it, and where last.
    fn shown(&self, life: &Life, seen: Option<(u32, u32)>) -> String {
        let Some((stream, completed)) = seen else { return ", was never read on any node".into() };
        let nodes: Vec<String> = (self.streams.streams.iter().zip(&life.runs))
            .filter(|(_, runs)| !runs.is_empty())
            .map(|(s, _)| node_name(self.history, s.node))
            .collect();
        let node = node_name(self.history, self.streams.streams[stream as usize].node);
        let at = self.history.time(completed as usize);
        format!(", was shown by {} and last seen on {node} at {at}", nodes.join(" "))
    }

    /// The stream and the completion of the read that has it and was invoked last.
    pub(super) fn last_seen(&self, life: &Life) -> Option<(u32, u32)> {
        let mut best: Option<(u32, u32, u32)> = None;
        for (s, (stream, runs)) in self.streams.streams.iter().zip(&life.runs).enumerate() {
            for (from, to) in runs {
                let Some(last) = stream.last_invoked(*from, *to) else { continue };
                let read = stream.invoked[last as usize];
                if best.is_none_or(|(b, ..)| read > b) {
                    best = Some((read, s as u32, stream.completed[last as usize]));
                }
            }
        }
        best.map(|(_, s, completed)| (s, completed))
    }

    /// The completion of the first read, by invocation, that lacks a lost element after it was
    /// known and seen for the last time.
    fn first_gone(&self, id: u32, seen: Option<u32>) -> Option<usize> {
        let seen = seen.and_then(|c| self.history.invocation(c as usize)).unwrap_or(0);
        let from = seen.max(self.analysis.known[id as usize] as usize);
        let firsts = self.streams.streams.iter().filter_map(|stream| {
            let reads = stream.invoked.iter().zip(&stream.completed);
            reads.filter(|(i, _)| **i as usize > from).min().map(|(i, c)| (*i, *c))
        });
        firsts.min().map(|(_, completed)| completed as usize)
    }
}
