//! Faults placed by what is seen on the wire: at a tick, at a message, in the middle of one.
//!
//! The environment follows the connections between nodes, by the [`Protocol`] that it was given. A [`Trigger`] says what to wait for, an
//! [`Action`] what happens at that very byte: everything before it is delivered, and what follows is
//! cut off, held, or delayed. `Cluster::wire` of `fuzz_dist` is the way in;
//! `nemesis::at` makes a fault of a trigger and an action.

mod action;
mod protocol;
mod trigger;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Error, HostId, LinkMatrix};
pub use action::{Action, cut, cut_one_way, delay, hold};
#[doc(hidden)]
pub use action::{Effect, Ends};
use fuzz_dist_clock::Clock;
pub use protocol::{Follow, Message, Protocol, Receiver, Seen, Unfollowed, What};
#[doc(hidden)]
pub use trigger::Event;
pub use trigger::{Trigger, before_op, control, message, message_to, middle_of, tick};

/// What a trigger fired at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// Who sent it.
    pub from: HostId,
    /// Whom it was sent to.
    pub to: HostId,
    /// What it was, for people: `tick`, `reg_send to late`.
    pub what: String,
    /// When it was seen: what `CLOCK_MONOTONIC` read, in nanoseconds.
    pub at_ns: u64,
}

/// How far a trigger and its action are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What fired it.
    pub fired: Option<Fired>,
    /// When its action ended: what `CLOCK_MONOTONIC` read, in nanoseconds.
    pub ended_ns: Option<u64>,
    /// Segments that it has kept and not delivered yet.
    pub held: usize,
}

/// A connection between two hosts in one direction, as far as it was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who sends.
    pub from: HostId,
    /// Who receives.
    pub to: HostId,
    /// The ports of both, which distinguish connections of the same hosts.
    pub ports: (u16, u16),
    /// Ticks that were seen.
    pub ticks: u64,
    /// When the last of them was: what `CLOCK_MONOTONIC` read, in nanoseconds.
    pub ticked_ns: Option<u64>,
    /// Control messages that were seen.
    pub messages: u64,
    /// Messages to names that the node had sent before anybody looked.
    pub unknown_names: u64,
    /// Why it cannot be followed.
    pub unfollowed: Option<String>,
}

/// An environment that sees what its links carry.
///
/// Everything here is done when the call returns.
pub trait Wire: fmt::Debug + Send + Sync {
    /// Follows all connections from now on. Those that are there already are joined within: names
    /// that nodes have sent on them before stay unknown. [`Wire::arm`] does it, too.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if the switch does not take it up.
    fn follow(&self) -> Result<(), Error>;

    /// Waits for a trigger, to act at it.
    ///
    /// # Errors
    /// As [`Wire::follow`]; [`Error::UnknownHost`] for hosts that are not there, and
    /// [`Error::Unsupported`] if all connections on the trigger's links are encrypted.
    fn arm(&self, trigger: &Trigger, action: &Action) -> Result<Armed, Error>;

    /// Ends an action, or takes a trigger back that has not fired. Held messages are delivered.
    fn release(&self, armed: &Armed);

    /// The same for all.
    fn release_all(&self);

    /// Says that an operation is about to be sent to a host's node: [`before_op`] fires at it.
    fn before_operation(&self, host: HostId, f: &str);

    /// The links that actions cut now.
    fn cuts(&self) -> LinkMatrix;

    /// How often what [`Wire::cuts`] gives has changed.
    fn changes(&self) -> u64;

    /// The connections that were seen since following began.
    fn connections(&self) -> Vec<Connection>;
}

/// A trigger that was armed. Dropping it changes nothing.
#[derive(Clone, Debug)]
#[must_use = "the trigger stays armed until it is released"]
pub struct Armed {
    #[doc(hidden)]
    pub id: u64,
    trigger: Trigger,
    progress: watch::Receiver<Progress>,
    wire: Arc<dyn Wire>,
    clock: Clock,
}

impl Armed {
    #[doc(hidden)]
    pub fn new(
        id: u64,
        trigger: Trigger,
        progress: watch::Receiver<Progress>,
        wire: Arc<dyn Wire>,
        clock: Clock,
    ) -> Armed {
        Armed { id, trigger, progress, wire, clock }
    }

    /// How far it is now.
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Waits until the trigger fires: then the action acts already.
    ///
    /// # Errors
    /// [`Error::NotSeen`] after `limit`, with what was seen instead.
    pub async fn fired(&mut self, limit: Duration) -> Result<Fired, Error> {
        let fired = self.progress.wait_for(|progress| progress.fired.is_some());
        match self.clock.timeout(limit, fired).await {
            Ok(Ok(progress)) => Ok(progress.fired.clone().expect("this was waited for")),
            _ => Err(Error::NotSeen {
                what: self.trigger.to_string(),
                limit,
                instead: instead(&self.wire.connections()),
            }),
        }
    }

    /// Waits until the action has ended by itself, and everything that it held was delivered.
    ///
    /// # Errors
    /// [`Error::TimedOut`] after `limit`.
    pub async fn ended(&mut self, limit: Duration) -> Result<(), Error> {
        let ended = self.progress.wait_for(|progress| progress.ended_ns.is_some());
        match self.clock.timeout(limit, ended).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Error::TimedOut {
                what: format!("the end of what {} began", self.trigger),
                limit,
            }),
        }
    }

    /// Ends the action; takes the trigger back where it has not fired.
    pub fn release(&self) {
        self.wire.release(self);
    }
}

/// What was seen on the wire, in a sentence, when the thing waited for was not.
fn instead(connections: &[Connection]) -> String {
    let sum = |of: fn(&Connection) -> u64| connections.iter().map(of).sum::<u64>();
    let (ticks, messages) = (sum(|c| c.ticks), sum(|c| c.messages));
    let unknown = sum(|c| c.unknown_names);
    let mut text = match connections.iter().filter(|c| c.unfollowed.is_none()).count() {
        0 => "no connection between nodes was seen".to_string(),
        n => format!("{n} directions of connections carried {ticks} ticks and {messages} messages"),
    };
    if unknown > 0 {
        text += &format!(
            ", {unknown} of them to names that were sent before the connections were followed (say \
             `wire = true` to follow them from their beginning)"
        );
    }
    let why = |c: &Connection| {
        let why = c.unfollowed.as_ref()?;
        Some(format!(
            "; the connection from {:?} to {:?} could not be followed: {why}",
            c.from, c.to
        ))
    };
    if let Some(why) = connections.iter().find_map(why) {
        text += &why;
    }
    text
}
