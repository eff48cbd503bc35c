//! One direction of a connection: how far it was followed, and what of it is held.

use super::held::Held;
use crate::link::Flow;
use fuzz_dist_env::wire::{Connection, Follow, Receiver, Seen, Unfollowed, What};

/// A connection's direction, and what of it is held.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) follower: Result<Box<dyn Follow>, Unfollowed>,
    ticks: u64,
    ticked_ns: Option<u64>,
    messages: u64,
    unknown_names: u64,
    pub(super) held: Held,
}

impl Followed {
    pub(super) fn new(follower: Box<dyn Follow>) -> Followed {
        Followed {
            follower: Ok(follower),
            ticks: 0,
            ticked_ns: None,
            messages: 0,
            unknown_names: 0,
            held: Held::default(),
        }
    }

    pub(super) fn count(&mut self, seen: &[Seen], at_ns: u64) {
        for one in seen {
            match &one.what {
                What::Tick => {
                    self.ticks += 1;
                    self.ticked_ns = Some(at_ns);
                }
                What::Message(message) => {
                    self.messages += 1;
                    let unknown = matches!(message.to, Receiver::UnknownName(_));
                    self.unknown_names += u64::from(unknown);
                }
                What::Other(_) => {}
            }
        }
    }

    /// Was anything seen that only nodes send, or is it certain that nothing can be?
    pub(super) fn connection(&self, flow: &Flow) -> Option<Connection> {
        let unfollowed = match &self.follower {
            Ok(_) if self.ticks + self.messages == 0 => return None,
            Ok(_) => None,
            Err(Unfollowed::Foreign) => return None,
            Err(Unfollowed::Unreadable(why)) => Some(why.clone()),
        };
        let (from, to) = flow.link;
        Some(Connection {
            from,
            to,
            ports: flow.ports,
            ticks: self.ticks,
            ticked_ns: self.ticked_ns,
            messages: self.messages,
            unknown_names: self.unknown_names,
            unfollowed,
        })
    }
}
