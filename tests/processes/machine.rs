//! The environment of plain processes: a folder, an address and a list of process groups for each host.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fuzz_dist::env::local::HostFolder;
use fuzz_dist::env::{
    BoxFuture, Command, Environment, EnvironmentSpec, Error, Finished, HostId, HostSpec,
    Membership, Process, ProcessControl, ProcessInfo, Signal,
};

use super::running::{Guardian, Running, all};

/// How long killed processes may take to be gone.
const END_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Machine {
    hosts: Mutex<BTreeMap<HostId, Arc<Host>>>,
    /// The folder of all hosts, the two numbers that their addresses share, and how many hosts there ever were.
    folder: PathBuf,
    net: [u8; 2],
    added: AtomicU16,
    guardian: Guardian,
    /// Keeps other environments away from these addresses.
    _addresses: std::net::UdpSocket,
}

struct Host {
    spec: HostSpec,
    address: Ipv4Addr,
    folder: HostFolder,
    /// `None` once it has ended.
    processes: Mutex<Option<Vec<Arc<Running>>>>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.spec.name, self.address)
    }
}

impl std::fmt::Debug for Guardian {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guardian")
    }
}

/// Standard output and error of a process, where they are read.
type Pipes = [Box<dyn Read + Send>; 2];

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}

impl Machine {
    pub(super) fn start(spec: EnvironmentSpec) -> Result<Machine, Error> {
        let ([_, a, b, _], addresses) = free_addresses()?;
        let guardian = Guardian::start().map_err(io("start the guardian of the processes"))?;
        let (hosts, added, net, folder) =
            (Mutex::default(), AtomicU16::new(0), [a, b], spec.folder);
        let machine = Machine { hosts, folder, net, added, guardian, _addresses: addresses };
        for host in &spec.hosts {
            machine.add(host)?;
        }
        Ok(machine)
    }

    fn add(&self, spec: &HostSpec) -> Result<HostId, Error> {
        let mut hosts = self.present();
        if hosts.values().any(|host| host.spec.name == spec.name) {
            return Err(Error::Invalid(format!("there is a host {:?} already", spec.name)));
        }
        let id = self.added.fetch_add(1, Ordering::Relaxed);
        let number = u8::try_from(id + 1).ok().filter(|number| *number <= 250);
        let many = || Error::Invalid("there are at most 250 hosts of plain processes".into());
        let [a, b] = self.net;
        let address = Ipv4Addr::new(127, a, b, number.ok_or_else(many)?);
        hosts.insert(HostId::new(id), Arc::new(Host::new(spec, address, &self.folder)?));
        Ok(HostId::new(id))
    }

    fn present(&self) -> MutexGuard<'_, BTreeMap<HostId, Arc<Host>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn host(&self, id: HostId) -> Result<Arc<Host>, Error> {
        self.present().get(&id).cloned().ok_or_else(|| Error::UnknownHost(format!("{id:?}")))
    }

    fn spawn(
        &self,
        host: &Host,
        command: &Command,
        output: [Stdio; 2],
    ) -> Result<(Arc<Running>, Option<Pipes>), Error> {
        let Some((program, arguments)) = command.argv.split_first() else {
            return Err(Error::Invalid("a command names no program".into()));
        };
        if command.uid.is_some_and(|uid| uid != 0) {
            let what = "show a process another user id".into();
            return Err(Error::Unsupported { environment: "processes".into(), what });
        }
        let [out, err] = output;
        let home = host.folder.data().join("home");
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".into());
        let mut process = std::process::Command::new(program);
        process
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .env("HOME", home)
            .env("FUZZ_DIST_HOST", &host.spec.name)
            .envs(command.env.iter().map(|(name, value)| (name, value)))
            .current_dir(command.cwd.clone().unwrap_or_else(|| host.folder.data()))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        let mut processes = host.processes();
        let Some(processes) = &mut *processes else {
            return Err(Error::UnknownHost(host.spec.name.clone()));
        };
        let mut child = process.spawn().map_err(|source| Error::NotExecutable {
            host: host.spec.name.clone(),
            program: command.argv.join(" "),
            source,
        })?;
        let pipes = match (child.stdout.take(), child.stderr.take()) {
            (Some(out), Some(err)) => Some([Box::new(out) as _, Box::new(err) as _]),
            _ => None,
        };
        let running = Running::new(child);
        processes.push(running.clone());
        self.guardian.watch(&running).map_err(io("tell the guardian of a process"))?;
        Ok((running, pipes))
    }
}

impl Host {
    fn new(spec: &HostSpec, address: Ipv4Addr, all: &std::path::Path) -> Result<Host, Error> {
        let folder = HostFolder::create(all, spec, |_| true)?;
        for given in &spec.folders {
            if given.needs_own_files() {
                let what = format!("give a host a folder at {}", given.at.display());
                return Err(Error::Unsupported { environment: "processes".into(), what });
            }
        }
        let processes = Mutex::new(Some(Vec::new()));
        Ok(Host { spec: spec.clone(), address, folder, processes })
    }

    fn processes(&self) -> MutexGuard<'_, Option<Vec<Arc<Running>>>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, command: &Command, kind: &str) -> Result<Stdio, Error> {
        let path = self.folder.logs().join(format!("{}.{kind}", command.name));
        let log = File::options().create(true).append(true).open(&path);
        Ok(log.map_err(io(format!("open {}", path.display())))?.into())
    }
}

/// Addresses of the loopback that no other environment uses, as long as the socket is open.
fn free_addresses() -> Result<([u8; 4], std::net::UdpSocket), Error> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..1000 {
        let n = std::process::id().wrapping_mul(31) + NEXT.fetch_add(1, Ordering::Relaxed);
        let octets = [127, 1 + (n >> 8) as u8 % 250, n as u8, 254];
        if let Ok(socket) = std::net::UdpSocket::bind((Ipv4Addr::from(octets), 40_000)) {
            return Ok((octets, socket));
        }
    }
    Err(Error::Insufficient("all addresses of the loopback are in use".into()))
}

impl Environment for Machine {
    fn name(&self) -> &str {
        "processes"
    }

    fn hosts(&self) -> Vec<(HostId, HostSpec)> {
        self.present().iter().map(|(id, host)| (*id, host.spec.clone())).collect()
    }

    fn address(&self, host: HostId) -> Result<IpAddr, Error> {
        Ok(self.host(host)?.address.into())
    }

    fn end(&self) {
        let hosts: Vec<_> = self.present().values().cloned().collect();
        end(hosts.iter().filter_map(|host| host.processes().take()).flatten().collect());
    }

    fn membership(&self) -> Option<&dyn Membership> {
        Some(self)
    }

    fn start(&self, host: HostId, command: Command) -> BoxFuture<'_, Result<Process, Error>> {
        Box::pin(async move {
            let of = self.host(host)?;
            let output = [of.log(&command, "out")?, of.log(&command, "err")?];
            let (running, _) = self.spawn(&of, &command, output)?;
            Ok(Process::new(host, command.name.as_str(), running.pid(), running))
        })
    }

    fn run(
        &self,
        host: HostId,
        command: Command,
        limit: Duration,
    ) -> BoxFuture<'_, Result<Finished, Error>> {
        Box::pin(async move {
            let of = self.host(host)?;
            let output = [Stdio::piped(), Stdio::piped()];
            let (running, pipes) = self.spawn(&of, &command, output)?;
            let reading = pipes.into_iter().flatten().map(|mut pipe| {
                tokio::task::spawn_blocking(move || {
                    let mut text = Vec::new();
                    pipe.read_to_end(&mut text).map(|_| text)
                })
            });
            let reading: Vec<_> = reading.collect();
            let ended = tokio::time::timeout(limit, running.wait()).await;
            let Ok(status) = ended else {
                let _ = running.signal_group(Signal::Kill);
                let what = format!("{} on {}", command.argv.join(" "), of.spec.name);
                return Err(Error::TimedOut { what, limit });
            };
            let mut texts = Vec::new();
            for text in reading {
                let text = text.await.map_err(std::io::Error::other).and_then(|text| text);
                texts.push(text.map_err(io("read a command's output"))?);
            }
            let stderr = texts.pop().unwrap_or_default();
            Ok(Finished { status, stdout: texts.pop().unwrap_or_default(), stderr })
        })
    }

    fn signal_host(&self, host: HostId, signal: Signal) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let of = self.host(host)?;
            let processes = of.processes();
            let Some(processes) = &*processes else {
                return Err(Error::UnknownHost(format!("{host:?}")));
            };
            let mut sent = processes.iter().map(|running| running.signal_group(signal));
            sent.try_for_each(|sent| sent.map(drop)).map_err(io("signal all processes"))
        })
    }

    fn processes(&self, host: HostId) -> BoxFuture<'_, Result<Vec<ProcessInfo>, Error>> {
        Box::pin(async move {
            let groups: Option<BTreeSet<u32>> = {
                let of = self.host(host)?;
                let processes = of.processes();
                processes.as_ref().map(|all| all.iter().map(|running| running.pid()).collect())
            };
            let groups = groups.ok_or_else(|| Error::UnknownHost(format!("{host:?}")))?;
            let found = all().into_iter().filter(|found| groups.contains(&found.group));
            let info = found.map(|found| ProcessInfo {
                pid: found.pid,
                program: found.program,
                state: found.state,
            });
            Ok(info.collect())
        })
    }

    fn data_dir(&self, host: HostId) -> Result<PathBuf, Error> {
        Ok(self.host(host)?.folder.data())
    }

    fn read_file(&self, host: HostId, path: PathBuf) -> BoxFuture<'_, Result<Vec<u8>, Error>> {
        Box::pin(async move { self.host(host)?.folder.read(&path) })
    }

    fn write_file(
        &self,
        host: HostId,
        path: PathBuf,
        content: Vec<u8>,
    ) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move { self.host(host)?.folder.write(&path, &content) })
    }

    fn fetch_folder(
        &self,
        host: HostId,
        path: PathBuf,
        to: PathBuf,
    ) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move { self.host(host)?.folder.fetch(&path, &to) })
    }

    fn logs(&self, host: HostId) -> String {
        let logs = self.host(host).map(|host| host.folder.logs().display().to_string());
        logs.unwrap_or_default()
    }

    fn last_output(&self, host: HostId, bytes_max: usize) -> Vec<(String, String)> {
        self.host(host).map(|host| host.folder.last_output(bytes_max)).unwrap_or_default()
    }

    fn connect(
        &self,
        host: HostId,
        to: SocketAddr,
        limit: Duration,
    ) -> BoxFuture<'_, Result<tokio::net::TcpStream, Error>> {
        Box::pin(async move {
            let what = format!("connect from {host:?} to {to}");
            let from = SocketAddr::from((self.host(host)?.address, 0));
            let connecting = async {
                let socket = tokio::net::TcpSocket::new_v4()?;
                socket.bind(from)?;
                socket.connect(to).await
            };
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected.map_err(io(what)),
                Err(_) => Err(Error::TimedOut { what, limit }),
            }
        })
    }

    fn listen(
        &self,
        host: HostId,
        on: SocketAddr,
    ) -> BoxFuture<'_, Result<tokio::net::TcpListener, Error>> {
        Box::pin(async move {
            let listening = tokio::net::TcpListener::bind(on).await;
            listening.map_err(io(format!("listen on {on} of {host:?}")))
        })
    }

    fn bind_udp(
        &self,
        host: HostId,
        on: SocketAddr,
    ) -> BoxFuture<'_, Result<tokio::net::UdpSocket, Error>> {
        Box::pin(async move {
            let bound = tokio::net::UdpSocket::bind(on).await;
            bound.map_err(io(format!("bind {on} of {host:?}")))
        })
    }
}

impl Membership for Machine {
    fn add_host(&self, spec: HostSpec) -> BoxFuture<'_, Result<HostId, Error>> {
        let added = self.add(&spec);
        Box::pin(async { added })
    }

    fn remove_host(&self, id: HostId) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let removed = self.present().remove(&id);
            let host = removed.ok_or_else(|| Error::UnknownHost(format!("{id:?}")))?;
            let processes = host.processes().take().unwrap_or_default();
            let ended = tokio::task::spawn_blocking(move || end(processes)).await;
            ended.map_err(|error| Error::Invalid(error.to_string()))
        })
    }
}

/// Kills these and waits until they have ended.
fn end(processes: Vec<Arc<Running>>) {
    for running in &processes {
        // A group that has ended is as good.
        let _ = running.signal_group(Signal::Kill);
    }
    let until = Instant::now() + END_LIMIT;
    while processes.iter().any(|running| running.ended().is_none()) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end();
    }
}
