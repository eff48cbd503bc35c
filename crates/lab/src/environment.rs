//! The lab as an [`Environment`].

use super::control::Lost;
use super::follow::LabWire;
use super::host::{Host, explain, is_programs_own};
use super::plans::why_not_found;
use super::protocol::{DATA_DIR, Reply, Request, SocketKind, StartPlan};
use super::{Lab, lock, simulated};
use fuzz_dist_env::wire::Wire;
use fuzz_dist_env::{
    BoxFuture, Command, Environment, Error, Finished, HostId, HostSpec, LinkControl, LinkCounters,
    LinkMatrix, Membership, Process, ProcessInfo, ProcessState, Signal,
};
use fuzz_dist_sys::signals::{Scope, signal_pidfd};
use rustix::fs::MemfdFlags;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The most that [`Environment::run`] returns of a stream.
const OUTPUT_MAX: u64 = 16 << 20;

/// The longest that a host's processes may take to die.
const END_MAX: Duration = Duration::from_secs(10);

impl Lab {
    /// A socket that belongs to the host's network and is neither bound nor connected yet.
    async fn socket(&self, id: HostId, kind: SocketKind) -> Result<OwnedFd, Error> {
        let host = self.host(id)?;
        let (_, mut fds) = self.ask(&host, Request::Socket { kind }, "make a socket").await?;
        fds.pop().ok_or_else(|| Error::Invalid("no socket came with the answer".into()))
    }

    async fn ask(
        &self,
        host: &Host,
        request: Request,
        what: &str,
    ) -> Result<(Reply, Vec<OwnedFd>), Error> {
        let answer = host.connection.ask(request, &[]).await;
        answer.map_err(|lost| match lost {
            Lost::Closed => Error::UnknownHost(host.spec.name.clone()),
            lost => explain(lost, what),
        })
    }

    /// Starts a program with these files as its output.
    async fn start_with(
        &self,
        id: HostId,
        host: &Host,
        command: &Command,
        output: [BorrowedFd<'_>; 2],
    ) -> Result<Process, Error> {
        // Time stands still until the process has it.
        let _held = self.clock.hold();
        let plan = StartPlan {
            argv: command.argv.clone(),
            env: simulated::environment(&self.clock, id, surroundings(host, command)),
            cwd: command.cwd.as_ref().map(|cwd| cwd.to_string_lossy().into_owned()),
            uid: command.uid,
        };
        let answer = host.connection.ask(Request::Start(plan), &output).await;
        let gone = || Error::UnknownHost(host.spec.name.clone());
        let pid = match answer {
            Ok((Reply::Started { pid }, _)) => pid,
            Ok((reply, _)) => return Err(Error::Invalid(format!("a host answered {reply:?}"))),
            Err(Lost::Failed(failure)) if is_programs_own(&failure.step) => {
                return Err(Error::NotExecutable {
                    host: host.spec.name.clone(),
                    program: command.argv.join(" "),
                    source: why_not_found(&command.argv).unwrap_or_else(|| failure.source()),
                });
            }
            Err(Lost::Closed) => return Err(gone()),
            Err(lost) => return Err(explain(lost, &format!("start {}", command.name))),
        };
        let control = host.events.claim(pid, &host.connection).ok_or_else(gone)?;
        simulated::registered(&self.clock, &host.spec.name, control.outer_pid()).await?;
        let pid = u32::try_from(pid).unwrap_or_default();
        Ok(Process::new(id, command.name.as_str(), pid, control))
    }
}

/// The environment of a host's processes: nothing of this process's but paths and language.
fn surroundings(host: &Host, command: &Command) -> Vec<(String, String)> {
    let inherited = ["PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ"];
    let own =
        [("HOME", format!("{DATA_DIR}/home")), ("USER", "root".into()), ("LOGNAME", "root".into())];
    let mut env: Vec<(String, String)> = inherited
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .chain(own.into_iter().map(|(name, value)| (name.to_owned(), value)))
        .chain([("FUZZ_DIST_HOST".to_owned(), host.spec.name.clone())])
        .collect();
    if !env.iter().any(|(name, _)| name == "PATH") {
        env.push(("PATH".into(), "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into()));
    }
    env.extend(command.env.iter().cloned());
    env
}

impl Environment for Lab {
    fn end(&self) {
        self.end_hosts();
    }

    fn name(&self) -> &str {
        "local"
    }

    fn notes(&self) -> Vec<String> {
        let hosts = lock(&self.hosts);
        let dropped = self.logs.notes();
        let notes = hosts
            .present
            .values()
            .flat_map(|host| host.notes.iter().map(|note| format!("{}: {note}", host.spec.name)));
        notes.chain(dropped).collect()
    }

    fn hosts(&self) -> Vec<(HostId, HostSpec)> {
        let hosts = lock(&self.hosts);
        hosts.present.iter().map(|(id, host)| (*id, host.spec.clone())).collect()
    }

    fn address(&self, host: HostId) -> Result<IpAddr, Error> {
        Ok(self.host(host)?.address.into())
    }

    fn data_dir(&self, host: HostId) -> Result<PathBuf, Error> {
        self.host(host).map(|_| PathBuf::from(DATA_DIR))
    }

    fn start(&self, id: HostId, command: Command) -> BoxFuture<'_, Result<Process, Error>> {
        Box::pin(async move {
            let host = self.host(id)?;
            check_name(&command.name)?;
            let open = |kind: &str| {
                let path = host.folder.logs().join(format!("{}.{kind}", command.name));
                self.logs.open(&path).map_err(Error::io(format!("open {}", path.display())))
            };
            let (out, err) = (open("out")?, open("err")?);
            self.start_with(id, &host, &command, [out.as_fd(), err.as_fd()]).await
        })
    }

    fn run(
        &self,
        id: HostId,
        command: Command,
        limit: Duration,
    ) -> BoxFuture<'_, Result<Finished, Error>> {
        Box::pin(async move {
            let host = self.host(id)?;
            let memory = || {
                rustix::fs::memfd_create("output", MemfdFlags::CLOEXEC)
                    .map_err(|error| Error::io("make a file for output")(error.into()))
            };
            let (out, err) = (File::from(memory()?), File::from(memory()?));
            let limited = [&out, &err].map(|file| self.logs.keep_head(file, OUTPUT_MAX));
            let [_out, _err] = limited.map(|kept| kept.map_err(Error::io("limit the output")));
            let process = self.start_with(id, &host, &command, [out.as_fd(), err.as_fd()]).await?;
            let status = match self.clock.timeout(limit, process.wait()).await {
                Ok(status) => status,
                Err(_) => {
                    // It may end at this very moment.
                    let _ = process.kill(Signal::Kill).await;
                    let what = format!("{} on {}", command.argv.join(" "), host.spec.name);
                    return Err(Error::TimedOut { what, limit });
                }
            };
            Ok(Finished { status, stdout: content(out)?, stderr: content(err)? })
        })
    }

    fn signal_host(&self, id: HostId, signal: Signal) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let host = self.host(id)?;
            let request = Request::SignalAll { signal: signal.number() };
            self.ask(&host, request, "signal all processes").await.map(drop)
        })
    }

    fn processes(&self, id: HostId) -> BoxFuture<'_, Result<Vec<ProcessInfo>, Error>> {
        Box::pin(async move {
            let host = self.host(id)?;
            match self.ask(&host, Request::Processes, "list the processes").await? {
                (Reply::Processes(list), _) => Ok(list
                    .into_iter()
                    .map(|(pid, letter, program)| ProcessInfo {
                        pid,
                        program,
                        state: ProcessState::from_letter(letter),
                    })
                    .collect()),
                (reply, _) => Err(Error::Invalid(format!("a host answered {reply:?}"))),
            }
        })
    }

    fn read_file(&self, id: HostId, path: PathBuf) -> BoxFuture<'_, Result<Vec<u8>, Error>> {
        Box::pin(async move {
            let host = self.host(id)?;
            on_disk(move || host.folder.read(&path)).await
        })
    }

    fn write_file(
        &self,
        id: HostId,
        path: PathBuf,
        content: Vec<u8>,
    ) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let host = self.host(id)?;
            on_disk(move || host.folder.write(&path, &content)).await
        })
    }

    fn fetch_folder(
        &self,
        id: HostId,
        path: PathBuf,
        to: PathBuf,
    ) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let host = self.host(id)?;
            on_disk(move || host.folder.fetch(&path, &to)).await
        })
    }

    fn logs(&self, id: HostId) -> String {
        let logs = self.host(id).map(|host| host.folder.logs());
        logs.unwrap_or_else(|_| self.folder.clone()).display().to_string()
    }

    fn last_output(&self, id: HostId, bytes_max: usize) -> Vec<(String, String)> {
        self.host(id).map(|host| host.folder.last_output(bytes_max)).unwrap_or_default()
    }

    fn links(&self) -> Option<&dyn LinkControl> {
        Some(self)
    }

    fn wire(&self) -> Option<Arc<dyn Wire>> {
        Some(Arc::new(LabWire::new(&self.switch, &self.hosts, self.clock.clone())))
    }

    fn membership(&self) -> Option<&dyn Membership> {
        Some(self)
    }

    fn connect(
        &self,
        id: HostId,
        to: SocketAddr,
        limit: Duration,
    ) -> BoxFuture<'_, Result<tokio::net::TcpStream, Error>> {
        Box::pin(async move {
            let stream = std::net::TcpStream::from(self.socket(id, SocketKind::Tcp).await?);
            let what = format!("connect from {id:?} to {to}");
            let socket = tokio::net::TcpSocket::from_std_stream(stream);
            match self.clock.timeout(limit, socket.connect(to)).await {
                Ok(connected) => connected.map_err(Error::io(what)),
                Err(_) => Err(Error::TimedOut { what, limit }),
            }
        })
    }

    fn listen(
        &self,
        id: HostId,
        on: SocketAddr,
    ) -> BoxFuture<'_, Result<tokio::net::TcpListener, Error>> {
        Box::pin(async move {
            let socket = self.socket(id, SocketKind::Tcp).await?;
            let listen = || {
                rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
                rustix::net::bind(&socket, &on)?;
                rustix::net::listen(&socket, 1024)
            };
            let what = format!("listen on {on} of {id:?}");
            listen().map_err(|error| Error::io(&*what)(error.into()))?;
            tokio::net::TcpListener::from_std(socket.into()).map_err(Error::io(what))
        })
    }

    fn bind_udp(
        &self,
        id: HostId,
        on: SocketAddr,
    ) -> BoxFuture<'_, Result<tokio::net::UdpSocket, Error>> {
        Box::pin(async move {
            let socket = self.socket(id, SocketKind::Udp).await?;
            let what = format!("bind {on} of {id:?}");
            rustix::net::bind(&socket, &on).map_err(|error| Error::io(&*what)(error.into()))?;
            tokio::net::UdpSocket::from_std(socket.into()).map_err(Error::io(what))
        })
    }
}

impl LinkControl for Lab {
    fn set_links(&self, links: &LinkMatrix) -> BoxFuture<'_, Result<(), Error>> {
        // Done when the future is made: it waits for nothing that a runtime could help with.
        let set = self.switch.set_links(links);
        Box::pin(std::future::ready(set))
    }

    fn matrix(&self) -> LinkMatrix {
        self.switch.links()
    }

    fn counters(&self) -> LinkCounters {
        self.switch.counters()
    }
}

impl Lab {
    /// Ends a host, which nobody finds any more.
    pub(super) fn forget(&self, id: HostId, host: &Host) -> Result<(), Error> {
        // An init that has ended already is as good.
        let _ = signal_pidfd(host.init.as_fd(), libc::SIGKILL, Scope::Process);
        lock(&self.hosts).present.remove(&id);
        self.switch.unplug(id)
    }
}

impl Membership for Lab {
    fn add_host(&self, spec: HostSpec) -> BoxFuture<'_, Result<HostId, Error>> {
        Box::pin(self.add(spec))
    }

    fn remove_host(&self, id: HostId) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let _one_at_a_time = self.membership.lock().await;
            let host = self.host(id)?;
            let what = || format!("remove host {}", host.spec.name);
            self.forget(id, &host)?;
            let removed = Arc::clone(&host);
            let ended = tokio::task::spawn_blocking(move || removed.ended_within(END_MAX));
            match ended.await {
                Ok(true) => Ok(()),
                _ => Err(Error::TimedOut { what: what(), limit: END_MAX }),
            }
        })
    }
}

/// Does what waits for the disk beside the runtime's workers.
pub(super) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::Invalid(format!("the work on files ended: {error}"))))
}

/// A process's name becomes a file's.
fn check_name(name: &str) -> Result<(), Error> {
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if letters && !name.is_empty() && name.len() <= 100 && !name.starts_with('.') {
        return Ok(());
    }
    Err(Error::Invalid(format!("{name:?} is no name for a process: use A-Z, a-z, 0-9, ., _ and -")))
}

/// What was written to a file in memory, from its start.
fn content(file: File) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    ReadFromStart { file: &file, at: 0 }
        .take(OUTPUT_MAX)
        .read_to_end(&mut bytes)
        .map_err(Error::io("read a command's output"))?;
    Ok(bytes)
}

/// Reads without moving the position at which the processes write.
struct ReadFromStart<'a> {
    file: &'a File,
    at: u64,
}

impl Read for ReadFromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.file.read_at(buffer, self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

#[allow(dead_code, reason = "fails to compile if the trait is no longer object safe")]
fn behind_an_arc(lab: Lab) -> Arc<dyn Environment> {
    Arc::new(lab)
}
