//! Scenarios: what a test can do while it runs, and what it learns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fuzz_dist::checker::{convergence, set_full};
use fuzz_dist::client::{Client, Error as ClientError};
use fuzz_dist::generator::{Generator as _, repeat};
use fuzz_dist::history::History;
use fuzz_dist::op::{Completion, Invocation, Kind, OpError, Value};
use fuzz_dist::prelude::*;

/// A database is all that a scenario needs: operations go through the database's own client, and the
/// nodes are read in the end.
#[fuzz_dist::test(db = "embedded", nodes = 3, seed = 1)]
async fn a_scenario_needs_no_workload(test: Test) -> Outcome {
    let running = test.start().await?;
    running.client("n1").invoke(Add(1)).await?;
    let fault = running.inject(isolate_node()).await?;
    running.client("n2").invoke(Add(2)).await?;
    fault.heal().await?;
    running.check(set_full()).await
}

/// What has no workload has no main phase, and says what is missing.
#[fuzz_dist::test(db = "embedded", nodes = 1, seed = 2)]
async fn a_main_phase_needs_a_workload(test: Test) -> Outcome {
    let running = test.start().await?;
    let missing = running.main_phase().await.expect_err("there are no operations");
    assert!(missing.to_string().contains("the test has no workload"), "{missing}");
    running.client("n1").invoke(Add(1)).await?;
    running.check(set_full()).await
}

/// What is done by hand and what the workload does is one run.
#[fuzz_dist::test(db = "embedded", workload = "g_set", nodes = 2, time_limit = "1s", seed = 3)]
async fn a_main_phase_can_be_part_of_a_scenario(test: Test) -> Outcome {
    let running = test.start().await?;
    running.client("n1").invoke(Add(1_000_000)).await?;
    running.main_phase().await?;
    let read = running.client("n1").invoke(Read).await?;
    assert!(read.contains(&1_000_000) && read.len() > 5, "{read:?}");
    running.check(set_full()).await
}

/// A main phase that is dropped half-way leaves operations behind that nobody knows of, and another
/// one can follow.
#[fuzz_dist::test(db = "embedded", workload = "g_set", nodes = 2, time_limit = "1s", seed = 4)]
async fn a_main_phase_can_be_dropped(test: Test) -> Outcome {
    let running = test.workload(never_done()).start().await?;
    for _ in 0..2 {
        let main = tokio::time::timeout(millis(300), running.main_phase());
        main.await.expect_err("nothing is answered");
    }
    for node in ["n1", "n2"] {
        running.client(node).invoke(Invocation::new("look", ())).await?;
    }
    running.check(Left).await
}

/// A client that never answers a `hang`, answers anything else at once, and says how often it was
/// opened.
struct Hangs;

impl Client for Hangs {
    async fn invoke(&mut self, op: &Invocation) -> Completion {
        match &*op.f {
            "hang" => std::future::pending().await,
            "refuse" => Completion::Fail(OpError::new("refused", "as asked")),
            "vanish" => Completion::Info(OpError::new("vanished", "as asked")),
            "panic" => panic!("as asked"),
            _ => Completion::Ok(op.value.clone()),
        }
    }

    async fn reopen(&mut self) -> Result<(), ClientError> {
        Ok(())
    }
}

fn never_done() -> Workload {
    let hang = |_| repeat(Invocation::new("hang", ())).boxed();
    Workload::new("never_done", ["hang"; 0], hang).client(|_| Box::new(Hangs)).pure(["look"])
}

/// Operations were left behind, and all of them are indeterminate.
struct Left;

impl Checker for Left {
    fn check(&self, history: &History) -> Verdict {
        let left = |i: &usize| history.error(*i).is_some_and(|e| &*e.kind == "abandoned");
        let left: Vec<usize> = (0..history.len()).filter(left).collect();
        match !left.is_empty() && left.iter().all(|i| history.kind(*i) == Kind::Info) {
            true => Verdict::valid("left"),
            false => Verdict::invalid("left", format!("{left:?} were left behind")),
        }
    }
}

/// Each operation of a scenario, in order: process, function, and how it ended.
struct Ends(&'static [(&'static str, &'static str)]);

impl Checker for Ends {
    fn check(&self, history: &History) -> Verdict {
        let invoked = (0..history.len())
            .filter(|i| history.kind(*i) == Kind::Invoke && history.process(*i).is_client());
        let ends: Vec<(u32, String, String)> = invoked
            .map(|i| {
                let end = history.completion(i);
                let kind = end.and_then(|c| history.error(c)).map(|e| e.kind.to_string());
                let end = end.map_or("open", |c| history.kind(c).as_str());
                let end = kind.map_or(end.to_string(), |kind| format!("{end} {kind}"));
                (history.process(i).0, history.function(i).to_string(), end)
            })
            .collect();
        let same = ends.iter().map(|(_, f, end)| (&**f, &**end)).eq(self.0.iter().copied());
        // A process lives as long as its operations have an outcome.
        let lives =
            ends.windows(2).all(|two| (two[0].0 == two[1].0) != two[0].2.starts_with("info"));
        match same && lives {
            true => Verdict::valid("ends"),
            false => Verdict::invalid("ends", format!("{ends:?}")),
        }
    }
}

/// A dropped operation is indeterminate, its client goes on as a new process; outcomes can be distinguished.
#[fuzz_dist::test(
    db = "embedded",
    workload = never_done(),
    nodes = 1,
    op_limit = "200ms",
    unknown = "warn",
    seed = 5
)]
async fn operations_end_as_the_history_says(test: Test) -> Outcome {
    let running = test.start().await?;
    let mut client = running.client("n1");
    let op = |f: &str| Invocation::new(f, ());
    tokio::time::timeout(millis(20), client.invoke(op("hang"))).await.expect_err("it hangs");
    assert_eq!(client.invoke(op("look")).await?, Value::Nil);
    let refused = client.invoke(op("refuse")).await;
    assert!(matches!(&refused, Err(InvokeError::Fail { kind, .. }) if &**kind == "refused"));
    let text = refused.expect_err("it was refused").to_string();
    assert_eq!(text, "refuse nil on n1 failed: refused: as asked");
    let vanished = client.invoke(op("vanish")).await;
    assert!(matches!(vanished, Err(InvokeError::Info { .. })), "{vanished:?}");
    let late = client.invoke(op("hang")).await.expect_err("it hangs");
    assert_eq!(late.kind(), "timeout");
    let panicked = client.invoke(op("panic")).await.expect_err("it panics");
    assert_eq!(panicked.kind(), "panicked");
    assert_eq!(client.invoke(op("look")).await?, Value::Nil);
    let ends = Ends(&[
        ("hang", "info abandoned"),
        ("look", "ok"),
        ("refuse", "fail refused"),
        ("vanish", "info vanished"),
        ("hang", "info timeout"),
        ("panic", "info panicked"),
        ("look", "ok"),
    ]);
    let judged = running.check(ends).await?;
    assert!(judged.part("ends").is_some_and(Verdict::is_valid), "{}", judged.reasons.join("; "));
    Ok(judged)
}

fn by_functions() -> Workload {
    set_workload()
        .add(|_, _| async { Ok::<(), Failure>(()) })
        .read(|_| async { Ok::<Vec<i64>, Failure>(vec![1]) })
        .into()
}

/// An add of unknown outcome that takes effect between two of the final reads.
fn late_add() -> Workload {
    let reads = Arc::new(AtomicUsize::new(0));
    set_workload()
        .add(|_, element| async move {
            let lost = || Failure::info("timeout", "no answer came");
            if element == 1 { Err(lost()) } else { Ok(()) }
        })
        .read(move |_| {
            // Two rounds of the quiesce agree; of the third, the final reads, only the last one has it.
            let late = reads.fetch_add(1, Ordering::SeqCst) >= 2 * 3 + 2;
            async move { Ok::<Vec<i64>, Failure>(if late { vec![1, 2] } else { vec![2] }) }
        })
        .into()
}

/// Final reads that differ by an update of unknown outcome are taken again.
#[fuzz_dist::test(
    db = "embedded",
    workload = late_add(),
    checker = convergence(),
    nodes = 3,
    seed = 16
)]
async fn final_reads_that_a_late_update_divides_are_repeated(test: Test) -> Outcome {
    let running = test.start().await?;
    running.client("n1").invoke(Add(1)).await.expect_err("nobody knows");
    running.client("n1").invoke(Add(2)).await?;
    running.check(set_full()).await
}

/// A function that a client does not know certainly does not happen, whatever the form of its value.
#[fuzz_dist::test(
    db = "embedded",
    workload = [g_set(), by_functions()],
    nodes = 1,
    seed = 6
)]
async fn operations_are_chosen_by_name(test: Test) -> Outcome {
    let running = test.start().await?;
    let mut client = running.client("n1");
    client.invoke(Add(1)).await?;
    let remove = client.invoke(Invocation::new("remove", 3)).await.expect_err("there is none");
    assert_eq!(remove.kind(), "unsupported");
    assert!(
        remove.to_string().contains("no function `remove`; it has `add` and `read`"),
        "{remove}"
    );
    let add = client.invoke(Invocation::new("add", "three")).await.expect_err("it takes integers");
    assert_eq!(add.kind(), "bad_argument");
    assert_eq!(client.invoke(Read).await?, [1]);
    running.check(set_full()).await
}

/// A converged cluster is found converged at once.
struct QuickToSettle;

impl Checker for QuickToSettle {
    fn check(&self, history: &History) -> Verdict {
        let ends = (0..history.len()).filter(|i| history.kind(*i) != Kind::Invoke);
        let quiesce = fuzz_dist::op::Phase::Quiesce;
        let reads =
            ends.filter(|i| history.phase(*i) == quiesce && history.process(*i).is_client());
        // Rounds, not milliseconds: a busy machine is slow.
        match (reads.count(), history.meta("converged_ms").and_then(Value::as_int)) {
            (4, Some(_)) => Verdict::valid("quick_to_settle"),
            (n, ms) => Verdict::invalid("quick_to_settle", format!("{n} reads, {ms:?} ms")),
        }
    }
}

/// Two rounds of two nodes are all that it takes.
#[fuzz_dist::test(db = "embedded", nodes = 2, seed = 7)]
async fn two_equal_rounds_end_the_wait(test: Test) -> Outcome {
    let running = test.start().await?;
    let mut client = running.client("n1");
    client.invoke(Add(1)).await?;
    while running.client("n2").invoke(Read).await? != [1] {
        tokio::time::sleep(millis(10)).await;
    }
    running.check(QuickToSettle).await
}

fuzz_dist::main!();
