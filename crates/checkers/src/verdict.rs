//! Verdicts: valid, unknown or invalid, with the anomalies that prove it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Arguments, Cause};
use fuzz_dist_history::op::{Name, NodeId, Value};
use fuzz_dist_history::time::Time;

/// The result with the arguments with which the command builds the checker.
pub const ARGUMENTS: &str = "arguments";

/// The lattice of verdicts: composing takes the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validity {
    /// The property holds in this history.
    Valid,
    /// The history proves neither.
    Unknown,
    /// The history proves that it does not hold.
    Invalid,
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Validity::Valid => "valid",
            Validity::Unknown => "unknown",
            Validity::Invalid => "invalid",
        })
    }
}

/// One thing that must not be in a history, and where it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// What kind: `lost`, `duplicate`, `G1c`.
    pub kind: Name,
    /// What it is about: the element, the key, the transaction.
    pub subject: Value,
    /// Sentences for people.
    pub explanation: String,
    /// The events that prove it, in order.
    pub events: Vec<usize>,
    /// The node where it shows, where that is one.
    pub node: Option<NodeId>,
    /// When it showed.
    pub time: Option<Time>,
    /// The interval in which it came about, where the reads narrow it down: for an element that
    /// vanished, from the last read with it to the first one without it on the same node.
    pub within: Option<(Time, Time)>,
    /// What the nodes' runtimes had said that bears on it, the nearest first.
    pub causes: Vec<Cause>,
    /// The number of the fault that it came from, as far as that is known.
    pub fault: Option<i64>,
}

impl Anomaly {
    /// An anomaly of a kind about a subject; the rest is added by the methods below.
    pub fn new(kind: impl Into<Name>, subject: impl Into<Value>) -> Anomaly {
        Anomaly {
            kind: kind.into(),
            subject: subject.into(),
            explanation: String::new(),
            events: Vec::new(),
            node: None,
            time: None,
            within: None,
            causes: Vec::new(),
            fault: None,
        }
    }

    /// With sentences for people.
    #[must_use]
    pub fn explained(mut self, explanation: impl Into<String>) -> Anomaly {
        self.explanation = explanation.into();
        self
    }

    /// With the events that prove it.
    #[must_use]
    pub fn proved_by(mut self, events: impl IntoIterator<Item = usize>) -> Anomaly {
        self.events = events.into_iter().collect();
        self
    }

    /// With the node where it shows.
    #[must_use]
    pub fn on(mut self, node: Option<NodeId>) -> Anomaly {
        self.node = node;
        self
    }

    /// With the time when it showed.
    #[must_use]
    pub fn at(mut self, time: Time) -> Anomaly {
        self.time = Some(time);
        self
    }

    /// With the interval in which it came about; see [`Anomaly::within`].
    #[must_use]
    pub fn came_about(mut self, within: Option<(Time, Time)>) -> Anomaly {
        self.within = within;
        self
    }
}

/// What a checker says about a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The verdict itself.
    pub validity: Validity,
    /// Who says it.
    pub checker: Name,
    /// Why it is not valid, in sentences.
    pub reasons: Vec<String>,
    /// What must not be in the history, most informative first. Of a kind that occurs often it is a
    /// sample: [`Verdict::count`] gives the whole number.
    pub anomalies: Vec<Anomaly>,
    /// How many anomalies of a kind there are, where `anomalies` has only some of them.
    pub counts: BTreeMap<Name, usize>,
    /// Figures: counts, quantiles, lists, by name.
    pub results: BTreeMap<Name, Json>,
    /// The verdicts that this one is composed of.
    pub parts: Vec<Verdict>,
}

impl Verdict {
    fn new(checker: impl Into<Name>, validity: Validity) -> Verdict {
        Verdict {
            validity,
            checker: checker.into(),
            reasons: Vec::new(),
            anomalies: Vec::new(),
            counts: BTreeMap::new(),
            results: BTreeMap::new(),
            parts: Vec::new(),
        }
    }

    /// The property holds.
    pub fn valid(checker: impl Into<Name>) -> Verdict {
        Verdict::new(checker, Validity::Valid)
    }

    /// The history proves neither, because of `reason`.
    pub fn unknown(checker: impl Into<Name>, reason: impl Into<String>) -> Verdict {
        Verdict::new(checker, Validity::Unknown).because(reason)
    }

    /// The history proves that it does not hold, because of `reason`.
    pub fn invalid(checker: impl Into<Name>, reason: impl Into<String>) -> Verdict {
        Verdict::new(checker, Validity::Invalid).because(reason)
    }

    /// The verdict over several: the greatest of them, with their reasons and anomalies.
    ///
    /// ```
    /// # use fuzz_dist_checkers::{Validity, Verdict};
    /// let parts = [Verdict::valid("stats"), Verdict::unknown("power", "nothing was read")];
    /// assert_eq!(Verdict::compose("all", parts).validity, Validity::Unknown);
    /// ```
    pub fn compose(checker: impl Into<Name>, parts: impl IntoIterator<Item = Verdict>) -> Verdict {
        let mut whole = Verdict::valid(checker);
        whole.parts = parts.into_iter().collect();
        whole.validity = whole.parts.iter().map(|p| p.validity).max().unwrap_or(Validity::Valid);
        for part in &whole.parts {
            if part.validity == whole.validity && part.validity != Validity::Valid {
                whole.reasons.extend(part.reasons.iter().cloned());
                whole.anomalies.extend(part.anomalies.iter().cloned());
                for kind in part.kinds() {
                    *whole.counts.entry(kind.clone()).or_default() += part.count(kind);
                }
            }
        }
        whole
    }

    /// With one more reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Verdict {
        self.reasons.push(reason.into());
        self
    }

    /// With one more figure; what cannot be written as JSON is left out.
    #[must_use]
    pub fn with(mut self, name: impl Into<Name>, figure: impl Serialize) -> Verdict {
        if let Ok(json) = serde_json::to_value(figure) {
            self.results.insert(name.into(), json);
        }
        self
    }

    /// With the arguments with which the command builds the checker, where it can.
    #[must_use]
    #[doc(hidden)]
    pub fn asked(self, arguments: Option<Arguments>) -> Verdict {
        match arguments {
            Some(arguments) => self.with(ARGUMENTS, arguments),
            None => self,
        }
    }

    /// With the number of anomalies of a kind, of which `anomalies` may have only some.
    #[must_use]
    pub fn counted(mut self, kind: impl Into<Name>, count: usize) -> Verdict {
        self.count_of(kind, count);
        self
    }

    /// Takes note of the number of anomalies of a kind.
    #[doc(hidden)]
    pub fn count_of(&mut self, kind: impl Into<Name>, count: usize) {
        if count > 0 {
            self.counts.insert(kind.into(), count);
        }
    }

    /// Lists the first of these anomalies, and counts all of them.
    pub(super) fn sample(&mut self, mut found: Vec<Anomaly>) {
        for anomaly in &found {
            *self.counts.entry(anomaly.kind.clone()).or_default() += 1;
        }
        found.truncate(super::ANOMALIES_MAX);
        self.anomalies.append(&mut found);
    }

    /// How many anomalies of a kind there are, those included that are not listed.
    pub fn count(&self, kind: &str) -> usize {
        let listed = self.anomalies.iter().filter(|a| *a.kind == *kind).count();
        self.counts.get(kind).copied().unwrap_or(0).max(listed)
    }

    /// The kinds of its anomalies, each once.
    pub fn kinds(&self) -> BTreeSet<&Name> {
        self.anomalies.iter().map(|a| &a.kind).collect()
    }

    /// Is it valid?
    pub fn is_valid(&self) -> bool {
        self.validity == Validity::Valid
    }

    /// Is it invalid?
    pub fn is_invalid(&self) -> bool {
        self.validity == Validity::Invalid
    }

    /// The part that a checker of this name said, this one included.
    pub fn part(&self, checker: &str) -> Option<&Verdict> {
        if &*self.checker == checker {
            return Some(self);
        }
        self.parts.iter().find_map(|p| p.part(checker))
    }

    /// A few lines that are the same for every run with the same findings: validity of every
    /// part and the kinds of anomalies, without counts, times or elements. For snapshots.
    ///
    /// ```
    /// # use fuzz_dist_checkers::Verdict;
    /// assert_eq!(Verdict::valid("set_full").summary(), "set_full: valid\n");
    /// ```
    pub fn summary(&self) -> String {
        let mut text = String::new();
        self.summarise(0, &mut text);
        text
    }

    fn summarise(&self, depth: usize, text: &mut String) {
        let kinds: Vec<&str> = self.kinds().into_iter().map(|kind| &**kind).collect();
        let kinds =
            if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
        let indent = "  ".repeat(depth);
        text.push_str(&format!("{indent}{}: {}{kinds}\n", self.checker, self.validity));
        for part in &self.parts {
            part.summarise(depth + 1, text);
        }
    }
}
