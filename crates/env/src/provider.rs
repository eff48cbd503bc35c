//! Who makes environments, and from what.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fuzz_dist_clock::Clock;
use fuzz_dist_random::Seed;

use super::wire::Protocol;
use super::{BoxFuture, Capabilities, Environment, Error, Heal, HostSpec};

/// A place in which clusters can run: it makes one [`Environment`] for each run.
///
/// Tests choose one by its registered name (`env = "local"`) or as a value. Making the value must cost
/// nothing: the harness makes all registered ones when the program starts.
pub trait Provider: Send + Sync + 'static {
    /// Its name, as in `env = "local"`.
    fn name(&self) -> &str;

    /// What its environments are able to do.
    fn capabilities(&self) -> Capabilities;

    /// Starts an environment with its hosts.
    ///
    /// # Errors
    /// [`Error::Invalid`] for hosts that cannot be; anything else says what the place refuses.
    fn start(&self, spec: EnvironmentSpec) -> BoxFuture<'_, Result<Arc<dyn Environment>, Error>>;

    /// Takes the process over where the provider started this program for a purpose of its own, such as
    /// an agent on a host, and does nothing otherwise. The harness calls it first of all in `main`, before
    /// any thread starts.
    fn main_if_asked(&self) {}
}

/// Any provider: what runs hold.
pub type AnyProvider = Arc<dyn Provider>;

impl<P: Provider + ?Sized> Provider for Arc<P> {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }
    fn start(&self, spec: EnvironmentSpec) -> BoxFuture<'_, Result<Arc<dyn Environment>, Error>> {
        (**self).start(spec)
    }
    fn main_if_asked(&self) {
        (**self).main_if_asked();
    }
}

/// The latency of the links between hosts: constant for each direction, drawn from the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// What it is drawn from.
    pub seed: Seed,
    /// The shortest.
    pub low: Duration,
    /// The longest.
    pub high: Duration,
}

/// What an environment shall be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EnvironmentSpec {
    /// The hosts at the start.
    pub hosts: Vec<HostSpec>,
    /// The folder on the machine that runs the tests in which the hosts' logs are at the environment's
    /// end, in `<host>/logs`. It is made if it does not exist, and stays.
    pub folder: PathBuf,
    /// The protocol of the connections between nodes, for [`Wire`](super::wire::Wire); nothing is followed
    /// without one.
    pub protocol: Option<Arc<dyn Protocol>>,
    /// Whether connections are followed from their beginning.
    pub follow: bool,
    /// How TCP goes on when a cut is over.
    pub heal: Heal,
    /// What actions at triggers, and limits of commands and connections, take their time from.
    pub clock: Clock,
    /// How long packets between hosts are on their way, by the clock; as long as it takes if `None`.
    pub latency: Option<Latency>,
    /// About how many bytes each log of a process keeps; the provider's own limit if `None`.
    pub log_limit: Option<u64>,
}

impl EnvironmentSpec {
    /// An environment of these hosts, with their logs below `folder`.
    pub fn new(folder: impl Into<PathBuf>, hosts: Vec<HostSpec>) -> Self {
        EnvironmentSpec {
            hosts,
            folder: folder.into(),
            protocol: None,
            follow: false,
            heal: Heal::Natural,
            clock: Clock::system(),
            latency: None,
            log_limit: None,
        }
    }
}
