//! What a host is: its name, its role, its group, and the folders and files that it needs.

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

/// What a host may do with a folder that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Access {
    /// It reads the folder and cannot change it.
    ReadOnly,
    /// It has a copy of its own, which it may change without changing the folder.
    OwnCopy,
}

/// A folder of the machine that runs the tests, which a host needs.
///
/// How the host comes by it (a mount, a link, an upload) is the environment's choice.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Folder {
    /// The folder on the machine that runs the tests.
    pub source: PathBuf,
    /// Where the host's processes see it: relative to the host's data folder, or absolute. An absolute
    /// path other than `source` needs [`Facet::OwnFiles`](super::Facet::OwnFiles).
    pub at: PathBuf,
    /// What the host may do with it.
    pub access: Access,
}

impl Folder {
    /// The folder `source`, read-only, at `at`.
    pub fn read_only(source: impl Into<PathBuf>, at: impl Into<PathBuf>) -> Self {
        Folder { source: source.into(), at: at.into(), access: Access::ReadOnly }
    }

    /// The folder `path`, read-only, at the path that it has on the machine that runs the tests. Hosts
    /// of the local lab see most folders of the machine anyway; this is for what lies below `/tmp` or
    /// `/run`, which every host has of its own.
    pub fn in_place(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Folder::read_only(path.clone(), path)
    }

    /// A copy of the folder `source` at `at`, which the host may change. A host that is added again has it
    /// as it left it. With a path relative to the data folder, files of the host can be in it
    /// ([`HostSpec::file`]), and the harness reads and writes it as the host does.
    pub fn own_copy(source: impl Into<PathBuf>, at: impl Into<PathBuf>) -> Self {
        Folder { source: source.into(), at: at.into(), access: Access::OwnCopy }
    }

    /// Whether only a host with a file system of its own can have it there.
    pub fn needs_own_files(&self) -> bool {
        let in_place = self.access == Access::ReadOnly && self.at == self.source;
        self.at.is_absolute() && !in_place
    }
}

/// A file that a host has when its first process starts.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HostFile {
    /// Where the host's processes see it, relative to the host's data folder.
    pub at: PathBuf,
    /// What it holds.
    pub content: Vec<u8>,
}

/// What a host shall be.
///
/// ```
/// use fuzz_dist_env::{Folder, HostSpec, Role};
///
/// let node = HostSpec::node("n1").group("dc1").folder(Folder::own_copy("/rel/shop", "shop"));
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
    /// Folders that it needs.
    pub folders: Vec<Folder>,
    /// Files that it needs.
    pub files: Vec<HostFile>,
}

impl HostSpec {
    /// A host of the given name and role, without a group, folders and files.
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        let (folders, files) = Default::default();
        HostSpec { name: name.into(), role, group: None, folders, files }
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

    /// The same host with one more folder.
    #[must_use]
    pub fn folder(mut self, folder: Folder) -> Self {
        self.folders.push(folder);
        self
    }

    /// The same host with one more file at `at`, relative to the host's data folder. It is written over the
    /// copy of a folder; an environment may refuse it below a read-only folder.
    #[must_use]
    pub fn file(mut self, at: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.files.push(HostFile { at: at.into(), content: content.into() });
        self
    }
}
