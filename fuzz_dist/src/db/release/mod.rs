//! Releases of Elixir and Erlang applications, as teams ship them.

mod build;
mod elf;
mod layout;
mod ready;
mod source;
mod starting;
mod surroundings;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use self::layout::{Kind, Layout};
pub use self::ready::Ready;
use self::source::Source;
pub use self::surroundings::ReleaseNode;
use self::surroundings::Variable;
use super::{Db, Facts, Load, mesh};
use crate::args;
use crate::beam::{Atom, Term};
use crate::env::{Facet, Folder, HostSpec, Scratch};
use crate::error::{Error, ErrorKind};
use crate::node::{Cluster, Node, wait_until};
use crate::op::{Name, NodeId, Value};

/// Erlang's default net_ticktime.
const NET_TICKTIME_S: u32 = 60;
/// Where a host has its copy of the release, relative to its data folder.
const COPY: &str = "release";

/// Who connects the nodes of a release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// The application itself, or nobody: that is part of what is tested.
    #[default]
    Itself,
    /// The harness connects each node with each other, once, before the test.
    Mesh,
}

/// An application's release, made by `mix release` or by rebar3 (relx), on every host.
///
/// Each host has a copy of its own of the release's folder, and a data folder in which HOME and RELEASE_TMP lie. Its node is
/// `shop@n1`, `shop@n2`, … with the cookie of the release. The harness connects no nodes unless
/// [`form`](Release::form) says so.
///
/// ```no_run
/// use fuzz_dist::prelude::*;
///
/// fn shop() -> Release {
///     Release::at("_build/prod/rel/shop")
///         .build("mix release --overwrite")
///         .env("PORT", "4000")
///         .env("PEERS", "{nodes}")
///         .net_ticktime(4)
///         .ready(Ready::http(4000, "/health"))
///         .formed("Shop.Peers", "connected?")
/// }
///
/// #[fuzz_dist::test(db = shop(), nemesis = "majority_minority")]
/// async fn carts_converge(test: Test) -> Outcome {
///     test.workload(
///         set_workload()
///             .add(|node, item| node.call::<()>("Shop.Cart", "add", args!["cart-1", item]))
///             .read(|node| node.call::<Vec<i64>>("Shop.Cart", "items", args!["cart-1"])),
///     )
///     .run()
///     .await
/// }
/// ```
#[derive(Debug)]
pub struct Release {
    source: Source,
    name: Option<Name>,
    node_name: Option<String>,
    long_names: bool,
    cookie: Option<String>,
    net_ticktime_s: Option<u32>,
    variables: Vec<Variable>,
    files: Vec<(PathBuf, Vec<u8>)>,
    flags: Vec<String>,
    once: Vec<Vec<String>>,
    each: Vec<Vec<String>>,
    ready: Vec<Ready>,
    form: Form,
    formed: Option<(String, String)>,
    load: Load,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    layout: Option<Layout>,
    /// The copy that it is in, where it is one.
    #[allow(dead_code, reason = "the folder lasts as long as this")]
    copy: Option<Scratch>,
    /// Hosts on which the commands for each ran.
    begun: BTreeSet<NodeId>,
    /// How the commands that run once ended.
    once: watch::Sender<Option<Result<(), Error>>>,
    /// Nodes whose net_ticktime was looked at since their last start.
    looked_at: BTreeSet<NodeId>,
}

impl Default for State {
    fn default() -> Self {
        let (layout, copy, begun, looked_at) = Default::default();
        State { layout, copy, begun, once: watch::Sender::new(None), looked_at }
    }
}

impl Release {
    /// The release in a folder, or in the tarball that `mix release` and rebar3 can make of it. The path is relative to
    /// the package that is tested, or to the working directory.
    pub fn at(path: impl Into<PathBuf>) -> Release {
        let (name, node_name, cookie, net_ticktime_s, formed, files, flags) = Default::default();
        let (variables, once, each, ready, state) = Default::default();
        let (long_names, form, load) = (false, Form::Itself, Load::Moderate);
        let source = Source { given: path.into(), ..Source::default() };
        Release {
            source,
            name,
            node_name,
            long_names,
            cookie,
            net_ticktime_s,
            variables,
            files,
            flags,
            once,
            each,
            ready,
            form,
            formed,
            load,
            state,
        }
    }

    fn of_kind(mut self, kind: Kind) -> Release {
        self.source.kind = Some(kind);
        self
    }

    /// The same; that `mix release` made it is made sure of.
    pub fn mix(path: impl Into<PathBuf>) -> Release {
        Release::at(path).of_kind(Kind::Mix)
    }

    /// The same; that rebar3 or relx made it is made sure of.
    pub fn relx(path: impl Into<PathBuf>) -> Release {
        Release::at(path).of_kind(Kind::Relx)
    }

    /// The name of the database in reports; the name of the release's folder unless set.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Release {
        self.name = Some(name.into());
        self
    }

    /// The part of the nodes' names before the `@`; the release's name unless set.
    #[must_use]
    pub fn node_name(mut self, name: impl Into<String>) -> Release {
        self.node_name = Some(name.into());
        self
    }

    /// Names with addresses, as `shop@10.0.0.1`, as strategies need that find nodes by DNS.
    #[must_use]
    pub fn long_names(mut self) -> Release {
        self.long_names = true;
        self
    }

    /// The cookie of the nodes; the release's own unless set.
    #[must_use]
    pub fn cookie(mut self, cookie: impl Into<String>) -> Release {
        self.cookie = Some(cookie.into());
        self
    }

    /// After how many seconds without a sign of life another node is down; what the release's `vm.args` says unless set, or Erlang's
    /// default of 60. Runs of half a minute need 4 or 8. What the nodes themselves say is compared with it.
    #[must_use]
    pub fn net_ticktime(mut self, seconds: u32) -> Release {
        self.net_ticktime_s = Some(seconds);
        self
    }

    /// A variable of every node's environment. In the value, `{host}`, `{node}`, `{address}` and `{data}` (the host's
    /// data folder) speak of the node itself, `{nodes}`, `{peers}`, `{hosts}` and `{addresses}` of all, or of all
    /// others, separated by commas. `{{` is a brace.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Release {
        self.variables.push(Variable::text(name.into(), value.into()));
        self
    }

    /// A variable whose value is made of the node and of all nodes that take part when it is started.
    ///
    /// ```
    /// # use fuzz_dist::db::Release;
    /// let shop = Release::at("_build/prod/rel/shop")
    ///     .env_with("SHARD", |own, all| all.iter().position(|node| node == own).unwrap_or(0).to_string());
    /// ```
    #[must_use]
    pub fn env_with(
        mut self,
        name: impl Into<String>,
        value: impl Fn(&ReleaseNode, &[ReleaseNode]) -> String + Send + Sync + 'static,
    ) -> Release {
        self.variables.push(Variable::function(name.into(), std::sync::Arc::new(value)));
        self
    }

    /// A variable whose value is not shown: not in errors of the library, and not where this value is printed. What the application
    /// logs of it is in its logs.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<String>) -> Release {
        self.variables.push(Variable::text(name.into(), value.into()).secret());
        self
    }

    /// A file that every host has before its node starts, at a path relative to the host's data folder (`{data}` in [`env`](Release::env)).
    #[must_use]
    pub fn file(mut self, at: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Release {
        self.files.push((at.into(), content.into()));
        self
    }

    /// Further flags of the virtual machine, one word each, as `["+S", "2"]`; they come after those of `vm.args`.
    #[must_use]
    pub fn vm_flags<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Release {
        self.flags.extend(words.into_iter().map(Into::into));
        self
    }

    /// The shell command that builds the release, run once for each test program in the project's folder, with
    /// `MIX_ENV=prod` unless it is set. Where `mix` or `rebar3` is not on the PATH, it is fetched (Debian and Ubuntu).
    #[must_use]
    pub fn build(mut self, command: impl Into<String>) -> Release {
        self.source.build = Some(command.into());
        self
    }

    /// The project's folder, where the release is built; the nearest one above the release with a `mix.exs`, a `rebar.config` or a
    /// `Makefile` unless set.
    #[must_use]
    pub fn project(mut self, folder: impl Into<PathBuf>) -> Release {
        self.source.project = Some(folder.into());
        self
    }

    /// A command of the release's script that runs once, on the first host, before any node starts: a migration, for
    /// example, as `["eval", "Shop.Release.migrate()"]`.
    #[must_use]
    pub fn before_first_start<W: Into<String>>(
        mut self,
        words: impl IntoIterator<Item = W>,
    ) -> Release {
        self.once.push(words.into_iter().map(Into::into).collect());
        self
    }

    /// A command of the release's script that runs on each host before its node starts for the first time.
    #[must_use]
    pub fn before_start<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Release {
        self.each.push(words.into_iter().map(Into::into).collect());
        self
    }

    /// When a node is ready, beside that all of its applications have started. All that are given have to hold.
    #[must_use]
    pub fn ready(mut self, ready: Ready) -> Release {
        self.ready.push(ready);
        self
    }

    /// Who connects the nodes.
    #[must_use]
    pub fn form(mut self, form: Form) -> Release {
        self.form = form;
        self
    }

    /// The function without arguments that says on every node, with `true` or `:ok`, that it takes part. The test begins when all say it.
    #[must_use]
    pub fn formed(mut self, module: impl Into<String>, function: impl Into<String>) -> Release {
        self.formed = Some((module.into(), function.into()));
        self
    }

    /// How much of the machine a cluster of it uses; [`Load::Moderate`] unless set.
    #[must_use]
    pub fn load(mut self, load: Load) -> Release {
        self.load = load;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn layout(&self) -> Result<Layout, Error> {
        let layout = self.state().layout.clone();
        layout.ok_or_else(|| Error::setup("the release was not prepared"))
    }

    /// The net_ticktime that its nodes should have, in seconds.
    fn ticktime(&self) -> u32 {
        let own = || self.state().layout.as_ref().and_then(Layout::net_ticktime);
        self.net_ticktime_s.or_else(own).unwrap_or(NET_TICKTIME_S)
    }

    fn cookie_of(&self, layout: &Layout) -> String {
        let cookie = self.cookie.clone().or_else(|| layout.cookie.clone());
        cookie.unwrap_or_else(|| format!("fuzz_dist_{}", layout.name))
    }

    /// Compares the net_ticktime that a node has with the one that faults are planned by.
    async fn compare_ticktime(&self, node: &Node) -> Result<(), Error> {
        if self.state().looked_at.contains(&node.id()) {
            return Ok(());
        }
        let control = node.control().await.map_err(Error::setup)?;
        let said: Term =
            control.call("net_kernel", "get_net_ticktime", args![]).await.map_err(Error::setup)?;
        let expected = self.ticktime();
        match said.as_i64() {
            Some(seconds) if seconds == i64::from(expected) => {}
            Some(seconds) => {
                let set = self.net_ticktime_s.is_some();
                let why = match set {
                    true => "something in the release sets it while it starts, as `net_kernel:set_net_ticktime/1` does".into(),
                    false => format!("its configuration sets it; say `.net_ticktime({seconds})`"),
                };
                return Err(Error::usage(format!(
                    "the node on {} has a net_ticktime of {seconds} s, not {expected} s: {why}",
                    node.name()
                )));
            }
            None => {
                return Err(Error::setup(format!("the net_ticktime of {} is {said}", node.name())));
            }
        }
        self.state().looked_at.insert(node.id());
        Ok(())
    }

    /// Waits until a node says that it takes part.
    async fn wait_formed(&self, node: &Node) -> Result<(), Error> {
        let Some((module, function)) = &self.formed else { return Ok(()) };
        let what = format!("{} as a part of the cluster", node.name());
        wait_until(node.clock(), &what, mesh::LIMIT, || ready::says_yes(node, module, function))
            .await
    }
}

impl Db for Release {
    fn name(&self) -> Name {
        let folder =
            || self.source.given.file_name().map(|name| name.to_string_lossy().into_owned());
        self.name.clone().unwrap_or_else(|| folder().unwrap_or_else(|| "release".into()).into())
    }

    fn facts(&self) -> Facts {
        let mut meta: Vec<(Name, Value)> = Vec::new();
        if let Some(layout) = &self.state().layout {
            meta.push(("release".into(), format!("{} {}", layout.name, layout.version).into()));
        }
        let net_ticktime = Some(Duration::from_secs(self.ticktime().into()));
        Facts { net_ticktime, load: self.load, meta, ..Facts::default() }
    }

    async fn prepare(&self) -> Result<(), Error> {
        let source = self.source.clone();
        let (layout, copy) = tokio::task::spawn_blocking(move || source.find()).await??;
        *self.state() = State { layout: Some(layout), copy, ..State::default() };
        Ok(())
    }

    fn hosts(&self, nodes: usize) -> Result<Vec<HostSpec>, Error> {
        self.variables.iter().try_for_each(Variable::check)?;
        self.ready.iter().try_for_each(Ready::check)?;
        let with_files = |host| {
            self.files
                .iter()
                .fold(host, |host: HostSpec, (at, content)| host.file(at, content.clone()))
        };
        Ok(HostSpec::nodes(nodes).into_iter().map(with_files).collect())
    }

    fn folders(&self, _: &HostSpec) -> Result<Vec<Folder>, Error> {
        Ok(vec![Folder::own_copy(self.layout()?.root, COPY)])
    }

    fn needs(&self) -> Vec<Facet> {
        vec![Facet::OwnNetwork]
    }

    async fn start(&self, node: &Node) -> Result<(), Error> {
        let layout = self.layout()?;
        let (own, _) = self.members(&layout, node)?;
        self.write(node, &layout).await?;
        self.before(node, &layout).await?;
        self.state().looked_at.remove(&node.id());
        node.speaks_erlang(own.name, self.cookie_of(&layout));
        let command = self.command(node, &layout, &[layout.kind.foreground().into()])?;
        node.spawn(command).await.map_err(|e| self.masked(e))?;
        Ok(())
    }

    async fn ready(&self, node: &Node) -> Result<(), Error> {
        let control = node.control().await.map_err(Error::setup)?;
        let (status, _): (Atom, Atom) =
            control.call("init", "get_status", args![]).await.map_err(Error::setup)?;
        if status.as_str() != "started" {
            return Err(Error::setup(format!("the node is {status}")));
        }
        self.compare_ticktime(node).await?;
        for ready in &self.ready {
            ready.ask(node).await?;
        }
        Ok(())
    }

    async fn form(&self, cluster: &Cluster) -> Result<(), Error> {
        if self.form == Form::Mesh {
            mesh::connect(cluster).await?;
        }
        // All at once: a node that is late does not delay the question to the next.
        let mut forming = JoinSet::new();
        for node in cluster.nodes() {
            let Some((module, function)) = self.formed.clone() else { continue };
            let what = format!("{} as a part of the cluster", node.name());
            forming.spawn(async move {
                let ask = || ready::says_yes(&node, &module, &function);
                wait_until(node.clock(), &what, mesh::LIMIT, ask).await
            });
        }
        while let Some(formed) = forming.join_next().await {
            formed?.map_err(|e| self.about_forming(e))?;
        }
        Ok(())
    }

    /// The application takes part again by itself, or it does not: that is what is tested.
    async fn rejoin(&self, _node: &Node, _cluster: &Cluster) -> Result<(), Error> {
        Ok(())
    }

    async fn join(&self, node: &Node, cluster: &Cluster) -> Result<(), Error> {
        if self.form == Form::Mesh {
            mesh::connect(cluster).await?;
        }
        self.wait_formed(node).await
    }

    /// The node is gone as if its power failed: the application has to notice.
    async fn leave(&self, _node: &Node, _cluster: &Cluster) -> Result<(), Error> {
        Ok(())
    }

    async fn reconnect(&self, cluster: &Cluster) -> Result<(), Error> {
        mesh::connect(cluster).await
    }
}

impl Release {
    fn about_forming(&self, error: Error) -> Error {
        if self.form == Form::Mesh || error.kind() != ErrorKind::Deadline {
            return error;
        }
        Error::deadline(format!(
            "{error}; the harness does not connect the nodes of a release: does the application know its peers \
             (`.env(\"PEERS\", \"{{nodes}}\")`), or should the harness do it (`.form(Form::Mesh)`)?"
        ))
    }
}
