//! How a connection to a node is to be made.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fuzz_dist_clock::Clock;
use tokio::net::TcpStream;

use super::epmd::EPMD_PORT;
use super::error::ConnectError;

/// How the names begin that we connect under.
const OWN_PREFIX: &str = "remsh_fuzz_dist_";

/// Opens TCP connections to the host of a node.
///
/// Any closure `Fn(u16) -> impl Future<Output = io::Result<TcpStream>>` is one, so that the
/// sockets may come from wherever the host can be reached: this machine, a network namespace, a
/// tunnel.
pub trait Connect {
    /// Connects to a port of the host.
    fn connect(&self, port: u16) -> impl Future<Output = io::Result<TcpStream>> + Send;
}

impl<F, Answer> Connect for F
where
    F: Fn(u16) -> Answer,
    Answer: Future<Output = io::Result<TcpStream>> + Send,
{
    fn connect(&self, port: u16) -> impl Future<Output = io::Result<TcpStream>> + Send {
        self(port)
    }
}

/// How a connection to a node is to be made.
///
/// ```
/// use fuzz_dist_beam::Options;
/// let options = Options::new("app@n1", "secret");
/// assert_eq!(options.epmd_port, 4369);
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// The node's name, such as `app@n1`.
    pub peer: String,
    /// The cookie that the node was started with.
    pub cookie: String,
    /// The name under which we connect. It has to be unique among the nodes that the peer knows;
    /// the default is unique on this machine.
    pub name: Option<String>,
    /// The port of the host's epmd.
    pub epmd_port: u16,
    /// The node's distribution port, if it is known: then epmd is not asked.
    pub port: Option<u16>,
    /// How long making the connection may take.
    pub connect_limit: Duration,
    /// How long a call may take, unless the call itself says.
    pub call_limit: Duration,
    /// How many calls may wait for their answers at once.
    pub pending_max: usize,
    /// The longest message that is accepted.
    pub message_bytes_max: usize,
    /// How many bytes may wait to be sent; calls wait for room beyond that.
    pub outgoing_bytes_max: usize,
    /// We send a tick when we had nothing to send for this long. Shorter than a quarter of the
    /// least `net_ticktime` in use.
    pub tick_after: Duration,
    /// The connection is given up when nothing was heard of the node for this long.
    pub silence_limit: Duration,
    /// What all of these limits, and ticks, take their time from.
    pub clock: Clock,
}

impl Options {
    /// Options with defaults that suit a node of a test.
    pub fn new(peer: impl Into<String>, cookie: impl Into<String>) -> Self {
        Options {
            peer: peer.into(),
            cookie: cookie.into(),
            name: None,
            epmd_port: EPMD_PORT,
            port: None,
            connect_limit: Duration::from_secs(5),
            call_limit: Duration::from_secs(5),
            pending_max: 100_000,
            message_bytes_max: 256 << 20,
            outgoing_bytes_max: 8 << 20,
            tick_after: Duration::from_millis(500),
            clock: Clock::system(),
            silence_limit: Duration::from_secs(90),
        }
    }

    /// The parts of the peer's name before and after the `@`.
    pub(crate) fn peer_parts(&self) -> Result<(&str, &str), ConnectError> {
        match self.peer.split_once('@') {
            Some((name, host)) if !name.is_empty() && !host.is_empty() => Ok((name, host)),
            _ => Err(ConnectError::BadNodeName(self.peer.clone())),
        }
    }

    /// The name that we connect under. Its host is that of the peer, so that it is of the peer's
    /// kind (long or short).
    ///
    /// It begins as the names of remote shells do: applications that count hidden nodes as members
    /// (libring, Swarm) ignore `^remsh.*$` by default. The agent and the sampler know the prefix.
    pub(crate) fn own_name(&self) -> Result<String, ConnectError> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let (_, host) = self.peer_parts()?;
        Ok(self.name.clone().unwrap_or_else(|| {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            format!("{OWN_PREFIX}{}_{count}@{host}", std::process::id())
        }))
    }
}
