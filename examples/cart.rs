//! The application and the test of README's "Test your own application".
//!
//! `cargo run --release --example cart`

use fuzz_dist::prelude::*;

/// The application: one Erlang module, compiled by the test; one node on each host.
fn shop() -> ErlangApp {
    ErlangApp::new("shop", ["examples/cart/cart.erl"]).net_ticktime(4).start("cart:start(Peers)")
}

/// Items that a node acknowledged are in the cart on every node after the network heals.
#[fuzz_dist::test(db = shop(), nemesis = ["majority_minority", "bridge", "pause"], time_limit = "15s")]
async fn carts_converge(test: Test) -> Outcome {
    test.workload(
        set_workload()
            .add(|node, item| node.call::<()>("cart", "add", args!["cart-1", item]))
            .read(|node| node.call::<Vec<i64>>("cart", "items", args!["cart-1"])),
    )
    .run()
    .await
}

fuzz_dist::main!();
