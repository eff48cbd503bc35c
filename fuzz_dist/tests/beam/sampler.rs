//! Samples of real nodes: what they hold, whom they find, and that they end with us.

use std::time::Duration;

use super::support::{COOKIE, Node, call, compiled, evaluate, eventually, lone_node, runtime};
use fuzz_dist::args;
use fuzz_dist::beam::{
    Connection, NodeSpec, SAMPLER_MODULE, SAMPLER_SOURCE, Sample, Sampler, atom,
};
use fuzz_dist::op::Value;

/// Long enough for a message of a busy node.
const LIMIT: Duration = Duration::from_secs(30);

async fn sampled(node: &Connection, every_ms: u64) -> Sampler {
    let beam = compiled(SAMPLER_MODULE, SAMPLER_SOURCE);
    Sampler::start(node, &beam, Duration::from_millis(every_ms)).await.unwrap()
}

async fn next(sampler: &mut Sampler) -> Sample {
    let sample = tokio::time::timeout(LIMIT, sampler.next()).await;
    sample.expect("a sample in time").expect("the sampler is there")
}

fn value<'a>(sample: &'a Sample, name: &str) -> &'a Value {
    let found = sample.values.iter().find(|(n, _)| &**n == name);
    &found.unwrap_or_else(|| panic!("no {name} in {sample:?}")).1
}

fn number(sample: &Sample, name: &str) -> i64 {
    value(sample, name).as_int().unwrap()
}

fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[tokio::test]
async fn they_say_how_the_node_is_doing_on_our_clock() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let other = Node::start(&runtime(), &lone.epmd, &NodeSpec::new("neighbour@localhost", COOKIE));
    other.connect().await;
    let before = monotonic_ns();
    let mut sampler = sampled(&node, 100).await;
    let first = next(&mut sampler).await;
    assert!(before < first.monotonic_ns && first.monotonic_ns < monotonic_ns());
    // None of ours is a peer of the application.
    assert_eq!((number(&first, "peers"), number(&first, "dist_queue")), (0, 0));
    for name in ["run_queue", "ports", "atoms", "ets_tables", "collections", "input_bytes"] {
        assert!(number(&first, name) >= 0, "{first:?}");
    }
    let connect = args![atom("neighbour@localhost")];
    assert!(call(&node, "net_kernel", "connect_node", connect).await.is_atom("true"));
    // Processes and memory that are there from now on; the caller keeps them alive.
    evaluate(
        &node,
        "P = spawn(fun() -> register(holder, self()), \
             _ = [spawn_link(fun() -> timer:sleep(infinity) end) || _ <- lists:seq(1, 300)], \
             B = binary:copy(<<7>>, 50000000), receive never -> B end end), P.",
    )
    .await;
    eventually("the next samples show it", async || {
        let mut again = sampled(&node, 100).await;
        let later = next(&mut again).await;
        let grown = |name| number(&later, name) - number(&first, name);
        assert!(grown("reductions") > 0 && later.monotonic_ns > first.monotonic_ns);
        // Less than what was added: other things that the first sample still saw are gone by then.
        let all = number(&later, "peers") == 1
            && grown("processes") >= 290
            && grown("memory_binary") >= 40_000_000
            && grown("memory_total") >= 40_000_000;
        all.then_some(())
    })
    .await;
}

/// Among a thousand mailboxes, more than one sample looks at: the one that is longest is found, and
/// named, although its process is suspended.
#[tokio::test]
async fn the_longest_mailbox_is_found() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    evaluate(
        &node,
        "[spawn(fun() -> timer:sleep(infinity) end) || _ <- lists:seq(1, 500)], \
         S = spawn(fun() -> register(cart, self()), timer:sleep(infinity) end), \
         [spawn(fun() -> timer:sleep(infinity) end) || _ <- lists:seq(1, 500)], \
         timer:sleep(50), true = erlang:suspend_process(S), [S ! hello || _ <- lists:seq(1, 77)], \
         spawn(fun() -> true = erlang:suspend_process(S), timer:sleep(infinity) end), \
         timer:sleep(50).",
    )
    .await;
    let mut sampler = sampled(&node, 100).await;
    loop {
        let sample = next(&mut sampler).await;
        if value(&sample, "longest_mailbox").as_int() == Some(77) {
            assert_eq!(value(&sample, "longest_mailbox_of").as_text(), Some("cart"));
            break;
        }
    }
    // It is looked at every time from now on.
    for _ in 0..12 {
        assert_eq!(number(&next(&mut sampler).await, "longest_mailbox"), 77);
    }
    evaluate(&node, "exit(whereis(cart), kill).").await;
    loop {
        if number(&next(&mut sampler).await, "longest_mailbox") < 77 {
            break;
        }
    }
}

#[tokio::test]
async fn one_takes_the_place_of_another_and_goes_with_us() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let who = async || call(&node, "erlang", "whereis", args![atom(SAMPLER_MODULE)]).await;
    let mut first = sampled(&node, 100).await;
    next(&mut first).await;
    let mut second = sampled(&node, 100).await;
    let ended = async { while first.next().await.is_some() {} };
    tokio::time::timeout(LIMIT, ended).await.expect("the first one ends");
    next(&mut second).await;
    assert!(!who().await.is_atom("undefined"));
    drop(second);
    eventually("it goes with us", async || who().await.is_atom("undefined").then_some(())).await;
}

/// After a pause there is one sample, and not all those that were not taken.
#[tokio::test]
async fn a_pause_is_not_made_up_for() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let mut sampler = sampled(&node, 100).await;
    next(&mut sampler).await;
    lone.node.process.pause();
    while tokio::time::timeout(Duration::from_millis(300), sampler.next()).await.is_ok() {}
    let paused = monotonic_ns();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    lone.node.process.resume();
    let after = next(&mut sampler).await;
    assert!(after.monotonic_ns > paused);
    assert!(next(&mut sampler).await.monotonic_ns > after.monotonic_ns + 50_000_000);
}
