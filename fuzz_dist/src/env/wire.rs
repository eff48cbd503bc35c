//! Faults placed by what is seen on the wire: at a tick, at a message, in the middle of one.
//!
//! The switch follows the connections between Erlang nodes. A [`Trigger`] says what to wait for, an
//! [`Action`] what happens at that very byte: everything before it is delivered, and what follows is
//! cut off, held, or delayed. [`crate::node::Cluster::wire`] is the way in;
//! [`crate::nemesis::at`] makes a fault of a trigger and an action.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Error, HostId, LinkMatrix};
pub use crate::beam::follow::ControlKind;

/// What to wait for on the wire.
///
/// It fires once, for the first event that fits on any of its links, where events are counted for
/// each directed link by itself. A retransmission is no new event.
///
/// ```
/// use fuzz_dist::env::wire::{message_to, middle_of, tick};
///
/// assert_eq!(tick(3).from("n1").to("n2").to_string(), "tick 3, n1 to n2");
/// assert_eq!(middle_of(message_to("late").nth(2)).to_string(), "middle of message 2 to late");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    pub(crate) event: Event,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) nth: u64,
    pub(crate) middle: bool,
}

/// The event of a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Tick,
    Message,
    Control(ControlKind),
    MessageTo(String),
    Operation(String),
}

impl Trigger {
    fn new(event: Event) -> Trigger {
        Trigger { event, from: None, to: None, nth: 1, middle: false }
    }

    /// Only what this host sends; for [`before_op`], only operations on this host's node.
    #[must_use]
    pub fn from(mut self, host: impl Into<String>) -> Trigger {
        self.from = Some(host.into());
        self
    }

    /// Only what is sent to this host; for [`before_op`], the action hits the link to it only.
    #[must_use]
    pub fn to(mut self, host: impl Into<String>) -> Trigger {
        self.to = Some(host.into());
        self
    }

    /// The n-th such event on a link instead of the first; counted from 1 and from the moment at
    /// which the trigger was armed.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Trigger {
        self.nth = n.max(1);
        self
    }
}

impl Trigger {
    /// The hosts that it names.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        [&self.from, &self.to].into_iter().flatten().map(String::as_str)
    }

    /// How many ticks it waits for, if it waits for ticks.
    pub fn ticks(&self) -> Option<u64> {
        (self.event == Event::Tick).then_some(self.nth)
    }
}

/// The n-th sign of life that a node sends on a link, counted from 1.
///
/// A node ticks four times in `net_ticktime` (`net_tickintensity` says how often), and only on
/// connections on which it has sent nothing else since its last tick.
pub fn tick(n: u64) -> Trigger {
    Trigger::new(Event::Tick).nth(n)
}

/// A control message of this kind: a monitor, a link, an exit, ….
pub fn control(kind: ControlKind) -> Trigger {
    Trigger::new(Event::Control(kind))
}

/// A message to the process that is registered under this name, as casts and calls to
/// `{Name, Node}` are.
///
/// Nodes send a name's text only once on a connection. Where the connection was there before it was
/// followed, names sent earlier are not known, and their messages do not fit; see
/// [`Wire::follow`].
pub fn message_to(name: impl Into<String>) -> Trigger {
    Trigger::new(Event::MessageTo(name.into()))
}

/// Any control message; ticks are none.
pub fn message() -> Trigger {
    Trigger::new(Event::Message)
}

/// The same event, and the action acts in the middle of it: the receiver has half of a message.
#[must_use]
pub fn middle_of(mut trigger: Trigger) -> Trigger {
    trigger.middle = true;
    trigger
}

/// An operation of this name (`add`, `read`) of the test's workload or scenario is about to be sent
/// to a node. The action hits what that node sends from then on.
pub fn before_op(f: impl Into<String>) -> Trigger {
    Trigger::new(Event::Operation(f.into()))
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.middle {
            f.write_str("middle of ")?;
        }
        let nth = |f: &mut fmt::Formatter<'_>| match self.nth {
            1 => Ok(()),
            n => write!(f, " {n}"),
        };
        match &self.event {
            Event::Tick => write!(f, "tick {}", self.nth)?,
            Event::Message => {
                f.write_str("message")?;
                nth(f)?;
            }
            Event::Control(kind) => {
                write!(f, "{kind}")?;
                nth(f)?;
            }
            Event::MessageTo(name) => {
                f.write_str("message")?;
                nth(f)?;
                write!(f, " to {name}")?;
            }
            Event::Operation(op) => {
                f.write_str("operation")?;
                nth(f)?;
                write!(f, " {op}")?;
            }
        }
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, ", {from} to {to}"),
            (Some(from), None) => write!(f, ", from {from}"),
            (None, Some(to)) => write!(f, ", to {to}"),
            (None, None) => Ok(()),
        }
    }
}

/// What happens where a trigger fires, and until when.
///
/// ```
/// use fuzz_dist::env::wire::{cut, hold, message_to};
/// use fuzz_dist::time::secs;
///
/// assert_eq!(cut().lasting(secs(8)).to_string(), "cut for 8s");
/// assert_eq!(hold().until_after(message_to("b")).to_string(), "hold until after message to b");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    pub(crate) effect: Effect,
    pub(crate) ends: Ends,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Cut,
    CutOneWay,
    Hold,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    Released,
    After(Duration),
    Until(Trigger),
    UntilAfter(Trigger),
}

impl Action {
    fn new(effect: Effect) -> Action {
        Action { effect, ends: Ends::Released }
    }

    /// It ends by itself after so long.
    #[must_use]
    pub fn lasting(mut self, lasting: Duration) -> Action {
        self.ends = Ends::After(lasting);
        self
    }

    /// It ends when another trigger fires, before what fired it is delivered: held messages arrive
    /// first.
    #[must_use]
    pub fn until(mut self, trigger: Trigger) -> Action {
        self.ends = Ends::Until(trigger);
        self
    }

    /// It ends when another trigger fires, after what fired it was delivered: held messages arrive
    /// last.
    #[must_use]
    pub fn until_after(mut self, trigger: Trigger) -> Action {
        self.ends = Ends::UntilAfter(trigger);
        self
    }

    /// Its name: `cut`, `cut_one_way`, `hold`, `delay`.
    pub fn name(&self) -> &'static str {
        match (self.effect, &self.ends) {
            (Effect::Cut, _) => "cut",
            (Effect::CutOneWay, _) => "cut_one_way",
            (Effect::Hold, Ends::After(_)) => "delay",
            (Effect::Hold, _) => "hold",
        }
    }

    /// How long it lasts, where it ends by the clock.
    pub fn lasts(&self) -> Option<Duration> {
        match self.ends {
            Ends::After(lasting) => Some(lasting),
            _ => None,
        }
    }

    /// Whether it cuts links (or only holds what one connection carries).
    pub fn cuts(&self) -> bool {
        matches!(self.effect, Effect::Cut | Effect::CutOneWay)
    }
}

/// Cuts the link, both directions and everything on it.
pub fn cut() -> Action {
    Action::new(Effect::Cut)
}

/// Cuts the link in the direction of the message: the receiver goes on to be heard.
pub fn cut_one_way() -> Action {
    Action::new(Effect::CutOneWay)
}

/// Holds the message, and what follows it on the same connection in the same direction, since TCP
/// keeps the order of one connection. Messages on other connections overtake it. The other direction
/// goes on.
pub fn hold() -> Action {
    Action::new(Effect::Hold)
}

/// Holds the message, and what follows it, for so long.
pub fn delay(by: Duration) -> Action {
    hold().lasting(by)
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.effect {
            Effect::Cut => "cut",
            Effect::CutOneWay => "cut one way",
            Effect::Hold => "hold",
        })?;
        write!(f, "{}", self.ends)
    }
}

/// What stands behind the name of an action: ` for 8s`, or nothing.
impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ends::Released => Ok(()),
            Ends::After(lasting) => write!(f, " for {lasting:?}"),
            Ends::Until(trigger) => write!(f, " until {trigger}"),
            Ends::UntilAfter(trigger) => write!(f, " until after {trigger}"),
        }
    }
}

/// What a trigger fired at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// Who sent it.
    pub from: HostId,
    /// Whom it was sent to.
    pub to: HostId,
    /// What it was, for people: `tick`, `reg_send to late`.
    pub what: String,
    /// When it was seen.
    pub at: Instant,
}

/// How far a trigger and its action are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What fired it.
    pub fired: Option<Fired>,
    /// When its action ended.
    pub ended: Option<Instant>,
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
    /// The ports of both, which tell connections of the same hosts apart.
    pub ports: (u16, u16),
    /// Ticks that were seen.
    pub ticks: u64,
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

    /// The connections that were seen since following began.
    fn connections(&self) -> Vec<Connection>;
}

/// A trigger that was armed. Dropping it changes nothing.
#[derive(Clone, Debug)]
#[must_use = "the trigger stays armed until it is released"]
pub struct Armed {
    pub(crate) id: u64,
    trigger: Trigger,
    progress: watch::Receiver<Progress>,
    wire: Arc<dyn Wire>,
}

impl Armed {
    pub(crate) fn new(
        id: u64,
        trigger: Trigger,
        progress: watch::Receiver<Progress>,
        wire: Arc<dyn Wire>,
    ) -> Armed {
        Armed { id, trigger, progress, wire }
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
        match tokio::time::timeout(limit, fired).await {
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
        let ended = self.progress.wait_for(|progress| progress.ended.is_some());
        match tokio::time::timeout(limit, ended).await {
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
