//! Tests that need a cluster and misbehave: they occupy the machine, block, exit, overflow.

use fuzz_dist::db::Db;
use fuzz_dist::error::Error;
use fuzz_dist::node::Node;
use fuzz_dist::op::Name;
use fuzz_dist::prelude::*;
use fuzz_dist::test::LiveCluster;

/// Hosts without any process.
#[fuzz_dist::db("hostile")]
#[derive(Default)]
struct Hosts;

impl Db for Hosts {
    fn name(&self) -> Name {
        "hostile".into()
    }

    async fn start(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }

    async fn ready(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
}

/// The cluster, when it is up.
async fn up(test: &Test) -> Result<LiveCluster, Error> {
    let cluster = test.cluster().await?;
    println!("came up");
    Ok(cluster)
}

/// Has the whole machine for as long as it is let.
#[fuzz_dist::test(db = "hostile", workload = "g_set", nodes = 1, ignore, exclusive = true)]
async fn occupies(test: Test) -> Outcome {
    let _cluster = up(&test).await?;
    println!("occupied");
    std::future::pending().await
}

#[fuzz_dist::test(db = "hostile", workload = "g_set", nodes = 1)]
async fn comes_up(test: Test) -> Outcome {
    up(&test).await?;
    Err(Error::usage("it came up, which is enough"))
}

#[fuzz_dist::test(db = "hostile", workload = "g_set", nodes = 3, nemesis = "majority_ring")]
async fn cuts_too_small_a_ring(test: Test) -> Outcome {
    test.run().await
}

/// Finds out while it prepares that something is missing.
struct Unreleased;

impl Db for Unreleased {
    fn name(&self) -> Name {
        "unreleased".into()
    }

    async fn prepare(&self) -> Result<(), Error> {
        Err(Error::missing("no release of the hostile fixture"))
    }

    async fn start(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }

    async fn ready(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
}

#[fuzz_dist::test(db = Unreleased, workload = "g_set", nodes = 1)]
async fn has_no_release(test: Test) -> Outcome {
    test.run().await
}
