//! The handles to the cluster that databases, clients and nemeses use.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::clock::Clock;
use crate::env::{Command, Environment, HostId, HostSpec, Process, ProcessState, Role, Signal};
use crate::error::{Error, ErrorKind};
use crate::history::MemberState;
use crate::op::NodeId;

mod cluster;
mod flights;
mod forward;
mod held;
mod links;
mod roster;

pub use crate::env::BoxFuture;
pub use cluster::Cluster;
pub(crate) use cluster::Settling;
pub(crate) use flights::{Flights, InFlight, OnNode};
pub(crate) use held::{Hold, Holder};
pub use links::{Links, Proof};
pub(crate) use roster::{Turn, is_of_node};

/// How long a connection within a host may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long the kernel may take until signalled processes are seen gone, stopped, going on.
const SIGNAL_LIMIT: Duration = Duration::from_secs(5);
/// How often is looked for that in a row in simulated time, which stands still meanwhile.
const LOOKS_MAX: u32 = 10_000;
/// Pauses of [`wait_until`].
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// One node of the cluster: a host, and the database's processes on it.
///
/// A handle: clones speak of the same node.
#[derive(Clone, Debug)]
pub struct Node(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: NodeId,
    host: HostId,
    spec: HostSpec,
    address: IpAddr,
    env: Arc<dyn Environment>,
    clock: Clock,
    processes: Mutex<Vec<Process>>,
    /// Set for every process, over the host's own and under the command's.
    variables: Mutex<Vec<(String, String)>>,
    held: held::Held,
    forwards: forward::Forwards,
    state: roster::State,
    extensions: Mutex<BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Node {
    fn new(
        id: NodeId,
        host: HostId,
        spec: HostSpec,
        env: Arc<dyn Environment>,
        clock: Clock,
    ) -> Result<Node, Error> {
        let address = env.address(host).map_err(Error::environment)?;
        let (processes, variables, held, forwards, extensions) = Default::default();
        let state = roster::State::new(MemberState::Member);
        Ok(Node(Arc::new(Inner {
            id,
            host,
            spec,
            address,
            env,
            clock,
            processes,
            variables,
            held,
            forwards,
            state,
            extensions,
        })))
    }

    /// Its number, counted from 0 in the order in which nodes were added: never another node's. Hosts that are
    /// no nodes have numbers apart from these.
    pub fn id(&self) -> NodeId {
        self.0.id
    }

    /// Its part in the cluster: whether it takes part, or joins, or leaves, or has left.
    pub fn state(&self) -> MemberState {
        self.0.state.get()
    }

    /// Is it a host of role service?
    pub(crate) fn is_service(&self) -> bool {
        self.0.spec.role == Role::Service
    }

    /// Is its host gone, since it left?
    pub(crate) fn has_left(&self) -> bool {
        self.state() == MemberState::Left
    }

    /// Its name, as `n1`.
    pub fn name(&self) -> &str {
        &self.0.spec.name
    }

    /// Its data centre, where it has one.
    pub fn group(&self) -> Option<&str> {
        self.0.spec.group.as_deref()
    }

    /// Its host in the environment.
    pub fn host(&self) -> HostId {
        self.0.host
    }

    /// The address at which the other hosts reach it.
    pub fn address(&self) -> IpAddr {
        self.0.address
    }

    /// The environment that its host belongs to.
    pub fn env(&self) -> &Arc<dyn Environment> {
        &self.0.env
    }

    /// The clock of the run: whatever waits for a node waits by it.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Its data folder, as its own processes see it.
    ///
    /// # Errors
    ///
    /// When the host is gone.
    pub fn data_dir(&self) -> Result<PathBuf, Error> {
        self.0.env.data_dir(self.0.host).map_err(Error::environment)
    }

    /// The content of a file of its data folder; `path` is relative to that folder, or absolute and within.
    /// A [read-only folder](crate::env::Folder::read_only) that the host sees there is not reached.
    ///
    /// # Errors
    ///
    /// When the host is gone, or the file is not there, elsewhere, or too long (16 MiB in the lab).
    pub async fn read_file(&self, path: impl AsRef<Path>) -> Result<Vec<u8>, Error> {
        let path = self.within(path.as_ref())?;
        self.0.env.read_file(self.0.host, path).await.map_err(Error::environment)
    }

    /// Writes a file of its data folder; see [`Node::read_file`].
    ///
    /// # Errors
    ///
    /// When the host is gone or refuses.
    pub async fn write_file(
        &self,
        path: impl AsRef<Path>,
        content: impl Into<Vec<u8>>,
    ) -> Result<(), Error> {
        let path = self.within(path.as_ref())?;
        let writing = self.0.env.write_file(self.0.host, path, content.into());
        writing.await.map_err(Error::environment)
    }

    /// Copies a folder within its data folder to the folder `to` of the machine that runs the tests.
    ///
    /// # Errors
    ///
    /// When the host is gone, or one of the folders is out of reach.
    pub async fn fetch_folder(
        &self,
        path: impl AsRef<Path>,
        to: impl Into<PathBuf>,
    ) -> Result<(), Error> {
        let path = self.within(path.as_ref())?;
        let fetching = self.0.env.fetch_folder(self.0.host, path, to.into());
        fetching.await.map_err(Error::environment)
    }

    /// A path relative to the data folder.
    fn within(&self, path: &Path) -> Result<PathBuf, Error> {
        let data = self.data_dir()?;
        Ok(path.strip_prefix(data).unwrap_or(path).to_owned())
    }

    /// Where people find its logs.
    pub fn logs(&self) -> String {
        self.0.env.logs(self.0.host)
    }

    /// The end of each of its logs by the name of its file, at most `bytes_max` of each.
    pub fn last_output(&self, bytes_max: usize) -> Vec<(String, String)> {
        self.0.env.last_output(self.0.host, bytes_max)
    }

    /// What a runtime system keeps with this node: one value of each type, made at first use.
    pub(crate) fn extension<T: Any + Default + Send + Sync>(&self) -> Arc<T> {
        let mut all = self.0.extensions.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(T::default()));
        let found: Arc<dyn Any + Send + Sync> = Arc::clone(found);
        found.downcast().expect("it is kept under its own type")
    }

    /// Every process that is started from now on has this variable, unless its command says
    /// otherwise.
    pub fn with_variable(&self, name: impl Into<String>, value: impl Into<String>) {
        let mut variables = self.0.variables.lock().unwrap_or_else(PoisonError::into_inner);
        variables.push((name.into(), value.into()));
    }

    /// Starts a process of the database. Its output goes into the run's store.
    ///
    /// # Errors
    ///
    /// When the program is not there or the system refuses.
    pub async fn spawn(&self, mut command: Command) -> Result<Process, Error> {
        let what = format!("starting {} on {}", command.name, self.name());
        let variables = self.0.variables.lock().unwrap_or_else(PoisonError::into_inner).clone();
        command.env.splice(..0, variables);
        let process = self
            .0
            .env
            .start(self.0.host, command)
            .await
            .map_err(|e| Error::setup(e).context(what))?;
        self.lock().push(process.clone());
        Ok(process)
    }

    /// Runs a command on the host to its end and gives what it wrote.
    ///
    /// # Errors
    ///
    /// When it cannot be started, does not end within `limit`, or ends badly.
    pub async fn run(&self, command: Command, limit: Duration) -> Result<String, Error> {
        let what = format!("running {} on {}", command.name, self.name());
        let finished = self.0.env.run(self.0.host, command, limit).await;
        let finished = finished.map_err(|e| Error::setup(e).context(&what))?;
        if finished.status.success() {
            return Ok(finished.text());
        }
        let said = format!("{}: {} {}", finished.status, finished.text(), finished.error_text());
        Err(Error::setup(said.trim()).context(what))
    }

    /// A connection to a port of this node, made on its own host: no partition touches it.
    ///
    /// # Errors
    ///
    /// When nobody listens there, or nobody answers within 5 s.
    pub async fn connect(&self, port: u16) -> Result<TcpStream, std::io::Error> {
        let to = SocketAddr::new(self.0.address, port);
        let stream = self.0.env.connect(self.0.host, to, CONNECT_LIMIT).await;
        let stream = stream.map_err(std::io::Error::other)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Is any process alive that was started with [`Node::spawn`]? A paused one is.
    pub fn is_running(&self) -> bool {
        self.lock().iter().any(Process::is_alive)
    }

    /// The processes that were started on it and have not ended.
    pub fn processes(&self) -> Vec<Process> {
        let mut processes = self.lock();
        processes.retain(Process::is_alive);
        processes.clone()
    }

    /// A process that ended with an error, as long as [`processes`](Node::processes) was not asked since.
    pub(crate) fn failed_process(&self) -> Option<Process> {
        let failed = |p: &&Process| p.ended().is_some_and(|status| !status.success());
        self.lock().iter().find(failed).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Process>> {
        self.0.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every process on the host as `program Running`, `… Stopped` or `… Dead`: evidence. Numbers of processes,
    /// and whether one just waits, are others in every run.
    pub async fn process_states(&self) -> Vec<String> {
        let Ok(all) = self.0.env.processes(self.0.host).await else { return Vec::new() };
        all.iter()
            .map(|p| {
                let state = match p.state {
                    state @ (ProcessState::Stopped | ProcessState::Dead) => state,
                    _ => ProcessState::Running,
                };
                format!("{} {state:?}", p.program)
            })
            .collect()
    }

    /// Kills every process on the host; `true` when all were seen gone.
    ///
    /// # Errors
    ///
    /// When the host is gone or refuses.
    pub async fn kill(&self) -> Result<bool, Error> {
        let gone = self.signal(Signal::Kill, |s| s == ProcessState::Dead).await?;
        // The kernel knows of an end before the handles do: who asks `is_running` right after a
        // kill must not be given processes that are gone.
        let ended = async {
            for process in self.processes() {
                process.wait().await;
            }
        };
        Ok(gone && self.clock().timeout(SIGNAL_LIMIT, ended).await.is_ok())
    }

    /// Stops every process on the host; `true` when all were seen stopped.
    ///
    /// # Errors
    ///
    /// When the host is gone or refuses.
    pub async fn pause(&self) -> Result<bool, Error> {
        self.signal(Signal::Stop, |s| matches!(s, ProcessState::Stopped | ProcessState::Dead)).await
    }

    /// Lets every process on the host go on; `true` when none was seen stopped any more.
    ///
    /// # Errors
    ///
    /// When the host is gone or refuses.
    pub async fn resume(&self) -> Result<bool, Error> {
        self.signal(Signal::Cont, |s| s != ProcessState::Stopped).await
    }

    async fn signal(
        &self,
        signal: Signal,
        done: impl Fn(ProcessState) -> bool,
    ) -> Result<bool, Error> {
        let env = &self.0.env;
        let is_simulated = self.clock().preload().is_some();
        // How long the machine takes to end or to stop processes is no time of theirs.
        let mut held = Some(self.clock().hold());
        env.signal_host(self.0.host, signal).await.map_err(Error::environment)?;
        let end = self.clock().now() + SIGNAL_LIMIT;
        let mut looks = 0;
        loop {
            let all = env.processes(self.0.host).await.map_err(Error::environment)?;
            if all.iter().all(|p| done(p.state)) {
                return Ok(true);
            }
            looks += 1;
            if is_simulated && looks < LOOKS_MAX {
                tokio::task::yield_now().await;
                continue;
            }
            drop(held.take());
            if self.clock().now() > end {
                return Ok(false);
            }
            self.clock().sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Asks again and again until the answer is good.
///
/// # Errors
///
/// A deadline error with the last answer when `limit` passes; each single question is bounded by
/// what is left of it. A usage error is given at once: no waiting mends it.
pub async fn wait_until<T, F>(
    clock: &Clock,
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let begun = clock.now();
    let end = begun + limit;
    let mut last = "it never answered".to_string();
    if clock.preload().is_some() {
        // What was just begun goes on until it waits. Otherwise it would be the machine that decides about the
        // first answer.
        clock.sleep(PAUSE_MIN).await;
    }
    loop {
        match clock.timeout_at(end, ask()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(e)) if e.kind() == ErrorKind::Usage => return Err(e),
            Ok(Err(e)) => last = e.to_string(),
            Err(_) => {}
        }
        // In proportion to the time that it took so far: no wait is longer than it needs by more than a
        // sixteenth, and a slow one is not asked all the time.
        let pause = (clock.now().since(begun) / 16).clamp(PAUSE_MIN, PAUSE_MAX);
        if clock.now() + pause >= end {
            return Err(Error::deadline(format!("{what} was not ready within {limit:?}: {last}")));
        }
        clock.sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Manual;

    /// How long a wait lasts for something that is ready after so many milliseconds, and how often
    /// it is asked.
    async fn waited(clock: &Clock, ready_after_ms: u64) -> (u64, usize) {
        let begun = clock.now();
        let mut asked = 0;
        let ask = || {
            asked += 1;
            async move {
                match clock.now().since(begun) >= Duration::from_millis(ready_after_ms) {
                    true => Ok(()),
                    false => Err(Error::setup("not yet")),
                }
            }
        };
        wait_until(clock, "it", Duration::from_secs(600), ask).await.unwrap();
        (clock.now().since(begun).as_millis() as u64, asked)
    }

    #[test]
    fn a_wait_is_hardly_longer_than_it_has_to_be() {
        Manual::run(|clock| async move {
            for ready_after_ms in [0, 1, 90, 700, 1_300, 4_000, 30_000] {
                let (waited_ms, asked) = waited(&clock, ready_after_ms).await;
                let longest = ready_after_ms + ready_after_ms / 16 + 12;
                assert!(waited_ms <= longest, "{waited_ms} ms for {ready_after_ms} ms");
                assert!(asked < 200, "asked {asked} times within {waited_ms} ms");
            }
        });
    }
}
