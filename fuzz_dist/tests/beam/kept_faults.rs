//! Faults kept inside of a node whose harness, keeper, or both are gone: what is undone, and what is said of it.

use fuzz_dist::args;
use fuzz_dist::beam::{Atom, Connection, Pid, Term, atom};

use super::support::{COOKIE, call, compiled, evaluate, eventually, lone_node};

const MODULE: &str = "fuzz_dist_fault";
const SOURCE: &str = include_str!("../../agent/fuzz_dist_fault.erl");
/// A node that is not there.
const PEER: &str = "peer@localhost";

async fn loaded(node: &Connection) {
    node.load_binary(MODULE, &compiled(MODULE, SOURCE)).await.unwrap();
}

async fn start(
    node: &Connection,
    id: i64,
    fault: &'static str,
    arguments: Vec<Term>,
    harness: &Pid,
) {
    let answer = call(node, MODULE, "start", args![id, atom(fault), arguments, harness]).await;
    assert!(answer.as_tuple().is_some_and(|answer| answer[0].is_atom("true")), "{answer}");
}

/// What the module says of a fault's end: whether it is undone, and how it knows.
async fn stop(
    node: &Connection,
    id: i64,
    fault: &'static str,
    arguments: Vec<Term>,
) -> (bool, String) {
    let answer =
        node.call::<Term>(MODULE, "stop", args![id, atom(fault), arguments]).await.unwrap();
    let parts = answer.as_tuple().unwrap();
    (parts[0].is_atom("true"), parts[1].to_string())
}

async fn cookie(node: &Connection) -> Term {
    call(node, "erlang", "get_cookie", args![Atom::from(PEER)]).await
}

/// The longest time in milliseconds for which a process that wants to run did not, in half a second.
async fn longest_gap(node: &Connection) -> i64 {
    let gaps = "Now = fun() -> os:perf_counter(millisecond) end, \
        lists:max([begin T = Now(), timer:sleep(1), Now() - T end || _ <- lists:seq(1, 250)]).";
    evaluate(node, gaps).await.as_i64().unwrap()
}

/// Ends processes of the node that the guardian of the faults watches; with itself, where asked for.
async fn kill_keepers(node: &Connection, guardian_too: bool) {
    let guardian = if guardian_too { "[G]" } else { "[]" };
    let kill = format!(
        "G = whereis({MODULE}), {{_, Watched}} = process_info(G, monitors), \
         All = {guardian} ++ [P || {{process, P}} <- Watched, node(P) =:= node()], \
         [erlang:suspend_process(P) || P <- All], [exit(P, kill) || P <- All], length(All)."
    );
    assert!(evaluate(node, &kill).await.as_i64().unwrap() > 0);
}

#[tokio::test]
async fn faults_end_with_the_harness() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    loaded(&node).await;
    let harness = lone.node.connect().await;
    let owner = harness.mailbox(1);
    start(&node, 1, "block_schedulers", vec![], owner.pid()).await;
    let other = lone.node.connect().await;
    start(&node, 2, "wrong_cookie", vec![atom(PEER)], other.mailbox(1).pid()).await;
    // The mailbox of the second one is gone already.
    eventually("the cookie is the former", async || {
        cookie(&node).await.is_atom(COOKIE).then_some(())
    })
    .await;
    harness.close();
    eventually("the schedulers are free", async || (longest_gap(&node).await < 125).then_some(()))
        .await;
    let (undone, how) = stop(&node, 1, "block_schedulers", vec![]).await;
    assert!(undone && how.contains("ended_early") && how.contains("noconnection"), "{how}");
    let (undone, how) = stop(&node, 2, "wrong_cookie", vec![atom(PEER)]).await;
    assert!(undone && how.contains("ended_early"), "{how}");
    // Nothing of them is left, and the one who knew that leaves as well.
    other.close();
    eventually("the guardian is gone", async || {
        call(&node, "erlang", "whereis", args![atom(MODULE)])
            .await
            .is_atom("undefined")
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_a_killed_keeper_began_is_undone_for_it() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    loaded(&node).await;
    let owner = node.mailbox(1);
    start(&node, 1, "wrong_cookie", vec![atom(PEER)], owner.pid()).await;
    assert!(!cookie(&node).await.is_atom(COOKIE));
    kill_keepers(&node, false).await;
    eventually("the cookie is the former", async || {
        cookie(&node).await.is_atom(COOKIE).then_some(())
    })
    .await;
    let (undone, how) = stop(&node, 1, "wrong_cookie", vec![atom(PEER)]).await;
    assert!(undone && how.contains("killed"), "{how}");
    // The restriction to nodes that are allowed, too: the list was empty before.
    start(&node, 2, "disallow", vec![atom(PEER)], owner.pid()).await;
    kill_keepers(&node, false).await;
    eventually("everybody is allowed", async || {
        let allowed = call(&node, "net_kernel", "allowed", args![]).await.to_string();
        (allowed == "{ok,[]}").then_some(())
    })
    .await;
}

/// Where nobody is left who could undo a fault, that is what its end says.
#[tokio::test]
async fn a_fault_that_nobody_undid_is_not_called_undone() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    loaded(&node).await;
    let owner = node.mailbox(1);
    start(&node, 1, "wrong_cookie", vec![atom(PEER)], owner.pid()).await;
    start(&node, 2, "gc_pressure", vec![], owner.pid()).await;
    kill_keepers(&node, true).await;
    eventually("nobody is left", async || {
        call(&node, "erlang", "whereis", args![atom(MODULE)])
            .await
            .is_atom("undefined")
            .then_some(())
    })
    .await;
    let (undone, how) = stop(&node, 1, "wrong_cookie", vec![atom(PEER)]).await;
    assert!(!undone && how.contains("left => true"), "{how}");
    let (undone, how) = stop(&node, 2, "gc_pressure", vec![]).await;
    assert!(undone && how.contains("gone"), "{how}");
}

#[tokio::test]
async fn faults_make_no_atoms() {
    const FAULTS: i64 = 200;
    let lone = lone_node();
    let node = lone.node.connect().await;
    loaded(&node).await;
    let owner = node.mailbox(1);
    let atoms = async |first: i64, count: i64| {
        for id in first..first + count {
            start(&node, id, "suspend_process", vec![atom("user")], owner.pid()).await;
            assert!(stop(&node, id, "suspend_process", vec![atom("user")]).await.0);
        }
        call(&node, "erlang", "system_info", args![atom("atom_count")]).await.as_i64().unwrap()
    };
    let before = atoms(1_000_000, 10).await;
    let made = atoms(2_000_000, FAULTS).await - before;
    assert!(made < FAULTS / 2, "{made} atoms were made by {FAULTS} faults");
}
