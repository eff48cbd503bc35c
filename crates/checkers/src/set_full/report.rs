//! The verdict of `set_full`, its anomalies and its figures.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::super::evidence::{count, listed, node_name};
use super::super::latency::Quantiles;
use super::super::sets::NONE;
use super::super::{ANOMALIES_MAX, Anomaly, LISTED_MAX, Verdict};
use super::SetFull;
use super::analysis::{Fate, latency_ns};
use super::convergence::convergence;
use super::explain::Facts;
use super::sessions::{Finding, Sessions};
use super::shared::{shared, spread};
use fuzz_dist_history::op::{Process, Value};

/// How many missing elements are explained, all nodes together.
const MISSING_MAX: usize = 4 * ANOMALIES_MAX;
/// The lives of more vanished elements than this are not gathered, and not summed up in reasons.
const LIVES_MAX: usize = 100_000;
/// How many of the stalest elements the results show.
const WORST_STALE: usize = 8;

pub(super) struct Report<'a> {
    pub(super) options: &'a SetFull,
    pub(super) facts: &'a Facts<'a>,
    pub(super) sessions: &'a Sessions,
}

impl Report<'_> {
    pub(super) fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::valid("set_full");
        let mut reasons = Vec::new();
        self.vanished(&mut verdict, &mut reasons);
        self.intruders(&mut verdict, &mut reasons);
        if self.options.linearizable {
            let stale = &self.facts.analysis.stale;
            let anomalies = stale.iter().take(ANOMALIES_MAX).map(|id| self.facts.stale(*id));
            verdict.anomalies.extend(anomalies);
            verdict.count_of("stale", stale.len());
            self.because(stale, "stale", "stale", String::new, &mut reasons);
        }
        if self.options.sessions {
            self.session_anomalies(&mut verdict, &mut reasons);
        }
        let stable = self.ids(Fate::Stable).next().is_some();
        match (reasons.is_empty(), stable) {
            (true, true) => verdict,
            (true, false) => {
                let why = "no element is stable: none was read by the read that was invoked last";
                Verdict { anomalies: verdict.anomalies, ..Verdict::unknown("set_full", why) }
            }
            // Staleness is judged only where something is stable, which it then is.
            (false, _) => {
                let mut invalid = Verdict::invalid("set_full", reasons.remove(0));
                invalid.reasons.extend(reasons);
                (invalid.anomalies, invalid.counts) = (verdict.anomalies, verdict.counts);
                invalid
            }
        }
    }

    fn ids(&self, fate: Fate) -> impl Iterator<Item = u32> + '_ {
        let fates = self.facts.analysis.fate.iter().enumerate();
        fates.filter(move |(_, f)| **f == fate).map(|(id, _)| id as u32)
    }

    /// A reason about some elements; of several, `shared` says what they have in common.
    fn because(
        &self,
        ids: &[u32],
        one: &str,
        many: &str,
        shared: impl FnOnce() -> String,
        reasons: &mut Vec<String>,
    ) {
        let n = ids.len();
        if n > 0 {
            let first: Vec<Value> = ids.iter().take(9).map(|id| self.facts.name(*id)).collect();
            let mut shown = listed(&first);
            if n > first.len() {
                shown = format!("{} and {} more", listed(&first[..8]), n - 8);
            }
            let word = if n == 1 { one } else { many };
            let also = Some(shared()).filter(|text| n > 1 && !text.is_empty());
            let also = also.map_or(String::new(), |text| format!(" ({text})"));
            reasons.push(format!("{} {word}: {shown}{also}", count(n, "element")));
        }
    }

    /// Lost and missing elements. What many of them share is said once.
    fn vanished(&self, verdict: &mut Verdict, reasons: &mut Vec<String>) {
        let facts = self.facts;
        let origin = |id: u32| facts.history.node(facts.adds.invoked[id as usize] as usize);
        let lost: Vec<u32> = self.ids(Fate::Lost).collect();
        let missing = self.missing();
        let pairs = missing.iter().flat_map(|(streams, ids)| {
            streams.iter().flat_map(move |s| ids.iter().map(move |id| (*s, *id)))
        });
        verdict.count_of("lost", lost.len());
        verdict.count_of("missing", pairs.clone().count());
        let all = lost.iter().chain(missing.values().flatten()).copied();
        let some_lost = spread(lost.iter().copied(), origin, ANOMALIES_MAX);
        let some_missing = spread(pairs, |(s, id)| (s, origin(id)), MISSING_MAX);
        let sample = some_lost.iter().copied().chain(some_missing.iter().map(|(_, id)| *id));
        let lives = match all.clone().count() > LIVES_MAX {
            true => facts.lives(sample),
            false => facts.lives(all),
        };
        verdict.anomalies.extend(some_lost.iter().map(|id| facts.lost(*id, &lives[id])));
        let explained = some_missing.iter().map(|(s, id)| facts.missing(*id, &lives[id], *s));
        verdict.anomalies.extend(explained);
        let also = |ids: &[u32], streams: &[usize]| shared(facts, ids, &lives, streams);
        self.because(&lost, "was lost", "were lost", || also(&lost, &[]), reasons);
        for (streams, ids) in &missing {
            let on = self.odd(streams);
            let words = [format!("is missing on {on}"), format!("are missing on {on}")];
            self.because(ids, &words[0], &words[1], || also(ids, streams), reasons);
        }
    }

    /// The missing elements by the nodes whose final reads lack them.
    fn missing(&self) -> BTreeMap<Vec<usize>, Vec<u32>> {
        let analysis = self.facts.analysis;
        let mut lacking: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (s, node) in analysis.nodes.iter().enumerate() {
            let missing = |id: &&u32| analysis.fate[**id as usize] == Fate::Missing;
            for id in node.missing.iter().filter(missing) {
                lacking.entry(*id).or_default().push(s);
            }
        }
        let mut missing: BTreeMap<Vec<usize>, Vec<u32>> = BTreeMap::new();
        for (id, streams) in lacking {
            missing.entry(streams).or_default().push(id);
        }
        missing
    }

    /// The nodes by name, and which one differs from all others.
    fn odd(&self, streams: &[usize]) -> String {
        let facts = self.facts;
        let name = |s: &usize| node_name(facts.history, facts.streams.streams[*s].node);
        let names: Vec<String> = streams.iter().map(name).collect();
        let final_reads = |s: &usize| facts.streams.streams[*s].final_read(facts.history).is_some();
        let all: Vec<usize> = (0..facts.streams.streams.len()).filter(final_reads).collect();
        let having: Vec<&usize> = all.iter().filter(|s| !streams.contains(s)).collect();
        match (&having[..], streams.len()) {
            _ if all.len() < 3 => names.join(" "),
            ([one], _) => format!("{}, only {} has them", names.join(" "), name(one)),
            (_, 1) => format!("{} only", names[0]),
            _ => names.join(" "),
        }
    }

    /// Elements that must not be where they were read.
    fn intruders(&self, verdict: &mut Verdict, reasons: &mut Vec<String>) {
        let (facts, a) = (self.facts, self.facts.analysis);
        let early: Vec<(u32, u32)> = a
            .early
            .iter()
            .map(|(id, s, read)| (*id, facts.streams.streams[*s].completed[*read as usize]))
            .collect();
        for (kind, found, one, many) in [
            (
                "unexpected",
                &a.unexpected,
                "was read that no client added",
                "were read that no client added",
            ),
            (
                "resurrected",
                &a.resurrected,
                "was read whose add had failed",
                "were read whose adds had failed",
            ),
            (
                "early",
                &early,
                "was read before its add was invoked",
                "were read before their adds were invoked",
            ),
        ] {
            let shown = found.iter().take(ANOMALIES_MAX);
            verdict.anomalies.extend(shown.map(|(id, read)| facts.intruder(kind, *id, *read)));
            verdict.count_of(kind, found.len());
            let ids: Vec<u32> = found.iter().map(|(id, _)| *id).collect();
            self.because(&ids, one, many, String::new, reasons);
        }
        let duplicates = self.duplicates();
        let shown = duplicates.iter().take(ANOMALIES_MAX);
        verdict
            .anomalies
            .extend(shown.map(|(id, event, times)| facts.duplicate(*id, *event, *times)));
        let (one, many) = ("was read twice at a time", "were read twice at a time");
        verdict.count_of("duplicate", duplicates.len());
        let ids: Vec<u32> = duplicates.iter().map(|d| d.0).collect();
        self.because(&ids, one, many, String::new, reasons);
    }

    fn duplicates(&self) -> Vec<(u32, u32, u32)> {
        let all = self.facts.streams.duplicates.iter();
        let mut all: Vec<_> = all.map(|(id, d)| (*id, d.event, d.times)).collect();
        all.sort_unstable_by_key(|(id, event, _)| (*event, *id));
        all
    }

    fn session_anomalies(&self, verdict: &mut Verdict, reasons: &mut Vec<String>) {
        let s = self.sessions;
        for (kind, found, text, many) in [
            (
                "read_your_writes",
                &s.read_your_writes,
                "was not read by the client that had added it",
                "were not read by the client that had added them",
            ),
            (
                "monotonic_reads",
                &s.monotonic_reads,
                "was read by a client and lacking in its later read",
                "were read by a client and lacking in its later read",
            ),
            (
                "flutter",
                &s.flutter,
                "was read, lacking, and read again by one client",
                "were read, lacking, and read again by one client",
            ),
        ] {
            for f in found.iter().take(ANOMALIES_MAX) {
                let last = f.events[f.events.len() - 1] as usize;
                let moments: Vec<String> = (f.events.iter())
                    .map(|e| self.facts.history.time(*e as usize).to_string())
                    .collect();
                let text = format!(
                    "{} {text}: client {}, at {}",
                    self.facts.name(f.id),
                    Process(f.process),
                    moments.join(", ")
                );
                verdict.anomalies.push(
                    Anomaly::new(kind, self.facts.name(f.id))
                        .explained(text)
                        .on(self.facts.history.node(last))
                        .at(self.facts.history.time(last))
                        .proved_by(f.events.iter().map(|e| *e as usize)),
                );
            }
            verdict.count_of(kind, found.len());
            let ids: Vec<u32> = found.iter().map(|f| f.id).collect();
            self.because(&ids, text, many, String::new, reasons);
        }
    }

    pub(super) fn figures(&self, verdict: Verdict, settled: bool) -> Verdict {
        let (facts, a) = (self.facts, self.facts.analysis);
        let adds = facts.adds;
        let acknowledged = (0..adds.len()).filter(|id| adds.is_acknowledged(*id)).count();
        let verdict = verdict
            .with("attempt_count", adds.len())
            .with("acknowledged_count", acknowledged)
            .with("read_count", facts.streams.streams.iter().map(|s| s.len()).sum::<usize>());
        let fates = [
            ("stable", Fate::Stable),
            ("lost", Fate::Lost),
            ("missing", Fate::Missing),
            ("never_read", Fate::NeverRead),
        ];
        let verdict = fates.into_iter().fold(verdict, |v, (name, fate)| {
            // What is as it should be is counted only.
            if fate == Fate::Stable {
                v.with("stable_count", self.ids(fate).count())
            } else {
                self.list(v, name, &self.ids(fate).collect::<Vec<u32>>())
            }
        });
        let ids = |found: &[(u32, u32)]| found.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        let early: Vec<u32> = a.early.iter().map(|(id, ..)| *id).collect();
        let duplicates: Vec<u32> = self.duplicates().iter().map(|d| d.0).collect();
        let verdict = self.list(verdict, "unexpected", &ids(&a.unexpected));
        let verdict = self.list(verdict, "resurrected", &ids(&a.resurrected));
        let verdict = self.list(verdict, "early", &early);
        let verdict = self.list(verdict, "duplicate", &duplicates);
        let verdict = self.list(verdict, "recovered", &a.recovered);
        let verdict = self.list(verdict, "stale", &a.stale);
        let verdict = self.sessions(self.latencies(verdict)).with("nodes", self.nodes());
        let limit = facts.history.meta("quiesce_limit_ms").and_then(Value::as_int);
        let verdict = verdict.with("quiesce_limit_ms", limit);
        let undecided: Vec<u32> = self.ids(Fate::Undecided).collect();
        let verdict = match settled {
            true => verdict,
            false => self.list(verdict, "undecided", &undecided),
        };
        match convergence(facts.history, adds, facts.streams) {
            // That nodes had not come to agree yet says nothing where they were not waited for.
            Some(c) if !c.converged && !settled => verdict,
            None => verdict,
            Some(c) => verdict.with("converged", c.converged).with("convergence_ms", c.time_ms),
        }
    }

    /// The number of elements, and the first of them.
    fn list(&self, verdict: Verdict, name: &str, ids: &[u32]) -> Verdict {
        let shown: Vec<Json> =
            ids.iter().take(LISTED_MAX).map(|id| json_of(&self.facts.name(*id))).collect();
        let verdict = verdict.with(format!("{name}_count"), ids.len());
        if shown.is_empty() { verdict } else { verdict.with(name, shown) }
    }

    fn latencies(&self, verdict: Verdict) -> Verdict {
        let (history, a) = (self.facts.history, self.facts.analysis);
        let latency = |(last, known)| (known != NONE).then(|| latency_ns(history, last, known));
        let stable = || self.ids(Fate::Stable).map(|id| id as usize);
        let stable = || stable().map(|id| (a.last_absent[id], a.known[id])).filter_map(latency);
        let lost = || a.lost_present.iter().map(|(id, last)| (*last, a.known[*id as usize]));
        let lost = || lost().filter_map(latency);
        let mut worst: Vec<(u64, u32)> = (a.stale.iter())
            .map(|id| {
                (latency_ns(history, a.last_absent[*id as usize], a.known[*id as usize]), *id)
            })
            .collect();
        worst.sort_by_key(|(ns, id)| (std::cmp::Reverse(*ns), *id));
        worst.truncate(WORST_STALE);
        let worst: Vec<Json> = worst
            .into_iter()
            .map(|(ns, id)| {
                json!({
                    "element": json_of(&self.facts.name(id)),
                    "latency_ns": ns,
                    "known_event": a.known[id as usize],
                    "last_absent_event": a.last_absent[id as usize],
                    "explanation": self.facts.stale(id).explanation,
                })
            })
            .collect();
        verdict
            .with("stable_latencies_ns", Quantiles::of_each(stable))
            .with("lost_latencies_ns", Quantiles::of_each(lost))
            .with("worst_stale", worst)
    }

    fn sessions(&self, verdict: Verdict) -> Verdict {
        let s = self.sessions;
        let first = |found: &[Finding]| {
            let shown = found.iter().take(ANOMALIES_MAX);
            shown
                .map(|f| json!({"client": f.process, "element": json_of(&self.facts.name(f.id)), "events": f.events}))
                .collect::<Vec<Json>>()
        };
        let mut verdict = verdict;
        for (name, found) in [
            ("read_your_writes", &s.read_your_writes),
            ("monotonic_reads", &s.monotonic_reads),
            ("flutter", &s.flutter),
        ] {
            verdict = verdict.with(format!("{name}_count"), found.len());
            if !found.is_empty() {
                verdict = verdict.with(name, first(found));
            }
        }
        if s.cut_short { verdict.with("sessions_at_least", true) } else { verdict }
    }

    /// Figures per node.
    fn nodes(&self) -> BTreeMap<String, Json> {
        let facts = self.facts;
        let both = facts.streams.streams.iter().zip(&facts.analysis.nodes);
        both.map(|(stream, node)| {
            let figures = json!({
                "reads": stream.len(),
                "missing_count": node.missing.len(),
                "late_count": node.late.len(),
                "stale_count": node.stale,
                "latencies_ns": node.latencies_ns,
            });
            (node_name(facts.history, stream.node), figures)
        })
        .collect()
    }
}

/// An element as JSON: numbers and texts as such, everything else as people write it.
fn json_of(value: &Value) -> Json {
    match value {
        Value::Int(n) => json!(n),
        Value::Text(t) => json!(t),
        Value::Bool(b) => json!(b),
        Value::Nil => Json::Null,
        other => json!(other.to_string()),
    }
}
