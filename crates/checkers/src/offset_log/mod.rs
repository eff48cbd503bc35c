//! `offset_log`: a log whose records have offsets: each one place, each read in order.
//!
//! For logs in the manner of Kafka. `send v` gives the offset of the record, or nil; `poll`
//! gives a list of pairs, offset and value. Values are distinct. The anomalies are those that
//! Jepsen's kafka workload names, for one log (`independent` judges several). Histories of that
//! workload itself are translated into this notation first (`kafka.rs`).

use super::Arguments;
use std::sync::Arc;

use super::evidence::count;
use super::finals::heed_the_end;
use super::online::OnlineLog;
use super::verify::{self, verified};
use super::{ANOMALIES_MAX, Checker, Independent, Online, Verdict, independent};
use crate::registration::{Judges, Needs, Opt, Registration, built};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Process;

mod kafka;
mod log;
use log::{Log, Unreadable};

/// Judges logs with offsets; see [`offset_log`].
#[derive(Clone, Copy, Debug, Default)]
pub struct OffsetLog {
    from_start: bool,
}

/// Judges a log:
/// - *inconsistent*: two values at one offset;
/// - *duplicate*: one value at two offsets;
/// - *unexpected*: a value that no client sent, or whose send failed;
/// - *lost*: acknowledged, never polled, and passed over by some client's polls;
/// - *non_monotonic*: one client's polls go back, or repeat;
/// - *skipped*: one client's polls pass over an offset that holds a record.
///
/// A record that no client polled is not lost for certain where a poll of unknown outcome may have
/// returned it, or where every client may have begun behind it (see
/// [`from_start`](OffsetLog::from_start)): then the verdict is *unknown*.
///
/// Histories of Jepsen's kafka workload are judged key by key: `send`, `poll` and `txn` with
/// micro-operations, `assign`, `subscribe` and `crash`. A consumer's position may be any after each
/// of the latter three, and after each poll of a consumer that subscribed, since its partitions may
/// move to another one. The order of sends and cycles between transactions are not judged.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, offset_log, histories::Recorder};
/// # use fuzz_dist_history::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// for (offset, value) in [(0, 10), (1, 11), (2, 12)] {
///     r.invoke(0, "send", value);
///     r.ok(0, offset);
/// }
/// r.invoke(1, "poll", Value::Nil);
/// r.ok(1, Value::list([[0, 10], [2, 12]].map(Value::list)));
/// let verdict = offset_log().check(&r.history());
/// assert_eq!(&*verdict.anomalies[0].kind, "lost");
/// ```
pub fn offset_log() -> OffsetLog {
    OffsetLog::default()
}

impl OffsetLog {
    /// Does every client poll from the beginning of the log? Then what lies before its first
    /// record was passed over, too. Clients of unknown beginnings may have begun anywhere.
    #[must_use]
    pub fn from_start(mut self, they_do: bool) -> OffsetLog {
        self.from_start = they_do;
        self
    }
}

const KINDS: [&str; 6] =
    ["inconsistent", "duplicate", "unexpected", "lost", "non_monotonic", "skipped"];

/// The functions of the log, and those of Jepsen's kafka workload.
const FUNCTIONS: &[&str] =
    &["send", "poll", "txn", "assign", "subscribe", "crash", "debug-topic-partitions"];

pub(crate) const REGISTRATION: Registration = Registration {
    name: "offset_log",
    about: "a log whose records have offsets",
    judges: Judges::Only(FUNCTIONS),
    needs: Needs::Clients,
    options: &[Opt::flag("from-start", "every client polls from the beginning of the log")],
    build: |o| built(offset_log().from_start(o.flag("from-start")?)),
};

impl Checker for OffsetLog {
    fn check(&self, history: &History) -> Verdict {
        match kafka::is_kafka(history) {
            true => self.of_kafka(history),
            false => OneLog { from_start: self.from_start, processes: None }.check(history),
        }
    }

    fn online(&self, _: &History) -> Option<Box<dyn Online>> {
        Some(Box::<OnlineLog>::default())
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of("offset_log").flag("from-start", self.from_start))
    }
}

impl OffsetLog {
    fn of_kafka(&self, history: &History) -> Verdict {
        let unknown = |why: String| Verdict::unknown("offset_log", why);
        if self.from_start {
            return unknown(
                "from_start does not go with the kafka workload, whose consumers begin anywhere"
                    .into(),
            );
        }
        let translated = match kafka::translated(history) {
            Ok(translated) => translated,
            Err(event) => {
                return unknown(format!(
                    "`{}` of {} at event {event} is no operation of the kafka workload, such as `send` of [[:send k v]] with the result [[:send k [offset v]]], or `poll` of [[:poll]] with the result [[:poll {{k [[offset v]]}}]]",
                    history.function(event),
                    history.value(event)
                ));
            }
        };
        let processes = Some(translated.processes.into());
        let one: Independent<OneLog> = independent(OneLog { from_start: false, processes });
        let mut verdict = one.check(&translated.history);
        verdict.checker = "offset_log".into();
        let mut anomalies: Vec<_> = verdict.anomalies.iter_mut().collect();
        anomalies.extend(verdict.parts.iter_mut().flat_map(|p| &mut p.anomalies));
        for event in anomalies.into_iter().flat_map(|a| &mut a.events) {
            *event = translated.events[*event];
        }
        verdict
    }
}

/// Judges a single log.
struct OneLog {
    from_start: bool,
    /// The processes that explanations name for those of the history, where they are others.
    processes: Option<Arc<[Process]>>,
}

impl Checker for OneLog {
    fn check(&self, history: &History) -> Verdict {
        let log = match Log::of(history, self.from_start, self.processes.as_deref()) {
            Ok(log) => log,
            Err(why) => return Verdict::unknown("offset_log", unreadable(history, &why)),
        };
        let mut found = log.found;
        let reasons: Vec<String> = KINDS
            .iter()
            .filter_map(|k| Some(format!("{}: {k}", count(found.get(k)?.len(), "record"))))
            .collect();
        let mut verdict = match reasons.split_first() {
            Some((first, rest)) => {
                rest.iter().fold(Verdict::invalid("offset_log", first), |v, r| v.because(r))
            }
            None if log.unsure > 0 => Verdict::unknown(
                "offset_log",
                format!(
                    "{} below the highest polled offset {} never polled, and may have been returned by {}, or lie before the beginning of every client",
                    count(log.unsure, "acknowledged record"),
                    if log.unsure == 1 { "was" } else { "were" },
                    count(log.open_polls, "indeterminate (`info`) poll"),
                ),
            ),
            None if log.polled == 0 => Verdict::unknown("offset_log", "nothing was polled"),
            None => Verdict::valid("offset_log"),
        };
        heed_the_end(history, &mut verdict);
        for kind in KINDS {
            let all = found.remove(kind).unwrap_or_default();
            verdict = verdict.with(format!("{kind}_count"), all.len()).counted(kind, all.len());
            verdict.anomalies.extend(all.into_iter().take(ANOMALIES_MAX));
        }
        let verdict = verdict
            .with("polled_count", log.polled)
            .with("unsure_count", log.unsure)
            .with("unknown_poll_count", log.open_polls);
        verified(history, verdict, |f, a| verify::offset_log(f, a, self.from_start))
    }
}

fn unreadable(history: &History, why: &Unreadable) -> String {
    match *why {
        Unreadable::SentTwice { first, second } => format!(
            "{} is sent twice, at events {first} and {second}, so its offset is ambiguous",
            history.value(second)
        ),
        Unreadable::Neither { event } => format!(
            "{} at event {event} is neither an offset nor a list of pairs",
            history.value(event)
        ),
    }
}

#[cfg(test)]
mod kafka_tests;
#[cfg(test)]
mod tests;
