//! The stream after the handshake: lengths, heads, and bytes that are only counted.

use super::head::{self, AtomCache, Head, Stop};
use super::kind::{ControlKind, Target};
use super::{FollowError, Seen, What};

/// The length before every message.
const LENGTH: usize = 4;

/// A head that is longer is given up: its message is of an unknown kind.
const HEAD_MAX: usize = 64 << 10;

/// What is kept at once of a message whose head is incomplete.
const STEP: usize = 256;

/// Nodes send long messages in fragments of 64 KB: what looks longer is no message's beginning.
const JOINED_MAX: usize = 1 << 20;

/// Numbers of control messages from here on have never been given.
const UNHEARD_OF: u8 = 64;

/// Finds messages in bytes that come in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Messages {
    cache: AtomCache,
    /// The bytes of a message whose head is incomplete, from its length on.
    partial: Vec<u8>,
    /// So many of them are needed before it is worth another look.
    needed: usize,
    /// Bytes of a message that are of no interest.
    passing: usize,
}

/// What a look at the first bytes of a message gave.
enum Look {
    Needs(usize),
    Found { length: usize, what: What },
}

impl Messages {
    pub(super) fn take(
        &mut self,
        mut at: i64,
        mut bytes: &[u8],
        report: &mut impl FnMut(Seen),
    ) -> Result<(), FollowError> {
        while !bytes.is_empty() {
            if self.passing > 0 {
                let passed = self.passing.min(bytes.len());
                self.passing -= passed;
                (at, bytes) = (at + passed as i64, &bytes[passed..]);
                continue;
            }
            // Mostly a head lies within one segment, and nothing has to be kept.
            let before = self.partial.len();
            let look = if before == 0 {
                look(bytes, &mut self.cache)?
            } else {
                let kept = self.needed.max(before + STEP) - before;
                self.partial.extend_from_slice(&bytes[..kept.min(bytes.len())]);
                if self.partial.len() < self.needed {
                    return Ok(());
                }
                look(&self.partial, &mut self.cache)?
            };
            match look {
                Look::Needs(needed) => {
                    self.needed = needed;
                    let taken = if before == 0 {
                        let taken = bytes.len().min(needed.max(STEP));
                        self.partial.extend_from_slice(&bytes[..taken]);
                        taken
                    } else {
                        self.partial.len() - before
                    };
                    (at, bytes) = (at + taken as i64, &bytes[taken..]);
                }
                Look::Found { length, what } => {
                    let begin = at - before as i64;
                    let end = begin + (LENGTH + length) as i64;
                    report(Seen { at: begin, end, what });
                    // What was kept beyond the message's end is looked at again.
                    let taken = (LENGTH + length - before).min(bytes.len());
                    self.passing = LENGTH + length - before - taken;
                    self.partial.clear();
                    (at, bytes) = (at + taken as i64, &bytes[taken..]);
                }
            }
        }
        Ok(())
    }
}

/// Looks at a message from its length on.
fn look(bytes: &[u8], cache: &mut AtomCache) -> Result<Look, FollowError> {
    let Some((length, body)) = bytes.split_first_chunk::<LENGTH>() else {
        return Ok(Look::Needs(LENGTH));
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length == 0 {
        return Ok(Look::Found { length, what: What::Tick });
    }
    let body = &body[..body.len().min(length)];
    let what = match head::read(body, cache) {
        Ok(Head::Message(kind, target)) => What::Message { kind, target },
        Ok(Head::Further) => What::Further,
        Err(Stop::Wrong(why)) => return Err(FollowError::Garbled(why)),
        Err(Stop::More(needed)) if needed > length => {
            return Err(FollowError::Garbled("a message that is shorter than its head"));
        }
        Err(Stop::More(needed)) if needed > HEAD_MAX => {
            cache.forget();
            What::Message { kind: ControlKind::Other(0), target: Target::Unknown }
        }
        Err(Stop::More(needed)) => return Ok(Look::Needs(LENGTH + needed)),
    };
    Ok(Look::Found { length, what })
}

/// Does a segment begin with a message? All that is in it has to fit together.
pub(super) fn begin_with_one(bytes: &[u8]) -> bool {
    if bytes == [0; LENGTH] {
        return true;
    }
    let (mut rest, mut messages) = (bytes, 0);
    let mut cache = AtomCache::default();
    while !rest.is_empty() {
        match look(rest, &mut cache) {
            Ok(Look::Found {
                what: What::Message { kind: ControlKind::Other(UNHEARD_OF..), .. },
                ..
            })
            | Err(_) => return false,
            Ok(Look::Found { length, .. }) if length > JOINED_MAX => return false,
            Ok(Look::Found { length, what }) => {
                messages += u32::from(what != What::Tick);
                rest = rest.get(LENGTH + length..).unwrap_or_default();
            }
            // Too short to decide; a message of a sensible type it has to be, at least.
            Ok(Look::Needs(needed)) => {
                let long = rest
                    .first_chunk()
                    .is_some_and(|l| u32::from_be_bytes(*l) as usize > JOINED_MAX);
                return !long && (messages > 0 || needed > LENGTH + 2);
            }
        }
    }
    messages > 0
}
