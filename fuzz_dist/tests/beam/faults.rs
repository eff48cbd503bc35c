//! Nodes that are killed, stopped, silent, absent, or of another cookie: every wait ends, explained.

use std::time::Duration;

use super::support::{COOKIE, Epmd, Node, lone_node, loopback, runtime};
use fuzz_dist::args;
use fuzz_dist::beam::{
    CallError, CloseReason, ConnectError, Connection, Down, NodeSpec, Options, Term, atom,
    epmd::EpmdError, handshake::HandshakeError,
};

#[tokio::test]
async fn calls_in_flight_fail_when_the_node_is_killed() {
    let mut lone = lone_node();
    let node = lone.node.connect().await;
    let call = tokio::spawn(node.call::<Term>("timer", "sleep", args![60_000]).into_future());
    let mut watch = node.monitor("init").await.unwrap();
    let mut mailbox = node.mailbox(1);
    while node.pending() < 2 {
        tokio::task::yield_now().await;
    }
    // What is answered was sent after the call, so that the node has that as well.
    node.call::<Term>("erlang", "node", args![]).await.unwrap();
    lone.node.process.kill();
    let error = call.await.unwrap().unwrap_err();
    assert!(
        matches!(&error, CallError::Disconnected { reason: CloseReason::ByPeer, .. }),
        "{error}"
    );
    assert!(!error.certainly_not_executed());
    assert_eq!(
        error.to_string(),
        "connection to probe@localhost lost while timer:sleep/1 was in flight: the node closed the connection"
    );
    assert_eq!(watch.down().await, Down::Disconnected(CloseReason::ByPeer));
    assert_eq!(mailbox.receive().await, None);
    let error = node.call::<Term>("erlang", "node", args![]).await.unwrap_err();
    assert!(matches!(error, CallError::NotConnected { .. }), "{error}");
    assert!(error.certainly_not_executed());
    // The node is started again: another incarnation.
    lone.node.restart();
    let again = lone.node.connect().await;
    assert_ne!(again.peer_creation(), node.peer_creation());
    again.call::<Term>("erlang", "node", args![]).await.unwrap();
}

#[tokio::test]
async fn a_stopped_node_times_out_and_comes_back() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    node.call::<Term>("erlang", "node", args![]).await.unwrap();
    lone.node.process.pause();
    let late =
        node.call::<Term>("erlang", "node", args![]).within(Duration::from_millis(100)).await;
    lone.node.process.resume();
    assert!(matches!(late, Err(CallError::TimedOut { .. })), "{late:?}");
    node.call::<Term>("erlang", "node", args![]).await.unwrap();
}

#[tokio::test]
async fn we_give_a_silent_node_up() {
    let mut lone = lone_node();
    lone.node.options.silence_limit = Duration::from_millis(200);
    let node = lone.node.connect().await;
    lone.node.process.pause();
    let error = node.call::<Term>("erlang", "node", args![]).await.unwrap_err();
    lone.node.process.resume();
    let silent = CloseReason::Silent(Duration::from_millis(200));
    assert!(
        matches!(&error, CallError::Disconnected { reason, .. } if *reason == silent),
        "{error}"
    );
    assert_eq!(node.close_reason(), Some(silent));
}

/// Ticks are sent in time, even where the node itself sends all the time and hence never ticks.
#[tokio::test]
async fn the_node_keeps_us() {
    let runtime = runtime();
    let epmd = Epmd::start(&runtime);
    let spec = NodeSpec::new("ticking@localhost", COOKIE).net_ticktime(4);
    let lone = Node::start(&runtime, &epmd, &spec);
    let idle = lone.connect().await;
    let busy = lone.connect().await;
    let mailbox = busy.mailbox(10);
    let send = args![100, mailbox.pid(), atom("noise")];
    busy.call::<Term>("timer", "send_interval", send).await.unwrap();
    tokio::time::sleep(Duration::from_millis(6_500)).await;
    assert_eq!(idle.close_reason(), None);
    assert_eq!(busy.close_reason(), None);
    assert!(busy.events_dropped() > 20, "the node has not been sending");
    idle.call::<Term>("erlang", "node", args![]).await.unwrap();
    busy.call::<Term>("erlang", "node", args![]).await.unwrap();
}

#[tokio::test]
async fn connections_that_cannot_be_made_are_explained() {
    let lone = lone_node();
    lone.node.connect().await;
    let open = async |change: &dyn Fn(&mut Options)| {
        let mut options = lone.node.options.clone();
        change(&mut options);
        Connection::open(options, loopback).await.unwrap_err()
    };
    let error = open(&|options| options.cookie = "other".into()).await;
    assert!(
        matches!(error, ConnectError::Handshake { error: HandshakeError::WrongCookie, .. }),
        "{error}"
    );
    let error = open(&|options| options.peer = "nobody@localhost".into()).await;
    assert!(
        matches!(&error, ConnectError::NotRegistered { error: EpmdError::NotRegistered(_), .. }),
        "{error}"
    );
    let error = open(&|options| options.peer = "nohost".into()).await;
    assert_eq!(error.to_string(), "`nohost` is no node name: expected name@host");
    let error = open(&|options| options.epmd_port = 1).await;
    assert!(matches!(error, ConnectError::EpmdUnreachable { port: 1, .. }), "{error}");
    let error = open(&|options| options.port = Some(1)).await;
    assert!(matches!(error, ConnectError::Unreachable { port: 1, .. }), "{error}");
    let error = open(&|options| options.peer = "probe@elsewhere".into()).await;
    assert!(
        matches!(&error, ConnectError::Handshake { error: HandshakeError::OtherNode { .. }, .. }),
        "{error}"
    );
    // Whatever listens there, it is no node: epmd itself says nothing to a handshake.
    let epmd = lone.epmd.port;
    let error = open(&|options| {
        options.port = Some(epmd);
        options.connect_limit = Duration::from_millis(200);
    })
    .await;
    assert!(
        matches!(error, ConnectError::TimedOut { .. } | ConnectError::Unreachable { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn calls_beyond_the_limit_are_refused() {
    let mut lone = lone_node();
    lone.node.options.pending_max = 1;
    let node = lone.node.connect().await;
    let call = tokio::spawn(node.call_rex::<Term>("timer", "sleep", args![60_000]).into_future());
    while node.pending() == 0 {
        tokio::task::yield_now().await;
    }
    let error = node.call_rex::<Term>("erlang", "node", args![]).await.unwrap_err();
    assert!(matches!(error, CallError::TooManyPending { limit: 1, .. }), "{error}");
    assert!(error.certainly_not_executed());
    node.close();
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Disconnected { reason: CloseReason::Local, .. }), "{error}");
}

/// A node that reads nothing: what we keep for it is limited, and callers wait no longer than they want.
#[tokio::test]
async fn a_node_that_does_not_read_holds_nobody() {
    let mut lone = lone_node();
    lone.node.options.outgoing_bytes_max = 1 << 20;
    let node = lone.node.connect().await;
    lone.node.process.pause();
    let megabytes = fuzz_dist::beam::Bytes(vec![0; 4 << 20]);
    let mut errors = Vec::new();
    for _ in 0..8 {
        let call = node.call_rex::<Term>("erlang", "byte_size", args![megabytes.clone()]);
        errors.push(call.within(Duration::from_millis(50)).await.unwrap_err());
    }
    lone.node.process.resume();
    assert!(errors.iter().all(|error| matches!(error, CallError::TimedOut { .. })), "{errors:?}");
    // What was accepted is sent; what found no room was not.
    let size: usize = node.call_rex("erlang", "byte_size", args![megabytes]).await.unwrap();
    assert_eq!(size, 4 << 20);
}

#[tokio::test]
async fn the_node_sees_us_go() {
    let lone = lone_node();
    let first = lone.node.connect().await;
    let second = lone.node.connect().await;
    let hidden =
        async || second.call::<Vec<Term>>("erlang", "nodes", args![atom("hidden")]).await.unwrap();
    assert_eq!(hidden().await.len(), 2);
    let third = lone.node.connect().await;
    drop(first);
    let seen = async |count| {
        let see = async || (hidden().await.len() == count).then_some(());
        super::support::eventually("the node sees us go", see).await;
    };
    seen(2).await;
    // A connection that is closed is gone, although somebody still holds it.
    third.close();
    seen(1).await;
    assert_eq!(third.close_reason(), Some(CloseReason::Local));
}
