//! A connection to one node, as a hidden node of our own.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fuzz_dist_clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use super::control::{Control, Process};
use super::epmd;
use super::error::{CallError, CloseReason, ConnectError};
use super::handshake::{self, Challenge, HandshakeError, Status};
use super::mailbox::Mailbox;
use super::options::{Connect, Options};
use super::shared::Shared;
use super::stream;
use super::term::{Pid, Term};

/// An open connection to a node. Clones share it; it ends when the last one is dropped.
///
/// We are a *hidden* node: `nodes()`, `global` and `pg` do not see us, and the node needs nothing
/// for us to call any function and any process of it. There is nothing that reconnects by itself:
/// after the connection has ended, every call fails with [`CallError::NotConnected`].
#[derive(Clone, Debug)]
pub struct Connection(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    peer: Challenge,
    user: OnceCell<Pid>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close(CloseReason::Local);
    }
}

impl Connection {
    /// Connects: asks epmd for the node's port, unless the options name it, and shakes hands.
    ///
    /// Two background tasks on the current tokio runtime serve the connection.
    pub async fn open(
        options: Options,
        connector: impl Connect,
    ) -> Result<Connection, ConnectError> {
        let limit = options.connect_limit;
        let peer = options.peer.clone();
        let clock = options.clock.clone();
        match clock.timeout(limit, open(options, connector)).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::TimedOut { peer, limit }),
        }
    }

    /// The node's name.
    pub fn peer(&self) -> &str {
        &self.0.peer.name
    }

    /// The name under which we are connected.
    pub fn name(&self) -> &str {
        self.0.shared.name.as_str()
    }

    /// A number that differs between incarnations of the node of the same name.
    pub fn peer_creation(&self) -> u32 {
        self.0.peer.creation
    }

    /// Why the connection has ended; `None` as long as it has not.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.0.shared.close_reason()
    }

    /// Waits until the connection has ended.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        let shared = self.0.shared.clone();
        async move { shared.closed().await }
    }

    /// Ends the connection now; calls in flight fail.
    pub fn close(&self) {
        self.0.shared.close(CloseReason::Local);
    }

    /// How many calls wait for their answers.
    pub fn pending(&self) -> usize {
        self.0.shared.pending()
    }

    /// How many messages were dropped because a mailbox was full.
    pub fn events_dropped(&self) -> u64 {
        self.0.shared.events_dropped()
    }

    /// A process of ours that the node can send to. It keeps up to `capacity` messages; what comes
    /// beyond that is dropped and counted ([`Event::Dropped`](super::Event::Dropped)). Exits are
    /// always kept.
    pub fn mailbox(&self, capacity: usize) -> Mailbox {
        Mailbox::open(self.clone(), capacity)
    }

    /// Sends a message to a process or a registered name. That it arrives is not confirmed.
    pub async fn send(&self, to: impl Into<Process>, message: &Term) -> Result<(), CallError> {
        let from = Some(self.0.shared.caller());
        self.signal(Control::Send { from, to: to.into() }, Some(message)).await
    }

    /// The process of ours that calls: processes of the node can watch it, to see this connection end.
    pub fn own_process(&self) -> Pid {
        self.0.shared.caller()
    }

    /// The limit for calls that do not have their own.
    pub(crate) fn call_limit(&self) -> Duration {
        self.0.shared.options.call_limit
    }

    /// What its limits take their time from.
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.shared.options.clock
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// Where output of remote calls goes: the node's own process `user`, asked for once.
    pub(crate) fn user(&self) -> &OnceCell<Pid> {
        &self.0.user
    }

    pub(crate) fn not_connected(&self, reason: CloseReason) -> CallError {
        CallError::NotConnected { peer: self.peer().into(), reason }
    }

    pub(crate) async fn signal(
        &self,
        control: Control,
        payload: Option<&Term>,
    ) -> Result<(), CallError> {
        let mut message = Vec::with_capacity(128);
        control.write(payload, &mut message)?;
        if let Some(reason) = self.close_reason() {
            return Err(self.not_connected(reason));
        }
        let limit = self.call_limit();
        tokio::select! {
            () = self.0.shared.outbox.push(&message) => Ok(()),
            () = self.closed() => Err(self.not_connected(self.close_reason().unwrap_or(CloseReason::Local))),
            () = self.clock().sleep(limit) => {
                Err(CallError::TimedOut { peer: self.peer().into(), what: "a signal".into(), limit })
            }
        }
    }
}

async fn open(options: Options, connector: impl Connect) -> Result<Connection, ConnectError> {
    let (node, _) = options.peer_parts()?;
    let name = options.own_name()?;
    let port = match options.port {
        Some(port) => port,
        None => ask_epmd(&options, node, &connector).await?,
    };
    let peer = options.peer.clone();
    let unreachable = |error| ConnectError::Unreachable { peer: peer.clone(), port, error };
    let mut socket = connector.connect(port).await.map_err(unreachable)?;
    socket.set_nodelay(true).map_err(unreachable)?;
    // Never 0, which would mean "any incarnation".
    let creation = fresh_number() | 1 << 8;
    let challenge =
        shake_hands(&mut socket, &options, &name, creation).await.map_err(|error| match error {
            ShakeError::Io(error) => unreachable(error),
            ShakeError::Refused(error) => ConnectError::Handshake { peer: peer.clone(), error },
        })?;
    let shared = Arc::new(Shared::new(name, creation, options));
    stream::spawn(socket, &shared);
    Ok(Connection(Arc::new(Handle { shared, peer: challenge, user: OnceCell::new() })))
}

async fn ask_epmd(
    options: &Options,
    node: &str,
    connector: &impl Connect,
) -> Result<u16, ConnectError> {
    let (peer, port) = (options.peer.clone(), options.epmd_port);
    let ask = async {
        let mut socket = connector.connect(port).await?;
        socket.write_all(&epmd::request(node)).await?;
        let mut answer = Vec::new();
        socket.take(epmd::ANSWER_BYTES_MAX as u64).read_to_end(&mut answer).await?;
        Ok(answer)
    };
    match ask.await {
        Ok(answer) => epmd::parse_answer(&answer, node)
            .map_err(|error| ConnectError::NotRegistered { peer, error }),
        Err(error) => Err(ConnectError::EpmdUnreachable { peer, port, error }),
    }
}

enum ShakeError {
    Io(io::Error),
    Refused(HandshakeError),
}

impl From<io::Error> for ShakeError {
    fn from(error: io::Error) -> Self {
        ShakeError::Io(error)
    }
}

impl From<HandshakeError> for ShakeError {
    fn from(error: HandshakeError) -> Self {
        ShakeError::Refused(error)
    }
}

async fn shake_hands(
    socket: &mut TcpStream,
    options: &Options,
    name: &str,
    creation: u32,
) -> Result<Challenge, ShakeError> {
    write(socket, &handshake::name_message(name, creation)).await?;
    let length = socket.read_u16().await?;
    if handshake::is_tls_alert(length) {
        return Err(HandshakeError::Tls.into());
    }
    if handshake::parse_status(&read_rest(socket, length).await?)? == Status::Alive {
        // The old connection of this name is dead, whatever the node believes: we are here.
        write(socket, b"strue").await?;
    }
    let challenge = handshake::parse_challenge(&read(socket).await?)?;
    if challenge.name != options.peer {
        let expected = options.peer.clone();
        return Err(HandshakeError::OtherNode { expected, found: challenge.name }.into());
    }
    let ours = fresh_number();
    write(socket, &handshake::reply_message(&options.cookie, challenge.challenge, ours)).await?;
    match read(socket).await {
        Ok(ack) => handshake::check_ack(&ack, &options.cookie, ours)?,
        // A node that does not believe our proof says nothing and closes.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
            ) =>
        {
            return Err(HandshakeError::WrongCookie.into());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(challenge)
}

/// A number that differs from call to call and from process to process: the standard library seeds
/// its hash maps from the system's source of randomness.
fn fresh_number() -> u32 {
    RandomState::new().hash_one(std::process::id()) as u32
}

async fn write(socket: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let mut framed = (message.len() as u16).to_be_bytes().to_vec();
    framed.extend(message);
    socket.write_all(&framed).await
}

async fn read(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = socket.read_u16().await?;
    read_rest(socket, length).await
}

async fn read_rest(socket: &mut TcpStream, length: u16) -> io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(length)];
    socket.read_exact(&mut message).await?;
    Ok(message)
}
