//! `lease`: at most one client holds a lease (a lock, the leader's role) at any time.

use super::Arguments;
use super::calls::{Call, Outcome, calls};
use super::evidence::{Faults, count, node_of};
use super::verify::{self, verified};
use super::{ANOMALIES_MAX, Anomaly, Checker, Verdict, mixed};
use crate::registration::{Judges, Needs, Opt, Registration, built};
use fuzz_dist_history::History;
use fuzz_dist_history::time::Time;

/// Judges locks and leases; see [`lease`].
#[derive(Clone, Debug, Default)]
pub struct Lease {
    ttl_ms: Option<u64>,
}

/// Judges whether two clients certainly held the same lease at the same time: from the
/// completion of `acquire` until the holder's `release` is invoked, or until the time to live
/// has passed since `acquire` was invoked (Gray and Cheriton, "Leases: an efficient
/// fault-tolerant mechanism for distributed file cache consistency", 1989: the holder counts
/// from before it asked). A release that failed still ends what its client is sure of.
///
/// The value of an operation is the lease's name; nil where there is one only.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, lease, histories::Recorder};
/// # use fuzz_dist_history::op::Value;
/// let mut r = Recorder::new(["n1", "n2"]);
/// for client in [0, 1] {
///     r.invoke(client, "acquire", Value::Nil);
///     r.done(client);
/// }
/// assert!(lease().check(&r.history()).is_invalid());
/// ```
pub fn lease() -> Lease {
    Lease::default()
}

impl Lease {
    /// A lease ends by itself so many ms after its `acquire` was invoked.
    #[must_use]
    pub fn ttl_ms(mut self, ttl_ms: u64) -> Lease {
        self.ttl_ms = Some(ttl_ms);
        self
    }
}

/// A time in which a client is sure to hold a lease.
struct Hold {
    from: Time,
    until: Time,
    /// Place in the history, where times are equal.
    order: (usize, usize),
    acquired: usize,
    process: u32,
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "lease",
    about: "at most one holder at a time",
    judges: Judges::Only(&["acquire", "release"]),
    needs: Needs::Clients,
    options: &[Opt::value(
        "ttl-ms",
        "it ends by itself so many ms after its acquire was invoked",
        "77",
    )],
    build: |o| built(o.set("ttl-ms", lease(), |c, ms| c.ttl_ms(ms))?),
};

impl Checker for Lease {
    fn check(&self, history: &History) -> Verdict {
        if let Some(why) = mixed(history) {
            return Verdict::unknown("lease", why);
        }
        let back = (1..history.len()).find(|i| history.time(*i) < history.time(*i - 1));
        if let (Some(i), Some(_)) = (back, self.ttl_ms) {
            let why = format!(
                "the clock runs backwards at event {i}, so the end of a lease is not known"
            );
            return Verdict::unknown("lease", why);
        }
        let mut holds: std::collections::BTreeMap<fuzz_dist_history::op::Value, Vec<Hold>> =
            std::collections::BTreeMap::new();
        let all: Vec<Call> = calls(history, &["acquire", "release"]).collect();
        let mut next_release: std::collections::HashMap<_, usize> =
            std::collections::HashMap::new();
        for call in all.iter().rev() {
            let key = (call.process, history.value(call.invoked));
            if &**history.function(call.invoked) == "release" {
                next_release.insert(key, call.invoked);
            } else if let (Some(done), Outcome::Acknowledged) = (call.completed, call.outcome) {
                let release = next_release.get(&key).copied();
                let expires = self.ttl_ms.map_or(Time(u64::MAX), |ttl| {
                    Time(history.time(call.invoked).0.saturating_add(ttl.saturating_mul(1_000_000)))
                });
                let released = release.map_or(Time(u64::MAX), |r| history.time(r));
                holds.entry(key.1).or_default().push(Hold {
                    from: history.time(done),
                    until: released.min(expires),
                    order: (done, release.filter(|_| released <= expires).unwrap_or(usize::MAX)),
                    acquired: done,
                    process: call.process.0,
                });
            }
        }
        let count_of = holds.values().map(Vec::len).sum::<usize>();
        let faults = Faults::of(history);
        let (mut found, mut total) = (Vec::new(), 0usize);
        for (name, mut holds) in holds {
            holds.sort_by_key(|h| h.order);
            // The longest so far, and the longest of another client than that: of one whose own the
            // former is, only the latter can be somebody else's.
            let mut longest: Vec<&Hold> = Vec::new();
            for hold in &holds {
                if let Some(former) = longest.iter().find(|l| l.process != hold.process)
                    && former.order.1 > hold.order.0
                    && former.until > hold.from
                    && hold.until > hold.from
                {
                    total += 1;
                    if found.len() < ANOMALIES_MAX {
                        found.push(both(history, &faults, &name, former, hold));
                    }
                }
                let until = |l: &Hold| (l.until, l.order.1);
                match longest.iter_mut().find(|l| l.process == hold.process) {
                    Some(own) if until(own) >= until(hold) => {}
                    Some(own) => *own = hold,
                    None => longest.push(hold),
                }
                longest.sort_by_key(|l| std::cmp::Reverse(until(l)));
                longest.truncate(2);
            }
        }
        let mut verdict = match (total, count_of) {
            (0, 0) => Verdict::unknown("lease", "no lease was acquired"),
            (0, _) => Verdict::valid("lease"),
            (n, _) => Verdict::invalid(
                "lease",
                format!("{} with two holders at the same time", count(n, "moment")),
            ),
        };
        verdict.anomalies = found;
        verdict.count_of("two_holders", total);
        let verdict = verdict.with("hold_count", count_of).with("overlap_count", total);
        let verdict = verified(history, verdict, |f, a| verify::lease(f, a, self.ttl_ms));
        faults.state(history, verdict)
    }

    fn arguments(&self) -> Option<Arguments> {
        let lease = Arguments::of("lease");
        Some(match self.ttl_ms {
            Some(ms) => lease.option("ttl-ms", ms, ""),
            None => lease,
        })
    }
}

fn both(
    history: &History,
    faults: &Faults,
    name: &fuzz_dist_history::op::Value,
    a: &Hold,
    b: &Hold,
) -> Anomaly {
    let until = if a.until.0 == u64::MAX { "the end".into() } else { a.until.to_string() };
    let mut text = format!(
        "client {} held the lease {name} (by {}) from {} to {until}, and client {} acquired it (by {}) at {}",
        a.process,
        node_of(history, a.acquired),
        a.from,
        b.process,
        node_of(history, b.acquired),
        b.from,
    );
    let active = faults.between(a.from, b.from);
    if !active.is_empty() {
        text.push_str(&format!("; active meanwhile: {active}"));
    }
    Anomaly::new("two_holders", name.clone())
        .explained(text)
        .on(history.node(b.acquired))
        .at(b.from)
        .proved_by([a.acquired, b.acquired])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::Validity;
    use super::super::histories::Recorder;
    use super::*;
    use fuzz_dist_history::op::Value;
    use fuzz_dist_random::Seed;

    /// `a0` client 0 acquires, `r0` it invokes a release; each a millisecond.
    fn check(text: &str, ttl_ms: Option<u64>) -> bool {
        let mut r = Recorder::new(["n1"]);
        for word in text.split_whitespace() {
            let client: u32 = word[1..].parse().unwrap();
            r.invoke(client, if word.starts_with('a') { "acquire" } else { "release" }, Value::Nil);
            r.done(client);
        }
        Lease { ttl_ms }.check(&r.history()).is_valid()
    }

    #[test]
    fn holders_follow_one_another() {
        assert!(check("a0 r0 a1 r1", None));
        assert!(!check("a0 a1", None));
        assert!(check("a0 a0 r0 a1", None), "one client may acquire what it holds");
    }

    #[test]
    fn a_lease_ends_by_itself() {
        assert!(!check("a0 a1", Some(4)));
        assert!(check("a0 a1", Some(3)), "it was asked for at 0 and lasts until 3");
    }

    #[test]
    fn the_oracle_agrees_on_random_histories() {
        let mut seen = [0; 3];
        for seed in 0..5_000 {
            let mut s = Seed(seed).stream("lease");
            let mut r = Recorder::new(["n1"]);
            let clients = 2 + s.index(2) as u32;
            let mut open: Vec<Option<&str>> = vec![None; clients as usize];
            let mut process: Vec<u32> = (0..clients).collect();
            for _ in 0..s.index(16) {
                let c = s.index(clients as usize);
                match open[c].take() {
                    None => {
                        let f = if s.chance(0.4) { "acquire" } else { "release" };
                        r.invoke(process[c], f, Value::Nil);
                        open[c] = Some(f);
                    }
                    Some(_) if s.chance(0.6) => drop(r.done(process[c])),
                    Some(_) if s.chance(0.5) => drop(r.fail(process[c])),
                    // Nobody is sure to hold what it does not know to have acquired.
                    Some(_) => {
                        r.info(process[c]);
                        process[c] += clients;
                    }
                }
            }
            let history = r.history();
            let ttl = s.chance(0.5).then(|| 1 + s.below(12));
            let all = 0..process.iter().max().unwrap() + 1;
            let holders = |t: u64| all.clone().filter(|c| holds(&history, *c, t, ttl)).count();
            let most = (0..history.len() as u64).map(holders).max().unwrap_or(0);
            let acquired = calls(&history, &["acquire"]).any(|c| c.acknowledged().is_some());
            let expected = match most {
                2.. => Validity::Invalid,
                _ if acquired => Validity::Valid,
                _ => Validity::Unknown,
            };
            let verdict = Lease { ttl_ms: ttl }.check(&history);
            let holds_count = calls(&history, &["acquire"]).filter(|c| c.acknowledged().is_some());
            assert_eq!(verdict.results["hold_count"], holds_count.count(), "seed {seed}");
            assert_eq!(verdict.results["overlap_count"], verdict.anomalies.len(), "seed {seed}");
            assert_eq!(verdict.validity, expected, "seed {seed}: {:?}", verdict.reasons);
            // The two acquisitions of each anomaly overlap, and each acquisition that begins while another
            // client holds the lease is reported.
            let found: BTreeSet<usize> =
                verdict.anomalies.iter().filter_map(|a| a.events.last().copied()).collect();
            let begins = calls(&history, &["acquire"]).filter_map(|c| {
                let done = c.acknowledged()?;
                let held = |c: u32| holds(&history, c, done as u64, ttl);
                (held(c.process.0) && all.clone().any(|o| o != c.process.0 && held(o)))
                    .then_some(done)
            });
            assert_eq!(found, begins.collect(), "seed {seed}: {verdict:#?}");
            seen[expected as usize] += 1;
        }
        assert!(seen.iter().all(|n| *n > 250), "{seen:?}");
    }

    /// Is the client sure to hold the lease in the millisecond after event `t`?
    fn holds(h: &History, client: u32, t: u64, ttl_ms: Option<u64>) -> bool {
        calls(h, &["acquire"]).filter(|c| c.process.0 == client).any(|c| {
            let Some(done) = c.acknowledged() else { return false };
            let released = calls(h, &["release"])
                .filter(|r| r.process.0 == client && r.invoked > c.invoked)
                .any(|r| r.invoked as u64 <= t);
            let expired = ttl_ms.is_some_and(|ttl| t >= c.invoked as u64 + ttl);
            done as u64 <= t && !released && !expired
        })
    }
}
