//! Where a session stands in the causal order.

use std::fmt;
use std::sync::Arc;

/// A point in the causal order: everything that a transaction saw and wrote.
///
/// Opaque: a clock over all data centres, in the server's own encoding. A transaction started
/// with it, at any data centre, waits (without limit) until it can see all of that.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(Arc<[u8]>);

impl Token {
    /// The token that `bytes` once were.
    pub fn from_bytes(bytes: &[u8]) -> Token {
        Token(bytes.into())
    }

    /// The token as bytes, to hand it to somebody else.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} bytes)", self.0.len())
    }
}
