//! Tests that pass, fail, panic or cannot even start, without any cluster.

use fuzz_dist::db::Db;
use fuzz_dist::error::Error;
use fuzz_dist::node::Node;
use fuzz_dist::op::Name;
use fuzz_dist::prelude::*;

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

    async fn start(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }

    async fn ready(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
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
async fn passes(_test: Test) -> Outcome {
    Ok(valid())
}

#[fuzz_dist::test(db = "fixture_alias", nemesis = "majorities_ring")]
async fn passes_by_alias(_test: Test) -> Verdict {
    valid()
}

#[fuzz_dist::test(db = Fixture::new(8087))]
async fn passes_by_expression(_test: Test) -> Result<Verdict, std::io::Error> {
    Ok(valid())
}

#[fuzz_dist::test(db = "fixture")]
async fn fails(_test: Test) -> Verdict {
    Verdict::invalid("fixture", "a known loss")
}

#[fuzz_dist::test(db = "fixture")]
async fn errs(_test: Test) -> Result<Verdict, std::io::Error> {
    Err(std::io::Error::other("out of luck"))
}

#[fuzz_dist::test(db = "fixture")]
async fn panics(_test: Test) -> Outcome {
    panic!("out of order")
}

/// A limit that is a constant, and one whole machine.
#[fuzz_dist::test(db = "fixture", time_limit = LIMIT, rate = 5_u32, exclusive)]
async fn passes_in_time(_test: Test) -> Outcome {
    Ok(valid())
}

const LIMIT: std::time::Duration = secs(3);

#[fuzz_dist::test(db = "fixture", time_limit = "1ms", total_limit = "50ms")]
async fn takes_too_long(_test: Test) -> Outcome {
    std::future::pending().await
}

#[fuzz_dist::test(db = "fixture", expect = "invalid")]
async fn loses_as_expected(_test: Test) -> Verdict {
    Verdict::invalid("fixture", "a known loss")
}

#[fuzz_dist::test(db = "fixture", expect = "invalid")]
async fn loses_no_more(_test: Test) -> Verdict {
    valid()
}

#[fuzz_dist::test(db = "fixture")]
async fn is_unsure(_test: Test) -> Verdict {
    Verdict::unknown("fixture", "nothing was read")
}

#[fuzz_dist::test(db = "fixture", unknown = "warn")]
async fn is_unsure_and_may_be(_test: Test) -> Verdict {
    Verdict::unknown("fixture", "nothing was read")
}

/// Prints the seed of every attempt.
#[fuzz_dist::test(db = "fixture", attempts = 3, seed = 7)]
async fn attempts(test: Test) -> Outcome {
    println!("seed {}", test.seed());
    Ok(valid())
}

/// All attempts but the first show the loss, and one that does is enough.
#[fuzz_dist::test(db = "fixture", attempts = 4, seed = 7, expect = "invalid")]
async fn loses_once(test: Test) -> Verdict {
    println!("seed {}", test.seed());
    if test.seed().0 == 7 { valid() } else { Verdict::invalid("fixture", "a known loss") }
}

/// One attempt of two is not enough.
#[fuzz_dist::test(db = "fixture", attempts = 2, seed = 7)]
async fn holds_once(test: Test) -> Verdict {
    if test.seed().0 == 7 { valid() } else { Verdict::invalid("fixture", "lost 4 adds") }
}

#[fuzz_dist::test(db = "fixture")]
async fn needs_a_release(_test: Test) -> Outcome {
    Err(Error::missing("no release of the fixture"))
}

#[fuzz_dist::test(db = "fixture")]
async fn needs_a_permission(_test: Test) -> Outcome {
    Err(Error::environment("no permission for namespaces"))
}

#[fuzz_dist::test(db = "fixture", ignore = "takes an hour")]
async fn is_ignored(_test: Test) -> Outcome {
    Ok(valid())
}

#[fuzz_dist::test(db = "fixtrue")]
async fn misspelt(_test: Test) -> Outcome {
    Ok(valid())
}

#[fuzz_dist::test(db = "fixture", nemesis = "majority_rung")]
async fn misspelt_nemesis(_test: Test) -> Outcome {
    Ok(valid())
}

#[fuzz_dist::test(db = "fixture")]
async fn snapshot_that_is_missing(_test: Test) -> Outcome {
    fuzz_dist::insta::assert_snapshot!("nobody accepted this");
    Ok(valid())
}

/// Every attempt has the same snapshots.
#[fuzz_dist::test(db = "fixture", attempts = 3, seed = 7)]
async fn snapshot_of_every_attempt(_test: Test) -> Outcome {
    fuzz_dist::insta::assert_snapshot!("the same");
    println!("compared");
    Err(Error::usage("that is all"))
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
async fn is_stuck(_test: Test) -> Outcome {
    println!("stuck");
    std::thread::sleep(secs(60));
    Ok(valid())
}

mod matrix {
    use super::*;
    use std::rc::Rc;

    #[fuzz_dist::test(
        db = "fixture",
        nemesis = ["none", "slow_bridge", isolate_node().every(secs(20))],
        nodes = [4, 5],
    )]
    async fn cells(_test: Test) -> Outcome {
        // A body need not be `Send`.
        let verdict = Rc::new(valid());
        tokio::task::yield_now().await;
        Ok(Rc::unwrap_or_clone(verdict))
    }

    #[fuzz_dist::test(db = "fixture", nemesis = ["none", "bridge"])]
    async fn snapshots(_test: Test) -> Outcome {
        let verdict = valid();
        fuzz_dist::insta::assert_snapshot!(verdict.summary());
        fuzz_dist::insta::assert_snapshot!("named", verdict.summary());
        Ok(verdict)
    }
}
