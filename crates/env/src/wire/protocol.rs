//! How messages are found in the bytes of a connection: the part that a runtime brings.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A protocol whose connections can be followed from outside.
pub trait Protocol: fmt::Debug + Send + Sync {
    /// Follows one direction of a connection from its beginning; `sequence` is the number of its first
    /// byte (the one after the SYN's).
    fn started(&self, sequence: u32) -> Box<dyn Follow>;

    /// Follows one direction of a connection from somewhere within it.
    fn joined(&self) -> Box<dyn Follow>;

    /// The name of a receiver as messages carry it, for the name that a test writes.
    fn name(&self, written: &str) -> String {
        written.into()
    }

    /// The word for a kind of message as [`Message::kind`](super::Message::kind) has it, for the one that a
    /// test writes.
    ///
    /// # Errors
    ///
    /// When messages are of no such kind: the text names the kinds that there are.
    fn kind(&self, written: &str) -> Result<String, String> {
        Ok(written.into())
    }
}

/// Follows one direction of a connection. It does no I/O, and sees segments as a switch does: again,
/// overlapping, out of order.
pub trait Follow: fmt::Debug + Send {
    /// The place after the last byte that was seen in order; `None` while no place is known. Places are
    /// counted from the first byte that was followed.
    fn next(&self) -> Option<i64>;

    /// The place of a segment; `None` while no place is known.
    fn place(&self, sequence: u32) -> Option<i64>;

    /// Takes a segment, reports everything whose head is complete with it, in the stream's order, and
    /// gives the segment's place.
    ///
    /// # Errors
    ///
    /// When the connection cannot be followed: now, and from now on.
    fn feed(
        &mut self,
        sequence: u32,
        bytes: &[u8],
        report: &mut dyn FnMut(Seen),
    ) -> Result<Option<i64>, Unfollowed>;
}

/// Why a connection cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfollowed {
    /// It is a connection of another protocol.
    Foreign,
    /// It is one of this protocol, and cannot be read: the text says why.
    Unreadable(String),
}

/// Something that one side of a connection sends, and where it lies in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The place of its first byte.
    pub at: i64,
    /// The place after its last byte.
    pub end: i64,
    /// What it is.
    pub what: What,
}

/// What one side of a connection sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A sign of life without content.
    Tick,
    /// A message, or the first part of a long one.
    Message(Message),
    /// Something else, in words for people.
    Other(Cow<'static, str>),
}

/// A message as far as it is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its kind, in the protocol's word.
    pub kind: Cow<'static, str>,
    /// Whom it is for.
    pub to: Receiver,
    /// Whether the receiver is given it, and not only a part of the runtime that does something for or
    /// to the receiver.
    pub delivered: bool,
}

/// Whom a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A receiver of this name.
    Name(Arc<str>),
    /// A receiver whose name was sent before the connection was followed; in words for people.
    UnknownName(&'static str),
    /// Anybody else, in words for people.
    Other(&'static str),
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Receiver::Name(name) => name,
            Receiver::UnknownName(words) | Receiver::Other(words) => words,
        })
    }
}

/// For people.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Tick => f.write_str("tick"),
            What::Message(message) => write!(f, "{} to {}", message.kind, message.to),
            What::Other(words) => f.write_str(words),
        }
    }
}
