//! A host's init: PID 1 of the host; makes its namespaces, file system and network, then starts
//! programs, signals them and reaps them.

use super::exec;
use super::kernel::Proc;
use super::mounts;
use super::protocol::{At, Failure, HostPlan, Reply, Request, SocketKind, Step};
use super::wire::{self, Received, Receiver};
use fuzz_dist_sys::device::{Interfaces, make_tun};
use fuzz_dist_sys::fork::SingleThreaded;
use fuzz_dist_sys::{namespace, signals};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{DumpableBehavior, WaitOptions, set_dumpable_behavior};
use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};

/// The name of every host's network interface.
const INTERFACE: &str = "eth0";

/// Becomes the host's init and serves it until the harness closes the socket.
pub(super) fn main(control: OwnedFd, single: &SingleThreaded, plan: HostPlan) -> ! {
    let mut notes = Vec::new();
    let made = match set_up(&plan, &mut notes) {
        Ok((tun, proc)) => {
            let sent = wire::send(&control, 0, Reply::Ready { notes }, &[tun.as_fd()]);
            // The harness alone keeps it, and decides when the device ends.
            drop(tun);
            sent.and_then(|()| {
                let children = BTreeSet::new();
                Init { control, single, proc, children }.serve()
            })
        }
        Err(failure) => wire::send(&control, 0, Reply::Failed(failure), &[]),
    };
    if let Err(error) = made {
        fuzz_dist_sys::say!("fuzz_dist init of {}: {error}", plan.name);
    }
    std::process::exit(0)
}

fn set_up(plan: &HostPlan, notes: &mut Vec<String>) -> Result<(OwnedFd, Proc), Failure> {
    namespace::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWUTS).at(Step::Namespaces)?;
    rustix::system::sethostname(plan.name.as_bytes()).at(Step::Other("set the name".into()))?;
    let proc = mounts::lay(plan, notes)?;
    lock_in(&proc, notes)?;
    let network = |part: &str| Step::Network(part.to_owned());
    let socket = new_socket(SocketKind::Udp).at(network("open a socket"))?;
    let interfaces = Interfaces(socket);
    interfaces.up("lo").at(network("switch on the loopback"))?;
    let device = std::fs::File::options().read(true).write(true).open("/dev/net/tun");
    let tun = make_tun(device.at(Step::OpenTun)?.into(), INTERFACE).at(Step::MakeTun)?;
    // IPv6 would only announce itself to hosts that do not route it yet; loopback keeps it.
    let _ = proc.write(&format!("sys/net/ipv6/conf/{INTERFACE}/disable_ipv6"), "1");
    interfaces
        .set_address(INTERFACE, plan.address, plan.mask)
        .at(network("give the interface its address"))?;
    interfaces.up(INTERFACE).at(network("switch on the interface"))?;
    if plan.shared.is_some() {
        leave_time_to_the_clock(&proc);
    }
    let (multicast, mask) = (Ipv4Addr::new(224, 0, 0, 0), Ipv4Addr::new(240, 0, 0, 0));
    interfaces.route(INTERFACE, multicast, mask).at(network("route multicast"))?;
    Ok((tun, proc))
}

/// In simulated time: TCP's timers, which are the machine's, decide nothing. The network loses no segment, so that none
/// has to be sent again, however long it is on its way. What a kernel does not know is left as it is.
fn leave_time_to_the_clock(proc: &Proc) {
    let settings = [
        ("tcp_rto_min_us", "60000000"),
        ("tcp_early_retrans", "0"),
        ("tcp_slow_start_after_idle", "0"),
        ("tcp_autocorking", "0"),
    ];
    for (name, value) in settings {
        let _ = proc.write(&format!("sys/net/ipv4/{name}"), value);
    }
}

/// Moves into a user namespace within the lab's. The kernel locks all mounts that come along: what
/// is read-only stays so, and what covers something cannot be taken away. The other namespaces are
/// made anew, so that they belong to the inner one and the host is root over its own network.
fn lock_in(proc: &Proc, notes: &mut Vec<String>) -> Result<(), Failure> {
    let others = libc::CLONE_NEWNET | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;
    let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | others;
    namespace::unshare(flags).at(Step::Namespaces)?;
    exec::map_to(proc, 0).at(Step::IdMap)?;
    // With a view of its own of the control groups, a host that root started could change the
    // harness's.
    if let Err(error) = proc.write("sys/user/max_cgroup_namespaces", "0") {
        notes.push(format!("the host can make control group namespaces: {error}"));
    }
    // Nobody traces this process or reads its memory, environment and descriptors through /proc.
    let hide = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    hide.at(Step::Other("hide the host's init".into()))
}

fn new_socket(kind: SocketKind) -> io::Result<OwnedFd> {
    let kind = match kind {
        SocketKind::Tcp => SocketType::STREAM,
        SocketKind::Udp => SocketType::DGRAM,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::INET, kind, flags, None)?)
}

struct Init<'a> {
    control: OwnedFd,
    single: &'a SingleThreaded,
    proc: Proc,
    /// Those that were started on request; others are reaped without a word.
    children: BTreeSet<i32>,
}

impl Init<'_> {
    fn serve(&mut self) -> io::Result<()> {
        let deaths = signals::child_deaths()?;
        let mut receiver = Receiver::new();
        loop {
            let mut ends =
                [PollFd::new(&self.control, PollFlags::IN), PollFd::new(&deaths, PollFlags::IN)];
            rustix::io::retry_on_intr(|| poll(&mut ends, None))?;
            let [asked, died] = [0, 1].map(|end| !ends[end].revents().is_empty());
            if died {
                // One read takes as many as are pending; the reaping below counts for itself.
                let _ = rustix::io::read(&deaths, &mut [0_u8; 1024][..]);
                self.reap()?;
            }
            if asked {
                match receiver.receive::<Request>(&self.control)? {
                    Received::Message(message, fds) => {
                        self.answer(message.id, message.body, fds)?
                    }
                    Received::Closed => return Ok(()),
                }
            }
        }
    }

    fn answer(&mut self, id: u64, request: Request, fds: Vec<OwnedFd>) -> io::Result<()> {
        let (reply, fd) = match self.act(request, fds) {
            Ok(done) => done,
            Err(failure) => (Reply::Failed(failure), None),
        };
        let fds: Vec<_> = fd.iter().map(AsFd::as_fd).collect();
        wire::send(&self.control, id, reply, &fds)
    }

    fn act(
        &mut self,
        request: Request,
        fds: Vec<OwnedFd>,
    ) -> Result<(Reply, Option<OwnedFd>), Failure> {
        match request {
            Request::Start(plan) => {
                let (pid, pidfd) = exec::start(self.single, &self.proc, &plan, fds)?;
                self.children.insert(pid);
                Ok((Reply::Started { pid }, Some(pidfd)))
            }
            Request::SignalAll { signal } => signals::signal_everybody(signal)
                .at(Step::Other("signal all processes".into()))
                .map(|()| (Reply::Done, None)),
            Request::SignalGroup { pgid, signal } => signals::signal_group(pgid, signal)
                .at(Step::Other("signal a process group".into()))
                .map(|()| (Reply::Done, None)),
            Request::Socket { kind } => new_socket(kind)
                .at(Step::Network("make a socket".into()))
                .map(|socket| (Reply::Done, Some(socket))),
            Request::Processes => processes()
                .at(Step::Other("list the processes".into()))
                .map(|list| (Reply::Processes(list), None)),
            other => Err(Failure {
                step: Step::Other("understand a request".into()),
                errno: 0,
                text: format!("{other:?} is no request to a host's init"),
            }),
        }
    }

    fn reap(&mut self) -> io::Result<()> {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get();
            if self.children.remove(&pid) {
                let status = status.as_raw();
                wire::send(&self.control, 0, Reply::Exited { pid, status }, &[])?;
            }
        }
        Ok(())
    }
}

/// Every process but this one, from /proc.
fn processes() -> io::Result<Vec<(u32, char, String)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have ended meanwhile.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some((program, state)) = parse_stat(&stat)
            && pid != 1
        {
            found.push((pid, state, program.to_owned()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Program and state of a line of /proc/pid/stat; the program's name may hold anything.
pub(super) fn parse_stat(stat: &str) -> Option<(&str, char)> {
    let (head, tail) = stat.rsplit_once(") ")?;
    let (_, program) = head.split_once('(')?;
    Some((program, tail.chars().next()?))
}
