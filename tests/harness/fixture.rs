//! Tests that pass, fail, panic or cannot even start, on a cluster of one node that does nothing.

use std::future::Future as _;

use fuzz_dist::client::{Client, DynClient, Error as ClientError};
use fuzz_dist::env::Command;
use fuzz_dist::history::History;
use fuzz_dist::op::{Completion, Invocation, Name};
use fuzz_dist::prelude::*;
use fuzz_dist::run::Judged;

/// A database that does nothing.
#[fuzz_dist::db("fixture", aliases = ["fixture_alias"])]
#[derive(Default)]
struct Fixture;

impl Fixture {
    fn new(_port: u16) -> Self {
        Fixture
    }
}

impl Db for Fixture {
    fn name(&self) -> Name {
        "fixture".into()
    }

    async fn start(&self, node: &Node) -> Result<(), Error> {
        node.spawn(Command::new("/bin/sleep").arg("600")).await?;
        Ok(())
    }

    async fn ready(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }

    fn client(&self, _: &str, _: &Node) -> Option<Box<dyn DynClient>> {
        Some(Box::new(Agrees))
    }
}

/// A client to which everything is fine.
struct Agrees;

impl Client for Agrees {
    async fn invoke(&mut self, op: &Invocation) -> Completion {
        Completion::Ok(op.value.clone())
    }

    async fn reopen(&mut self) -> Result<(), ClientError> {
        Ok(())
    }
}

/// A judge whose verdict is known beforehand.
struct Says(Verdict);

impl Checker for Says {
    fn check(&self, _: &History) -> Verdict {
        self.0.clone()
    }
}

/// A short run that is judged like this.
async fn judged(test: Test, verdict: Verdict) -> Outcome {
    test.nodes(1).nemesis(none()).start().await?.check(Says(verdict)).await
}

async fn passing(test: Test) -> Outcome {
    judged(test, valid()).await
}

/// A nemesis of one's own, made by a function.
#[fuzz_dist::nemesis("slow_bridge")]
fn slow_bridge() -> Nemesis {
    bridge().lasting(secs(60))
}

fn valid() -> Verdict {
    Verdict::valid("fixture")
}

/// It passes.
#[fuzz_dist::test(db = "fixture")]
async fn passes(test: Test) -> Outcome {
    passing(test).await
}

#[fuzz_dist::test(db = "fixture_alias", nemesis = "majorities_ring")]
async fn passes_by_alias(test: Test) -> Result<Judged, Box<dyn std::error::Error + Send + Sync>> {
    Ok(passing(test).await?)
}

#[fuzz_dist::test(db = Fixture::new(8087))]
async fn passes_by_expression(test: Test) -> Result<Judged, Error> {
    Ok(passing(test).await?)
}

#[fuzz_dist::test(db = "fixture")]
async fn fails(test: Test) -> Outcome {
    judged(test, Verdict::invalid("fixture", "a known loss")).await
}

#[fuzz_dist::test(db = "fixture")]
async fn errs(_test: Test) -> Result<Judged, std::io::Error> {
    Err(std::io::Error::other("out of luck"))
}

/// The verdict stands, and the test fails all the same.
#[fuzz_dist::test(db = "fixture")]
async fn asserts_after_its_verdict(test: Test) -> Outcome {
    let verdict = passing(test).await?;
    assert!(verdict.is_invalid(), "the cart is full");
    Ok(verdict)
}

/// What is missing afterwards hides no anomaly.
#[fuzz_dist::test(db = "fixture")]
async fn misses_something_after_its_verdict(test: Test) -> Outcome {
    let _ = judged(test, Verdict::invalid("fixture", "lost 4 adds")).await?;
    Err(Error::missing("no second release").into())
}

#[fuzz_dist::test(db = "fixture")]
async fn panics(_test: Test) -> Outcome {
    panic!("out of order")
}

/// A limit that is a constant, and one whole machine.
#[fuzz_dist::test(db = "fixture", time_limit = LIMIT, rate = 5_u32, exclusive)]
async fn passes_in_time(test: Test) -> Outcome {
    passing(test).await
}

const LIMIT: std::time::Duration = secs(3);

#[fuzz_dist::test(db = "fixture", time_limit = "1ms", total_limit = "50ms")]
async fn takes_too_long(_test: Test) -> Outcome {
    std::future::pending().await
}

#[fuzz_dist::test(db = "fixture", expect = "invalid")]
async fn loses_as_expected(test: Test) -> Outcome {
    judged(test, Verdict::invalid("fixture", "a known loss")).await
}

#[fuzz_dist::test(db = "fixture", expect = "invalid")]
async fn loses_no_more(test: Test) -> Outcome {
    passing(test).await
}

#[fuzz_dist::test(db = "fixture")]
async fn is_unsure(test: Test) -> Outcome {
    judged(test, Verdict::unknown("fixture", "nothing was read")).await
}

#[fuzz_dist::test(db = "fixture", unknown = "warn")]
async fn is_unsure_and_may_be(test: Test) -> Outcome {
    judged(test, Verdict::unknown("fixture", "nothing was read")).await
}

/// Prints the seed of every attempt.
#[fuzz_dist::test(db = "fixture", attempts = 3, seed = 7)]
async fn attempts(test: Test) -> Outcome {
    println!("seed {}", test.seed());
    passing(test).await
}

/// All attempts but the first show the loss, and one that does is enough.
#[fuzz_dist::test(db = "fixture", attempts = 4, seed = 7, expect = "invalid")]
async fn loses_once(test: Test) -> Outcome {
    println!("seed {}", test.seed());
    let lost = Verdict::invalid("fixture", "a known loss");
    let verdict = if test.seed().0 == 7 { valid() } else { lost };
    judged(test, verdict).await
}

/// One attempt of two is not enough.
#[fuzz_dist::test(db = "fixture", attempts = 2, seed = 7)]
async fn holds_once(test: Test) -> Outcome {
    let lost = Verdict::invalid("fixture", "lost 4 adds");
    let verdict = if test.seed().0 == 7 { valid() } else { lost };
    judged(test, verdict).await
}

#[fuzz_dist::test(db = "fixture")]
async fn needs_a_release(_test: Test) -> Outcome {
    Err(Error::missing("no release of the fixture").into())
}

#[fuzz_dist::test(db = "fixture")]
async fn needs_a_permission(_test: Test) -> Outcome {
    Err(Error::environment("no permission for namespaces").into())
}

#[fuzz_dist::test(db = "fixture", ignore = "takes an hour")]
async fn is_ignored(test: Test) -> Outcome {
    passing(test).await
}

#[fuzz_dist::test(db = "fixtrue")]
async fn misspelt(test: Test) -> Outcome {
    passing(test).await
}

#[fuzz_dist::test(db = "fixture", nemesis = "majority_rung")]
async fn misspelt_nemesis(test: Test) -> Outcome {
    passing(test).await
}

#[fuzz_dist::test(db = "fixture")]
async fn snapshot_that_is_missing(test: Test) -> Outcome {
    fuzz_dist::insta::assert_snapshot!("nobody accepted this");
    passing(test).await
}

/// Every attempt has the same snapshots.
#[fuzz_dist::test(db = "fixture", attempts = 3, seed = 7)]
async fn snapshot_of_every_attempt(_test: Test) -> Outcome {
    fuzz_dist::insta::assert_snapshot!("the same");
    println!("compared");
    Err(Error::usage("that is all").into())
}

/// Snapshots without names are numbered, in the first attempt only.
#[fuzz_dist::test(db = "fixture", attempts = 2, seed = 7)]
async fn two_snapshots_of_every_attempt(_test: Test) -> Outcome {
    fuzz_dist::insta::assert_snapshot!("one");
    fuzz_dist::insta::assert_snapshot!("two");
    println!("compared");
    Err(Error::usage("that is all").into())
}

/// What a test holds is dropped when it is interrupted.
struct Held;

impl Drop for Held {
    fn drop(&mut self) {
        println!("let go");
    }
}

#[fuzz_dist::test(db = "fixture", ignore)]
async fn waits(_test: Test) -> Outcome {
    let _held = Held;
    println!("waiting");
    std::future::pending().await
}

/// Blocks its thread, so that no wish to stop reaches it.
#[fuzz_dist::test(db = "fixture", ignore)]
async fn is_stuck(test: Test) -> Outcome {
    println!("stuck");
    std::thread::sleep(secs(60));
    passing(test).await
}

mod matrix {
    use super::*;
    use std::rc::Rc;

    #[fuzz_dist::test(
        db = "fixture",
        nemesis = ["none", "slow_bridge", isolate_node().every(secs(20))],
        nodes = [4, 5],
    )]
    async fn cells(test: Test) -> Outcome {
        // A body need not be `Send`.
        let verdict = Rc::new(valid());
        tokio::task::yield_now().await;
        judged(test, Rc::unwrap_or_clone(verdict)).await
    }

    #[fuzz_dist::test(db = "fixture", nemesis = ["none", "bridge"])]
    async fn snapshots(test: Test) -> Outcome {
        let verdict = valid();
        fuzz_dist::insta::assert_snapshot!(verdict.summary());
        fuzz_dist::insta::assert_snapshot!("named", verdict.summary());
        judged(test, verdict).await
    }
}

/// Wakes nobody, but panics: on the thread of whoever moves the clock.
struct Bad;

impl std::task::Wake for Bad {
    fn wake(self: std::sync::Arc<Self>) {
        panic!("a waker of the test");
    }
}

/// What moves simulated time dies in the middle of a run whose checker finds nothing wrong.
#[fuzz_dist::test(db = "fixture", nodes = 1, time = "simulated", total_limit = "60s")]
async fn its_time_breaks(test: Test) -> Outcome {
    let running = test.start().await?;
    let clock = running.clock().clone();
    let mut sleeping = std::pin::pin!(clock.sleep(millis(100)));
    let waker = std::task::Waker::from(std::sync::Arc::new(Bad));
    assert!(sleeping.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    running.client("n1").invoke(Add(1)).await?;
    clock.clone().sleep(millis(300)).await;
    running.check(Says(Verdict::valid("says"))).await
}
