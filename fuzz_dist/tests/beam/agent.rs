//! The observation agent in real nodes: what it reports, what it leaves alone, and what becomes of it.

use std::time::Duration;

use super::support::{
    COOKIE, Epmd, Lone, Node, call, compiled, evaluate, eventually, lone_node, runtime,
};
use fuzz_dist::args;
use fuzz_dist::beam::{
    AGENT_MODULE, AGENT_SOURCE, ANNOUNCER_MODULE, ANNOUNCER_SOURCE, Agent, Announcer, Atom,
    Connection, NodeSpec, Report, SAMPLER_MODULE, SAMPLER_SOURCE, Sampler, Term, atom,
};
use fuzz_dist::op::Value;

/// Long enough for a message of a busy node.
const LIMIT: Duration = Duration::from_secs(30);

async fn observed(node: &Connection) -> Agent {
    Agent::start(node, &compiled(AGENT_MODULE, AGENT_SOURCE)).await.unwrap()
}

async fn next(agent: &mut Agent) -> Report {
    let report = tokio::time::timeout(LIMIT, agent.next()).await;
    report.expect("the agent says something").expect("the node is there")
}

/// Its next report of this kind.
async fn event(agent: &mut Agent, wanted: &str) -> Value {
    loop {
        match next(agent).await {
            Report::Event { kind, data, .. } if kind == wanted => return data,
            Report::Ended(reason) => panic!("the agent ended: {reason}"),
            _ => {}
        }
    }
}

async fn handlers(node: &Connection) -> String {
    call(node, "logger", "get_handler_ids", args![]).await.to_string()
}

async fn warn(node: &Connection, text: &str) {
    let warning = args![atom("warning"), fuzz_dist::beam::charlist(text)];
    call(node, "logger", "log", warning).await;
}

async fn agent_of(node: &Connection) -> Term {
    call(node, "erlang", "whereis", args![atom(AGENT_MODULE)]).await
}

/// A second node that the first one can lose.
fn neighbour(lone: &Lone) -> Node {
    Node::start(&runtime(), &lone.epmd, &NodeSpec::new("neighbour@localhost", COOKIE))
}

#[tokio::test]
async fn it_reports_connections_logs_and_settings_and_leaves_with_us() {
    let lone = lone_node();
    let (node, other) = (lone.node.connect().await, neighbour(&lone));
    other.connect().await;
    let mut agent = observed(&node).await;
    assert_eq!(agent.facts()["system_monitor"], "taken");
    assert_eq!(agent.facts()["net_ticktime"], "60");
    assert_eq!(agent.facts()["net_tickintensity"], "4");
    let neighbour = || args![Atom::from("neighbour@localhost")];
    assert!(call(&node, "net_kernel", "connect_node", neighbour()).await.is_atom("true"));
    let up = event(&mut agent, "nodeup").await;
    assert_eq!(up.get("peer").and_then(Value::as_text), Some("neighbour@localhost"));
    call(&node, "erlang", "disconnect_node", neighbour()).await;
    let down = event(&mut agent, "nodedown").await;
    assert_eq!(down.get("reason").and_then(Value::as_text), Some("disconnect"));
    warn(&node, "look here").await;
    let line = event(&mut agent, "log").await;
    assert!(line.as_text().is_some_and(|line| line.contains("look here")), "{line:?}");
    drop(agent);
    eventually("it takes everything away that it added", async || {
        let gone = agent_of(&node).await.is_atom("undefined")
            && !handlers(&node).await.contains(AGENT_MODULE);
        let monitor = call(&node, "erlang", "system_monitor", args![]).await;
        (gone && monitor.is_atom("undefined")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn system_monitor_stays_with_its_owner() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let sleeps = args![atom("timer"), atom("sleep"), vec![atom("infinity")]];
    let owner = call(&node, "erlang", "spawn", sleeps).await;
    let options = || args![owner.clone(), vec![atom("busy_port")]];
    call(&node, "erlang", "system_monitor", options()).await;
    let owned = async || {
        let monitor = call(&node, "erlang", "system_monitor", args![]).await;
        monitor.as_tuple().is_some_and(|t| t[0] == owner)
    };
    assert!(owned().await);
    let agent = observed(&node).await;
    assert_eq!(agent.facts()["system_monitor"], "owned");
    assert!(owned().await);
    drop(agent);
    eventually("the agent is gone", async || {
        agent_of(&node).await.is_atom("undefined").then_some(())
    })
    .await;
    assert!(owned().await);
}

#[tokio::test]
async fn one_that_is_killed_says_so_and_the_next_one_takes_its_place() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let mut agent = observed(&node).await;
    let kill = args![agent_of(&node).await, atom("kill")];
    call(&node, "erlang", "exit", kill).await;
    assert_eq!(next(&mut agent).await, Report::Ended("killed".into()));
    let mut agent = observed(&node).await;
    assert_eq!(handlers(&node).await.matches(AGENT_MODULE).count(), 1);
    warn(&node, "and again").await;
    let line = event(&mut agent, "log").await;
    assert!(line.as_text().is_some_and(|line| line.contains("and again")), "{line:?}");
}

#[tokio::test]
async fn one_whose_code_is_purged_says_so_and_is_loaded_again() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let mut agent = observed(&node).await;
    call(&node, "code", "delete", args![atom(AGENT_MODULE)]).await;
    call(&node, "code", "purge", args![atom(AGENT_MODULE)]).await;
    assert_eq!(next(&mut agent).await, Report::Ended("killed".into()));
    // The node logs on, whatever became of the handler's code.
    warn(&node, "nobody hears this").await;
    let mut agent = observed(&node).await;
    warn(&node, "but this").await;
    loop {
        let line = event(&mut agent, "log").await;
        if line.as_text().is_some_and(|line| line.contains("but this")) {
            break;
        }
    }
}

#[tokio::test]
async fn it_is_patient_with_a_node_that_hangs() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let mut agent = observed(&node).await;
    lone.node.process.pause();
    let silent = tokio::time::timeout(Duration::from_millis(300), agent.next()).await;
    lone.node.process.resume();
    assert!(silent.is_err(), "{silent:?}");
    warn(&node, "back again").await;
    let line = event(&mut agent, "log").await;
    assert!(line.as_text().is_some_and(|line| line.contains("back again")), "{line:?}");
}

/// A flood of events: what there is no room for is dropped and counted, and the node goes on.
#[tokio::test]
async fn a_flood_is_counted_and_not_kept() {
    const FLOOD: u64 = 20_000;
    let lone = lone_node();
    let node = lone.node.connect().await;
    let mut agent = observed(&node).await;
    // The agent stands still meanwhile, so that nothing of it can be reported at once.
    let pid = agent_of(&node).await;
    let flood = format!(
        "erlang:suspend_process(whereis({AGENT_MODULE})), \
         [logger:warning(\"flood\") || _ <- lists:seq(1, {FLOOD})], \
         erlang:resume_process(whereis({AGENT_MODULE}))."
    );
    evaluate(&node, &flood).await;
    assert_eq!(agent_of(&node).await, pid);
    let (mut reported, mut dropped) = (0, 0);
    while reported + dropped < FLOOD {
        match next(&mut agent).await {
            Report::Dropped(count) => dropped += count,
            Report::Event { kind: "log", .. } => reported += 1,
            Report::Event { .. } => {}
            Report::Ended(reason) => panic!("the agent ended: {reason}"),
        }
    }
    assert_eq!(reported + dropped, FLOOD);
    assert!(dropped > 0 && reported > 0, "{reported} reported, {dropped} dropped");
}

#[tokio::test]
async fn a_node_in_embedded_mode_takes_it_as_well() {
    let runtime = runtime();
    let epmd = Epmd::start(&runtime);
    let spec = NodeSpec::new("embedded@localhost", COOKIE).flags(["-mode", "embedded"]);
    let embedded = Node::start(&runtime, &epmd, &spec);
    let node = embedded.connect().await;
    let mode = call(&node, "code", "get_mode", args![]).await;
    assert!(mode.is_atom("embedded"), "{mode}");
    let mut agent = observed(&node).await;
    warn(&node, "here, too").await;
    let line = event(&mut agent, "log").await;
    assert!(line.as_text().is_some_and(|line| line.contains("here, too")), "{line:?}");
    let sampler = compiled(SAMPLER_MODULE, SAMPLER_SOURCE);
    let mut sampler = Sampler::start(&node, &sampler, Duration::from_secs(1)).await.unwrap();
    assert!(sampler.next().await.is_some());
    let announcer = compiled(ANNOUNCER_MODULE, ANNOUNCER_SOURCE);
    let mut announcer = Announcer::start(&node, &announcer, "0a0b").await.unwrap();
    announcer.announce(&[]).await.unwrap();
}
