//! Starting a lab, and adding hosts to it.

use super::agent::{ARGUMENT, VARIABLE};
use super::control::{Connection, Control, Listener, Lost};
use super::environment::on_disk;
use super::host::{Host, HostEvents, Ready, explain};
use super::logs::Logs;
use super::packet::{HOSTS_MAX, MASK, address};
use super::plans::{self, Plans, text};
use super::protocol::{Begin, HostPlan, Reply, Request, VERSION};
use super::switch::Switch;
use super::{Hosts, Lab, end, lock, logs, simulated, wire};
use fuzz_dist_clock::Clock;
use fuzz_dist_env::local::HostFolder;
use fuzz_dist_env::wire::Protocol;
use fuzz_dist_env::{Error, Heal, HostId, HostSpec, Latency, Scratch, threads};
use rustix::process::PidfdFlags;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use tokio::sync::oneshot;

/// What a lab shall be.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// For people, and for the list of processes.
    pub name: String,
    /// Where every host gets a folder: its data in `<host>/data`, its log files in `<host>/logs`.
    /// It is made if it does not exist, and stays.
    pub folder: PathBuf,
    /// The hosts at the start.
    pub hosts: Vec<HostSpec>,
    /// Folders below `/tmp` or `/run` that the hosts shall see (read-only) although they have their
    /// own `/tmp` and `/run`; the working directory and the program's folder are always seen.
    pub visible: Vec<PathBuf>,
    /// The protocol of the connections between nodes. Without one nothing is followed, and only
    /// operations fire triggers.
    pub protocol: Option<Arc<dyn Protocol>>,
    /// Whether connections are followed from their beginning (see
    /// [`Wire::follow`](fuzz_dist_env::wire::Wire::follow)). It costs some of the network's speed.
    pub follow: bool,
    /// How TCP goes on when a link is open again.
    pub heal: Heal,
    /// About how many bytes each log of a process keeps, half of them from its end; what lies
    /// between is dropped, with a note among [`Environment::notes`](fuzz_dist_env::Environment::notes).
    pub log_limit: u64,
    /// What actions at triggers and limits of commands and connections take their time from.
    pub clock: Clock,
    /// How long packets between hosts are on their way, by the clock; as long as it takes if `None`.
    pub latency: Option<Latency>,
}

impl LabOptions {
    /// A lab of these hosts, with their folders in `folder`.
    pub fn new(folder: impl Into<PathBuf>, hosts: Vec<HostSpec>) -> Self {
        LabOptions {
            name: "lab".into(),
            folder: folder.into(),
            hosts,
            visible: Vec::new(),
            protocol: None,
            follow: false,
            heal: Heal::Natural,
            log_limit: logs::LIMIT,
            clock: Clock::system(),
            latency: None,
        }
    }
}

impl Lab {
    /// Starts the agents and all hosts; blocks for some milliseconds. Needs no runtime.
    ///
    /// # Errors
    /// [`Error::Refused`] with the step that the system refused and the remedy, or
    /// [`Error::Invalid`] for hosts that cannot be.
    pub fn start(options: LabOptions) -> Result<Lab, Error> {
        block_on(Lab::start_async(options))
    }

    async fn start_async(options: LabOptions) -> Result<Lab, Error> {
        check_names(options.hosts.iter().map(|host| host.name.as_str()))?;
        let folder = make_folder(&options.folder)?;
        let (ours, theirs) = wire::pair().map_err(Error::io("make a socket pair"))?;
        // The lab owns the agent from here on: what fails below ends it again.
        let lab =
            Lab::around(spawn_agent(&folder, &options.name, theirs)?, ours, folder, &options)?;
        lab.begin(&options).await?;
        if options.follow {
            lab.switch.follow()?;
        }
        lab.set_latency(options.latency)?;
        let ids = (0..options.hosts.len() as u16).map(HostId::new);
        let ask = |(id, spec): (_, &HostSpec)| {
            let spec = plans::with_relative_places(spec.clone());
            let folder = HostFolder::create(&lab.folder, &spec, plans::is_copied)?;
            lab.ask_for_host(id, spec, folder)
        };
        let adding: Vec<_> = ids.zip(&options.hosts).map(ask).collect();
        for asked in adding {
            lab.finish_host(asked?).await?;
        }
        Ok(lab)
    }

    fn around(
        agent: Child,
        socket: OwnedFd,
        folder: PathBuf,
        options: &LabOptions,
    ) -> Result<Lab, Error> {
        let mut agent = agent;
        let threads =
            Control::new().and_then(|control| Ok((control, Logs::new(options.log_limit)?)));
        let (control, logs) = match threads {
            Ok(threads) => threads,
            Err(error) => {
                end(&mut agent);
                return Err(threads::explained(Error::io("start the lab's threads")(error)));
            }
        };
        let init = control.connect(socket, Arc::new(Silent));
        Ok(Lab {
            name: options.name.clone(),
            visible: plans::visible(&options.visible),
            folder,
            plans: Plans::default(),
            control,
            logs,
            init,
            agent: Mutex::new(agent),
            clock: options.clock.clone(),
            switch: Arc::new(
                Switch::new(options.heal, options.protocol.clone(), options.clock.clone())
                    .map_err(threads::explained)?,
            ),
            hosts: Arc::new(Mutex::new(Hosts {
                added: options.hosts.len() as u16,
                ..Hosts::default()
            })),
            membership: Arc::default(),
        })
    }

    /// Has the outer agent make the lab's namespaces and its init.
    async fn begin(&self, options: &LabOptions) -> Result<(), Error> {
        let me = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
            .map_err(|error| Error::io("open a pidfd of this process")(error.into()))?;
        let names = options.hosts.iter().enumerate().map(|(index, host)| (index, &*host.name));
        let scratch = Scratch::all();
        let scratch = scratch.iter().map(|path| text(path)).collect::<Result<_, _>>()?;
        let begin = Begin { version: VERSION, hosts_file: hosts_file(names), scratch };
        let answer = self.init.send(begin, &[me.as_fd()]);
        match answer.await {
            Ok((Reply::Begun { version: VERSION }, _)) => Ok(()),
            Ok((reply, _)) => Err(Error::Invalid(format!("the lab's agent answered {reply:?}"))),
            Err(Lost::Closed) => Err(Error::Invalid(format!(
                "the lab's agent ended at once (see {}): a main function of one's own must call \
                 fuzz_dist::main_if_asked() (without fuzz_dist, fuzz_dist_lab::agent_main_if_asked()) before \
                 anything else",
                self.folder.join("agent.log").display(),
            ))),
            Err(lost) => Err(explain(lost, "begin the lab")),
        }
    }

    /// Adds a host while the lab runs.
    pub(super) async fn add(&self, spec: HostSpec) -> Result<HostId, Error> {
        let one_at_a_time = Arc::clone(&self.membership).lock_owned().await;
        // In simulated time the others wait: how long the machine takes for it decides nothing.
        let _held = self.clock.hold();
        let id = {
            let mut hosts = lock(&self.hosts);
            let present = hosts.present.values().map(|host| host.spec.name.as_str());
            check_names(present.chain([spec.name.as_str()]))?;
            if usize::from(hosts.added) >= HOSTS_MAX {
                return Err(too_many());
            }
            hosts.added += 1;
            HostId::new(hosts.added - 1)
        };
        let spec = plans::with_relative_places(spec);
        let (all, copy) = (self.folder.clone(), spec.clone());
        let create = move || {
            let folder = HostFolder::create(&all, &copy, plans::is_copied)?;
            Ok((folder, one_at_a_time))
        };
        let (folder, _one_at_a_time) = on_disk(create).await?;
        let asked = self.ask_for_host(id, spec, folder)?;
        let adding = Adding(self, Some(id));
        self.finish_host(asked).await?;
        let content = {
            let hosts = lock(&self.hosts);
            hosts_file(hosts.present.iter().map(|(id, host)| (id.index(), &*host.spec.name)))
        };
        let answer = self.init.ask(Request::WriteHosts { content }, &[]).await;
        answer.map_err(|lost| explain(lost, "write the hosts file"))?;
        adding.done();
        Ok(id)
    }

    /// Sends the request for a host; several may be on their way at once.
    fn ask_for_host(&self, id: HostId, spec: HostSpec, folder: HostFolder) -> Result<Asked, Error> {
        let plan = HostPlan {
            name: spec.name.clone(),
            address: address(id.index()),
            mask: MASK,
            data: text(&folder.data())?,
            visible: self.visible.iter().map(|path| text(path)).collect::<Result<_, _>>()?,
            mounts: self.plans.of(&spec.name, &spec.folders)?,
            shared: match self.clock.preload() {
                Some(preload) => Some((text(preload.folder())?, simulated::SEEN_AT.to_owned())),
                None => None,
            },
        };
        let answer = self.init.ask(Request::AddHost(plan), &[]);
        Ok(Asked { id, spec, folder, answer: Box::pin(answer) })
    }

    /// Waits until a host is set up, and plugs it in.
    async fn finish_host(&self, asked: Asked) -> Result<(), Error> {
        let what = format!("set up host {}", asked.spec.name);
        let (_, fds) = asked.answer.await.map_err(|lost| explain(lost, &what))?;
        let Ok([socket, init]) = <[OwnedFd; 2]>::try_from(fds) else {
            return Err(Error::Invalid(format!("no descriptors came with the answer to {what}")));
        };
        let (events, ready) = HostEvents::new();
        let connection = self.control.connect(socket, events.clone());
        let (tun, notes) =
            in_time(ready, &connection).await.map_err(|lost| explain(lost, &what))?;
        simulated::watch(&self.clock, &init);
        self.switch.plug(asked.id, tun).map_err(threads::explained)?;
        let host = Host {
            address: address(asked.id.index()),
            spec: asked.spec,
            folder: asked.folder,
            init,
            connection,
            events,
            notes,
        };
        lock(&self.hosts).present.insert(asked.id, Arc::new(host));
        Ok(())
    }
}

/// A host that is being added. Where that fails, or nobody waits for it any more, it ends: a host that nobody
/// knows of would keep its name from others.
struct Adding<'a>(&'a Lab, Option<HostId>);

impl Adding<'_> {
    fn done(mut self) {
        self.1 = None;
    }
}

impl Drop for Adding<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.1
            && let Ok(host) = self.0.host(id)
        {
            // What cannot be taken out of the switch leads nowhere once the host is gone.
            let _ = self.0.forget(id, &host);
        }
    }
}

/// A host that was asked for.
struct Asked {
    id: HostId,
    spec: HostSpec,
    folder: HostFolder,
    answer: fuzz_dist_env::BoxFuture<'static, Result<(Reply, Vec<OwnedFd>), Lost>>,
}

/// Waits for a host's event of readiness. Its init sets up or dies, and both are heard; the
/// connection's own limit holds for an init that does neither.
async fn in_time(ready: oneshot::Receiver<Ready>, connection: &Arc<Connection>) -> Ready {
    // A question that only an init that is ready answers gives the wait its limit.
    let asked = connection.ask(Request::Processes, &[]).await;
    match asked {
        Err(lost @ (Lost::TimedOut | Lost::NotSent(_))) => Err(lost),
        _ => ready.await.unwrap_or(Err(Lost::Closed)),
    }
}

/// The lab's init has no events.
struct Silent;

impl Listener for Silent {
    fn hear(&self, _: &mut Reply, _: &mut Vec<OwnedFd>) {}
    fn closed(&self) {}
}

fn spawn_agent(folder: &Path, name: &str, socket: OwnedFd) -> Result<Child, Error> {
    if std::env::var_os(VARIABLE).is_some() {
        return Err(Error::Invalid(
            "this process was started as a lab's agent and went on as something else: its main \
             must call fuzz_dist_lab::agent_main_if_asked() before anything else"
                .into(),
        ));
    }
    let log = fs::File::create(folder.join("agent.log")).map_err(Error::io("make agent.log"))?;
    Command::new("/proc/self/exe")
        .arg0(format!("fuzz_dist agent of {name} in {}", folder.display()))
        .arg(ARGUMENT)
        .env_clear()
        .envs(agents_environment())
        .process_group(0)
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(|error| {
            threads::explained(Error::io("execute this program as the lab's agent")(error))
        })
}

/// The agents' whole environment: what a host sees of them shows no secret of this process's.
fn agents_environment() -> impl Iterator<Item = (OsString, OsString)> {
    // Where the dynamic linker and the instrumentation of coverage find their files.
    let needed = ["LD_LIBRARY_PATH", "LLVM_PROFILE_FILE"];
    let kept = needed.into_iter().filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
    kept.chain([(VARIABLE.into(), "1".into())])
}

fn make_folder(folder: &Path) -> Result<PathBuf, Error> {
    let what = || format!("make the folder {}", folder.display());
    fs::create_dir_all(folder)
        .and_then(|()| fs::canonicalize(folder))
        .map_err(|error| Error::io(what())(error))
}

/// Host names as the system and the hosts file take them.
fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for name in names {
        let letters =
            name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !letters
            || !(1..=63).contains(&name.len())
            || name == "localhost"
            || name.starts_with('-')
        {
            return Err(Error::Invalid(format!(
                "{name:?} is no name for a host: use 1 to 63 of a-z, 0-9 and -"
            )));
        }
        if !seen.insert(name) {
            return Err(Error::Invalid(format!("two hosts are named {name}")));
        }
    }
    if seen.len() > HOSTS_MAX { Err(too_many()) } else { Ok(()) }
}

fn too_many() -> Error {
    Error::Invalid(format!("a lab has at most {HOSTS_MAX} hosts in its life"))
}

fn hosts_file<'a>(names: impl Iterator<Item = (usize, &'a str)>) -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost\n");
    for (index, name) in names {
        let _ = writeln!(text, "{} {name}", address(index));
    }
    text
}

/// Runs a future that waits for other threads only: a runtime may or may not be around.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
