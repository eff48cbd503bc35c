//! `log_pattern`: nothing alarming stands in what the nodes logged.

use super::Arguments;
use super::evidence::{count, node_of};
use super::{ANOMALIES_MAX, Anomaly, Checker, Verdict};
use crate::registration::{Judges, Needs, Opt, Registration, built};
use fuzz_dist_history::op::Process;
use fuzz_dist_history::{History, View};

/// Looks for text in what the nodes logged; see [`log_pattern`].
#[derive(Clone, Debug)]
pub struct LogPattern {
    patterns: Vec<String>,
}

/// Judges whether a node logged a line that contains one of these texts (after Jepsen's
/// jepsen.checker/log-file-pattern). Lines are events of the runtime whose function is `log`
/// and whose value is the line.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, log_pattern, histories::Recorder};
/// # use fuzz_dist_history::op::{Kind, NodeId, Process, Value};
/// let mut r = Recorder::new(["n1"]);
/// let line = Value::from("=CRASH REPORT==== out of memory");
/// r.event(Process::RUNTIME, Some(NodeId(0)), Kind::Info, "log".into(), line);
/// assert!(log_pattern(["CRASH REPORT"]).check(&r.history()).is_invalid());
/// ```
pub fn log_pattern<T: Into<String>>(patterns: impl IntoIterator<Item = T>) -> LogPattern {
    LogPattern { patterns: patterns.into_iter().map(Into::into).collect() }
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "log_pattern",
    about: "no node logged one of these texts",
    judges: Judges::Anything,
    needs: Needs::Order,
    options: &[Opt::value("patterns", "the texts, comma-separated", "crash,oops").required()],
    build: |o| {
        let patterns = o.word("patterns").ok_or("expected -o patterns=TEXT,TEXT")?;
        built(log_pattern(patterns.split(',')))
    },
};

impl Checker for LogPattern {
    fn check(&self, history: &History) -> Verdict {
        let log = history.find_function("log");
        let (mut lines, mut matches) = (0usize, 0usize);
        let mut found = Vec::new();
        for i in 0..history.len() {
            if Some(history.function_index(i)) != log || history.process(i) != Process::RUNTIME {
                continue;
            }
            let Some(line) = history.view(i).and_then(View::as_text) else { continue };
            lines += 1;
            let Some(pattern) = self.patterns.iter().find(|p| line.contains(&**p)) else {
                continue;
            };
            matches += 1;
            if found.len() < ANOMALIES_MAX {
                let (node, time) = (node_of(history, i), history.time(i));
                let text = format!("{node} logged at {time}: {line}");
                found.push(
                    Anomaly::new("log_line", &**pattern)
                        .explained(text)
                        .on(history.node(i))
                        .at(time)
                        .proved_by([i]),
                );
            }
        }
        let mut verdict = match matches {
            0 => Verdict::valid("log_pattern"),
            n => Verdict::invalid("log_pattern", format!("{} matched", count(n, "log line"))),
        };
        verdict.anomalies = found;
        verdict.counted("log_line", matches).with("line_count", lines).with("match_count", matches)
    }

    fn arguments(&self) -> Option<Arguments> {
        let one = |text: &String| !text.contains(',');
        let all = self.patterns.join(",");
        // An option that is required has some text.
        let all_empty = all.is_empty();
        let asked = Arguments::of("log_pattern").option("patterns", all, "");
        (!all_empty && self.patterns.iter().all(one)).then_some(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::super::histories::Recorder;
    use super::*;
    use fuzz_dist_history::op::{Kind, NodeId, Value};

    #[test]
    fn lines_are_named_with_their_node() {
        let mut r = Recorder::new(["n1", "n2"]);
        for (node, line) in [(0, "fine"), (1, "badmatch in shop"), (1, "fine")] {
            let (node, line) = (Some(NodeId(node)), Value::from(line));
            r.event(Process::RUNTIME, node, Kind::Info, "log".into(), line);
        }
        let verdict = log_pattern(["crash", "badmatch"]).check(&r.history());
        assert_eq!(verdict.anomalies.len(), 1);
        assert_eq!(verdict.anomalies[0].node, Some(NodeId(1)));
        assert_eq!(verdict.results["line_count"], 3);
    }
}
