//! What a message between two nodes is about, and whom it is for.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The kind of a control message, whichever of its numbers it came with: those with a trace token
/// or with the reason as payload are of the same kind as those without.
///
/// The names are those of the protocol's documentation (erts, "Distribution Protocol") in lower
/// case; [`ControlKind::from_str`] reads them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ControlKind {
    /// A message to a registered name (`reg_send`).
    RegSend,
    /// A message to a process (`send`).
    Send,
    /// A message to an alias: answers to `gen_server:call` of OTP 24 and later (`alias_send`).
    AliasSend,
    /// Two processes are linked (`link`).
    Link,
    /// A link is taken away (`unlink`).
    Unlink,
    /// The acknowledgement of that (`unlink_ack`).
    UnlinkAck,
    /// A linked process ended (`exit`).
    Exit,
    /// `exit/2` was called (`exit2`).
    Exit2,
    /// A process is watched (`monitor`).
    Monitor,
    /// A process is watched no more (`demonitor`).
    Demonitor,
    /// A watched process ended, or is not there (`monitor_exit`).
    MonitorExit,
    /// A process is to be started (`spawn_request`): `erpc`, `rpc`.
    SpawnRequest,
    /// What became of that (`spawn_reply`).
    SpawnReply,
    /// The group leader of a process is set (`group_leader`).
    GroupLeader,
    /// Anything else.
    Other(u8),
}

/// The kinds that have names.
const NAMES: [(&str, ControlKind); 14] = [
    ("reg_send", ControlKind::RegSend),
    ("send", ControlKind::Send),
    ("alias_send", ControlKind::AliasSend),
    ("link", ControlKind::Link),
    ("unlink", ControlKind::Unlink),
    ("unlink_ack", ControlKind::UnlinkAck),
    ("exit", ControlKind::Exit),
    ("exit2", ControlKind::Exit2),
    ("monitor", ControlKind::Monitor),
    ("demonitor", ControlKind::Demonitor),
    ("monitor_exit", ControlKind::MonitorExit),
    ("spawn_request", ControlKind::SpawnRequest),
    ("spawn_reply", ControlKind::SpawnReply),
    ("group_leader", ControlKind::GroupLeader),
];

impl ControlKind {
    /// ALTACT_SIG_SEND of OTP 28, whose flags say what it is.
    pub(super) const PRIORITY_SEND: u8 = 37;

    /// The kind of a number, and which element of the tuple says whom it is for.
    pub(super) fn of(operation: u8) -> (ControlKind, Option<usize>) {
        use ControlKind as Kind;
        match operation {
            1 => (Kind::Link, Some(2)),
            2 | 12 | 22 | 23 => (Kind::Send, Some(2)),
            3 | 13 | 24 | 25 => (Kind::Exit, Some(2)),
            4 => (Kind::Unlink, Some(2)),
            6 | 16 => (Kind::RegSend, Some(3)),
            7 => (Kind::GroupLeader, Some(2)),
            8 | 18 | 26 | 27 => (Kind::Exit2, Some(2)),
            19 => (Kind::Monitor, Some(2)),
            20 => (Kind::Demonitor, Some(2)),
            21 | 28 => (Kind::MonitorExit, Some(2)),
            29 | 30 => (Kind::SpawnRequest, Some(4)),
            31 | 32 => (Kind::SpawnReply, Some(2)),
            33 | 34 => (Kind::AliasSend, Some(2)),
            35 => (Kind::Unlink, Some(3)),
            36 => (Kind::UnlinkAck, Some(3)),
            Self::PRIORITY_SEND => (Kind::Other(operation), Some(3)),
            other => (Kind::Other(other), None),
        }
    }

    /// Its name, if it has one.
    pub(super) fn word(self) -> Option<&'static str> {
        NAMES.iter().find(|(_, kind)| *kind == self).map(|(name, _)| *name)
    }

    /// The kind of an ALTACT_SIG_SEND with these flags.
    pub(super) fn with_flags(flags: u32) -> ControlKind {
        const ALIAS: u32 = 4;
        const NAME: u32 = 8;
        const EXIT: u32 = 16;
        match flags {
            f if f & EXIT != 0 => ControlKind::Exit2,
            f if f & NAME != 0 => ControlKind::RegSend,
            f if f & ALIAS != 0 => ControlKind::AliasSend,
            _ => ControlKind::Send,
        }
    }
}

impl fmt::Display for ControlKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControlKind::Other(number) => write!(f, "control message {number}"),
            named => f.write_str(named.word().unwrap_or("control message")),
        }
    }
}

/// A word that names no kind of control message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no kind of control message; they are {all} and, by its number, `control message N`", all = NAMES.map(|(name, _)| name).join(", "))]
pub struct UnknownKind(pub String);

impl FromStr for ControlKind {
    type Err = UnknownKind;

    /// ```
    /// use fuzz_dist_beam::follow::ControlKind;
    /// assert_eq!("monitor".parse(), Ok(ControlKind::Monitor));
    /// assert_eq!("control message 99".parse(), Ok(ControlKind::Other(99)));
    /// assert!("moniter".parse::<ControlKind>().unwrap_err().to_string().contains("monitor_exit"));
    /// ```
    fn from_str(text: &str) -> Result<ControlKind, UnknownKind> {
        let numbered = || {
            let number = text.strip_prefix("control message ")?.parse().ok()?;
            // Of that one, the flags say what it is: no message is described by its number.
            (number != ControlKind::PRIORITY_SEND).then(|| ControlKind::of(number).0)
        };
        let named = NAMES.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
        named.or_else(numbered).ok_or_else(|| UnknownKind(text.into()))
    }
}

/// Whom a control message is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// It names nobody.
    None,
    /// The process that is registered under this name.
    Name(Arc<str>),
    /// A registered process, under a name that the node had sent before the connection was
    /// followed: nodes send an atom's text once, and a number afterwards.
    Unknown,
    /// A process, by its pid.
    Process,
    /// A process, by an alias.
    Alias,
    /// A function that a process is to be started with, as `erpc:execute_call`.
    Function(Arc<str>),
}

impl Target {
    /// What is said of a name that is not known.
    pub(super) const UNKNOWN: &str = "a name sent before";

    pub(super) fn named(name: Option<Arc<str>>) -> Target {
        name.map_or(Target::Unknown, Target::Name)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::None => f.write_str("nobody"),
            Target::Name(name) | Target::Function(name) => f.write_str(name),
            Target::Unknown => f.write_str(Target::UNKNOWN),
            Target::Process => f.write_str("a process"),
            Target::Alias => f.write_str("an alias"),
        }
    }
}
