//! Places in which a cluster runs: hosts, processes, files, sockets and logs, and what some of them can
//! do beyond that.
//!
//! A [`Provider`] has a name and says what its environments are able to do ([`Capabilities`]) before
//! anything starts. It starts an [`Environment`] from an [`EnvironmentSpec`]. The trait `Environment` is
//! the core that every place has. What only some places can do is a *facet*: a trait of its own, which
//! the environment returns where it has it: [`LinkControl`], [`wire::Wire`], [`Membership`]. The local lab
//! (crate `fuzz_dist_lab`) is one provider.

mod command;
mod error;
mod facet;
mod host;
mod links;
pub mod local;
mod process;
mod provider;
mod scratch;
#[doc(hidden)]
pub mod threads;
pub mod wire;

pub use command::{Command, Finished};
pub use error::Error;
pub use facet::{Capabilities, Facet, LinkControl, Membership};
pub use host::{Access, Folder, HostFile, HostId, HostSpec, Role};
pub use links::{Heal, LinkCount, LinkCounters, LinkMatrix};
pub use process::{Process, ProcessControl, ProcessInfo, ProcessState, Signal};
pub use provider::{AnyProvider, EnvironmentSpec, Latency, Provider};
#[doc(hidden)]
pub use scratch::Scratch;

use std::fmt::Debug;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

/// A future in a box, so that [`Environment`] can stand behind `Arc<dyn Environment>`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Hosts with their processes, files, sockets and logs: what every place has.
///
/// Object safe: the parts above hold an `Arc<dyn Environment>`. All waits inside have limits, so
/// that every future completes. Dropping the last handle takes the environment down. Paths of files are
/// relative to the host's data folder, and lead nowhere else.
pub trait Environment: Debug + Send + Sync {
    /// The environment's name, for people: its provider's.
    fn name(&self) -> &str;

    /// What this environment does differently from what was requested, in sentences for people (a folder
    /// that was copied where a copy-on-write view was refused, for one).
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// All present hosts, in the order in which they were added.
    fn hosts(&self) -> Vec<(HostId, HostSpec)>;

    /// The address at which the other hosts reach this one.
    ///
    /// # Errors
    /// [`Error::UnknownHost`] if it was never there or was removed.
    fn address(&self, host: HostId) -> Result<IpAddr, Error>;

    /// Ends all hosts with their processes at once, by SIGKILL; whatever is requested of them
    /// afterwards is an error. Their logs stay.
    fn end(&self);

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

    /// The host's data folder as its own processes see it; also their default working directory.
    ///
    /// # Errors
    /// [`Error::UnknownHost`].
    fn data_dir(&self, host: HostId) -> Result<PathBuf, Error>;

    /// The content of a file; long ones, in the lab above 16 MiB, are refused. Paths of files and folders are relative to the host's data folder; what
    /// the host sees there of a folder that it was given read-only need not be reached.
    fn read_file(&self, host: HostId, path: PathBuf) -> BoxFuture<'_, Result<Vec<u8>, Error>>;

    /// Writes a file, in place of one that is there; makes the folders that it lies in.
    fn write_file(
        &self,
        host: HostId,
        path: PathBuf,
        content: Vec<u8>,
    ) -> BoxFuture<'_, Result<(), Error>>;

    /// Copies a folder of the host to the folder `to` of the machine that runs the tests. Files and links
    /// are copied, pipes and sockets are not.
    fn fetch_folder(
        &self,
        host: HostId,
        path: PathBuf,
        to: PathBuf,
    ) -> BoxFuture<'_, Result<(), Error>>;

    /// Where people find the host's logs while it runs. At the environment's end they are below the
    /// folder of its [`EnvironmentSpec`].
    fn logs(&self, host: HostId) -> String;

    /// The end of each of the host's logs, by the name of its file (`<process>.out`, `<process>.err`),
    /// at most `bytes_max` of each: what is known of them without waiting.
    fn last_output(&self, host: HostId, bytes_max: usize) -> Vec<(String, String)>;

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

    /// Its links, where they can be cut ([`Facet::Links`]).
    fn links(&self) -> Option<&dyn LinkControl> {
        None
    }

    /// The content of its links, where it can be followed ([`Facet::Wire`]).
    fn wire(&self) -> Option<std::sync::Arc<dyn wire::Wire>> {
        None
    }

    /// The set of its hosts, where it can change ([`Facet::Membership`]).
    fn membership(&self) -> Option<&dyn Membership> {
        None
    }
}
