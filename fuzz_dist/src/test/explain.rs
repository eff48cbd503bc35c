//! What the nodes' runtimes said, put behind what the checkers say about their anomalies.

use crate::checker::{Anomaly, Validity, Verdict};
use crate::history::History;
use crate::time::Time;

/// The same verdict; its anomalies say what the runtime had seen before they showed.
pub(super) fn explained(mut verdict: Verdict, history: &History) -> Verdict {
    if verdict.validity == Validity::Valid || history.runtime_line().is_none() {
        return verdict;
    }
    explain(&mut verdict, history);
    verdict
}

fn explain(verdict: &mut Verdict, history: &History) {
    for anomaly in &mut verdict.anomalies {
        let said = history.runtime_before(until(anomaly, history), anomaly.node);
        if !said.is_empty() && !anomaly.explanation.contains(&said) {
            let before = anomaly.explanation.trim_end();
            let stop = if before.is_empty() || before.ends_with('.') { "" } else { "." };
            anomaly.explanation = format!("{before}{stop} {said}").trim_start().to_string();
        }
    }
    for part in &mut verdict.parts {
        explain(part, history);
    }
}

/// When it showed: what was said later explains nothing.
fn until(anomaly: &Anomaly, history: &History) -> Time {
    let events = anomaly.events.iter().filter(|i| **i < history.len());
    let proved = events.map(|i| history.time(*i)).max();
    proved.max(anomaly.time).unwrap_or(Time(u64::MAX))
}
