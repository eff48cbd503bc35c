//! Which jobs were submitted, and how often each was executed.

use std::collections::{BTreeMap, BTreeSet};

use super::super::calls::{Outcome, calls};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{NodeId, Value};

/// One job.
#[derive(Debug, Default)]
pub(super) struct Job {
    /// All its submits, by their invocation.
    pub(super) submits: Vec<usize>,
    /// Those that were acknowledged, by their completion.
    pub(super) acknowledged: Vec<usize>,
    /// How many submits did not certainly fail.
    pub(super) possible: usize,
    /// The first invocation of one that did not certainly fail.
    pub(super) first_submit: Option<usize>,
    /// How often it was executed, at least.
    pub(super) executions: usize,
    /// The reads that show so many.
    pub(super) shown: Vec<usize>,
    /// The first read that shows one.
    pub(super) first_shown: Option<usize>,
}

impl Job {
    /// Was it executed before anybody submitted it?
    pub(super) fn is_early(&self) -> bool {
        self.first_submit.zip(self.first_shown).is_some_and(|(submit, shown)| shown < submit)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    pub(super) jobs: BTreeMap<Value, Job>,
}

impl Jobs {
    /// Gathers them; gives the read that is no list.
    pub(super) fn of(history: &History) -> Result<Jobs, usize> {
        let mut all = Jobs::default();
        // The most executions of a job that a node showed at a time, and where.
        let mut counted: BTreeMap<(Value, Option<NodeId>), (usize, usize)> = BTreeMap::new();
        let mut named: BTreeMap<Value, BTreeSet<Value>> = BTreeMap::new();
        for call in calls(history, &["submit", "executed"]) {
            let done = call.acknowledged();
            if &**history.function(call.invoked) == "submit" {
                let job = all.jobs.entry(history.value(call.invoked)).or_default();
                job.submits.push(call.invoked);
                job.acknowledged.extend(done);
                if call.outcome != Outcome::Failed {
                    job.possible += 1;
                    job.first_submit = job.first_submit.or(Some(call.invoked));
                }
                continue;
            }
            let Some(done) = done else { continue };
            let mut here: BTreeMap<Value, usize> = BTreeMap::new();
            for (name, execution) in executed(&history.value(done)).ok_or(done)? {
                let job = all.jobs.entry(name.clone()).or_default();
                job.first_shown = Some(job.first_shown.map_or(done, |first| first.min(done)));
                match execution {
                    None => *here.entry(name).or_default() += 1,
                    Some(execution) => {
                        if named.entry(name).or_default().insert(execution) {
                            job.executions += 1;
                            job.shown.push(done);
                        }
                    }
                }
            }
            for (name, n) in here {
                let most = counted.entry((name, history.node(done))).or_insert((n, done));
                if most.0 < n {
                    *most = (n, done);
                }
            }
        }
        for ((name, _), (n, read)) in counted {
            let job = all.jobs.entry(name).or_default();
            job.executions += n;
            job.shown.push(read);
        }
        for job in all.jobs.values_mut() {
            job.shown.sort_unstable();
            job.shown.dedup();
        }
        Ok(all)
    }
}

/// What a read shows: each execution's job, and its own name where it has one.
pub(in super::super) fn executed(value: &Value) -> Option<Vec<(Value, Option<Value>)>> {
    if let Value::Set(set) = value {
        return Some(set.as_slice().iter().map(|n| (Value::Int(*n), None)).collect());
    }
    let entry = |item: &Value| match item.as_list() {
        Some([job, execution]) => (job.clone(), Some(execution.clone())),
        _ => (item.clone(), None),
    };
    Some(value.as_list()?.iter().map(entry).collect())
}
