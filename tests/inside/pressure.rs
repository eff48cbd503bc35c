//! A node's schedulers, memory and garbage collector.

use super::{app, call, ends, set};
use fuzz_dist::beam::{Atom, Term};
use fuzz_dist::nemesis::memory_pressure_of;
use fuzz_dist::prelude::*;

/// A node whose schedulers are blocked hardly answers, and says that it could not run; it is not taken
/// for dead, and afterwards it answers as before.
#[fuzz_dist::test(db = app(), workload = set(), nodes = 2, seed = 1)]
async fn blocked_schedulers_are_felt_and_freed(test: Test) -> Outcome {
    let cluster = test.start().await?;
    // So many questions, one after the other, each node answers in a second; the fewer of the two.
    let answered = async || {
        let mut fewest = u32::MAX;
        for node in ["n1", "n2"] {
            let (start, mut answers) = (std::time::Instant::now(), 0);
            while start.elapsed() < secs(1) {
                call(&cluster, node, ("erlang", "node"), args![]).await;
                answers += 1;
            }
            fewest = fewest.min(answers);
        }
        fewest
    };
    // What else the machine does may change between two measurements, hardly in the same way each time.
    let mut seen = Vec::new();
    loop {
        let before = answered().await;
        let fault = cluster.inject(block_schedulers()).await?;
        let during = answered().await;
        let nodes = call(&cluster, "n1", ("erlang", "nodes"), args![]).await;
        assert!(matches!(&nodes, Term::List(nodes) if nodes.len() == 1), "{nodes}");
        fault.heal().await?;
        let after = answered().await;
        if 3 * during < before.min(after) {
            break;
        }
        seen.push((before, during, after));
        assert!(seen.len() < 5, "answers before, during and after: {seen:?}");
    }
    ends(cluster, &["long_schedule"]).await
}

/// Memory is held while the fault lasts, and free afterwards.
#[fuzz_dist::test(db = app(), workload = set(), nodes = 2, seed = 1)]
async fn memory_is_held_and_freed(test: Test) -> Outcome {
    const MEBIBYTES: i64 = 64;
    let cluster = test.start().await?;
    let used = async || {
        let mut both = 0;
        for node in ["n1", "n2"] {
            let total = args![Atom::from("total")];
            let total = call(&cluster, node, ("erlang", "memory"), total).await;
            both += total.as_i64().expect("a number") >> 20;
        }
        both
    };
    let before = used().await;
    let fault = cluster.inject(memory_pressure_of(MEBIBYTES as u32)).await?;
    let during = used().await;
    assert!(during >= before + MEBIBYTES * 3 / 4, "{before} MiB before, {during} MiB during");
    fault.heal().await?;
    let after = used().await;
    assert!(after <= before + MEBIBYTES / 4, "{before} MiB before, {after} MiB after");
    ends(cluster, &[]).await
}

/// Garbage is collected again and again while the fault lasts, and as before afterwards.
#[fuzz_dist::test(db = app(), workload = set(), nodes = 2, seed = 1)]
async fn garbage_is_collected_and_left_alone(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let collections = async || {
        let mut both = 0;
        for node in ["n1", "n2"] {
            let count = args![Atom::from("garbage_collection")];
            let count = call(&cluster, node, ("erlang", "statistics"), count).await;
            both += count.as_tuple().and_then(|t| t[0].as_i64()).expect("a tuple of numbers");
        }
        both
    };
    // What one node collects in half a second, the other included.
    let in_a_while = async || {
        let before = collections().await;
        tokio::time::sleep(millis(500)).await;
        collections().await - before
    };
    let before = in_a_while().await;
    let fault = cluster.inject(gc_pressure()).await?;
    let during = in_a_while().await;
    fault.heal().await?;
    let after = in_a_while().await;
    assert!(during > 5 * before.max(after), "{before} before, {during} during, {after} after");
    ends(cluster, &[]).await
}
