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

#[fuzz_dist::test(db = "fixture", ignore = "takes an hour")]
async fn is_ignored(_test: Test) -> Outcome {
    Ok(valid())
}

#[fuzz_dist::test(db = "fixtrue")]
async fn misspelt(_test: Test) -> Outcome {
    Ok(valid())
}

#[fuzz_dist::test(db = "fixture", nodes = 5, concurrency = 3)]
async fn too_few_clients(_test: Test) -> Outcome {
    Ok(valid())
}

mod matrix {
    use super::*;
    use std::rc::Rc;

    #[fuzz_dist::test(
        db = "fixture",
        nemesis = ["none", "slow_bridge", isolate_dc().every(secs(20))],
        nodes = [3, 5],
    )]
    async fn cells(test: Test) -> Outcome {
        // A body need not be `Send`.
        let name = Rc::new(test.spec.name.clone());
        tokio::task::yield_now().await;
        println!("ran {name} with suffix {}", test.spec.cell.as_deref().unwrap_or("none"));
        Ok(valid())
    }
}
