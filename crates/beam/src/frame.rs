//! The stream between two connected nodes cut into messages; no I/O, so that whoever has the bytes can use it.

use super::control::{Control, PASS_THROUGH};
use super::decode::{DecodeError, Decoder};
use super::term::Term;

/// What a node sends when it has had nothing to say for a while.
pub const TICK: [u8; 4] = [0; 4];

/// One message of an established connection.
#[expect(
    clippy::large_enum_variant,
    reason = "messages are taken apart at once, and most are signals"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// A sign of life.
    Tick,
    /// A signal, with what it carries.
    Signal(Control, Option<Term>),
}

/// Why the stream cannot be followed any further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than we are ready to keep in memory.
    #[error("a message of {length} bytes; the limit is {limit}")]
    TooLong {
        /// The length that was announced.
        length: usize,
        /// The limit that was set.
        limit: usize,
    },
    /// A message type that we have not offered to understand.
    #[error("a message of the type {0}, which was not agreed on")]
    UnknownType(u8),
    /// The message's terms are not well-formed.
    #[error("a message that cannot be decoded: {0}")]
    Undecodable(#[from] DecodeError),
}

/// A message's body, and the bytes after it.
pub type BodyAndRest<'a> = (&'a [u8], &'a [u8]);

/// The first message's body and the bytes after it, once all of it is there; `None` before that.
pub fn split(bytes: &[u8], limit: usize) -> Result<Option<BodyAndRest<'_>>, FrameError> {
    let Some((header, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*header) as usize;
    if length > limit {
        return Err(FrameError::TooLong { length, limit });
    }
    Ok(rest.split_at_checked(length))
}

/// Understands a message's body (what stands after its length).
pub fn parse(body: &[u8]) -> Result<Message, FrameError> {
    match body.split_first() {
        None => Ok(Message::Tick),
        Some((&PASS_THROUGH, rest)) => {
            let mut decoder = Decoder::new(rest);
            let control = Control::from_term(decoder.versioned()?)?;
            let payload = if decoder.rest().is_empty() { None } else { Some(decoder.versioned()?) };
            Ok(Message::Signal(control, payload))
        }
        Some((&other, _)) => Err(FrameError::UnknownType(other)),
    }
}
