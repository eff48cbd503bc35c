//! What the harness and its agents say to each other: versioned messages over one socket.
//!
//! The harness starts the outer agent with a socket as its standard input and sends [`Begin`]
//! through it. The lab's init serves that socket from then on; every host's init gets a socket of
//! its own. A request carries an id, its answer carries the same; events carry 0. Descriptors
//! travel beside the messages.

use fuzz_dist_env::Access;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::Ipv4Addr;

/// Raised with every change that an older agent would not understand.
pub(crate) const VERSION: u32 = 3;

/// Where every host's processes see its data folder.
pub(crate) const DATA_DIR: &str = "/fuzz_dist";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Message<T> {
    pub(crate) id: u64,
    pub(crate) body: T,
}

/// The first message, to the outer agent; with it goes a pidfd of the harness.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Begin {
    pub(crate) version: u32,
    /// Lines of the hosts file, shared by all hosts.
    pub(crate) hosts_file: String,
    /// Temporary folders of the harness, which the agent removes where the harness is killed.
    pub(crate) scratch: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// To the lab's init: make a host. Answered by `Added`; the host's own socket then says
    /// `Ready` or `Failed`.
    AddHost(HostPlan),
    /// To the lab's init: the hosts file's new content.
    WriteHosts { content: String },
    /// To a host's init: start a program; standard output and error go with the message.
    Start(StartPlan),
    /// To a host's init: signal every process.
    SignalAll { signal: i32 },
    /// To a host's init: signal a process group.
    SignalGroup { pgid: i32, signal: i32 },
    /// To a host's init: make a socket.
    Socket { kind: SocketKind },
    /// To a host's init: list the processes.
    Processes,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The lab's init is there.
    Begun { version: u32 },
    /// A host's init is being set up; with it go its socket and its pidfd.
    Added,
    /// Event: a host is ready; with it goes its TUN device.
    Ready { notes: Vec<String> },
    /// The program runs; with it goes its pidfd.
    Started { pid: i32 },
    /// Event: a process that was started has ended, with its wait status.
    Exited { pid: i32, status: i32 },
    /// Done; with a socket if one was asked for.
    Done,
    /// Every process: id, letter of its state, program.
    Processes(Vec<(u32, char, String)>),
    /// Answer or event: it went wrong.
    Failed(Failure),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HostPlan {
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) mask: Ipv4Addr,
    /// The host's data folder on this machine.
    pub(crate) data: String,
    /// Folders below /tmp or /run that shall stay visible, although each host has its own of these.
    pub(crate) visible: Vec<String>,
    pub(crate) mounts: Vec<MountPlan>,
    /// A folder of this machine whose files all hosts write to, and where they see it: a simulated clock.
    pub(crate) shared: Option<(String, String)>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MountPlan {
    /// Without symbolic links: they would be followed within the host.
    pub(crate) source: String,
    pub(crate) target: String,
    pub(crate) access: Access,
    /// Why it is copied where a copy-on-write view was asked for.
    pub(crate) copied: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StartPlan {
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: Option<String>,
    pub(crate) uid: Option<u32>,
}

/// The kind of a socket, over IPv4.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum SocketKind {
    Tcp,
    Udp,
}

/// The steps that a system may refuse; the remedies depend on them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Speak this version of the protocol.
    Version,
    /// Fork (clone3) into new namespaces.
    Fork,
    /// Create a user namespace.
    UserNamespace,
    /// Write the user namespace's id maps.
    IdMap,
    /// Create the other namespaces.
    Namespaces,
    /// Mount something; the text says what.
    Mount(String),
    /// Open /dev/net/tun.
    OpenTun,
    /// Make the TUN device.
    MakeTun,
    /// Configure network interfaces; the text says which part.
    Network(String),
    /// Change to the working directory.
    WorkingDir,
    /// Take on another user id.
    TakeUid,
    /// Execute the program.
    Execute,
    /// Anything else.
    Other(String),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    /// The system's error number, 0 if it was none.
    pub(crate) errno: i32,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(step: Step, error: &io::Error) -> Self {
        Failure { step, errno: error.raw_os_error().unwrap_or(0), text: error.to_string() }
    }

    pub(crate) fn source(&self) -> io::Error {
        match self.errno {
            0 => io::Error::other(self.text.clone()),
            errno => io::Error::from_raw_os_error(errno),
        }
    }
}

/// Adds the step to an error, as `?` does the rest.
pub(crate) trait At<T> {
    fn at(self, step: Step) -> Result<T, Failure>;
    fn mounting(self, what: impl AsRef<str>) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(step, &error.into()))
    }

    fn mounting(self, what: impl AsRef<str>) -> Result<T, Failure> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(error).at(Step::Mount(what.as_ref().to_owned())),
        }
    }
}
