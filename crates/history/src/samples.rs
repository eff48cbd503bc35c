//! How nodes were doing while a test ran: samples beside the history, on its clock, and in short.
//!
//! They are kept apart from the history, since nothing is judged by them and checkers should not have to
//! read past them: in `samples.jsonl`, a line for each, and here as what their numbers were in each phase.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value as Json, json};

use super::disk::Writer;
use crate::op::{Name, NodeId, Phase, Value};
use crate::time::Time;

/// So many samples of one node are kept; the rest is counted.
const SAMPLES_MAX: usize = 20_000;
/// Numbers that only grow while a node lives: shown per second.
const COUNTERS: [(&str, &str); 4] = [
    ("reductions", "reductions_per_s"),
    ("collections", "collections_per_s"),
    ("input_bytes", "input_bytes_per_s"),
    ("output_bytes", "output_bytes_per_s"),
];
/// Numbers whose greatest has a name beside it.
const NAMED: [(&str, &str); 2] =
    [("longest_mailbox", "longest_mailbox_of"), ("dist_queue", "dist_queue_to")];

/// A shared handle on the samples of a run.
#[derive(Clone, Debug, Default)]
pub struct Samples(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    file: Option<PathBuf>,
    writer: Option<Writer>,
    error: Option<String>,
    nodes: BTreeMap<NodeId, Node>,
}

#[derive(Debug, Default)]
struct Node {
    name: String,
    kept: usize,
    /// Above the limit, or missed in the node.
    lost: u64,
    counters: BTreeMap<Name, (Time, i64)>,
    phases: BTreeMap<Phase, BTreeMap<Name, Numbers>>,
}

/// All values of one number in one phase.
#[derive(Debug, Default)]
struct Numbers {
    values: Vec<i64>,
    greatest: Option<(i64, Time, Option<String>)>,
}

/// One number of one node in one phase, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spread {
    /// The node's name.
    pub node: String,
    /// The phase of the run.
    pub phase: Phase,
    /// Such as `run_queue`, `memory_total` (bytes), `reductions_per_s`.
    pub what: Name,
    /// How many samples have it.
    pub count: usize,
    /// The least.
    pub min: i64,
    /// The one in the middle; of an even count the lower one.
    pub median: i64,
    /// The greatest.
    pub max: i64,
    /// When it was first so great.
    pub max_at: Time,
    /// Whose it was then: a process for `longest_mailbox`, a node for `dist_queue`.
    pub max_of: Option<String>,
}

impl Samples {
    /// With a file, which is made when there is a first sample.
    pub fn to_file(path: &Path) -> Samples {
        let state = State { file: Some(path.into()), ..State::default() };
        Samples(Arc::new(Mutex::new(state)))
    }

    /// Keeps a sample.
    ///
    /// ```
    /// # use fuzz_dist_history::Samples;
    /// # use fuzz_dist_history::op::{NodeId, Phase, Value};
    /// # use fuzz_dist_history::time::Time;
    /// let samples = Samples::default();
    /// for (s, length) in [(1, 4), (2, 9), (3, 5)] {
    ///     let values = [("run_queue".into(), Value::Int(length))];
    ///     samples.push((NodeId(0), "n1"), Phase::Main, Time::from_secs(s), &values);
    /// }
    /// let spread = &samples.spreads()[0];
    /// assert_eq!((spread.min, spread.median, spread.max), (4, 5, 9));
    /// assert_eq!(spread.max_at, Time::from_secs(2));
    /// ```
    pub fn push(
        &self,
        (node, name): (NodeId, &str),
        phase: Phase,
        time: Time,
        values: &[(Name, Value)],
    ) {
        let state = &mut *self.state();
        let kept = state.nodes.entry(node).or_insert_with(|| Node::new(name));
        if !kept.push(phase, time, values) {
            return;
        }
        let mut line = Map::new();
        line.insert("time".into(), time.0.into());
        line.insert("node".into(), name.into());
        line.insert("phase".into(), phase.as_str().into());
        for (name, value) in values {
            let value = value.as_int().map(Json::from).or_else(|| value.as_text().map(Json::from));
            line.extend(value.map(|value| (name.to_string(), value)));
        }
        state.write(&format!("{}\n", Json::Object(line)));
    }

    /// Every number of every node in every phase that has samples.
    pub fn spreads(&self) -> Vec<Spread> {
        let state = self.state();
        let of_node = |node: &Node| -> Vec<Spread> {
            let phases = node.phases.iter();
            let numbers = phases.flat_map(|(phase, all)| all.iter().map(move |n| (*phase, n)));
            numbers.filter_map(|(phase, (what, n))| n.spread(&node.name, phase, what)).collect()
        };
        state.nodes.values().flat_map(of_node).collect()
    }

    /// How many samples were missed, or were more than are kept.
    pub fn lost(&self) -> u64 {
        self.state().nodes.values().map(|node| node.lost).sum()
    }

    /// What became of the file, where it could not be written.
    pub fn error(&self) -> Option<String> {
        let state = self.state();
        let written = state.writer.as_ref().and_then(|writer| writer.flush().err());
        state.error.clone().or_else(|| written.map(|error| error.why))
    }

    /// All of it as data, by node, phase and number; `None` where nothing was sampled.
    pub fn summary(&self) -> Option<Json> {
        let mut nodes = Map::new();
        for s in self.spreads() {
            let node = nodes.entry(s.node).or_insert_with(|| json!({}));
            let phase = &mut node[s.phase.as_str()];
            phase[&*s.what] = json!({
                "count": s.count, "min": s.min, "median": s.median, "max": s.max,
                "max_at_ns": s.max_at.0,
            });
            if let Some(of) = s.max_of {
                phase[&*s.what]["max_of"] = of.into();
            }
        }
        (!nodes.is_empty()).then(|| json!({ "lost": self.lost(), "nodes": nodes }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, line: &str) {
        if let Some(path) = self.file.take() {
            match Writer::create(&path, b"") {
                Ok(writer) => self.writer = Some(writer),
                Err(error) => self.error = Some(error.why),
            }
        }
        if let Some(writer) = self.writer.as_ref().filter(|writer| writer.is_working()) {
            writer.append(line.as_bytes());
        }
    }
}

impl Node {
    fn new(name: &str) -> Node {
        Node { name: name.into(), ..Node::default() }
    }

    /// Is there room for it?
    fn push(&mut self, phase: Phase, time: Time, values: &[(Name, Value)]) -> bool {
        let value = |name: &str| values.iter().find(|(n, _)| **n == *name).map(|(_, value)| value);
        let missed = value("missed").and_then(Value::as_int);
        self.lost += missed.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        if self.kept >= SAMPLES_MAX {
            self.lost += 1;
            return false;
        }
        self.kept += 1;
        let numbers = self.phases.entry(phase).or_default();
        let named = |what: &str| NAMED.iter().find(|(n, _)| *n == what).and_then(|n| value(n.1));
        for (name, value) in values.iter().filter(|(name, _)| &**name != "missed") {
            let Some(value) = value.as_int() else { continue };
            let Some((_, rate)) = COUNTERS.iter().find(|(counter, _)| **name == **counter) else {
                let of = named(name).and_then(Value::as_text);
                numbers.entry(name.clone()).or_default().push(value, time, of);
                continue;
            };
            let former = self.counters.insert(name.clone(), (time, value));
            // One that has shrunk belongs to a node that was started again.
            if let Some((since, former)) = former.filter(|(_, former)| *former <= value) {
                let nanoseconds = time.since(since).as_nanos().max(1);
                let per_s = (i128::from(value) - i128::from(former)) * 1_000_000_000;
                let per_s = i64::try_from(per_s / nanoseconds as i128).unwrap_or(i64::MAX);
                numbers.entry((*rate).into()).or_default().push(per_s, time, None);
            }
        }
        true
    }
}

impl Numbers {
    fn push(&mut self, value: i64, time: Time, of: Option<&str>) {
        self.values.push(value);
        if self.greatest.as_ref().is_none_or(|(most, ..)| value > *most) {
            self.greatest = Some((value, time, of.map(Into::into)));
        }
    }

    fn spread(&self, node: &str, phase: Phase, what: &Name) -> Option<Spread> {
        let mut sorted = self.values.clone();
        sorted.sort_unstable();
        let (max, max_at, max_of) = self.greatest.clone()?;
        Some(Spread {
            node: node.into(),
            phase,
            what: what.clone(),
            count: sorted.len(),
            min: *sorted.first()?,
            median: sorted[(sorted.len() - 1) / 2],
            max,
            max_at,
            max_of,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(
        samples: &Samples,
        phase: Phase,
        s: u64,
        values: &[(&str, i64)],
        words: &[(&str, &str)],
    ) {
        let numbers = values.iter().map(|(name, n)| (Name::from(*name), Value::Int(*n)));
        let words = words.iter().map(|(name, word)| (Name::from(*name), Value::from(*word)));
        let values: Vec<_> = numbers.chain(words).collect();
        samples.push((NodeId(1), "n2"), phase, Time::from_secs(s), &values);
    }

    fn spread(samples: &Samples, phase: Phase, what: &str) -> Option<Spread> {
        samples.spreads().into_iter().find(|s| s.phase == phase && &*s.what == what)
    }

    #[test]
    fn phases_are_distinguished_and_the_greatest_has_its_name() {
        let samples = Samples::default();
        let of = |name: &'static str| [("longest_mailbox_of", name)];
        push(&samples, Phase::Setup, 1, &[("longest_mailbox", 90)], &of("init"));
        push(&samples, Phase::Main, 2, &[("longest_mailbox", 3)], &of("a"));
        push(&samples, Phase::Main, 3, &[("longest_mailbox", 8)], &of("b"));
        push(&samples, Phase::Main, 4, &[("longest_mailbox", 8)], &of("c"));
        push(&samples, Phase::Main, 5, &[("longest_mailbox", 5)], &of("a"));
        let main = spread(&samples, Phase::Main, "longest_mailbox").unwrap();
        assert_eq!((main.count, main.min, main.median, main.max), (4, 3, 5, 8));
        assert_eq!((main.max_at, main.max_of.as_deref()), (Time::from_secs(3), Some("b")));
        let summary = samples.summary().unwrap();
        assert_eq!(summary["nodes"]["n2"]["setup"]["longest_mailbox"]["max_of"], "init");
        assert_eq!(summary["lost"], 0);
        assert_eq!(Samples::default().summary(), None);
    }

    #[test]
    fn counters_are_shown_per_second_and_begin_anew_with_the_node() {
        let samples = Samples::default();
        for (s, n) in [(1, 1000), (2, 3000), (4, 9000), (5, 10), (6, 20)] {
            push(&samples, Phase::Main, s, &[("reductions", n)], &[]);
        }
        let rate = spread(&samples, Phase::Main, "reductions_per_s").unwrap();
        assert_eq!((rate.count, rate.min, rate.median, rate.max), (3, 10, 2000, 3000));
        assert_eq!(spread(&samples, Phase::Main, "reductions"), None);
    }

    #[test]
    fn what_was_missed_is_counted_and_so_is_what_is_too_much() {
        let samples = Samples::default();
        push(&samples, Phase::Main, 1, &[("missed", 3), ("ports", 1)], &[]);
        assert_eq!(samples.lost(), 3);
        for s in 1..SAMPLES_MAX as u64 + 5 {
            push(&samples, Phase::Main, s, &[("ports", 1)], &[]);
        }
        assert_eq!(samples.lost(), 3 + 5);
        assert_eq!(spread(&samples, Phase::Main, "ports").unwrap().count, SAMPLES_MAX);
    }

    #[test]
    fn every_sample_is_a_line_and_a_file_that_cannot_be_made_is_reported() {
        let folder = std::env::temp_dir().join(format!("fuzz_dist-samples-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("samples.jsonl");
        let samples = Samples::to_file(&path);
        assert!(!path.exists());
        push(&samples, Phase::Main, 1, &[("ports", 4)], &[("dist_queue_to", "app@n1")]);
        assert_eq!(samples.error(), None);
        let text = std::fs::read_to_string(&path).unwrap();
        let line: Json = serde_json::from_str(text.trim()).unwrap();
        let expected = json!({
            "time": 1_000_000_000u64, "node": "n2", "phase": "main", "ports": 4,
            "dist_queue_to": "app@n1",
        });
        assert_eq!(line, expected);
        let refused = Samples::to_file(&folder.join("no/such/folder"));
        push(&refused, Phase::Main, 1, &[("ports", 4)], &[]);
        assert!(refused.error().is_some());
        assert_eq!(refused.spreads().len(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
