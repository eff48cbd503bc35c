//! The handshake as one side sends it: which letters may come, and when it is over.

use super::{FollowError, Seen, What};

/// The longest message of a handshake: a name of 255 bytes, and numbers.
const LENGTH_MAX: usize = 512;

/// What one side says until it has proved that it knows the cookie.
#[derive(Clone, Debug, Default)]
pub(super) struct Handshake {
    begun: bool,
    over: bool,
    /// An incomplete message.
    partial: Vec<u8>,
}

impl Handshake {
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Takes bytes; gives what belongs to the messages that follow, and its place.
    pub(super) fn take<'a>(
        &mut self,
        mut at: i64,
        mut bytes: &'a [u8],
        report: &mut impl FnMut(Seen),
    ) -> Result<(i64, &'a [u8]), FollowError> {
        while let (false, Some((first, rest))) = (self.over, bytes.split_first()) {
            self.partial.push(*first);
            (at, bytes) = (at + 1, rest);
            let Some((length, message)) = self.partial.split_first_chunk::<2>() else { continue };
            let length = usize::from(u16::from_be_bytes(*length));
            if !self.begun && self.partial.starts_with(&[0x16, 3]) {
                return Err(FollowError::Tls);
            }
            if length > LENGTH_MAX || !may_begin(self.begun, message) {
                return Err(FollowError::Foreign);
            }
            if message.len() < length {
                continue;
            }
            if !is_whole(message) {
                return Err(FollowError::Foreign);
            }
            let tag = message[0];
            let begin = at - self.partial.len() as i64;
            report(Seen { at: begin, end: at, what: What::Handshake(char::from(tag)) });
            // The proof of the side that connects, and the answer to it.
            (self.begun, self.over) = (true, matches!(tag, b'r' | b'a'));
            self.partial.clear();
        }
        Ok((at, bytes))
    }
}

/// Can a message begin so? The first one is a name, or the answer to one.
fn may_begin(begun: bool, message: &[u8]) -> bool {
    match message.first() {
        None | Some(b'N' | b'n' | b's') => true,
        Some(b'c' | b'r' | b'a') => begun,
        Some(_) => false,
    }
}

/// Port mappers, whose messages have lengths of two bytes as well, are distinguished by these.
fn is_whole(message: &[u8]) -> bool {
    const STATUS: [&[u8]; 8] =
        [b"ok", b"ok_simultaneous", b"nok", b"not_allowed", b"alive", b"true", b"false", b"named:"];
    match message {
        [b'N', rest @ ..] => rest.len() > 14,
        [b'n', rest @ ..] => rest.len() > 6,
        [b's', rest @ ..] => {
            STATUS.iter().any(|s| rest == *s || s.ends_with(b":") && rest.starts_with(s))
        }
        [b'c', rest @ ..] => rest.len() == 8,
        [b'r', rest @ ..] => rest.len() == 20,
        [b'a', rest @ ..] => rest.len() == 16,
        _ => false,
    }
}

/// Does a segment begin with a record of TLS 1.0 to 1.3?
pub(super) fn is_tls_record(bytes: &[u8]) -> bool {
    matches!(bytes, [20..=23, 3, 0..=4, high, ..] if *high <= 0x48)
}
