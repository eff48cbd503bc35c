//! Follows a connection between two Erlang nodes from outside: whoever sees the segments of one of
//! its directions learns where every message begins, what it is about, and whom it is for.
//!
//! The bytes are those of a TCP stream as a switch sees them: again, overlapping, out of order,
//! from the connection's beginning or from somewhere within it. Nothing here does I/O, and nothing
//! keeps more of a message than its head.
//!
//! Handshakes and messages are those of OTP 23 and later: versions 5 and 6 of the handshake,
//! messages with an atom table, fragments, and messages without either; the control messages are
//! those of OTP 25 to 29 (erts/doc: "Distribution Protocol"). Connections over TLS cannot be
//! followed.

mod handshake;
mod head;
mod kind;
mod messages;
mod segments;
#[cfg(test)]
mod tests;
#[cfg(feature = "wire")]
mod wire;

pub use kind::{ControlKind, Target, UnknownKind};
#[cfg(feature = "wire")]
pub use wire::Distribution;

use handshake::Handshake;
use messages::Messages;
use segments::Segments;

/// Something that one side of a connection sends, and where it lies in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// The place of its first byte. Places are counted from the first byte that was followed.
    pub at: i64,
    /// The place after its last byte.
    pub end: i64,
    /// What it is.
    pub what: What,
}

/// What one side of a connection sends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A message of the handshake, by its letter.
    Handshake(char),
    /// A sign of life.
    Tick,
    /// A message between processes, or the first part of a long one.
    Message {
        /// What it is about.
        kind: ControlKind,
        /// Whom it is for.
        target: Target,
    },
    /// A further part of a long message.
    Further,
}

/// Why a connection cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// It is encrypted.
    #[error(
        "it is encrypted (TLS): what it carries cannot be seen; use distribution over plain TCP, or faults of \
         the whole link"
    )]
    Tls,
    /// It does not begin as a connection between nodes does.
    #[error("it does not begin with the handshake of distributed Erlang")]
    Foreign,
    /// It began well, and then there came something that is no message.
    #[error("its messages could not be followed any further: {0}")]
    Garbled(&'static str),
}

/// Where a segment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fed {
    /// The place of its first byte; `None` while no place is known.
    pub at: Option<i64>,
    /// Bytes before it have not been seen yet, so that it was put aside.
    pub ahead: bool,
}

/// Follows one direction of a connection.
///
/// ```
/// use fuzz_dist_beam::follow::{Follower, What};
///
/// // A connection that is there already, seen from a tick on.
/// let mut follower = Follower::joined();
/// let mut seen = Vec::new();
/// follower.feed(1000, &[0, 0, 0, 0], |found| seen.push(found.what))?;
/// assert_eq!(seen, [What::Tick]);
/// # Ok::<(), fuzz_dist_beam::follow::FollowError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Follower {
    state: State,
    messages: Messages,
}

#[derive(Clone, Debug)]
enum State {
    /// Somewhere within a connection; the count is of segments that look like TLS.
    Joining(u32),
    Handshake(Segments, Handshake),
    /// Whether it was joined within: then a false start is no error.
    Messages(Segments, bool),
    Failed(FollowError),
}

/// What looks like records of TLS so often is TLS.
const TLS_SEGMENTS: u32 = 2;

impl Follower {
    /// Follows a connection from its beginning; `sequence` is the number of its first byte (the one
    /// after the SYN's).
    pub fn from_start(sequence: u32) -> Follower {
        let state = State::Handshake(Segments::new(sequence), Handshake::default());
        Follower { state, messages: Messages::default() }
    }

    /// Follows a connection from somewhere within it: from the first segment on that begins with a
    /// message. Names that the node sent before stay unknown ([`Target::Unknown`]).
    pub fn joined() -> Follower {
        Follower { state: State::Joining(0), messages: Messages::default() }
    }

    /// The place after the last byte that was seen in order; `None` while no place is known.
    pub fn next(&self) -> Option<i64> {
        match &self.state {
            State::Handshake(segments, _) | State::Messages(segments, _) => Some(segments.next()),
            State::Joining(_) | State::Failed(_) => None,
        }
    }

    /// The place of a segment; `None` while no place is known.
    pub fn place(&self, sequence: u32) -> Option<i64> {
        match &self.state {
            State::Handshake(segments, _) | State::Messages(segments, _) => {
                Some(segments.place(sequence))
            }
            State::Joining(_) | State::Failed(_) => None,
        }
    }

    /// Takes a segment, and reports everything whose head is complete with it, in the stream's
    /// order.
    ///
    /// # Errors
    ///
    /// When the connection cannot be followed: now, and from now on.
    pub fn feed(
        &mut self,
        sequence: u32,
        bytes: &[u8],
        mut report: impl FnMut(Seen),
    ) -> Result<Fed, FollowError> {
        if let State::Joining(tls) = &mut self.state {
            if messages::begin_with_one(bytes) {
                self.state = State::Messages(Segments::new(sequence), true);
            } else {
                *tls += u32::from(handshake::is_tls_record(bytes));
                if *tls >= TLS_SEGMENTS {
                    self.state = State::Failed(FollowError::Tls);
                }
            }
        }
        let at = self.place(sequence);
        let ahead = at > self.next();
        let fed = match &mut self.state {
            State::Joining(_) => return Ok(Fed { at, ahead }),
            State::Failed(error) => return Err(error.clone()),
            State::Handshake(segments, handshake) => {
                let mut error = None;
                let messages = &mut self.messages;
                let pushed = segments.push(sequence, bytes, |at, bytes| {
                    if error.is_some() {
                        return;
                    }
                    let rest = handshake.take(at, bytes, &mut report);
                    let taken = rest.and_then(|(at, rest)| messages.take(at, rest, &mut report));
                    error = taken.err();
                });
                pushed.is_ok().then_some(error)
            }
            State::Messages(segments, _) => {
                let mut error = None;
                let messages = &mut self.messages;
                let pushed = segments.push(sequence, bytes, |at, bytes| {
                    if error.is_none() {
                        error = messages.take(at, bytes, &mut report).err();
                    }
                });
                pushed.is_ok().then_some(error)
            }
        };
        match (fed, &mut self.state) {
            (Some(None), state) => {
                if let State::Handshake(segments, handshake) = state
                    && handshake.is_over()
                {
                    *state = State::Messages(segments.clone(), false);
                }
                Ok(Fed { at, ahead })
            }
            // Too much is missing, or what was taken for a message was none: it begins anew.
            (None, state)
            | (Some(Some(FollowError::Garbled(_))), state @ State::Messages(_, true)) => {
                *state = State::Joining(0);
                self.messages = Messages::default();
                Ok(Fed { at: None, ahead: false })
            }
            (Some(Some(error)), state) => {
                *state = State::Failed(error.clone());
                Err(error)
            }
        }
    }
}
