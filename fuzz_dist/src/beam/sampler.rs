//! Samples of how a node is doing, taken inside of it at regular intervals.

use std::time::Duration;

use super::CallError;
use super::Connection;
use super::Term;
use super::resident;
use super::{Event, Mailbox};
use crate::args;
use crate::op::{Name, Value};
use crate::runtime::Sample;

/// The sampler's Erlang source, to be compiled by a release that is not newer than the node's.
pub const SAMPLER_SOURCE: &str = include_str!("../../agent/fuzz_dist_sampler.erl");
/// The name of its module.
pub const SAMPLER_MODULE: &str = "fuzz_dist_sampler";

/// So many samples may wait for us.
const MAILBOX_MAX: usize = 64;

/// A sampler in a running node, which leaves when this is dropped.
#[derive(Debug)]
pub struct Sampler {
    mailbox: Mailbox,
    /// Dropped here since the last sample was given.
    dropped: u64,
}

impl Sampler {
    /// Loads the module (`beam`: the bytes of its compiled form) where the node has not got it yet,
    /// and takes the first sample, and others every so often. Intervals are whole milliseconds.
    ///
    /// # Errors
    ///
    /// When the node cannot be asked, refuses the module, or the sampler cannot start.
    pub async fn start(
        connection: &Connection,
        beam: &[u8],
        every: Duration,
    ) -> Result<Sampler, CallError> {
        let mailbox = connection.mailbox(MAILBOX_MAX);
        let every = u64::try_from(every.as_millis()).unwrap_or(u64::MAX).max(1);
        let arguments = args![mailbox.pid(), every];
        resident::start(connection, (SAMPLER_MODULE, beam), arguments, &mailbox).await?;
        Ok(Sampler { mailbox, dropped: 0 })
    }

    /// The next sample; `None` once the sampler or the connection to the node has ended. Can be
    /// cancelled without loss.
    pub async fn next(&mut self) -> Option<Sample> {
        loop {
            match self.mailbox.receive().await? {
                Event::Exit { .. } => return None,
                Event::Dropped(count) => self.dropped += count,
                Event::Message(message) => {
                    if let Some(sample) = sample(&message) {
                        return Some(sample.after(std::mem::take(&mut self.dropped)));
                    }
                }
            }
        }
    }
}

impl Sample {
    /// The same sample after so many that were dropped on the way to us: they are missed, too.
    fn after(mut self, dropped: u64) -> Sample {
        let missed = self.values.iter_mut().find(|(name, _)| &**name == "missed");
        if let Some((_, Value::Int(missed))) = missed {
            *missed = missed.saturating_add(i64::try_from(dropped).unwrap_or(i64::MAX));
        }
        self
    }
}

/// What a message of the sampler says; `None` for what no sampler sends.
fn sample(message: &Term) -> Option<Sample> {
    let [tag, time, Term::Map(values)] = message.as_tuple()? else { return None };
    tag.is_atom("fuzz_dist_sample").then_some(())?;
    let value = |(key, value): (&Term, &Term)| {
        let known = matches!(value, Term::Int(_) | Term::Binary(_));
        known.then_some((Name::from(key.as_atom()?.as_str()), Value::from(value)))
    };
    let values = values.iter().filter_map(value).collect();
    Some(Sample { monotonic_ns: u64::try_from(time.as_i64()?).ok()?, values })
}

#[cfg(test)]
mod tests {
    use super::super::atom;
    use super::*;

    #[test]
    fn samples_that_were_dropped_on_the_way_are_missed_as_well() {
        let values = vec![("missed".into(), Value::Int(2)), ("run_queue".into(), Value::Int(3))];
        let after = Sample { monotonic_ns: 7, values }.after(5);
        assert_eq!(after.values[0], ("missed".into(), Value::Int(7)));
        assert_eq!(after.values[1], ("run_queue".into(), Value::Int(3)));
    }

    #[test]
    fn samples_are_numbers_and_words_and_nothing_else_is_one() {
        let sent = |time, values: Vec<(Term, Term)>| {
            let values = Term::Map(values.into_iter().collect());
            sample(&Term::Tuple(vec![atom("fuzz_dist_sample"), Term::Int(time), values]))
        };
        let values = || {
            vec![
                (atom("run_queue"), Term::Int(3)),
                (atom("longest_mailbox_of"), Term::Binary("shop".into())),
                (atom("odd"), Term::Tuple(Vec::new())),
                (Term::Int(1), Term::Int(1)),
            ]
        };
        let expected = Sample {
            monotonic_ns: 7,
            values: vec![
                ("longest_mailbox_of".into(), "shop".into()),
                ("run_queue".into(), Value::Int(3)),
            ],
        };
        let sorted = |mut sample: Sample| {
            sample.values.sort_by(|a, b| a.0.cmp(&b.0));
            sample
        };
        assert_eq!(sent(7, values()).map(sorted), Some(expected));
        assert_eq!(sent(-1, values()), None);
        assert_eq!(sample(&atom("fuzz_dist_sample")), None);
    }
}
