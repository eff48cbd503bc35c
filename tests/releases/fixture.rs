//! The tests that are run and looked at.

use fuzz_dist::beam::{Term, atom};
use fuzz_dist::db::Form;
use fuzz_dist::prelude::*;
use fuzz_dist::workload::register_workload;

const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/releases/ledger");

/// The ledger, as `rebar3 release` makes it.
fn ledger() -> Release {
    Release::at(format!("{PROJECT}/_build/default/rel/ledger"))
        .build("rebar3 release")
        .env("LEDGER_HOST", "{host}")
        .env("LEDGER_PEERS", "{nodes}")
        .formed("ledger", "connected")
}

fn entries() -> Workload {
    set_workload()
        .add(|node, entry| node.call::<()>("ledger", "add", args![entry]))
        .read(|node| node.call::<Vec<i64>>("ledger", "entries", args![]))
        .into()
}

async fn end(cluster: Running) -> Outcome {
    cluster.client("n1").invoke(Add(1)).await?;
    cluster.check(fuzz_dist::checker::stats()).await
}

/// What a node was started with: its name, cookie and net_ticktime.
async fn started(cluster: &Running, node: &str) -> (String, String, i64) {
    let node = cluster.find(node).expect("a node of the test");
    node.call("ledger", "started", args![]).await.expect("the node answers")
}

async fn env(cluster: &Running, name: &str) -> Vec<String> {
    let mut values = Vec::new();
    for node in cluster.nodes() {
        values.push(node.call("ledger", "env", args![name]).await.expect("the node answers"));
    }
    values
}

#[fuzz_dist::test(db = ledger(), workload = entries(), nodes = 2)]
async fn names_cookie_and_ticktime_are_those_of_the_release(test: Test) -> Outcome {
    let cluster = test.start().await?;
    assert_eq!(started(&cluster, "n2").await, ("ledger@n2".into(), "ledger".into(), 60));
    end(cluster).await
}

#[fuzz_dist::test(
    db = ledger()
        .node_name("book")
        .cookie("a secret #1")
        .net_ticktime(3)
        .vm_flags(["-flags", "two words", "three\"#"])
        .env("LEDGER_TEXT", "{peers} of {nodes} in {data}")
        .env_with("LEDGER_INDEX", |own, all| all.iter().position(|node| node == own).unwrap_or(9).to_string())
        .file("etc/ledger.conf", "closed = false"),
    workload = entries(),
    nodes = 2
)]
async fn they_can_be_set(test: Test) -> Outcome {
    let cluster = test.start().await?;
    assert_eq!(started(&cluster, "n1").await, ("book@n1".into(), "a secret #1".into(), 3));
    assert_eq!(env(&cluster, "LEDGER_INDEX").await, ["0", "1"]);
    let n1 = cluster.find("n1").expect("n1");
    let data = n1.data_dir()?.display().to_string();
    assert_eq!(
        env(&cluster, "LEDGER_TEXT").await[0],
        format!("book@n2 of book@n1,book@n2 in {data}")
    );
    assert_eq!(n1.read_file("etc/ledger.conf").await?, b"closed = false");
    let flags: Vec<String> = n1.call("ledger", "flag", args![atom("flags")]).await?;
    assert_eq!(flags, ["two words", "three\"#"]);
    // The release did not start `heart`, which would start a killed node again by itself.
    let heart: Term = n1.call("erlang", "whereis", args![atom("heart")]).await?;
    assert_eq!(heart, atom("undefined"));
    end(cluster).await
}

#[fuzz_dist::test(
    db = ledger().long_names().form(Form::Mesh).ready(Ready::log("the ledger is open")),
    workload = entries(),
    nodes = 2
)]
async fn names_with_addresses_form_a_mesh(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let address = cluster.find("n1").expect("n1").address();
    assert_eq!(started(&cluster, "n1").await.0, format!("ledger@{address}"));
    end(cluster).await
}

fn unconnected() -> Release {
    Release::relx(format!("{PROJECT}/_build/default/rel/ledger")).build("rebar3 release")
}

/// Nothing that the release does for itself connects the nodes of this one.
#[fuzz_dist::test(
    db = unconnected(),
    workload = entries(),
    nodes = 2,
    unknown = "warn"
)]
async fn nobody_connects_nodes_that_do_not_do_it_themselves(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let connected: Vec<Term> = cluster.nodes()[0].call("erlang", "nodes", args![]).await?;
    assert_eq!(connected, []);
    // Without an operation there is nothing that the other node could lack.
    cluster.check(fuzz_dist::checker::stats()).await
}

/// What it had is gone with it, since nobody exchanges entries; it answers again.
#[fuzz_dist::test(
    db = ledger().net_ticktime(3),
    nodes = 2,
    time_limit = "4s",
    quiesce_limit = "2s",
    workload = entries(),
    seed = 1,
    expect = "invalid"
)]
async fn a_killed_node_is_started_again(test: Test) -> Outcome {
    let verdict = test.nemesis(kill().after(millis(500)).lasting(millis(500))).run().await?;
    assert!(verdict.anomalies.iter().any(|a| &*a.kind == "missing"), "{}", verdict.summary());
    Ok(verdict)
}

fn notes() -> Workload {
    register_workload()
        .write(|node, value| node.call::<()>("ledger", "note", args![value]))
        .read(|node| node.call::<Option<i64>>("ledger", "noted", args![]))
        .into()
}

#[fuzz_dist::test(db = ledger(), workload = notes(), nodes = 1, time_limit = "2s")]
async fn a_register_on_one_node_keeps_the_last_value(test: Test) -> Outcome {
    test.run().await
}

/// Nodes that are not connected never agree.
#[fuzz_dist::test(
    db = unconnected(),
    workload = notes(),
    nodes = 2,
    time_limit = "2s",
    quiesce_limit = "1s",
    expect = "invalid"
)]
async fn a_register_on_unconnected_nodes_diverges(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(
    db = ledger()
        .before_first_start(["escript", "bin/once"])
        .before_start(["escript", "bin/each"]),
    workload = entries(),
    nodes = 2
)]
async fn a_command_before_the_start_that_fails(test: Test) -> Outcome {
    end(test.start().await?).await
}

#[fuzz_dist::test(db = ledger().env("LEDGER_BREAKS_ON", "n2"), workload = entries(), nodes = 2, setup_limit = "60s")]
async fn it_crashes_at_boot_on_one_host(test: Test) -> Outcome {
    end(test.start().await?).await
}

#[fuzz_dist::test(db = ledger().formed("ledger", "never"), workload = entries(), nodes = 2, setup_limit = "90s")]
async fn it_never_takes_part(test: Test) -> Outcome {
    end(test.start().await?).await
}

#[fuzz_dist::test(db = ledger().formed("ledger", "conected"), workload = entries(), nodes = 2)]
async fn its_function_is_misspelt(test: Test) -> Outcome {
    end(test.start().await?).await
}

#[fuzz_dist::test(db = ledger().env("LEDGER_TICKTIME", "30"), workload = entries(), nodes = 2)]
async fn its_ticktime_is_another(test: Test) -> Outcome {
    end(test.start().await?).await
}

#[fuzz_dist::test(db = ledger().env("LEDGER_PEERS", "{piers}"), workload = entries())]
async fn a_placeholder_is_misspelt(test: Test) -> Outcome {
    end(test.start().await?).await
}

#[fuzz_dist::test(db = Release::mix(format!("{PROJECT}/_build/default/rel/ledger")).build("rebar3 release"), workload = entries())]
async fn rebar3_made_what_is_called_a_release_of_mix(test: Test) -> Outcome {
    end(test.start().await?).await
}

#[fuzz_dist::test(db = ledger().build("rebar3 as nowhere relaese"), workload = entries())]
async fn it_cannot_be_built(test: Test) -> Outcome {
    end(test.start().await?).await
}

#[fuzz_dist::test(db = Release::at("tests/releases/nowhere/_build/prod/rel/shop"), workload = entries())]
async fn it_is_not_there(test: Test) -> Outcome {
    end(test.start().await?).await
}

#[fuzz_dist::test(
    db = ledger().ready(Ready::port(4999)),
    workload = entries(),
    nodes = 1,
    setup_limit = "6s"
)]
async fn its_port_is_never_open(test: Test) -> Outcome {
    end(test.start().await?).await
}
