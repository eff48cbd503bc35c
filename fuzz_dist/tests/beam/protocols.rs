//! Distribution that is not as usual: a port without epmd, IPv6, TLS, none at all.

use std::net::{Ipv6Addr, TcpListener};
use std::time::{Duration, Instant};

use super::support::{
    COOKIE, Epmd, Folder, Node, Process, call, compiled, eventually, loopback, runtime,
};
use fuzz_dist::args;
use fuzz_dist::beam::{
    AGENT_MODULE, AGENT_SOURCE, Agent, ConnectError, Connection, NodeSpec, Options,
    handshake::HandshakeError,
};
use tokio::net::TcpStream;

/// Long enough for a node to start on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What the first connection that comes to anything comes to.
async fn opened(options: &Options) -> Result<Connection, ConnectError> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match Connection::open(options.clone(), loopback).await {
            Err(
                ConnectError::Unreachable { .. }
                | ConnectError::EpmdUnreachable { .. }
                | ConnectError::NotRegistered { .. },
            ) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other,
        }
    }
}

#[tokio::test]
async fn a_port_of_its_own_needs_no_epmd() {
    let runtime = runtime();
    let (port, nobody) = (free_port(), free_port());
    let spec = NodeSpec::new("fixed@localhost", COOKIE)
        .epmd_port(nobody)
        .flags(["-erl_epmd_port", &port.to_string()]);
    let _process = Process::start(&runtime.node(&spec));
    let mut options = Options::new("fixed@localhost", COOKIE);
    (options.epmd_port, options.port) = (nobody, Some(port));
    let node = opened(&options).await.unwrap();
    let agent = Agent::start(&node, &compiled(AGENT_MODULE, AGENT_SOURCE)).await.unwrap();
    assert!(agent.facts().contains_key("otp_release"));
    // An error about an unknown port names where it was asked for.
    options.port = None;
    let error = Connection::open(options, loopback).await.unwrap_err();
    assert!(matches!(error, ConnectError::EpmdUnreachable { .. }), "{error}");
}

/// A node of IPv6 is reached as its host is.
#[tokio::test]
async fn distribution_over_ipv6_is_spoken_where_the_host_is_reached_by_it() {
    if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("this machine has no IPv6: nothing is tried");
        return;
    }
    let runtime = runtime();
    let epmd = Epmd::start(&runtime);
    let spec = NodeSpec::new("six@localhost", COOKIE).flags(["-proto_dist", "inet6_tcp"]);
    let six = Node::start(&runtime, &epmd, &spec);
    let options = six.options.clone();
    let by_six = async |port: u16| TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await;
    let node = eventually("the node is reached", async || {
        Connection::open(options.clone(), by_six).await.ok()
    })
    .await;
    let name = call(&node, "erlang", "node", args![]).await;
    assert!(name.is_atom("six@localhost"), "{name}");
    let agent = Agent::start(&node, &compiled(AGENT_MODULE, AGENT_SOURCE)).await.unwrap();
    assert!(agent.facts().contains_key("otp_release"));
}

/// TLS is reported as what it is, at once.
#[tokio::test]
async fn distribution_over_tls_is_unsupported_and_says_so() {
    let runtime = runtime();
    if !runtime.has_application("ssl") {
        eprintln!("this Erlang has no ssl: nothing is tried");
        return;
    }
    let folder = Folder::new("tls");
    let pem = folder.path().join("pem");
    let certificate = format!(
        "#{{server_config := Config}} = public_key:pkix_test_data(#{{\
           server_chain => #{{root => [], intermediates => [], peer => []}}, \
           client_chain => #{{root => [], intermediates => [], peer => []}}}}), \
         {{_, Cert}} = lists:keyfind(cert, 1, Config), \
         {{_, {{Type, Key}}}} = lists:keyfind(key, 1, Config), \
         ok = file:write_file(\"{}\", public_key:pem_encode([\
           {{'Certificate', Cert, not_encrypted}}, {{Type, Key, not_encrypted}}])), halt().",
        pem.display()
    );
    let made = runtime.erl(["-noinput", "-eval", &certificate]).to_command().status().unwrap();
    assert!(made.success());
    let epmd = Epmd::start(&runtime);
    let pem = pem.to_string_lossy().into_owned();
    let spec = NodeSpec::new("secret@localhost", COOKIE).flags([
        "-proto_dist",
        "inet_tls",
        "-ssl_dist_opt",
        "server_certfile",
        &pem,
    ]);
    let secret = Node::start(&runtime, &epmd, &spec);
    let begin = Instant::now();
    let error = opened(&secret.options).await.unwrap_err();
    assert!(matches!(error, ConnectError::Handshake { error: HandshakeError::Tls, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("secret@localhost: unsupported") && text.contains("TLS"), "{text}");
    assert!(begin.elapsed() < LIMIT);
}

/// A machine without a name has no distribution; epmd says that it knows none.
#[tokio::test]
async fn a_node_without_distribution_is_reported() {
    let runtime = runtime();
    let epmd = Epmd::start(&runtime);
    let _nameless = Process::start(&runtime.erl(["-noinput"]));
    let mut options = Options::new("nobody@localhost", COOKIE);
    options.epmd_port = epmd.port;
    let error = Connection::open(options, loopback).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotRegistered { .. }), "{error}");
    assert!(error.to_string().contains("nobody@localhost"), "{error}");
}
