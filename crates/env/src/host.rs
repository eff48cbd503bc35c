//! What a host is: its name, its role, its group, and the folders laid under it.

use std::fmt;
use std::path::PathBuf;

/// A host's number in its environment: given in the order of adding, never used twice.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct HostId(u16);

impl HostId {
    /// The host that was added as number `index`, counted from 0.
    pub const fn new(index: u16) -> Self {
        HostId(index)
    }

    /// The number, counted from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What a host is for. Partitions are computed over the nodes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs a node of the database.
    #[default]
    Node,
    /// Runs something that the nodes need and that is not the subject of the test.
    Service,
    /// Only clients' connections start here.
    Client,
}

/// How a folder is laid under a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum MountKind {
    /// The folder itself, read-only.
    Bind,
    /// A view of its own for the host, which may change it without changing the folder.
    CopyOnWrite,
}

/// A folder of this machine at a place in a host's file system.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Mount {
    /// The folder on this machine.
    pub source: PathBuf,
    /// Where the host's processes see it (absolute; need not exist on this machine).
    pub target: PathBuf,
    /// Read-only or copy-on-write.
    pub kind: MountKind,
}

impl Mount {
    /// The folder `source`, read-only, at `target`.
    pub fn bind(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Mount { source: source.into(), target: target.into(), kind: MountKind::Bind }
    }

    /// The folder `path`, read-only, at the place that it has on this machine. Hosts see most
    /// folders of the machine anyway; this is for what lies below `/tmp` or `/run`, which every
    /// host has of its own.
    pub fn in_place(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Mount::bind(path.clone(), path)
    }

    /// A copy-on-write view of the folder `source` at `target`.
    pub fn copy_on_write(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Mount { source: source.into(), target: target.into(), kind: MountKind::CopyOnWrite }
    }
}

/// What a host shall be.
///
/// ```
/// use fuzz_dist_env::{HostSpec, Mount, Role};
///
/// let node = HostSpec::node("n1").group("dc1").mount(Mount::copy_on_write("/rel/shop", "/shop"));
/// assert_eq!((node.name.as_str(), node.role), ("n1", Role::Node));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HostSpec {
    /// The host's name, which the other hosts resolve to its address.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The data centre that it belongs to.
    pub group: Option<String>,
    /// Folders laid under it.
    pub mounts: Vec<Mount>,
}

impl HostSpec {
    /// A host of the given name and role, without group and mounts.
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        HostSpec { name: name.into(), role, group: None, mounts: Vec::new() }
    }

    /// A host that runs a node.
    pub fn node(name: impl Into<String>) -> Self {
        HostSpec::new(name, Role::Node)
    }

    /// The nodes `n1` to `n<count>`, named as in Jepsen.
    pub fn nodes(count: usize) -> Vec<Self> {
        (1..=count).map(|n| HostSpec::node(format!("n{n}"))).collect()
    }

    /// The same host in a group.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// The same host with one more folder laid under it.
    #[must_use]
    pub fn mount(mut self, mount: Mount) -> Self {
        self.mounts.push(mount);
        self
    }
}
