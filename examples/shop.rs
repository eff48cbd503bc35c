//! An Elixir release, built by the run and started as it is shipped: `examples/shop/`, whose carts lose items when a
//! split ends, and the same with the exchange that mends it.
//!
//! `cargo run --release --example shop`; where there is no Elixir, it is fetched (Debian and Ubuntu).

use fuzz_dist::prelude::*;

const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop");

/// The shop; nodes that meet again exchange their carts, or do not.
fn shop(exchange: bool) -> Release {
    Release::mix(format!("{PROJECT}/_build/prod/rel/shop"))
        .build("mix release --overwrite --quiet")
        .env("PEERS", "{nodes}")
        .env("PORT", "4000")
        .env("SHOP_EXCHANGE", exchange.to_string())
        .net_ticktime(2)
        .ready(Ready::http(4000, "/health"))
        .formed("Shop.Peers", "connected?")
}

fn carts() -> Workload {
    set_workload()
        .add(|node, item| node.call::<()>("Shop.Cart", "add", args!["cart-1", item]))
        .read(|node| async move {
            node.call::<Result<Vec<i64>, String>>("Shop.Cart", "items", args!["cart-1"])
                .await?
                .or_info()
        })
        .into()
}

/// One node of three is alone for longer than it takes to be declared dead.
fn split(test: Test) -> Test {
    let alone = isolate_node().after(secs(1)).lasting(millis(4500));
    test.workload(carts()).nodes(3).nemesis(alone).time_limit(secs(7))
}

/// What one side acknowledged during the split is never known to the other.
#[fuzz_dist::test(db = shop(false), quiesce_limit = "4s", seed = 1, expect = "invalid")]
async fn carts_without_exchange_lose_items(test: Test) -> Outcome {
    let verdict = split(test).run().await?;
    let found =
        verdict.anomalies.iter().any(|a| ["lost", "missing", "different"].contains(&&*a.kind));
    assert!(found, "{}", verdict.summary());
    Ok(verdict)
}

/// The correct variant: nodes that meet again exchange their carts. In simulated time as well, which the release knows
/// nothing of.
#[fuzz_dist::test(db = shop(true), seed = 1, time = ["real", "simulated"])]
async fn carts_with_exchange_keep_all(test: Test) -> Outcome {
    split(test).run().await
}

fuzz_dist::main!();
