//! AntidoteDB as a database under test: a release, one node per host, formed into data centres.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::topology::Topology;
use super::{Client, form, operations, release};
use crate::args;
use crate::beam::{Atom, CallError, Connection, Term, charlist, net_setuptime};
use crate::client::DynClient;
use crate::db::{Db, Facts, Load};
use crate::env::{Command, Facet, Folder, HostSpec};
use crate::error::Error;
use crate::node::{Cluster, Node};
use crate::op::{Name, NodeId, Value};

/// Where hosts see the release.
const RELEASE: &str = "/srv/fuzz_dist/antidote";
/// The port of the protocol.
pub(super) const PORT: u16 = 8087;
const COOKIE: &str = "fuzz_dist_antidote";
/// How long cuts last where nobody says it: less is often repaired before it is noticed.
const CUT: Duration = Duration::from_secs(20);
/// ZeroMQ waits for TCP's retransmission: after a cut of 60 s, replication came back 37 to 52 s
/// after the heal.
const QUIESCE_LIMIT: Duration = Duration::from_secs(60);
/// How long one question to a node may take while it gets ready.
const READY_LIMIT: Duration = Duration::from_secs(2);
/// Erlang's default, which AntidoteDB leaves as it is.
const NET_TICKTIME_S: u32 = 60;

/// AntidoteDB from a release.
///
/// The release folder is laid copy-on-write under every host. Without
/// [`release`](Antidote::release) it is the one that `FUZZ_DIST_ANTIDOTE` names (a folder or a
/// tarball), or `../antidote/_build/default/rel/antidote`, where `make rel` leaves it.
///
/// ```
/// use fuzz_dist::antidote::{Antidote, Topology};
///
/// let two_centres = Antidote::release("/opt/antidote").topology(Topology::Dcs(2)).sync_log(true);
/// let standard = Antidote::default();
/// ```
#[fuzz_dist::db("antidote")]
#[derive(Debug, Default)]
pub struct Antidote {
    release: Option<PathBuf>,
    topology: Topology,
    sync_log: bool,
    log_level: Option<String>,
    ring_size: Option<u32>,
    net_ticktime_s: Option<u32>,
    causal: bool,
    arguments: Vec<String>,
    eval: Option<String>,
    form_limit: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    found: Option<PathBuf>,
    /// Nodes on which the expression was evaluated since their last start.
    evaluated: BTreeSet<NodeId>,
}

impl Antidote {
    /// The release in this folder or tarball.
    pub fn release(path: impl Into<PathBuf>) -> Antidote {
        Antidote { release: Some(path.into()), ..Antidote::default() }
    }

    /// How the nodes are divided into data centres; each node is one of its own unless set.
    #[must_use]
    pub fn topology(mut self, topology: Topology) -> Antidote {
        self.topology = topology;
        self
    }

    /// Whether a transaction is acknowledged only when it is on the disk. Off unless set, as
    /// AntidoteDB has it: then a kill may take acknowledged transactions with it.
    #[must_use]
    pub fn sync_log(mut self, on: bool) -> Antidote {
        self.sync_log = on;
        self
    }

    /// The level of its logger, as `debug`; `notice` unless set.
    #[must_use]
    pub fn log_level(mut self, level: impl Into<String>) -> Antidote {
        self.log_level = Some(level.into());
        self
    }

    /// Into how many partitions every data centre divides its keys, a power of two; 64 unless
    /// set.
    #[must_use]
    pub fn ring_size(mut self, partitions: u32) -> Antidote {
        self.ring_size = Some(partitions);
        self
    }

    /// After how many seconds without a sign of life another node of the same data centre is
    /// down (Erlang's default is 60). Data centres do not speak distributed Erlang with others.
    #[must_use]
    pub fn net_ticktime(mut self, seconds: u32) -> Antidote {
        self.net_ticktime_s = Some(seconds);
        self
    }

    /// Whether clients carry causal tokens: each transaction then sees what the session has seen
    /// and written. Such clients are not available where a partition keeps that from their node.
    #[must_use]
    pub fn causal(mut self, on: bool) -> Antidote {
        self.causal = on;
        self
    }

    /// Further arguments of the virtual machine and of its applications, one word each, as
    /// `["+S", "1"]` or `["-antidote", "txn_cert", "false"]`.
    #[must_use]
    pub fn arguments<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Antidote {
        self.arguments.extend(words.into_iter().map(Into::into));
        self
    }

    /// Erlang expressions, separated by commas, that every node evaluates when it is ready, after
    /// a restart too.
    #[must_use]
    pub fn eval(mut self, expressions: impl Into<String>) -> Antidote {
        self.eval = Some(expressions.into());
        self
    }

    /// How long each step of forming the cluster may take: making a data centre (90 s unless
    /// set), connecting one to the others (60 s), reading what was written elsewhere (30 s).
    #[must_use]
    pub fn form_limit(mut self, limit: Duration) -> Antidote {
        self.form_limit = Some(limit);
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn command(&self, node: &Node, data: &Path) -> Command {
        let mut words: Vec<String> = vec!["foreground".into()];
        let level = self.log_level.as_deref().unwrap_or("notice");
        let mut set = |application: &str, key: &str, value: String| {
            words.extend([format!("-{application}"), key.into(), value]);
        };
        set("kernel", "logger_level", level.into());
        set("antidote", "sync_log", self.sync_log.to_string());
        if let Some(partitions) = self.ring_size {
            set("riak_core", "ring_creation_size", partitions.to_string());
        }
        if let Some(seconds) = self.net_ticktime_s {
            set("kernel", "net_ticktime", seconds.to_string());
            set("kernel", "net_setuptime", net_setuptime(seconds).to_string());
        }
        words.extend(self.arguments.iter().cloned());
        let prefix = format!("{}/", data.display());
        Command::new(format!("{RELEASE}/bin/antidote"))
            .args(words)
            .env("NODE_NAME", erlang_name(node))
            .env("COOKIE", COOKIE)
            .env("ROOT_DIR_PREFIX", prefix)
            .env("LOGGER_DIR_PREFIX", "")
            .env("DATA_DIR_PREFIX", "")
            .env("ERL_CRASH_DUMP", data.join("erl_crash.dump").to_string_lossy())
            .env("HOME", data.to_string_lossy())
            .env("TERM", "dumb")
    }

    /// Evaluates the expression, once after every start.
    async fn evaluate(&self, node: &Node, control: &Connection) -> Result<(), Error> {
        let Some(text) = &self.eval else { return Ok(()) };
        if self.state().evaluated.contains(&node.id()) {
            return Ok(());
        }
        let text = format!("{}.", text.trim().trim_end_matches('.'));
        let failed = |what: &str, e: &dyn Display| {
            format!("the expression `{text}` could not be {what} on {}: {e}", node.name())
        };
        // What the expression itself does wrong, it will do wrong again.
        let blame = |what: &str, e: &CallError| match e {
            CallError::Exception { .. } | CallError::UnexpectedResult { .. } => {
                Error::usage(failed(what, e))
            }
            _ => Error::setup(failed(what, e)),
        };
        let scanned: (Atom, Vec<Term>, Term) = control
            .call("erl_scan", "string", args![charlist(&text)])
            .await
            .map_err(|e| blame("read", &e))?;
        let parsed: Result<Vec<Term>, Term> = control
            .call("erl_parse", "parse_exprs", args![scanned.1])
            .await
            .map_err(|e| blame("parsed", &e))?;
        let parsed = parsed.map_err(|e| Error::usage(failed("parsed", &e)))?;
        control
            .call::<Term>("erl_eval", "exprs", args![parsed, Vec::<Term>::new()])
            .await
            .map_err(|e| blame("evaluated", &e))?;
        self.state().evaluated.insert(node.id());
        Ok(())
    }
}

/// A long name, as AntidoteDB needs it: the part after the `@` is what other data centres are
/// asked to connect to.
pub(super) fn erlang_name(node: &Node) -> String {
    format!("antidote@{}", node.address())
}

/// A client of a node, over connections that no partition touches.
pub(super) fn client_of(node: &Node) -> Client {
    let (node, clock) = (node.clone(), node.clock().clone());
    let connect = move || {
        let node = node.clone();
        async move { node.connect(PORT).await }
    };
    Client::new(connect).clock(clock)
}

impl Db for Antidote {
    fn name(&self) -> Name {
        "antidote".into()
    }

    fn facts(&self) -> Facts {
        let seconds = self.net_ticktime_s.unwrap_or(NET_TICKTIME_S);
        let large = self.topology.has_large_centres();
        let mut meta: Vec<(Name, Value)> = vec![
            ("topology".into(), format!("{:?}", self.topology).into()),
            ("sync_log".into(), self.sync_log.into()),
            ("causal_tokens".into(), self.causal.into()),
        ];
        if !self.arguments.is_empty() {
            meta.push(("vm_arguments".into(), self.arguments.join(" ").into()));
        }
        Facts {
            net_ticktime: large.then(|| Duration::from_secs(seconds.into())),
            quiesce_limit: Some(QUIESCE_LIMIT),
            cut: Some(CUT),
            load: Load::Heavy,
            meta,
        }
    }

    fn needs(&self) -> Vec<Facet> {
        vec![Facet::OwnNetwork, Facet::OwnFiles]
    }

    async fn prepare(&self) -> Result<(), Error> {
        let given = self.release.clone();
        let found = tokio::task::spawn_blocking(move || release::find(given.as_deref())).await??;
        self.state().found = Some(found);
        Ok(())
    }

    fn hosts(&self, nodes: usize) -> Result<Vec<HostSpec>, Error> {
        self.topology.hosts(nodes)
    }

    fn folders(&self, _: &HostSpec) -> Result<Vec<Folder>, Error> {
        let release = self.state().found.clone();
        let release = release.ok_or_else(|| Error::setup("the release was not prepared"))?;
        Ok(vec![Folder::own_copy(release, RELEASE)])
    }

    async fn start(&self, node: &Node) -> Result<(), Error> {
        if node.connect(PORT).await.is_ok() {
            return Err(Error::setup(format!(
                "port {PORT} on {} is taken by another program; end it, as AntidoteDB's ports \
                 (8085 to 8087, 8099, 3001) cannot be moved",
                node.name()
            )));
        }
        self.state().evaluated.remove(&node.id());
        node.speaks_erlang(erlang_name(node), COOKIE);
        node.spawn(self.command(node, &node.data_dir()?)).await?;
        Ok(())
    }

    /// The application's own word first: its port is open seconds before it can answer, and a
    /// request in between can hang, or break the node.
    async fn ready(&self, node: &Node) -> Result<(), Error> {
        let control = node.control().await.map_err(Error::setup)?;
        let running: Vec<(Atom, Term, Term)> = control
            .call("application", "which_applications", args![])
            .within(READY_LIMIT)
            .await
            .map_err(Error::setup)?;
        if !running.iter().any(|(name, ..)| name.as_str() == "antidote") {
            return Err(Error::setup("the application antidote does not run yet"));
        }
        let mut client = client_of(node).timeout(READY_LIMIT);
        client.read(&[form::mark(node)]).await.map_err(Error::setup)?;
        self.evaluate(node, &control).await
    }

    async fn form(&self, cluster: &Cluster) -> Result<(), Error> {
        form::form(cluster, self.form_limit).await
    }

    fn client(&self, workload: &str, node: &Node) -> Option<Box<dyn DynClient>> {
        operations::client(workload, node, self.causal)
    }

    fn workloads(&self) -> Vec<Name> {
        operations::WORKLOADS.iter().map(|name| Name::from(*name)).collect()
    }
}
