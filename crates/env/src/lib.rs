//! Hosts, processes, links and capabilities, whatever stands behind them.
//!
//! [`Environment`] is the one trait through which everything above reaches the outside. The local
//! lab (crate `fuzz_dist_lab`) implements it with namespaces on this machine. An ssh environment will
//! implement it with real machines: `set_links` will compute the difference between the matrix
//! that is in force and the one that is wanted and send each machine its own part, `start` and the
//! signals will go through an agent that speaks the lab's protocol over the connection, and
//! `connect` will be a forwarded port.

mod command;
mod error;
mod host;
mod links;
mod process;
mod scratch;
#[doc(hidden)]
pub mod threads;
pub mod wire;

pub use command::{Command, Finished};
pub use error::Error;
pub use host::{HostId, HostSpec, Mount, MountKind, Role};
pub use links::{Heal, LinkCount, LinkCounters, LinkMatrix};
pub use process::{Process, ProcessControl, ProcessInfo, ProcessState, Signal};
#[doc(hidden)]
pub use scratch::Scratch;

use std::fmt::Debug;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

/// A future in a box, so that [`Environment`] can stand behind `Arc<dyn Environment>`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The kind of socket to make in a host's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum SocketKind {
    /// TCP over IPv4.
    Tcp,
    /// UDP over IPv4.
    Udp,
}

/// What an environment is able to do; parts ask before they promise a fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// A link matrix takes effect on all hosts at the same instant.
    pub atomic_links: bool,
    /// One direction of a link can be cut.
    pub one_way_cuts: bool,
    /// Packets are counted per directed link.
    pub link_counters: bool,
    /// Hosts can be added and removed while a test runs.
    pub membership: bool,
    /// Processes can be stopped and continued.
    pub pause: bool,
    /// Packets of a link can be watched and dropped one by one.
    pub watch: bool,
    /// Connections between nodes can be followed, and faults placed by what they carry.
    pub wire: bool,
    /// Sockets can be made in a host's own network.
    pub sockets: bool,
    /// What this environment does otherwise than asked for, in sentences for people
    /// (a folder that was copied where copy-on-write was refused, for one).
    pub notes: Vec<String>,
}

/// Hosts and the network between them.
///
/// Object safe: the parts above hold an `Arc<dyn Environment>`. All waits inside have limits, so
/// that every future completes. Dropping the last handle takes the environment down.
pub trait Environment: Debug + Send + Sync {
    /// The environment's name, for people: `local`, or a machine's.
    fn name(&self) -> &str;

    /// What this environment is able to do.
    fn capabilities(&self) -> Capabilities;

    /// All present hosts, in the order in which they were added.
    fn hosts(&self) -> Vec<(HostId, HostSpec)>;

    /// The address at which the other hosts reach this one.
    ///
    /// # Errors
    /// [`Error::UnknownHost`] if it was never there or was removed.
    fn address(&self, host: HostId) -> Result<IpAddr, Error>;

    /// The host's data folder as its own processes see it; also their default working directory.
    ///
    /// # Errors
    /// [`Error::UnknownHost`].
    fn data_dir(&self, host: HostId) -> Result<PathBuf, Error>;

    /// Where the host's data folder (`data`) and log files (`logs`) lie for this process.
    ///
    /// # Errors
    /// [`Error::UnknownHost`], or [`Error::Unsupported`] where they have to be fetched first.
    fn folder(&self, host: HostId) -> Result<PathBuf, Error>;

    /// Ends all hosts with their processes at once, without a farewell; whatever is asked of them
    /// afterwards is an error. Their folders stay.
    fn end(&self);

    /// Adds a host; the others know its name when this returns.
    fn add_host(&self, spec: HostSpec) -> BoxFuture<'_, Result<HostId, Error>>;

    /// Removes a host at once, as if its power failed: processes die without a farewell. Its
    /// folder stays.
    fn remove_host(&self, host: HostId) -> BoxFuture<'_, Result<(), Error>>;

    /// Starts a process; returns when its program runs.
    fn start(&self, host: HostId, command: Command) -> BoxFuture<'_, Result<Process, Error>>;

    /// Runs a command to its end and returns its output (at most 16 MB of each stream). On a
    /// time-out its process group is killed.
    fn run(
        &self,
        host: HostId,
        command: Command,
        limit: Duration,
    ) -> BoxFuture<'_, Result<Finished, Error>>;

    /// Signals every process of a host, also those that left their process group.
    fn signal_host(&self, host: HostId, signal: Signal) -> BoxFuture<'_, Result<(), Error>>;

    /// Every process of a host with its state: the evidence of pauses and kills.
    fn processes(&self, host: HostId) -> BoxFuture<'_, Result<Vec<ProcessInfo>, Error>>;

    /// Brings all links into the state that the matrix describes. After it returns, no packet of
    /// a link that is now cut is delivered any more. Links that the matrix does not name are open.
    fn set_links(&self, links: &LinkMatrix) -> BoxFuture<'_, Result<(), Error>>;

    /// The matrix that was set last.
    fn links(&self) -> LinkMatrix;

    /// What every directed link has carried and dropped so far.
    fn counters(&self) -> LinkCounters;

    /// What the links carry, to place faults by it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where nobody sees it.
    fn wire(&self) -> Result<std::sync::Arc<dyn wire::Wire>, Error> {
        let what = "see what its links carry".into();
        Err(Error::Unsupported { environment: self.name().into(), what })
    }

    /// A socket that belongs to the host's network and is neither bound nor connected yet.
    fn socket(&self, host: HostId, kind: SocketKind) -> BoxFuture<'_, Result<OwnedFd, Error>>;

    /// A TCP connection from the host's network, for use by this process.
    fn connect(
        &self,
        host: HostId,
        to: SocketAddr,
        limit: Duration,
    ) -> BoxFuture<'_, Result<tokio::net::TcpStream, Error>>;

    /// A TCP listener in the host's network, for use by this process.
    fn listen(
        &self,
        host: HostId,
        on: SocketAddr,
    ) -> BoxFuture<'_, Result<tokio::net::TcpListener, Error>>;

    /// A UDP socket in the host's network, for use by this process.
    fn bind_udp(
        &self,
        host: HostId,
        on: SocketAddr,
    ) -> BoxFuture<'_, Result<tokio::net::UdpSocket, Error>>;
}
