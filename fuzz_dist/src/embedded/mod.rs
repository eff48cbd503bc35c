//! A replicated set in Rust, one real process per host, with bugs that can be switched on.
//!
//! It is the test bed of the framework itself and the database of `examples/embedded.rs`, which
//! needs nothing but Rust. Without a bug it is what an available store promises: an add is
//! acknowledged once it is in the node's own log; nodes push their logs to each other; when the
//! network heals, all nodes hold everything. A node that joins is pushed everything, and one that leaves
//! refuses adds and goes when another node has everything.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::{Client, DynClient, Error as ClientError, bad_argument, unsupported};
use crate::db::{Db, Facts, Load};
use crate::env::{Command, Facet, HostSpec, Role};
use crate::error::Error;
use crate::node::{Cluster, Node, wait_until};
use crate::op::{Completion, Invocation, Name, OpError, Value};

mod server;

pub use server::main_if_asked;

/// Where a store listens for clients and for other stores.
const PORT: u16 = 7000;
/// How long nodes may take until each holds what was written at every other.
const FORM_LIMIT: Duration = Duration::from_secs(20);
/// How long a node that leaves waits until another one has what it has.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(30);
/// How long a node may take to hear of another one that joins or leaves.
const TELL_LIMIT: Duration = Duration::from_secs(2);

/// What can be wrong with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bug {
    /// Every 20th add is acknowledged and forgotten.
    LosesAdd,
    /// Reads give an element twice.
    Duplicates,
    /// Reads give an element that no client added.
    Invents,
    /// Some reads are answered from a picture that is seconds old.
    ReadsStale,
    /// Every 20th add is refused and done all the same.
    ResurrectsFailed,
    /// Adds that were acknowledged while peers were out of reach are never sent to them.
    ForgetsPeers,
    /// Who joins a running cluster never gets what was there before.
    ForgetsJoiners,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 7] = [
        Bug::LosesAdd,
        Bug::Duplicates,
        Bug::Invents,
        Bug::ReadsStale,
        Bug::ResurrectsFailed,
        Bug::ForgetsPeers,
        Bug::ForgetsJoiners,
    ];

    /// Its name on the command line of the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Bug::LosesAdd => "loses_add",
            Bug::Duplicates => "duplicates",
            Bug::Invents => "invents",
            Bug::ReadsStale => "reads_stale",
            Bug::ResurrectsFailed => "resurrects_failed",
            Bug::ForgetsPeers => "forgets_peers",
            Bug::ForgetsJoiners => "forgets_joiners",
        }
    }

    fn parse(text: &str) -> Option<Bug> {
        Bug::ALL.into_iter().find(|b| b.as_str() == text)
    }
}

/// The embedded store as a database.
///
/// ```
/// use fuzz_dist::embedded::{Bug, Embedded};
/// let broken = Embedded::default().with(Bug::LosesAdd);
/// ```
#[fuzz_dist::db("embedded")]
#[derive(Clone, Debug, Default)]
pub struct Embedded {
    bug: Option<Bug>,
}

impl Embedded {
    /// With this bug switched on.
    #[must_use]
    pub fn with(mut self, bug: Bug) -> Embedded {
        self.bug = Some(bug);
        self
    }
}

impl Db for Embedded {
    fn name(&self) -> Name {
        "embedded".into()
    }

    fn facts(&self) -> Facts {
        // Peers notice at once that a link is back, so short cuts have an effect.
        Facts { cut: Some(Duration::from_secs(2)), load: Load::Light, ..Facts::default() }
    }

    /// It listens at its host's own address, and knows its peers by theirs.
    fn needs(&self) -> Vec<Facet> {
        Vec::new()
    }

    async fn start(&self, node: &Node) -> Result<(), Error> {
        let program: PathBuf = std::env::current_exe()?;
        let is_peer = |(id, host): &(_, HostSpec)| *id != node.host() && host.role == Role::Node;
        let others = node.env().hosts().into_iter().filter(is_peer);
        let peers = others.map(|(id, _)| Ok(node.env().address(id)?.to_string()));
        let peers: Vec<String> = peers.collect::<Result<_, Error>>()?;
        let command = Command::new(program.to_string_lossy())
            .named("store")
            .arg(server::ARGUMENT)
            .arg(node.data_dir()?.join("set.log").to_string_lossy())
            .arg(self.bug.map_or("none", Bug::as_str))
            .arg(node.address().to_string())
            .args(peers);
        node.spawn(command).await?;
        Ok(())
    }

    async fn ready(&self, node: &Node) -> Result<(), Error> {
        StoreClient::new(node.clone()).ask("size\n").await.map_err(Error::setup)?;
        Ok(())
    }

    /// A probe is written to every node under its own name and has to hear those of all others; the
    /// probes are kept apart from the set.
    async fn form(&self, cluster: &Cluster) -> Result<(), Error> {
        for node in cluster.nodes() {
            StoreClient::new(node.clone())
                .ask(&format!("probe {}\n", node.name()))
                .await
                .map_err(Error::setup)?;
        }
        for node in cluster.nodes() {
            let what = format!("{} hearing all others", node.name());
            wait_until(node.clock(), &what, FORM_LIMIT, || async {
                let heard =
                    StoreClient::new(node.clone()).ask("probes\n").await.map_err(Error::setup)?;
                let nodes = cluster.nodes();
                let missing: Vec<&str> = nodes
                    .iter()
                    .map(Node::name)
                    .filter(|n| !heard.split_whitespace().any(|h| h == *n))
                    .collect();
                match missing.is_empty() {
                    true => Ok(()),
                    false => Err(Error::setup(format!("nothing from {}", missing.join(", ")))),
                }
            })
            .await?;
        }
        Ok(())
    }

    /// The others push to it from now on; it was started with their addresses. Those that are down or paused
    /// hear of it when they are started again, or go on.
    async fn join(&self, node: &Node, cluster: &Cluster) -> Result<(), Error> {
        let line = format!("peer {}\n", node.address());
        tell_all(cluster, &line).await;
        Ok(())
    }

    async fn leave(&self, node: &Node, cluster: &Cluster) -> Result<(), Error> {
        let mut leaving = StoreClient::new(node.clone());
        leaving.ask("retire\n").await.map_err(Error::setup)?;
        let own = leaving.elements().await.map_err(Error::setup)?;
        let what = format!("what {} alone has on another node", node.name());
        wait_until(node.clock(), &what, HAND_OVER_LIMIT, || async {
            for other in cluster.nodes() {
                let mut other = StoreClient::new(other);
                let has = node.clock().timeout(TELL_LIMIT, other.elements()).await;
                if has.is_ok_and(|has| has.is_ok_and(|has| own.is_subset(&has))) {
                    return Ok(());
                }
            }
            Err(Error::setup("no other node has everything"))
        })
        .await?;
        tell_all(cluster, &format!("gone {}\n", node.address())).await;
        Ok(())
    }

    fn client(&self, workload: &str, node: &Node) -> Option<Box<dyn DynClient>> {
        (workload == "g_set").then(|| Box::new(StoreClient::new(node.clone())) as Box<_>)
    }

    fn workloads(&self) -> Vec<Name> {
        vec!["g_set".into()]
    }
}

/// Sends all nodes this line, at once; who does not answer soon goes without.
async fn tell_all(cluster: &Cluster, line: &str) {
    let telling = cluster.nodes().into_iter().map(|node| {
        let (clock, line) = (node.clock().clone(), line.to_string());
        async move { clock.timeout(TELL_LIMIT, StoreClient::new(node).ask(&line)).await.is_ok() }
    });
    let mut telling: JoinSet<bool> = telling.collect();
    while telling.join_next().await.is_some() {}
}

/// A client of the store: one line asked, one line answered.
struct StoreClient {
    node: Node,
    stream: Option<BufReader<TcpStream>>,
}

impl StoreClient {
    fn new(node: Node) -> StoreClient {
        StoreClient { node, stream: None }
    }

    /// Sends a line and gives the answer. After any error the connection is given up, since the
    /// next answer on it might be that of this question.
    async fn ask(&mut self, line: &str) -> std::io::Result<String> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(self.node.connect(PORT).await?),
        };
        stream.write_all(line.as_bytes()).await?;
        let mut answer = String::new();
        if stream.read_line(&mut answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.stream = Some(stream);
        Ok(answer)
    }

    /// All that the node has.
    async fn elements(&mut self) -> std::io::Result<BTreeSet<i64>> {
        let answer = self.ask("all\n").await?;
        Ok(answer.split_whitespace().filter_map(|word| word.parse().ok()).collect())
    }
}

impl Client for StoreClient {
    async fn invoke(&mut self, op: &Invocation) -> Completion {
        let line = match (&*op.f, &op.value) {
            ("add", Value::Int(n)) => format!("add {n}\n"),
            ("add", _) => return bad_argument(op),
            ("read", _) => "read\n".to_string(),
            _ => return unsupported(op, ["add", "read"]),
        };
        match self.ask(&line).await {
            Ok(answer) if answer == "ok\n" => Completion::Ok(op.value.clone()),
            Ok(answer) if answer.starts_with("set") => {
                let elements = answer.split_whitespace().skip(1).filter_map(|n| n.parse().ok());
                Completion::Ok(Value::set(elements))
            }
            Ok(answer) => Completion::Fail(OpError::new("refused", answer.trim())),
            Err(e) => Completion::Info(OpError::new("disconnected", e.to_string())),
        }
    }

    async fn reopen(&mut self) -> Result<(), ClientError> {
        self.stream = None;
        Ok(())
    }
}
