//! Addresses of the harness's machine that lead to ports of a node, for client libraries that take an address.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::{Inner, Node};
use crate::error::Error;

/// How long is waited after an accept that failed, for want of descriptors most probably.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// The ports of a node that are forwarded.
#[derive(Debug, Default)]
pub(super) struct Forwards(tokio::sync::Mutex<BTreeMap<u16, Forward>>);

/// One of them; its end ends the listener and all connections.
#[derive(Debug)]
struct Forward {
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Node {
    /// An address on this machine that leads to a port of this node: for client libraries that take an address, such
    /// as those of HTTP, AMQP and PostgreSQL. The same port has the same address throughout the run.
    ///
    /// Each connection to it becomes one that is made on the node's own host, as [`Node::connect`] makes it: no partition
    /// touches it. Where nobody listens on the node's port, or the node is killed, it is reset; a node that is started
    /// again is reached again. A node that is paused does not answer. The address is closed with the test.
    ///
    /// In simulated time such a library waits in the machine's time, and its own time-outs are in that.
    ///
    /// ```no_run
    /// # async fn example(node: fuzz_dist::node::Node) -> Result<(), Box<dyn std::error::Error>> {
    /// let base = format!("http://{}", node.forward(4000).await?);
    /// // let client = reqwest::Client::new(); client.get(format!("{base}/health")).send().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When this machine has no port or descriptor left.
    pub async fn forward(&self, port: u16) -> Result<SocketAddr, Error> {
        let mut all = self.0.forwards.0.lock().await;
        if let Some(forward) = all.get(&port) {
            return Ok(forward.address);
        }
        let refused = |error: io::Error| {
            Error::environment(error)
                .context(format!("forwarding to port {port} on {}", self.name()))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let node = Arc::downgrade(&self.0);
        let accepting = tokio::spawn(accept(listener, node, port)).abort_handle();
        all.insert(port, Forward { address, accepting });
        Ok(address)
    }
}

/// Takes connections as long as the node's handle is there. They end with it.
async fn accept(listener: TcpListener, node: Weak<Inner>, port: u16) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = listener.accept().await;
        // Those that have ended.
        while connections.try_join_next().is_some() {}
        let Some(node) = node.upgrade().map(Node) else { return };
        match accepted {
            Ok((client, _)) => drop(connections.spawn(pass(client, node, port))),
            Err(_) => {
                let clock = node.clock().clone();
                drop(node);
                clock.sleep(REFUSED_PAUSE).await;
            }
        }
    }
}

/// Passes on what both sides send, also that they send no more.
async fn pass(mut client: TcpStream, node: Node, port: u16) {
    let Ok(mut server) = node.connect(port).await else { return reset(client) };
    // The handle must not be held by a connection that nobody ends.
    drop(node);
    let _ = client.set_nodelay(true);
    if copy_bidirectional(&mut client, &mut server).await.is_err() {
        reset(client);
        reset(server);
    }
}

/// Ends a connection as a host does where nobody listens: whoever waits for an answer is told at once.
fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
}
