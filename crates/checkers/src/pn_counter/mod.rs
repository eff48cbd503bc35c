//! `pn_counter`: an eventually consistent counter, judged read by read and at the end.
//!
//! Increments (positive or negative) and reads of a replicated counter, as the PN-Counter of
//! Shapiro et al. ("A comprehensive study of convergent and commutative replicated data
//! types", INRIA RR-7506, 2011, section 3.1.3). A read may see any of the increments that were
//! invoked before it completed and did not fail, so the values that it can have are the sums of
//! all their subsets, kept as ranges of whole numbers.
//!
//! - *impossible value*: no subset has this sum;
//! - *impossible in session*: no subset that contains all increments which the reading client
//!   itself had got acknowledged has it (read your writes);
//! - *not monotonic*: only increments that grow were ever tried, and a client read less than
//!   before;
//! - *lost increments*, *surplus*: a final read, after the heal, is not the sum of everything
//!   acknowledged and some of what has no known outcome;
//! - *final reads differ*: nodes disagree at the end, and increments of unknown outcome, which
//!   may take effect between two final reads, do not explain it; where they do, nobody knows.

mod final_reads;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use super::Arguments;
use super::calls::{Outcome, call};
use super::dense::{self, Clients};
use super::evidence::{Faults, node_of};
use super::finals::Finals;
use super::verify::{self, verified};
use super::{ANOMALIES_MAX, Anomaly, Checker, Validity, Verdict};
use crate::registration::{Judges, Needs, Registration, SESSIONS, built};
use crate::sums::Ranges;
use fuzz_dist_history::op::{Kind, Name, Process};
use fuzz_dist_history::{History, Wanted, Word, kind_bit};

/// After so many steps the sessions are not followed any further, which is said.
const BUDGET: usize = 200_000_000;

/// Functions that add, and with which sign.
const FUNCTIONS: [(&str, i64); 6] =
    [("add", 1), ("increment", 1), ("inc", 1), ("decrement", -1), ("dec", -1), ("update", 1)];

/// Judges replicated counters; see [`pn_counter`].
#[derive(Clone, Debug)]
pub struct PnCounter {
    read: Name,
    sessions: bool,
}

/// Judges a replicated counter: no read is impossible, nothing acknowledged is lost, and all
/// nodes agree in the end.
///
/// Increments are `add` (or `increment`, `inc`, `update`) with a whole number, `decrement` and
/// `dec` for the opposite; without a number it is 1. Reads are `read` and give a whole number.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, pn_counter, histories::Recorder};
/// # use fuzz_dist_history::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// for (client, f, value, result) in [(0, "add", 5, 5), (1, "add", 5, 5), (2, "read", 0, 3)] {
///     r.invoke(client, f, value);
///     r.ok(client, result);
/// }
/// let verdict = pn_counter().check(&r.history());
/// assert_eq!(&*verdict.anomalies[0].kind, "impossible_value");
/// ```
pub fn pn_counter() -> PnCounter {
    PnCounter { read: "read".into(), sessions: true }
}

impl PnCounter {
    /// Must a client read its own acknowledged increments, and never less than before? Yes, by
    /// default; where not, such findings are results only.
    #[must_use]
    pub fn sessions(mut self, asked: bool) -> PnCounter {
        self.sessions = asked;
        self
    }
}

/// An increment and its size.
#[derive(Clone, Copy, Debug)]
struct Add {
    delta: i64,
    invoked: u32,
    process: Process,
    outcome: Outcome,
}

/// The increments of a history, read where they stand: keeping them would take more time, since memory
/// that is touched for the first time is slow.
struct Adds<'a> {
    history: &'a History,
    /// By function; 0 for what adds nothing.
    signs: Vec<i64>,
    wanted: Wanted,
}

impl<'a> Adds<'a> {
    fn of(history: &'a History) -> Adds<'a> {
        let sign =
            |f: &Name| FUNCTIONS.iter().find(|(name, _)| **name == **f).map_or(0, |(_, s)| *s);
        let signs: Vec<i64> = history.functions().iter().map(sign).collect();
        let invoked = |sign: &i64| if *sign != 0 { kind_bit(Kind::Invoke) } else { 0 };
        let wanted = signs.iter().map(invoked).collect();
        Adds { history, signs, wanted }
    }

    /// The increment that was invoked at event `i`, or the event, where that is none.
    #[inline]
    fn at(&self, i: usize) -> Result<Add, usize> {
        let history = self.history;
        let call = call(history, i);
        let size = match history.word(i) {
            Word::NIL => Some(1),
            word => history.int_of(word),
        };
        let sign = self.signs[history.function_index(i)];
        let delta = size.and_then(|n| n.checked_mul(sign)).ok_or(i)?;
        Ok(Add { delta, invoked: i as u32, process: call.process, outcome: call.outcome })
    }

    /// Is this event the invocation of one?
    fn is_one(&self, i: usize) -> bool {
        self.wanted[self.history.function_index(i)] & kind_bit(self.history.kind(i)) != 0
            && self.history.process(i).is_client()
    }

    /// All of them, or the first event that should be one.
    fn all(&self) -> Result<Vec<Add>, usize> {
        let mut all = Vec::new();
        self.history.gather::<usize>(&self.wanted, |i| {
            all.push(self.at(i)?);
            Ok(())
        })?;
        Ok(all)
    }

    /// Does none of them make the counter smaller, unless it failed?
    fn only_grow(&self) -> bool {
        let grows = |add: Add| add.delta >= 0 || add.outcome == Outcome::Failed;
        let all = |i| self.at(i).is_ok_and(grows).then_some(()).ok_or(());
        self.history.gather::<()>(&self.wanted, all).is_ok()
    }
}

/// The sum of the negative ones and the sum of the positive ones of some increments.
#[derive(Clone, Copy, Default)]
struct Sums {
    low: i128,
    high: i128,
}

impl Sums {
    fn add(&mut self, delta: i64) {
        self.low += i128::from(delta.min(0));
        self.high += i128::from(delta.max(0));
    }
}

/// The increments up to some event, all in one.
#[derive(Default)]
struct SoFar {
    /// How many of them.
    count: usize,
    /// How many have no known outcome, and the sums that these can have.
    open: (usize, Ranges),
    acknowledged: i128,
    /// Those that did not fail.
    sums: Sums,
    /// The width of a range in which none of them leaves a gap.
    width: i128,
    clients: Clients,
    /// Per client: those of its own that were acknowledged.
    own: Vec<Sums>,
}

impl SoFar {
    fn add(&mut self, add: &Add) {
        self.count += 1;
        if add.outcome != Outcome::Failed {
            self.sums.add(add.delta);
            self.width = self.width.max(i128::from(add.delta).abs());
        }
        if add.outcome == Outcome::Open {
            self.open.0 += 1;
            self.open.1.may_add(add.delta);
        }
        if add.outcome == Outcome::Acknowledged {
            self.acknowledged += i128::from(add.delta);
            let client = self.clients.number(add.process);
            dense::place(&mut self.own, client).add(add.delta);
        }
    }
}

/// What a client may see next.
#[derive(Default)]
struct Session {
    /// Sums of what it must and may see.
    sums: Ranges,
    /// The increments before this event are in there; their sums, and those of its own ones.
    followed: usize,
    all: Sums,
    own: Sums,
    /// Its former read: value and event.
    former: Option<(i64, usize)>,
}

impl Session {
    /// Follows the client where its sums are one range that is too wide for gaps: then all that
    /// others add widens the range, and what it added itself moves it, in whatever order. Is it so?
    fn follow_at_once(&mut self, now: &SoFar, own: Sums) -> bool {
        let Some((low, high)) = self.sums.single(now.width) else { return false };
        let (own_low, own_high) = (own.low - self.own.low, own.high - self.own.high);
        *low += now.sums.low - self.all.low + own_high;
        *high += now.sums.high - self.all.high + own_low;
        true
    }
}

struct Run<'a> {
    history: &'a History,
    adds: Adds<'a>,
    so_far: SoFar,
    /// Known once somebody asked.
    only_grow: Option<bool>,
    /// Per client.
    sessions: Vec<Session>,
    impossible: Vec<Anomaly>,
    in_session: Vec<Anomaly>,
    counts: [usize; 3],
    budget: usize,
    approximate: bool,
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "pn_counter",
    about: "a replicated counter, read by read and in the end",
    judges: Judges::Only(&["add", "increment", "inc", "decrement", "dec", "update", "read"]),
    needs: Needs::Order,
    options: &[SESSIONS],
    build: |o| built(pn_counter().sessions(o.flag("sessions")?)),
};

impl Checker for PnCounter {
    fn check(&self, history: &History) -> Verdict {
        let mut run = Run {
            history,
            adds: Adds::of(history),
            only_grow: None,
            so_far: SoFar::default(),
            sessions: Vec::new(),
            impossible: Vec::new(),
            in_session: Vec::new(),
            counts: [0; 3],
            budget: BUDGET,
            approximate: false,
        };
        let reads = match run.walk(&self.read) {
            Ok(reads) => reads,
            Err(i) => {
                // Increments come first.
                let (what, i) = match run.adds.all() {
                    Err(add) => ("increment", add),
                    Ok(_) => ("read", i),
                };
                let (value, gave) = (history.value(i), if what == "read" { "gave" } else { "is" });
                return Verdict::unknown(
                    "pn_counter",
                    format!("the {what} at event {i} {gave} {value}, which is no whole number"),
                );
            }
        };
        let faults = Faults::of(history);
        let finals = Finals::of(history, &self.read);
        let last = final_reads::judge(history, &run.adds, &run.so_far, &finals, &faults);
        let mut verdict = self.verdict(run, reads, last.found);
        if let Some(why) = last.unsure.filter(|_| !verdict.is_invalid()) {
            verdict.validity = Validity::Unknown;
            verdict.reasons.push(why);
        }
        let mut verdict = last.figures.into_iter().fold(verdict, |v, (name, f)| v.with(name, f));
        finals.apply(&mut verdict);
        let verdict = verified(history, verdict, |f, a| verify::pn_counter(f, a, &self.read));
        faults.state(history, verdict)
    }

    fn arguments(&self) -> Option<Arguments> {
        let pn_counter = Arguments::of("pn_counter").flag("sessions", self.sessions);
        (*self.read == *"read").then_some(pn_counter)
    }
}

impl PnCounter {
    fn verdict(&self, run: Run<'_>, reads: usize, last: Vec<(String, Anomaly)>) -> Verdict {
        let [impossible, session, decreasing] = run.counts;
        let mut reasons = Vec::new();
        let mut anomalies: Vec<Anomaly> = Vec::new();
        for (reason, anomaly) in last {
            reasons.push(reason);
            anomalies.push(anomaly);
        }
        if impossible > 0 {
            reasons.push(format!("{impossible} reads gave a value that no increments explain"));
        }
        anomalies.extend(run.impossible);
        if self.sessions {
            if session > 0 {
                reasons.push(format!("{session} reads lack increments of the reading client"));
            }
            if decreasing > 0 {
                reasons.push(format!(
                    "{decreasing} reads gave less than the same client's former read"
                ));
            }
            anomalies.extend(run.in_session);
        }
        let mut verdict = match (reasons.is_empty(), reads) {
            (true, 0) => Verdict::unknown("pn_counter", "nothing was read"),
            (true, _) => Verdict::valid("pn_counter"),
            (false, _) => Verdict::invalid("pn_counter", reasons.remove(0)),
        };
        verdict.reasons.extend(reasons);
        verdict.anomalies = anomalies;
        verdict.count_of("impossible_value", impossible);
        if self.sessions {
            verdict.count_of("impossible_in_session", session);
            verdict.count_of("not_monotonic", decreasing);
        }
        verdict
            .with("add_count", run.so_far.count)
            .with("read_count", reads)
            .with("grow_only", run.so_far.sums.low == 0)
            .with("impossible_value_count", impossible)
            .with("impossible_in_session_count", session)
            .with("not_monotonic_count", decreasing)
            .with("approximate", run.approximate || run.budget == 0)
    }
}

impl Run<'_> {
    /// Judges every read where it stands; gives the number of reads, or the event whose value is no
    /// number.
    fn walk(&mut self, read: &str) -> Result<usize, usize> {
        let history = self.history;
        let mut wanted = self.adds.wanted.clone();
        if let Some(read) = history.find_function(read) {
            wanted[read] |= kind_bit(Kind::Ok);
        }
        let mut all = Ranges::zero();
        let mut reads = 0;
        history.gather::<usize>(&wanted, |i| {
            if history.kind(i) == Kind::Invoke {
                let add = self.adds.at(i)?;
                self.so_far.add(&add);
                if add.outcome != Outcome::Failed {
                    all.may_add(add.delta);
                }
                return Ok(());
            }
            reads += 1;
            let value = history.int(i).ok_or(i)?;
            self.approximate |= all.approximate;
            if !all.contains(value.into()) {
                self.counts[0] += 1;
                if self.impossible.len() < ANOMALIES_MAX {
                    self.impossible.push(self.impossible_value(i, value, &all));
                }
            } else {
                self.session(i, value);
            }
            Ok(())
        })?;
        Ok(reads)
    }

    /// Does nothing ever make the counter smaller, also after what was looked at so far?
    fn only_grow(&mut self) -> bool {
        *self.only_grow.get_or_insert_with(|| self.adds.only_grow())
    }

    /// Follows the reading client up to its read at event `i`.
    fn session(&mut self, i: usize, value: i64) {
        let process = self.history.process(i);
        let client = self.so_far.clients.number(process);
        let own = *dense::place(&mut self.so_far.own, client);
        let session = dense::place(&mut self.sessions, client);
        if !session.follow_at_once(&self.so_far, own) {
            for add in (session.followed..i).filter(|i| self.adds.is_one(*i)) {
                let Ok(add) = self.adds.at(add) else { continue };
                self.budget = self.budget.saturating_sub(session.sums.len());
                match add.outcome {
                    Outcome::Failed => {}
                    Outcome::Acknowledged if add.process == process => {
                        session.sums.must_add(add.delta);
                    }
                    _ => session.sums.may_add(add.delta),
                }
            }
        }
        (session.followed, session.all, session.own) = (i, self.so_far.sums, own);
        let former = session.former.replace((value, i));
        self.approximate |= session.sums.approximate;
        if self.budget > 0 && !session.sums.contains(value.into()) {
            self.counts[1] += 1;
            if self.in_session.len() < ANOMALIES_MAX {
                let text = format!(
                    "client {process} read {value} on {} at {}; with its own acknowledged increments only {} are possible",
                    node_of(self.history, i),
                    self.history.time(i),
                    session.sums
                );
                self.in_session.push(self.anomaly("impossible_in_session", i, value, text));
            }
        }
        let former = former.filter(|(before, _)| value < *before);
        if let Some((before, event)) = former.filter(|_| self.only_grow()) {
            self.counts[2] += 1;
            if self.in_session.len() < 2 * ANOMALIES_MAX {
                let text = format!(
                    "client {process} read {value} on {} at {}, after it had read {before} at {}, though every increment grows",
                    node_of(self.history, i),
                    self.history.time(i),
                    self.history.time(event)
                );
                let anomaly = self.anomaly("not_monotonic", i, value, text);
                self.in_session.push(anomaly.proved_by([event, i]));
            }
        }
    }

    fn impossible_value(&self, i: usize, value: i64, all: &Ranges) -> Anomaly {
        let text = format!(
            "client {} read {value} on {} at {}; the increments so far can only give {all}",
            self.history.process(i),
            node_of(self.history, i),
            self.history.time(i)
        );
        self.anomaly("impossible_value", i, value, text)
    }

    fn anomaly(&self, kind: &str, i: usize, value: i64, text: String) -> Anomaly {
        Anomaly::new(kind, value)
            .explained(text)
            .on(self.history.node(i))
            .at(self.history.time(i))
            .proved_by([i])
    }
}
