//! The system under test: how it is prepared, started, found ready, formed into a cluster.

mod erlang;
mod membership;
mod mesh;
mod release;

pub use erlang::ErlangApp;
pub(crate) use membership::{join, leave, provided};
pub use release::{Form, Ready, Release, ReleaseNode};

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::client::DynClient;
use crate::env::{Facet, Folder, HostSpec};
use crate::error::Error;
use crate::node::{BoxFuture, Cluster, Node};
use crate::op::{Name, Value};
use crate::runtime::AnyRuntime;

/// Properties of a database that a run needs before it starts.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Facts {
    /// The effective net_ticktime of its nodes, where they speak distributed Erlang.
    pub net_ticktime: Option<Duration>,
    /// How long convergence may take after the heal, where the database needs longer than the
    /// default of max(10 s, longest cut + 30 s).
    pub quiesce_limit: Option<Duration>,
    /// The default duration of cuts for this database, where it notices short ones at once or needs longer
    /// ones.
    pub cut: Option<Duration>,
    /// How much of the machine a cluster of it uses; it limits how many trials run in parallel.
    pub load: Load,
    /// Further facts for reports and checkers, by name.
    pub meta: Vec<(Name, Value)>,
}

/// How much of a machine a cluster under test takes, by which trials share it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Load {
    /// Small processes that mostly wait: four such clusters run in the place of one heavy one.
    Light,
    /// BEAM nodes with little on them, such as five that use 1.2 s of a core to start and a tenth
    /// of one from then on: two such clusters run in the place of one heavy one.
    Moderate,
    /// Anything else: one cluster for each two cores.
    #[default]
    Heavy,
}

/// A system under test.
///
/// One value serves all nodes of one run. Its steps are called in the order in which they stand
/// here; each has a limit, and an error says what happened on which node.
///
/// ```
/// use fuzz_dist::db::Db;
/// use fuzz_dist::error::Error;
/// use fuzz_dist::env::Command;
/// use fuzz_dist::node::Node;
/// use fuzz_dist::op::Name;
///
/// /// A server that is one program and ready when it accepts connections.
/// struct Echo;
///
/// impl Db for Echo {
///     fn name(&self) -> Name { "echo".into() }
///     async fn start(&self, node: &Node) -> Result<(), Error> {
///         node.spawn(Command::new("/usr/bin/echo-server").args(["--port", "7"])).await?;
///         Ok(())
///     }
///     async fn ready(&self, node: &Node) -> Result<(), Error> {
///         node.connect(7).await?;
///         Ok(())
///     }
/// }
/// ```
pub trait Db: Send + Sync + 'static {
    /// Its name, as in `db = "antidote"`.
    fn name(&self) -> Name;

    /// Properties that a run needs before it starts.
    fn facts(&self) -> Facts {
        Facts::default()
    }

    /// The facets of the environment that it needs; where one is missing, the test is refused before
    /// anything starts. By default a network of its own for each host: most databases listen on fixed
    /// ports of all addresses.
    fn needs(&self) -> Vec<Facet> {
        vec![Facet::OwnNetwork]
    }

    /// The runtime system of its nodes, through which a run follows connections, observes nodes and
    /// announces to them; the BEAM by default. Nodes that run none are left alone.
    fn runtime(&self) -> Option<AnyRuntime> {
        Some(crate::erlang::beam())
    }

    /// Downloads, finds or compiles what the hosts need; nothing runs yet. May take minutes the first
    /// time; then it should report its progress on stderr.
    fn prepare(&self) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }

    /// The hosts for a cluster of `nodes` nodes. By default `n1` … `nN`, each a node, each its own data centre. The
    /// same before and after [`Db::prepare`]: what that provides is in [`Db::folders`]. A node that joins while a test runs is the one that a
    /// cluster of one node more has besides.
    fn hosts(&self, nodes: usize) -> Result<Vec<HostSpec>, Error> {
        Ok((1..=nodes).map(|i| HostSpec::node(format!("n{i}"))).collect())
    }

    /// The folders that a host needs of what [`Db::prepare`] provided, beside those that [`Db::hosts`] names.
    ///
    /// # Errors
    ///
    /// When it was not prepared.
    fn folders(&self, host: &HostSpec) -> Result<Vec<Folder>, Error> {
        let _ = host;
        Ok(Vec::new())
    }

    /// Starts what runs on a host of role [`Service`](crate::env::Role::Service), and returns when the nodes can use
    /// it: at set-up before the nodes start, and again after a kill of it. By default nothing.
    fn start_service(&self, service: &Node) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = service;
        async { Ok(()) }
    }

    /// Starts its processes on a node: at set-up, and again after a kill.
    fn start(&self, node: &Node) -> impl Future<Output = Result<(), Error>> + Send;

    /// Checks once whether the node serves requests. It is repeated until it succeeds or the limit
    /// passes, so it must return within about a second.
    fn ready(&self, node: &Node) -> impl Future<Output = Result<(), Error>> + Send;

    /// Makes a cluster of nodes that are ready.
    fn form(&self, cluster: &Cluster) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = cluster;
        async { Ok(()) }
    }

    /// Lets a node join the cluster again after a restart, once it is ready.
    fn rejoin(
        &self,
        node: &Node,
        cluster: &Cluster,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (node, cluster);
        async { Ok(()) }
    }

    /// Makes a node that is started and ready a part of the running cluster, for the first time. From then on it
    /// has to give what the others have. A database that does not say how has no nodes that join.
    fn join(
        &self,
        node: &Node,
        cluster: &Cluster,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (node, cluster);
        let name = Db::name(self);
        async move { Err(Error::usage(format!("`{name}` does not say how nodes join (`Db::join`)"))) }
    }

    /// Lets a node leave the cluster for good: what only that node has goes to others. It gets no operations
    /// any more; its host ends afterwards. A database that does not say how has no nodes that leave.
    fn leave(
        &self,
        node: &Node,
        cluster: &Cluster,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = (node, cluster);
        let name = Db::name(self);
        async move { Err(Error::usage(format!("`{name}` does not say how nodes leave (`Db::leave`)"))) }
    }

    /// Connects all nodes with each other after the heal. Only done where the test says
    /// `reconnect = true`, since a database that does not do it by itself has a bug.
    fn reconnect(&self, cluster: &Cluster) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = cluster;
        let name = Db::name(self);
        async move { Err(Error::usage(format!("`{name}` does not say how to reconnect its nodes"))) }
    }

    /// The client of this database for a workload of this name, where it has one.
    fn client(&self, workload: &str, node: &Node) -> Option<Box<dyn DynClient>> {
        let _ = (workload, node);
        None
    }

    /// The workloads that [`Db::client`] knows. A scenario without a workload uses clients for the
    /// first of them.
    fn workloads(&self) -> Vec<Name> {
        Vec::new()
    }

    /// The current leaders, as far as the database knows.
    fn primaries(&self, cluster: &Cluster) -> Vec<Node> {
        let _ = cluster;
        Vec::new()
    }
}

/// [`Db`] with boxed futures: what runs hold.
pub type AnyDb = Arc<dyn DynDb>;

/// [`Db`] with boxed futures; see there for what each step does.
pub trait DynDb: Send + Sync {
    /// See [`Db::name`].
    fn name(&self) -> Name;
    /// See [`Db::facts`].
    fn facts(&self) -> Facts;
    /// See [`Db::needs`].
    fn needs(&self) -> Vec<Facet>;
    /// See [`Db::runtime`].
    fn runtime(&self) -> Option<AnyRuntime>;
    /// See [`Db::prepare`].
    fn prepare(&self) -> BoxFuture<'_, Result<(), Error>>;
    /// See [`Db::hosts`].
    fn hosts(&self, nodes: usize) -> Result<Vec<HostSpec>, Error>;
    /// See [`Db::folders`].
    fn folders(&self, host: &HostSpec) -> Result<Vec<Folder>, Error>;
    /// See [`Db::start_service`].
    fn start_service<'a>(&'a self, service: &'a Node) -> BoxFuture<'a, Result<(), Error>>;
    /// See [`Db::start`].
    fn start<'a>(&'a self, node: &'a Node) -> BoxFuture<'a, Result<(), Error>>;
    /// See [`Db::ready`].
    fn ready<'a>(&'a self, node: &'a Node) -> BoxFuture<'a, Result<(), Error>>;
    /// See [`Db::form`].
    fn form<'a>(&'a self, cluster: &'a Cluster) -> BoxFuture<'a, Result<(), Error>>;
    /// See [`Db::rejoin`].
    fn rejoin<'a>(
        &'a self,
        node: &'a Node,
        cluster: &'a Cluster,
    ) -> BoxFuture<'a, Result<(), Error>>;
    /// See [`Db::join`].
    fn join<'a>(&'a self, node: &'a Node, cluster: &'a Cluster)
    -> BoxFuture<'a, Result<(), Error>>;
    /// See [`Db::leave`].
    fn leave<'a>(
        &'a self,
        node: &'a Node,
        cluster: &'a Cluster,
    ) -> BoxFuture<'a, Result<(), Error>>;
    /// See [`Db::reconnect`].
    fn reconnect<'a>(&'a self, cluster: &'a Cluster) -> BoxFuture<'a, Result<(), Error>>;
    /// See [`Db::client`].
    fn client(&self, workload: &str, node: &Node) -> Option<Box<dyn DynClient>>;
    /// See [`Db::workloads`].
    fn workloads(&self) -> Vec<Name>;
    /// See [`Db::primaries`].
    fn primaries(&self, cluster: &Cluster) -> Vec<Node>;
}

impl<D: Db> DynDb for D {
    fn name(&self) -> Name {
        Db::name(self)
    }
    fn facts(&self) -> Facts {
        Db::facts(self)
    }
    fn needs(&self) -> Vec<Facet> {
        Db::needs(self)
    }
    fn runtime(&self) -> Option<AnyRuntime> {
        Db::runtime(self)
    }
    fn prepare(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(Db::prepare(self))
    }
    fn hosts(&self, nodes: usize) -> Result<Vec<HostSpec>, Error> {
        Db::hosts(self, nodes)
    }
    fn folders(&self, host: &HostSpec) -> Result<Vec<Folder>, Error> {
        Db::folders(self, host)
    }
    fn start_service<'a>(&'a self, service: &'a Node) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(Db::start_service(self, service))
    }
    fn start<'a>(&'a self, node: &'a Node) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(Db::start(self, node))
    }
    fn ready<'a>(&'a self, node: &'a Node) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(Db::ready(self, node))
    }
    fn form<'a>(&'a self, cluster: &'a Cluster) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(Db::form(self, cluster))
    }
    fn rejoin<'a>(
        &'a self,
        node: &'a Node,
        cluster: &'a Cluster,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(Db::rejoin(self, node, cluster))
    }
    fn join<'a>(
        &'a self,
        node: &'a Node,
        cluster: &'a Cluster,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(Db::join(self, node, cluster))
    }
    fn leave<'a>(
        &'a self,
        node: &'a Node,
        cluster: &'a Cluster,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(Db::leave(self, node, cluster))
    }
    fn reconnect<'a>(&'a self, cluster: &'a Cluster) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(Db::reconnect(self, cluster))
    }
    fn client(&self, workload: &str, node: &Node) -> Option<Box<dyn DynClient>> {
        Db::client(self, workload, node)
    }
    fn workloads(&self) -> Vec<Name> {
        Db::workloads(self)
    }
    fn primaries(&self, cluster: &Cluster) -> Vec<Node> {
        Db::primaries(self, cluster)
    }
}
