//! What happens where a trigger fires.

use std::fmt;
use std::time::Duration;

use super::Trigger;

/// What happens where a trigger fires, and until when.
///
/// ```
/// use fuzz_dist_env::wire::{cut, hold, message_to};
/// use std::time::Duration;
///
/// assert_eq!(cut().lasting(Duration::from_secs(8)).to_string(), "cut for 8s");
/// assert_eq!(hold().until_after(message_to("b")).to_string(), "hold until after message to b");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    #[doc(hidden)]
    pub effect: Effect,
    #[doc(hidden)]
    pub ends: Ends,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Effect {
    Cut,
    CutOneWay,
    Hold,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Ends {
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
