//! `perf`: latencies and rates over time.

use super::Arguments;
use std::collections::BTreeMap;
use std::iter::once;

use serde::Serialize;

use super::calls::{Outcome, calls};
use super::latency::{Latencies, Quantiles};
use super::{Checker, Verdict};
use crate::registration::{Judges, Needs, Opt, Registration, built};
use fuzz_dist_history::History;

/// Reports latencies and rates over time; see [`perf`].
#[derive(Clone, Debug)]
pub struct Perf {
    window_ms: u64,
}

/// Reports, for each function and each window of a second, how many operations ended how, and the
/// quantiles of the latencies of those that succeeded. Always valid.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, perf, histories::Script};
/// let verdict = perf().window_ms(4).check(&Script::parse("a1 a1' r r'{1} r r'{1}"));
/// let windows = verdict.results["functions"]["read"].as_array().unwrap();
/// assert_eq!((windows.len(), &windows[0]["from_ms"]), (2, &0.into()));
/// ```
pub fn perf() -> Perf {
    Perf { window_ms: 1000 }
}

impl Perf {
    /// The length of a window in ms; 1 at least.
    #[must_use]
    pub fn window_ms(mut self, window_ms: u64) -> Perf {
        self.window_ms = window_ms.max(1);
        self
    }
}

#[derive(Default)]
struct Window {
    counts: [u64; 3],
    latencies: Latencies,
}

#[derive(Serialize)]
struct Figures {
    from_ms: u64,
    ok_count: u64,
    fail_count: u64,
    info_count: u64,
    ok_per_second: f64,
    latencies_ns: Quantiles,
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "perf",
    about: "latencies and rates",
    judges: Judges::Anything,
    needs: Needs::Clients,
    options: &[Opt::value("window-ms", "the length of the intervals", "77")],
    build: |o| built(o.set("window-ms", perf(), |c, ms| c.window_ms(ms))?),
};

impl Checker for Perf {
    fn check(&self, history: &History) -> Verdict {
        let window_ns = self.window_ms * 1_000_000;
        let mut functions: BTreeMap<&str, BTreeMap<u64, Window>> = BTreeMap::new();
        let names: Vec<&str> = history.functions().iter().map(|f| &**f).collect();
        for call in calls(history, &names) {
            // An operation belongs to the window in which it was invoked: the rate offered.
            let begun = history.time(call.invoked);
            let windows = functions.entry(history.function(call.invoked)).or_default();
            let window = windows.entry(begun.0 / window_ns).or_default();
            let slot = match call.outcome {
                Outcome::Acknowledged => 0,
                Outcome::Failed => 1,
                Outcome::Open => 2,
            };
            window.counts[slot] += 1;
            if let Some(done) = call.acknowledged() {
                window.latencies.push(history.time(done).0.saturating_sub(begun.0));
            }
        }
        let figures: BTreeMap<&str, Vec<Figures>> = functions
            .into_iter()
            .map(|(f, windows)| (f, windows.into_iter().map(|w| self.figures(w)).collect()))
            .collect();
        Verdict::valid("perf").with("window_ms", self.window_ms).with("functions", figures)
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of("perf").option("window-ms", self.window_ms, 1000))
    }
}

impl Perf {
    fn figures(&self, (n, window): (u64, Window)) -> Figures {
        let [ok_count, fail_count, info_count] = window.counts;
        Figures {
            from_ms: n * self.window_ms,
            ok_count,
            fail_count,
            info_count,
            ok_per_second: ok_count as f64 * 1000.0 / self.window_ms as f64,
            latencies_ns: Quantiles::of(once(&window.latencies)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::histories::Script;
    use super::*;

    #[test]
    fn windows_hold_what_was_invoked_in_them() {
        let verdict = perf().window_ms(4).check(&Script::parse("a1 a1' r a2 r'{1} a2? r r'{1}"));
        let f = &verdict.results["functions"];
        assert_eq!((&f["add"][0]["ok_count"], &f["add"][0]["info_count"]), (&1.into(), &1.into()));
        assert_eq!(f["read"][0]["latencies_ns"]["1"], 2_000_000);
        assert_eq!(f["read"][1]["from_ms"], 4);
        assert_eq!(f["read"][0]["ok_per_second"], 250.0);
    }
}
