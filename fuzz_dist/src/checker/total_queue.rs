//! `total_queue`: what goes into a queue comes out, once, in whatever order.

use super::calls::{Call, Outcome, call, invoked};
use super::dense::{Dense, NONE};
use super::evidence::{count, listed, node_of};
use super::finals::{heed_the_end, unsettled};
use super::online::OnlineQueue;
use super::recheck::{self, rechecked};
use super::{ANOMALIES_MAX, Anomaly, Checker, Online, Verdict};
use crate::history::hash::FastMap;
use crate::history::{History, View, Word};
use crate::op::Value;

/// Judges queues; see [`total_queue`].
#[derive(Clone, Debug, Default)]
pub struct TotalQueue {
    redelivery: bool,
}

/// Judges a queue that is drained in the end (after Jepsen's jepsen.checker/total-queue):
/// every acknowledged `enqueue` is dequeued, nothing is dequeued that was not enqueued, nor more
/// often than it was by then. `dequeue` gives an element, or nil where there is none; `drain` gives a
/// list of them.
///
/// An acknowledged element is *lost* where the queue was drained afterwards and did not give it: by
/// a `drain` that succeeded, or by dequeues the last of which found nothing. A dequeue of unknown
/// outcome that was invoked before the draining ended may have taken one element, and such a `drain`
/// any number. What did not come out and is not lost for certain makes the verdict *unknown*.
///
/// ```
/// # use fuzz_dist::checker::{Checker, total_queue, histories::Recorder};
/// # use fuzz_dist::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// r.invoke(0, "enqueue", 7);
/// r.done(0);
/// r.invoke(0, "drain", Value::Nil);
/// r.ok(0, Value::list([8]));
/// let verdict = total_queue().check(&r.history());
/// let kinds: Vec<&str> = verdict.anomalies.iter().map(|a| &*a.kind).collect();
/// assert_eq!(kinds, ["lost", "unexpected"]);
/// ```
pub fn total_queue() -> TotalQueue {
    TotalQueue::default()
}

impl TotalQueue {
    /// May an element be delivered more than once (at least once)? Then that is counted only.
    #[must_use]
    pub fn redelivery(mut self, allowed: bool) -> TotalQueue {
        self.redelivery = allowed;
        self
    }
}

/// What is known about one element.
#[derive(Clone, Copy)]
struct Tally {
    /// Enqueues that may have happened, those of them that were acknowledged, and those that failed.
    attempts: u32,
    acknowledged: u32,
    failed: u32,
    dequeued: u32,
    /// Events; [`NONE`] where there is none.
    first_attempt: u32,
    first_dequeue: u32,
}

const UNKNOWN: Tally = Tally {
    attempts: 0,
    acknowledged: 0,
    failed: 0,
    dequeued: 0,
    first_attempt: NONE,
    first_dequeue: NONE,
};

/// The elements of a history by their numbers.
struct Elements<'a> {
    history: &'a History,
    numbers: Dense<'a>,
    tallies: Vec<Tally>,
    /// By their invocations.
    enqueues: Vec<u32>,
    dequeues: Vec<u32>,
}

impl Checker for TotalQueue {
    fn check(&self, history: &History) -> Verdict {
        let mut elements = Elements::of(history);
        let dequeues = std::mem::take(&mut elements.dequeues);
        let mut drained = Drained::default();
        let mut count = 0usize;
        for invoked in &dequeues {
            let call = call(history, *invoked as usize);
            drained.add(history, &call, elements.drains(&call));
            let Some(done) = call.acknowledged() else { continue };
            elements.taken(&call, done, |elements, id| {
                count += 1;
                let tally = elements.tally(id);
                tally.dequeued += 1;
                tally.first_dequeue = tally.first_dequeue.min(done as u32);
            });
        }
        elements.dequeues = dequeues;
        let mut verdict = self.verdict(&mut elements, &drained, unsettled(history).is_none());
        heed_the_end(history, &mut verdict);
        let open = drained.dequeues.len() + drained.drains.len();
        let verdict = verdict.with("dequeue_count", count).with("unknown_dequeue_count", open);
        rechecked(history, verdict, recheck::total_queue)
    }

    fn online(&self, _: &History) -> Option<Box<dyn Online>> {
        Some(Box::new(OnlineQueue::new(self.redelivery)))
    }
}

/// When the queue was drained, and who may have taken something that nobody knows of.
#[derive(Default)]
struct Drained {
    /// Invocation and completion of what found the queue empty, or emptied it.
    points: Vec<(usize, usize)>,
    /// Dequeues that found nothing, since the last one that gave an element began.
    nothing: Vec<(usize, usize)>,
    /// The invocations of dequeues and of drains of unknown outcome, ascending.
    dequeues: Vec<usize>,
    drains: Vec<usize>,
}

/// What did not come out.
#[derive(Default)]
struct Gone {
    /// Acknowledgements that nothing which came out answers, and the numbers of their elements.
    all: Vec<(usize, u32)>,
    /// Lost for certain, with when the queue was drained without them, and how many of them
    /// somebody can have taken.
    lost: Option<(Vec<u32>, usize, usize)>,
    /// Those after which the queue was not drained.
    undrained: usize,
}

impl Drained {
    /// Takes the operations in the order of their invocations.
    fn add(&mut self, history: &History, call: &Call, drains: bool) {
        match call.acknowledged() {
            None if call.outcome == Outcome::Failed => {}
            None if drains => self.drains.push(call.invoked),
            None => self.dequeues.push(call.invoked),
            Some(done) if drains => self.points.push((call.invoked, done)),
            Some(done) if history.word(done) == Word::NIL => {
                self.nothing.push((call.invoked, done));
            }
            Some(_) => self.nothing.clear(),
        }
    }

    /// What of all that did not come out is lost.
    fn judge(&self, elements: &mut Elements<'_>) -> Gone {
        let mut gone = Gone { all: elements.missing(), ..Gone::default() };
        if gone.all.is_empty() {
            return gone;
        }
        let came_before = |event: usize| gone.all.partition_point(|(done, _)| *done < event);
        let points = || self.points.iter().chain(&self.nothing);
        gone.undrained = gone.all.len() - points().map(|p| came_before(p.0)).max().unwrap_or(0);
        let short = points().filter_map(|(invoked, done)| {
            let (missing, taken) =
                (came_before(*invoked), self.dequeues.partition_point(|q| q < done));
            let by_drain = self.drains.first().is_some_and(|q| q < done);
            (!by_drain && missing > taken).then_some((missing, taken, *done))
        });
        gone.lost = short.max_by_key(|(missing, taken, done)| (missing - taken, *done)).map(
            |(missing, taken, done)| {
                let mut ids: Vec<u32> = gone.all[..missing].iter().map(|(_, id)| *id).collect();
                ids.sort_unstable();
                ids.dedup();
                (ids, done, taken)
            },
        );
        gone
    }
}

impl<'a> Elements<'a> {
    /// The acknowledgements that nothing which came out answers, the last ones of each element,
    /// ascending, and the elements.
    fn missing(&mut self) -> Vec<(usize, u32)> {
        let is_short = |t: &Tally| t.acknowledged > t.dequeued;
        if !self.tallies.iter().any(is_short) {
            return Vec::new();
        }
        let mut all: Vec<(usize, u32)> = Vec::new();
        for invoked in &self.enqueues {
            let call = call(self.history, *invoked as usize);
            let id = self.numbers.event(call.invoked);
            if let Some(done) = call.acknowledged().filter(|_| is_short(&self.tallies[id as usize]))
            {
                all.push((done, id));
            }
        }
        all.sort_unstable();
        let mut answered: FastMap<u32, u32> = FastMap::default();
        all.retain(|(_, id)| {
            let n = answered.entry(*id).or_default();
            *n += 1;
            *n > self.tallies[*id as usize].dequeued
        });
        all
    }

    /// Counts the enqueues, and gathers the dequeues.
    fn of(history: &'a History) -> Elements<'a> {
        let [enqueues, dequeues] = invoked(history, [&["enqueue"], &["dequeue", "drain"]]);
        let numbers = Dense::of_events(history, &enqueues);
        let tallies = Vec::with_capacity(enqueues.len());
        let mut elements = Elements { history, numbers, tallies, enqueues: Vec::new(), dequeues };
        for invoked in &enqueues {
            let call = call(history, *invoked as usize);
            let id = elements.numbers.event(call.invoked);
            let tally = elements.tally(id);
            if call.outcome == Outcome::Failed {
                tally.failed += 1;
                continue;
            }
            tally.attempts += 1;
            tally.first_attempt = tally.first_attempt.min(call.invoked as u32);
            tally.acknowledged += u32::from(call.outcome == Outcome::Acknowledged);
        }
        elements.enqueues = enqueues;
        elements
    }

    fn tally(&mut self, id: u32) -> &mut Tally {
        if self.tallies.len() <= id as usize {
            self.tallies.resize(id as usize + 1, UNKNOWN);
        }
        &mut self.tallies[id as usize]
    }

    fn drains(&self, call: &Call) -> bool {
        &**self.history.function(call.invoked) == "drain"
    }

    /// Tells every element that a dequeue took.
    fn taken(&mut self, call: &Call, done: usize, mut tell: impl FnMut(&mut Self, u32)) {
        let history = self.history;
        match history.view(done) {
            Some(View::Nil) => {}
            Some(View::List(items)) if self.drains(call) => {
                for word in items.words() {
                    let id = self.numbers.word(*word);
                    tell(self, id);
                }
            }
            None if self.drains(call) => {
                let Value::Set(set) = history.value(done) else { return };
                for n in set.as_slice() {
                    let id = self.numbers.int(*n);
                    tell(self, id);
                }
            }
            _ => {
                let id = self.numbers.event(done);
                tell(self, id);
            }
        }
    }

    /// Elements that are enqueued several times, as often as they are dequeued, and that had come out
    /// more often than they had gone in at some time before.
    fn overtaken(&mut self) -> Vec<u32> {
        let again = |(id, t): (usize, &Tally)| {
            (t.attempts > 1 && t.dequeued > 1 && t.dequeued <= t.attempts).then_some(id as u32)
        };
        let ids: Vec<u32> = self.tallies.iter().enumerate().filter_map(again).collect();
        if ids.is_empty() {
            return ids;
        }
        let mut lives = self.lives(&ids);
        let mut overtaken = |id: &u32| {
            let Life { attempts, dequeued, .. } = lives.entry(*id).or_default();
            dequeued.sort_unstable();
            attempts.iter().zip(dequeued).skip(1).any(|(put, out)| put > out)
        };
        ids.into_iter().filter(|id| overtaken(id)).collect()
    }

    /// For each of a few elements the events that acknowledged and that dequeued it.
    fn lives(&mut self, ids: &[u32]) -> FastMap<u32, Life> {
        let mut lives: FastMap<u32, Life> = ids.iter().map(|id| (*id, Life::default())).collect();
        let enqueues = std::mem::take(&mut self.enqueues);
        for invoked in &enqueues {
            let call = call(self.history, *invoked as usize);
            let id = self.numbers.event(call.invoked);
            if let Some(life) = lives.get_mut(&id) {
                life.acknowledged.extend(call.acknowledged());
                life.attempts.extend((call.outcome != Outcome::Failed).then_some(call.invoked));
            }
        }
        self.enqueues = enqueues;
        let dequeues = std::mem::take(&mut self.dequeues);
        for invoked in &dequeues {
            let call = call(self.history, *invoked as usize);
            let Some(done) = call.acknowledged() else { continue };
            self.taken(&call, done, |_, id| {
                if let Some(life) = lives.get_mut(&id) {
                    life.dequeued.push(done);
                }
            });
        }
        self.dequeues = dequeues;
        lives
    }
}

#[derive(Default)]
struct Life {
    /// The invocations of its enqueues that may have happened, ascending.
    attempts: Vec<usize>,
    acknowledged: Vec<usize>,
    dequeued: Vec<usize>,
}

impl TotalQueue {
    fn verdict(&self, elements: &mut Elements<'_>, drained: &Drained, settled: bool) -> Verdict {
        let Gone { all: gone, lost, undrained } = drained.judge(elements);
        // What is still in the queue when a run ends early is not lost.
        let (lost, by, taken) = lost.filter(|_| settled).unwrap_or_default();
        let (mut unexpected, mut duplicate, mut early) = (vec![], elements.overtaken(), vec![]);
        let (mut recovered, mut attempts, mut acknowledged) = (0, 0, 0);
        let mut any_dequeued = false;
        for (id, t) in elements.tallies.iter().enumerate() {
            let id = id as u32;
            attempts += (t.attempts + t.failed) as usize;
            acknowledged += t.acknowledged as usize;
            any_dequeued |= t.dequeued > 0;
            recovered += t.dequeued.min(t.attempts).saturating_sub(t.acknowledged) as usize;
            if t.attempts == 0 && t.dequeued > 0 {
                unexpected.push(id);
            } else if t.dequeued > t.attempts {
                duplicate.push(id);
            }
            if t.dequeued > 0 && t.attempts > 0 && t.first_dequeue < t.first_attempt {
                early.push(id);
            }
        }
        let counts = [lost.len(), unexpected.len(), duplicate.len(), early.len()];
        if self.redelivery {
            duplicate.clear();
        }
        let mut reasons = Vec::new();
        let (mut anomalies, mut all) = (Vec::new(), Vec::new());
        for (kind, found, what) in [
            ("lost", lost, "lost"),
            ("unexpected", unexpected, "dequeued without having been enqueued"),
            ("duplicate", duplicate, "dequeued more often than enqueued"),
            ("early", early, "dequeued before it was enqueued"),
        ] {
            if found.is_empty() {
                continue;
            }
            let mut found: Vec<(Value, u32)> =
                found.into_iter().map(|id| (elements.numbers.value(id), id)).collect();
            found.sort_unstable();
            let names: Vec<&Value> = found.iter().map(|(v, _)| v).collect();
            reasons.push(format!("{} {what}: {}", count(found.len(), "element"), listed(&names)));
            all.push((kind, found.len()));
            let shown = found.into_iter().take(ANOMALIES_MAX);
            anomalies.extend(shown.map(|(value, id)| (kind, value, id, what)));
        }
        let mut verdict = match reasons.split_first() {
            Some((first, rest)) => {
                rest.iter().fold(Verdict::invalid("total_queue", first), |v, r| v.because(r))
            }
            None if !gone.is_empty() => {
                Verdict::unknown("total_queue", unsure(&gone, undrained, drained))
            }
            None if !any_dequeued => Verdict::unknown("total_queue", "nothing was dequeued"),
            None => Verdict::valid("total_queue"),
        };
        let [lost, unexpected, duplicate, early] = counts;
        if lost > 0 && taken > 0 {
            verdict = verdict.because(format!(
                "indeterminate (`info`) dequeues can have taken {taken} of those that are lost at most"
            ));
        }
        verdict.anomalies = explain(elements, &anomalies, by);
        all.into_iter().for_each(|(kind, n)| verdict.count_of(kind, n));
        verdict
            .with("attempt_count", attempts)
            .with("acknowledged_count", acknowledged)
            .with("lost_count", lost)
            .with("missing_count", gone.len())
            .with("undrained_count", undrained)
            .with("possibly_taken_count", if lost == 0 { gone.len() - undrained } else { taken })
            .with("unexpected_count", unexpected)
            .with("duplicate_count", duplicate)
            .with("early_count", early)
            .with("recovered_count", recovered)
    }
}

/// Why nobody knows whether what did not come out is lost.
fn unsure(gone: &[(usize, u32)], undrained: usize, drained: &Drained) -> String {
    let mut why = format!("{} did not come out", count(gone.len(), "acknowledged element"));
    let open = [(drained.dequeues.len(), "dequeue"), (drained.drains.len(), "drain")];
    let open: Vec<String> = (open.iter().filter(|(n, _)| *n > 0))
        .map(|(n, f)| count(*n, &format!("indeterminate (`info`) {f}")))
        .collect();
    if undrained > 0 {
        why.push_str(&format!("; the queue was not drained after {undrained} of them"));
    }
    if !open.is_empty() {
        why.push_str(&format!("; {} may have taken them", open.join(" and ")));
    }
    why
}

/// Tells what was found: kind, element, its number, and what happened to it. What is lost the
/// operation lacks that ended with event `by`.
fn explain(
    elements: &mut Elements<'_>,
    found: &[(&str, Value, u32, &str)],
    by: usize,
) -> Vec<Anomaly> {
    if found.is_empty() {
        return Vec::new();
    }
    let history = elements.history;
    let ids: Vec<u32> = found.iter().map(|(_, _, id, _)| *id).collect();
    let lives = elements.lives(&ids);
    let at = |i: &usize| format!("{} at {}", node_of(history, *i), history.time(*i));
    let list = |events: &[usize]| events.iter().take(4).map(at).collect::<Vec<_>>().join(", ");
    let tell = |(kind, value, id, what): &(&str, Value, u32, &str)| {
        let (life, tally) = (&lives[id], elements.tallies[*id as usize]);
        let mut text = format!("{value} was {what}");
        if !life.acknowledged.is_empty() {
            let by = list(&life.acknowledged);
            text.push_str(&format!("; its enqueue was acknowledged by {by}"));
        } else if tally.failed > 0 {
            text.push_str("; its enqueue had failed");
        }
        if !life.dequeued.is_empty() {
            text.push_str(&format!("; dequeued on {}", list(&life.dequeued)));
        }
        let mut events: Vec<usize> =
            life.acknowledged.iter().chain(&life.dequeued).copied().collect();
        if *kind == "lost" {
            text.push_str(&format!("; the queue was drained on {}", at(&by)));
            events.push(by);
        }
        events.extend((tally.first_attempt != NONE).then_some(tally.first_attempt as usize));
        events.sort_unstable();
        events.dedup();
        Anomaly::new(*kind, value.clone()).explained(text).proved_by(events)
    };
    found.iter().map(tell).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Validity;
    use super::super::histories::Recorder;
    use super::*;
    use crate::random::Seed;

    /// What a client does: put an element in, take one out, or all that there are; the outcome, and
    /// what came out. Operations stand one after the other, but for those that begin before and end
    /// after all others that follow, up to `end`.
    #[derive(Clone, Debug)]
    struct Act {
        f: &'static str,
        put: i64,
        out: Vec<i64>,
        outcome: char,
        end: usize,
    }

    fn act(f: &'static str, put: i64, out: &[i64], outcome: char) -> Act {
        Act { f, put, out: out.to_vec(), outcome, end: 0 }
    }

    /// The history, and for each operation the events at which it began and ended.
    fn run(acts: &[Act]) -> (History, Vec<(usize, usize)>) {
        let mut r = Recorder::new(["n1"]);
        let (mut spans, mut ends) = (vec![(0, 0); acts.len()], Vec::new());
        for (i, act) in acts.iter().enumerate() {
            let put = act.f == "enqueue";
            spans[i].0 =
                r.invoke(i as u32, act.f, if put { Value::Int(act.put) } else { Value::Nil });
            ends.push((act.end.max(i), i));
            ends.sort_unstable();
            while ends.first().is_some_and(|e| e.0 <= i || i + 1 == acts.len()) {
                let client = ends.remove(0).1;
                let act = &acts[client];
                spans[client].1 = match (act.outcome, act.f) {
                    ('f', _) => r.fail(client as u32),
                    ('i', _) => r.info(client as u32),
                    (_, "drain") => r.ok(client as u32, Value::list(act.out.iter().copied())),
                    (_, "enqueue") => r.done(client as u32),
                    _ => {
                        r.ok(client as u32, act.out.first().map_or(Value::Nil, |n| Value::Int(*n)))
                    }
                };
            }
        }
        (r.history(), spans)
    }

    fn judge(acts: &[Act]) -> Verdict {
        total_queue().check(&run(acts).0)
    }

    #[test]
    fn what_an_unknown_dequeue_may_have_taken_is_unknown() {
        let put = |n: i64| (1..=n).map(|v| act("enqueue", v, &[], 'o')).collect::<Vec<_>>();
        let (unknown, drain) = (act("dequeue", 0, &[], 'i'), act("drain", 0, &[1], 'o'));
        let verdict = judge(&[put(2), vec![unknown.clone(), drain.clone()]].concat());
        assert_eq!(verdict.validity, Validity::Unknown);
        assert_eq!(verdict.results["possibly_taken_count"], 1);
        assert!(verdict.reasons[0].contains("1 acknowledged element"), "{:?}", verdict.reasons);
        let verdict = judge(&[put(3), vec![unknown.clone(), drain.clone()]].concat());
        assert!(verdict.is_invalid(), "one dequeue cannot have taken two");
        let verdict = judge(&[put(2), vec![drain.clone(), unknown]].concat());
        assert!(verdict.is_invalid(), "it began only when the queue had been drained");
        let verdict = judge(&[put(9), vec![act("drain", 0, &[], 'i'), drain]].concat());
        assert_eq!(verdict.validity, Validity::Unknown, "a drain can have taken all of them");
    }

    #[test]
    fn nothing_is_lost_from_a_queue_that_nobody_drained() {
        let both = [act("enqueue", 1, &[], 'o'), act("enqueue", 2, &[], 'o')];
        let check = |more: &[Act]| judge(&[&both, more].concat()).validity;
        let (took, empty) = (act("dequeue", 0, &[1], 'o'), act("dequeue", 0, &[], 'o'));
        assert_eq!(check(std::slice::from_ref(&took)), Validity::Unknown);
        assert_eq!(check(&[empty.clone(), took.clone()]), Validity::Unknown);
        assert_eq!(check(&[took.clone(), empty]), Validity::Invalid);
        assert_eq!(check(&[took.clone(), act("drain", 0, &[], 'f')]), Validity::Unknown);
        assert_eq!(check(&[took, act("drain", 0, &[2], 'o')]), Validity::Valid);
    }

    #[test]
    fn redelivery_may_be_allowed() {
        let twice = act("dequeue", 0, &[1], 'o');
        let acts = [act("enqueue", 1, &[], 'o'), twice.clone(), twice];
        assert!(judge(&acts).is_invalid());
        let verdict = total_queue().redelivery(true).check(&run(&acts).0);
        assert!(verdict.is_valid() && verdict.results["duplicate_count"] == 1);
    }

    /// Can each element that did not come out be given to somebody who does not know what it took,
    /// before a draining that should have given it has ended? Tries all ways.
    fn excused(
        missing: &[usize],
        takers: &[(usize, bool)],
        latest: &dyn Fn(usize) -> usize,
    ) -> bool {
        let Some((first, rest)) = missing.split_first() else { return true };
        let limit = latest(*first);
        if limit == usize::MAX && excused(rest, takers, latest) {
            return true;
        }
        (0..takers.len()).filter(|i| takers[*i].0 < limit).any(|i| {
            let mut left = takers.to_vec();
            if !left[i].1 {
                left.remove(i);
            }
            excused(rest, &left, latest)
        })
    }

    #[test]
    fn the_oracle_agrees_on_random_histories() {
        let mut seen = [0; 3];
        for seed in 0..20_000 {
            let mut s = Seed(seed).stream("total_queue");
            let mut acts: Vec<Act> = Vec::new();
            let mut held: Vec<i64> = Vec::new();
            for at in 0..1 + s.index(8) {
                let unknown = s.chance(0.15);
                let mut new = match s.index(8) {
                    0..4 => act("enqueue", s.below(4) as i64, &[], ['o', 'o', 'f'][s.index(3)]),
                    4..7 => {
                        let some = (!held.is_empty()).then(|| held.remove(s.index(held.len())));
                        act("dequeue", 0, some.as_slice(), 'o')
                    }
                    _ => act("drain", 0, &std::mem::take(&mut held), 'o'),
                };
                if new.f == "enqueue" && (new.outcome == 'o' || s.chance(0.1)) && s.chance(0.9) {
                    held.push(new.put);
                }
                if new.f != "enqueue" && s.chance(0.05) {
                    new.out = vec![s.below(5) as i64];
                }
                new.outcome = if unknown { 'i' } else { new.outcome };
                new.end = at + s.index(3);
                acts.push(new);
            }
            if s.chance(0.7) {
                acts.push(act("drain", 0, &held, 'o'));
            }
            let (history, spans) = run(&acts);
            let verdict = total_queue().check(&history);
            let all = &acts;
            let of = |f: &'static str, o: &'static str| {
                (0..all.len()).filter(move |i| all[*i].f == f && o.contains(all[*i].outcome))
            };
            let outs: Vec<(usize, i64)> = (of("dequeue", "o").chain(of("drain", "o")))
                .flat_map(|i| acts[i].out.iter().map(move |v| (i, *v)))
                .collect();
            // Drainings: drains, and dequeues that found nothing with none after that gave something.
            let last = outs.iter().filter(|(i, _)| acts[*i].f == "dequeue").map(|o| o.0).max();
            let nothing = of("dequeue", "o").filter(|i| acts[*i].out.is_empty());
            let nothing = nothing.filter(|i| last.is_none_or(|l| spans[l].0 < spans[*i].0));
            let points: Vec<(usize, usize)> =
                of("drain", "o").chain(nothing).map(|i| spans[i]).collect();
            let takers: Vec<(usize, bool)> = (of("dequeue", "i").chain(of("drain", "i")))
                .map(|i| (spans[i].0, acts[i].f == "drain"))
                .collect();
            let mut excess = false;
            let mut missing: Vec<usize> = Vec::new();
            for v in 0..5 {
                let out = outs.iter().filter(|o| o.1 == v).count();
                let may = of("enqueue", "oi").filter(|i| acts[*i].put == v).count();
                let mut puts: Vec<usize> =
                    of("enqueue", "oi").filter(|i| acts[*i].put == v).map(|i| spans[i].0).collect();
                let mut came: Vec<usize> =
                    outs.iter().filter(|o| o.1 == v).map(|o| spans[o.0].1).collect();
                puts.sort_unstable();
                came.sort_unstable();
                // Each dequeue has an enqueue of its own that had begun.
                let early = puts.iter().zip(&came).any(|(put, came)| came < put);
                excess |= out > may || early;
                let mut acked: Vec<usize> =
                    of("enqueue", "o").filter(|i| acts[*i].put == v).map(|i| spans[i].1).collect();
                acked.sort_unstable();
                missing.extend(acked.into_iter().skip(out));
            }
            let latest = |ack: usize| {
                points.iter().filter(|p| p.0 > ack).map(|p| p.1).min().unwrap_or(usize::MAX)
            };
            let expected = if excess || !excused(&missing, &takers, &latest) {
                Validity::Invalid
            } else if !missing.is_empty() || outs.is_empty() {
                Validity::Unknown
            } else {
                Validity::Valid
            };
            assert_eq!(verdict.validity, expected, "seed {seed} {acts:?} {:?}", verdict.reasons);
            seen[expected as usize] += 1;
        }
        assert!(seen.iter().all(|n| *n > 500), "{seen:?}");
    }
}
