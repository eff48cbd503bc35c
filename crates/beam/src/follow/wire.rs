//! Distributed Erlang as a protocol that environments can follow.

use std::borrow::Cow;

use fuzz_dist_env::wire::{self, Follow, Message, Protocol, Receiver, Unfollowed};

use super::{ControlKind, FollowError, Follower, Seen, Target, UnknownKind, What};
use crate::Atom;

/// The protocol between Erlang nodes, for the wire of an environment.
///
/// Kinds of messages are the words of [`ControlKind`]; names of receivers may be written as in Elixir's
/// code (`Shop.Cart`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Distribution;

impl Protocol for Distribution {
    fn started(&self, sequence: u32) -> Box<dyn Follow> {
        Box::new(Follower::from_start(sequence))
    }

    fn joined(&self) -> Box<dyn Follow> {
        Box::new(Follower::joined())
    }

    fn name(&self, written: &str) -> String {
        Atom::of_name(written).as_str().into()
    }

    fn kind(&self, written: &str) -> Result<String, String> {
        let kind: ControlKind =
            written.parse().map_err(|unknown: UnknownKind| unknown.to_string())?;
        Ok(kind.to_string())
    }
}

impl Follow for Follower {
    fn next(&self) -> Option<i64> {
        Follower::next(self)
    }

    fn place(&self, sequence: u32) -> Option<i64> {
        Follower::place(self, sequence)
    }

    fn feed(
        &mut self,
        sequence: u32,
        bytes: &[u8],
        report: &mut dyn FnMut(wire::Seen),
    ) -> Result<Option<i64>, Unfollowed> {
        let fed = Follower::feed(self, sequence, bytes, |seen| report(described(seen)));
        fed.map(|fed| fed.at).map_err(|error| match error {
            FollowError::Foreign => Unfollowed::Foreign,
            other => Unfollowed::Unreadable(other.to_string()),
        })
    }
}

fn described(seen: Seen) -> wire::Seen {
    let what = match seen.what {
        What::Tick => wire::What::Tick,
        What::Handshake(letter) => wire::What::Other(format!("handshake {letter}").into()),
        What::Further => wire::What::Other("part of a message".into()),
        What::Message { kind, target } => wire::What::Message(Message {
            kind: kind.word().map_or_else(|| Cow::Owned(kind.to_string()), Cow::Borrowed),
            delivered: kind == ControlKind::RegSend,
            to: match target {
                Target::Name(name) | Target::Function(name) => Receiver::Name(name),
                Target::Unknown => Receiver::UnknownName(Target::UNKNOWN),
                Target::None => Receiver::Other("nobody"),
                Target::Process => Receiver::Other("a process"),
                Target::Alias => Receiver::Other("an alias"),
            },
        }),
    };
    wire::Seen { at: seen.at, end: seen.end, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is seen is described in the words that it has itself.
    #[test]
    fn descriptions_are_those_of_the_protocol() {
        let targets = [
            Target::None,
            Target::Name("cart".into()),
            Target::Unknown,
            Target::Process,
            Target::Alias,
            Target::Function("m:f".into()),
        ];
        for kind in [ControlKind::RegSend, ControlKind::Exit2, ControlKind::Other(99)] {
            for target in targets.clone() {
                let expected = format!("{kind} to {target}");
                let what = What::Message { kind, target };
                let seen = described(Seen { at: 1, end: 2, what });
                assert_eq!(seen.what.to_string(), expected);
            }
        }
        assert_eq!(Distribution.name("Shop.Cart"), "Elixir.Shop.Cart");
        assert_eq!(Distribution.name("cart"), "cart");
    }

    /// Every kind is found by the word that messages are described with.
    #[test]
    fn kinds_are_checked() {
        for kind in [ControlKind::Monitor, ControlKind::RegSend, ControlKind::Other(99)] {
            assert_eq!(Distribution.kind(&kind.to_string()), Ok(kind.to_string()));
        }
        // A number that has a name is the same kind.
        assert_eq!(Distribution.kind("control message 19"), Ok("monitor".into()));
        for written in
            ["monitr_exit", "control message", "control message 37", "control message 256", ""]
        {
            let error = Distribution.kind(written).unwrap_err();
            assert!(error.contains("monitor_exit"), "{error}");
            assert!(error.contains("control message N"), "{error}");
        }
    }
}
