//! Applications of Erlang modules: compiled on the spot, one node per host.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Db, Facts, Load, mesh};
use crate::args;
use crate::beam::{Atom, Connection, NodeSpec, Term};
use crate::env::{Command, Facet, Folder, HostSpec, Role, Scratch};
use crate::error::Error;
use crate::node::{Cluster, Node, wait_until};
use crate::op::{Name, Value};
use crate::provision::{CommandLine, ProvisionError, Runtime};

/// Erlang's default net_ticktime.
const NET_TICKTIME_S: u32 = 60;
/// The usual port of epmd: every host has its own network, so that all can use it.
const EPMD_PORT: u16 = 4369;
/// Where hosts see the compiled modules.
const EBIN: &str = "/srv/fuzz_dist/ebin";
/// The part before the `@` of node names.
const NODE_NAME: &str = "app";
/// An application of a few Erlang modules on a cluster of plain Erlang nodes.
///
/// The modules are compiled on the spot with the runtime that is found on the PATH, named by
/// `FUZZ_DIST_ERLANG`, or fetched. Every host runs its own epmd and one node `app@n1`, `app@n2`, ….
///
/// ```
/// use fuzz_dist::db::ErlangApp;
///
/// let app = ErlangApp::new("mnesia_set", ["examples/mnesia_set/mnesia_set.erl"])
///     .net_ticktime(4)
///     .start("mnesia_set:start(#{peers => Peers, majority => true})")
///     .form("mnesia_set", "form");
/// ```
#[derive(Debug)]
pub struct ErlangApp {
    name: Name,
    sources: Vec<PathBuf>,
    net_ticktime_s: u32,
    overlapping_partitions: Option<bool>,
    flags: Vec<String>,
    start: Option<String>,
    form: Option<(String, String)>,
    join: Option<(String, String)>,
    leave: Option<(String, String)>,
    formed: Option<(String, String)>,
    prepared: Mutex<Option<Prepared>>,
}

#[derive(Clone, Debug)]
struct Prepared {
    runtime: Runtime,
    /// Removed with the last clone.
    ebin: std::sync::Arc<Scratch>,
}

impl ErlangApp {
    /// An application of these sources; paths are relative to the package that is tested.
    pub fn new<P: Into<PathBuf>>(
        name: impl Into<Name>,
        sources: impl IntoIterator<Item = P>,
    ) -> ErlangApp {
        ErlangApp {
            name: name.into(),
            sources: sources.into_iter().map(Into::into).collect(),
            net_ticktime_s: NET_TICKTIME_S,
            overlapping_partitions: None,
            flags: Vec::new(),
            start: None,
            form: None,
            join: None,
            leave: None,
            formed: None,
            prepared: Mutex::default(),
        }
    }

    /// After how many seconds without a sign of life another node is down (Erlang's default is
    /// 60); runs of half a minute need 4 or 8.
    #[must_use]
    pub fn net_ticktime(mut self, seconds: u32) -> ErlangApp {
        self.net_ticktime_s = seconds;
        self
    }

    /// Switches `prevent_overlapping_partitions` of the kernel; OTP's default since 25 is `true`.
    #[must_use]
    pub fn prevent_overlapping_partitions(mut self, on: bool) -> ErlangApp {
        self.overlapping_partitions = Some(on);
        self
    }

    /// Further flags of the virtual machine, one word each.
    #[must_use]
    pub fn flags<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> ErlangApp {
        self.flags.extend(words.into_iter().map(Into::into));
        self
    }

    /// The expression that every node evaluates at its start, also after a restart. `Peers` is
    /// the list of all nodes' names.
    #[must_use]
    pub fn start(mut self, expression: impl Into<String>) -> ErlangApp {
        self.start = Some(expression.into());
        self
    }

    /// The function of one argument, the list of all nodes, that makes a cluster of them; called
    /// once, on the first node.
    #[must_use]
    pub fn form(mut self, module: &str, function: &str) -> ErlangApp {
        self.form = Some((module.into(), function.into()));
        self
    }

    /// The function of one argument, the list of the nodes that take part, that makes a node one of them which
    /// joins while a test runs; called on that node. Without it a node joins as it is started.
    #[must_use]
    pub fn join(mut self, module: &str, function: &str) -> ErlangApp {
        self.join = Some((module.into(), function.into()));
        self
    }

    /// The function of one argument, the list of the nodes that stay, after which a node can leave for good;
    /// called on that node. Without it a node is gone as if its power failed.
    #[must_use]
    pub fn leave(mut self, module: &str, function: &str) -> ErlangApp {
        self.leave = Some((module.into(), function.into()));
        self
    }

    /// The function without arguments that says on every node whether it takes part.
    #[must_use]
    pub fn formed(mut self, module: &str, function: &str) -> ErlangApp {
        self.formed = Some((module.into(), function.into()));
        self
    }

    fn prepared(&self) -> Result<Prepared, Error> {
        let prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.clone().ok_or_else(|| Error::setup("the Erlang runtime was not prepared"))
    }

    fn spec(&self, node: &Node) -> NodeSpec {
        let hosts = node.env().hosts();
        let nodes = hosts.iter().filter(|(_, host)| host.role == Role::Node);
        let peers: Vec<String> =
            nodes.map(|(_, host)| format!("'{}'", erlang_name(&host.name))).collect();
        let mut spec = NodeSpec::new(erlang_name(node.name()), self.cookie())
            .net_ticktime(self.net_ticktime_s)
            .code_path(EBIN)
            .flags(self.flags.clone());
        if let Some(on) = self.overlapping_partitions {
            spec = spec.prevent_overlapping_partitions(on);
        }
        if let Some(start) = &self.start {
            spec = spec.eval(format!("Peers = [{}], {start}", peers.join(", ")));
        }
        spec
    }

    /// Folders that hosts must see where they are: the runtime, and code paths among the flags.
    fn named(&self, runtime: &Runtime) -> impl Iterator<Item = PathBuf> {
        let flags = self.flags.iter().map(PathBuf::from);
        let folders = flags.filter(|path| path.is_absolute() && path.is_dir());
        folders.chain([runtime.root.clone()]).collect::<Vec<_>>().into_iter()
    }

    fn cookie(&self) -> String {
        format!("fuzz_dist_{}", self.name)
    }
}

fn erlang_name(host: &str) -> String {
    format!("{NODE_NAME}@{host}")
}

/// Does this node see all others, and does the application say that it takes part?
async fn takes_part(
    node: &Node,
    cluster: &Cluster,
    formed: &Option<(String, String)>,
) -> Result<(), Error> {
    let control = node.control().await.map_err(Error::setup)?;
    for other in cluster.nodes() {
        let name = Atom::from(erlang_name(other.name()).as_str());
        let known: Atom = control
            .call(
                "erpc",
                "call",
                args![name.clone(), Atom::from("erlang"), Atom::from("node"), Vec::<Term>::new()],
            )
            .await
            .map_err(|e| Error::setup(e).context(format!("reaching {}", other.name())))?;
        if known != name {
            return Err(Error::setup(format!("{name} calls itself {known}")));
        }
    }
    match formed {
        Some((module, function)) => says_formed(&control, module, function).await,
        None => Ok(()),
    }
}

async fn says_formed(control: &Connection, module: &str, function: &str) -> Result<(), Error> {
    let formed: bool = control.call(module, function, args![]).await.map_err(Error::setup)?;
    match formed {
        true => Ok(()),
        false => Err(Error::setup(format!("{module}:{function}() says false"))),
    }
}

/// The Erlang names of the nodes that take part.
fn names(cluster: &Cluster) -> Vec<Atom> {
    let name = |node: &Node| Atom::from(erlang_name(node.name()).as_str());
    cluster.nodes().iter().map(name).collect()
}

/// Calls a function on a node with the nodes that take part, where the application has such a function.
async fn tell(
    node: &Node,
    function: &Option<(String, String)>,
    cluster: &Cluster,
) -> Result<(), Error> {
    let Some((module, function)) = function else { return Ok(()) };
    let control = node.control().await.map_err(Error::setup)?;
    let telling = control.call::<()>(module, function, args![names(cluster)]);
    telling.within(mesh::LIMIT).await.map_err(Error::setup)
}

/// A command line as a process of a host.
fn command(line: CommandLine, name: &str) -> Command {
    let program = line.program.to_string_lossy().into_owned();
    let command = Command::new(program).named(name).args(line.args);
    line.env.into_iter().fold(command, |command, (name, value)| command.env(name, value))
}

impl Db for ErlangApp {
    fn name(&self) -> Name {
        self.name.clone()
    }

    fn facts(&self) -> Facts {
        let overlapping = self.overlapping_partitions.map_or("default".into(), |on| on.to_string());
        Facts {
            net_ticktime: Some(Duration::from_secs(self.net_ticktime_s.into())),
            load: Load::Moderate,
            meta: vec![("prevent_overlapping_partitions".into(), Value::from(overlapping))],
            ..Facts::default()
        }
    }

    fn needs(&self) -> Vec<Facet> {
        vec![Facet::OwnNetwork, Facet::OwnFiles]
    }

    async fn prepare(&self) -> Result<(), Error> {
        let sources = self.sources.clone();
        let preparing = tokio::task::spawn_blocking(move || {
            let mut runtime = Runtime::find_or_fetch().map_err(ProvisionError::explained)?;
            // It is started from another working directory.
            runtime.root = std::path::absolute(&runtime.root).map_err(Error::environment)?;
            let ebin = Scratch::new().map_err(|e| {
                Error::environment(format!("a temporary folder could not be made: {e}"))
            })?;
            runtime.compile_once(&sources, ebin.path()).map_err(Error::setup)?;
            Ok::<_, Error>(Prepared { runtime, ebin: ebin.into() })
        });
        let prepared = preparing.await??;
        *self.prepared.lock().unwrap_or_else(PoisonError::into_inner) = Some(prepared);
        Ok(())
    }

    fn hosts(&self, nodes: usize) -> Result<Vec<HostSpec>, Error> {
        Ok(HostSpec::nodes(nodes))
    }

    fn folders(&self, _: &HostSpec) -> Result<Vec<Folder>, Error> {
        let prepared = self.prepared()?;
        let ebin = Folder::read_only(prepared.ebin.path(), EBIN);
        let named = self.named(&prepared.runtime).map(Folder::in_place);
        Ok([ebin].into_iter().chain(named).collect())
    }

    async fn start(&self, node: &Node) -> Result<(), Error> {
        let prepared = self.prepared()?;
        let spec = self.spec(node);
        node.speaks_erlang(spec.name.clone(), spec.cookie.clone());
        node.spawn(command(prepared.runtime.epmd(EPMD_PORT), "epmd")).await?;
        let port = || async { node.connect(EPMD_PORT).await.map_err(Error::setup) };
        let what = format!("epmd on {}", node.name());
        wait_until(node.clock(), &what, Duration::from_secs(10), port).await?;
        let spec = NodeSpec {
            home: node.data_dir()?,
            crash_dump: Some(node.data_dir()?.join("erl_crash.dump")),
            ..spec
        };
        node.spawn(command(prepared.runtime.node(&spec), "erlang")).await?;
        Ok(())
    }

    async fn ready(&self, node: &Node) -> Result<(), Error> {
        let control = node.control().await.map_err(Error::setup)?;
        let started: (Atom, Atom) =
            control.call("init", "get_status", args![]).await.map_err(Error::setup)?;
        match started.0.as_str() == "started" {
            true => Ok(()),
            false => Err(Error::setup(format!("the node is {}", started.0))),
        }
    }

    async fn form(&self, cluster: &Cluster) -> Result<(), Error> {
        let Some(first) = cluster.nodes().into_iter().next() else { return Ok(()) };
        self.reconnect(cluster).await?;
        if let Some((module, function)) = &self.form {
            let control = first.control().await.map_err(Error::setup)?;
            let forming = control.call::<()>(module, function, args![names(cluster)]);
            forming.within(mesh::LIMIT).await.map_err(Error::setup)?;
        }
        // All at once: a node that is late does not delay the question to the next.
        let mut joining = JoinSet::new();
        for node in cluster.nodes() {
            let (node, cluster, formed) = (node.clone(), cluster.clone(), self.formed.clone());
            joining.spawn(async move {
                let what = format!("{} as a part of the cluster", node.name());
                wait_until(node.clock(), &what, mesh::LIMIT, || {
                    takes_part(&node, &cluster, &formed)
                })
                .await
            });
        }
        while let Some(joined) = joining.join_next().await {
            joined??;
        }
        Ok(())
    }

    /// The application takes part again by itself, or it does not: that is what is tested. Only
    /// its own processes are waited for.
    async fn rejoin(&self, _node: &Node, _cluster: &Cluster) -> Result<(), Error> {
        Ok(())
    }

    /// Partitions and nodes that are down need not keep it from joining: only the application's own function has
    /// to succeed, and `formed` to say that the node takes part.
    async fn join(&self, node: &Node, cluster: &Cluster) -> Result<(), Error> {
        tell(node, &self.join, cluster).await?;
        let Some((module, function)) = &self.formed else { return Ok(()) };
        let what = format!("{} as a part of the cluster", node.name());
        wait_until(node.clock(), &what, mesh::LIMIT, || async {
            let control = node.control().await.map_err(Error::setup)?;
            says_formed(&control, module, function).await
        })
        .await
    }

    async fn leave(&self, node: &Node, cluster: &Cluster) -> Result<(), Error> {
        tell(node, &self.leave, cluster).await
    }

    async fn reconnect(&self, cluster: &Cluster) -> Result<(), Error> {
        mesh::connect(cluster).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_the_same_before_and_after_it_is_prepared() {
        let app = ErlangApp::new("shop", ["shop.erl"]);
        let before = app.hosts(3).unwrap();
        let early = app.folders(&before[0]).unwrap_err().to_string();
        assert!(early.contains("was not prepared"), "{early}");
        let (erts_version, otp_version) = ("13.1.5".into(), "25.2.3".into());
        let root = "/usr/lib/erlang".into();
        let runtime = Runtime { root, erts_version, otp_release: 25, otp_version };
        let ebin = Scratch::new().unwrap().into();
        *app.prepared.lock().unwrap() = Some(Prepared { runtime, ebin });
        assert_eq!(app.hosts(3).unwrap(), before);
        let folders = app.folders(&before[0]).unwrap();
        assert_eq!(folders[1], Folder::in_place("/usr/lib/erlang"));
        assert_eq!(folders[0].at, PathBuf::from(EBIN));
    }
}
