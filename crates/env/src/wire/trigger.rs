//! What to wait for on the wire.

use std::fmt;

/// What to wait for on the wire.
///
/// It fires once, for the first event that fits on any of its links, where events are counted for
/// each directed link by itself. A retransmission is no new event.
///
/// ```
/// use fuzz_dist_env::wire::{message_to, middle_of, tick};
///
/// assert_eq!(tick(3).from("n1").to("n2").to_string(), "tick 3, n1 to n2");
/// assert_eq!(middle_of(message_to("late").nth(2)).to_string(), "middle of message 2 to late");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Trigger {
    #[doc(hidden)]
    pub event: Event,
    #[doc(hidden)]
    pub from: Option<String>,
    #[doc(hidden)]
    pub to: Option<String>,
    #[doc(hidden)]
    pub nth: u64,
    #[doc(hidden)]
    pub middle: bool,
}

/// The event of a trigger.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[doc(hidden)]
pub enum Event {
    Tick,
    Message,
    Control(String),
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

/// A message of this kind, in the word of the protocol: of Erlang nodes `monitor`, `link`, `exit`, …, or
/// a `ControlKind`. A word that is none is an error when the trigger is armed.
pub fn control(kind: impl fmt::Display) -> Trigger {
    Trigger::new(Event::Control(kind.to_string()))
}

/// A message to the process that is registered under this name, as casts and calls to
/// `{Name, Node}` are. Elixir's names are as in its code, `"Shop.Cart"`.
///
/// Nodes send a name's text only once on a connection. Where the connection was there before it was
/// followed, names sent earlier are not known, and their messages do not fit; see
/// [`Wire::follow`](super::Wire::follow).
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
