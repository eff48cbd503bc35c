//! The errors that operations ended with, in a sentence: why a run can say nothing.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use fuzz_dist_history::History;
use fuzz_dist_history::op::Kind;

/// So many kinds of error are named.
const KINDS_MAX: usize = 4;

/// `57 operations ended with errors: timeout 43, refused 12, no answer 2`; `None` where all
/// operations were answered and none with an error.
pub(super) fn sentence(history: &History) -> Option<String> {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for invoked in history.invocations() {
        let end = invoked.completion;
        let kind = match end.and_then(|end| history.error(end)) {
            Some(error) => &*error.kind,
            None if end.is_none_or(|end| history.kind(end) == Kind::Info) => "no answer",
            None => continue,
        };
        *kinds.entry(kind).or_default() += 1;
    }
    let all: usize = kinds.values().sum();
    let mut kinds: Vec<(&str, usize)> = kinds.into_iter().collect();
    kinds.sort_by_key(|(kind, n)| (Reverse(*n), *kind));
    let others: usize = kinds.iter().skip(KINDS_MAX).map(|(_, n)| n).sum();
    let mut words: Vec<String> =
        kinds.iter().take(KINDS_MAX).map(|(kind, n)| format!("{kind} {n}")).collect();
    words.extend((others > 0).then(|| format!("other errors {others}")));
    let noun = if all == 1 { "operation" } else { "operations" };
    (all > 0).then(|| format!("{all} {noun} ended with errors: {}", words.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::super::{Verdict, explained};
    use fuzz_dist_history::History;
    use fuzz_dist_history::op::{Event, Kind, NodeId, OpError, Phase, Process, Value};
    use fuzz_dist_history::time::Time;

    fn history(ends: &[(Kind, Option<&str>)]) -> History {
        let mut history = History::new(["n1"]);
        for (process, (kind, error)) in ends.iter().enumerate() {
            let event = |kind, error| Event {
                time: Time::ZERO,
                process: Process(process as u32),
                node: Some(NodeId(0)),
                kind,
                f: "read".into(),
                value: Value::Nil,
                error,
                phase: Phase::Main,
            };
            history.push(event(Kind::Invoke, None)).unwrap();
            if *kind != Kind::Invoke {
                let error = error.map(|kind| OpError::new(kind, "text"));
                history.push(event(*kind, error)).unwrap();
            }
        }
        history
    }

    #[test]
    fn an_unknown_run_says_with_which_errors_its_operations_ended() {
        let mut ends = vec![(Kind::Ok, None), (Kind::Invoke, None), (Kind::Fail, None)];
        ends.extend([(Kind::Info, Some("timeout")); 3]);
        ends.extend(["a", "b", "c", "d", "d"].map(|kind| (Kind::Fail, Some(kind))));
        let verdict = explained(Verdict::unknown("x", "no add").because("more"), &history(&ends));
        assert_eq!(
            verdict.reasons,
            [
                "no add",
                "9 operations ended with errors: timeout 3, d 2, a 1, b 1, other errors 2",
                "more",
            ]
        );
        let valid = explained(Verdict::valid("x"), &history(&ends));
        assert!(valid.reasons.is_empty());
        let verdict = explained(Verdict::unknown("x", "no add"), &history(&ends[..1]));
        assert_eq!(verdict.reasons, ["no add"]);
    }
}
