//! The distribution handshake, version 6 (OTP 23 and later): its messages, without I/O.

use md5::{Digest, Md5};

/// What a node can do: the capability flags of the handshake.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flags(pub u64);

impl Flags {
    /// What we offer. Not among them: PUBLISHED, so that the node stays hidden; atom tables and
    /// fragments, so that messages come whole and need no state to be read.
    pub const OURS: Flags = Flags(
        0x4 // references of several words
            | 0x8 // monitors
            | 0x10 // funs
            | 0x20 // monitors by name
            | 0x80 // funs, new form
            | 0x100 // pids and ports, new form
            | 0x200 // external funs
            | 0x400 // bit strings
            | 0x800 // floats, new form
            | 0x1_0000 // atoms in UTF-8
            | 0x2_0000 // maps
            | 0x4_0000 // creations of 32 bits
            | 0x40_0000 // reasons of exits as payload
            | 0x100_0000 // this handshake
            | 0x200_0000 // unlinks with a number
            | 1 << 32 // spawn requests
            | 1 << 34 // pids, ports and references of version 4
            | 1 << 35 // aliases
            | 1 << 36, // what was mandatory in OTP 25 comes without being named
    );

    /// Without these a node cannot be talked to.
    const NEEDED: u64 = 0x2_0000 | 0x4_0000 | 0x100_0000 | 1 << 32;

    /// Does it lack something that we cannot do without?
    pub fn suffices(self) -> bool {
        self.0 & Self::NEEDED == Self::NEEDED
    }
}

impl std::fmt::Debug for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Flags({:#x})", self.0)
    }
}

/// Why two nodes did not come to terms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The node answered, and wants no connection.
    #[error(
        "the node refuses the connection ({0}); its log names the reason (`not_allowed`: a capability that it \
         demands, or net_kernel:allow/1)"
    )]
    Refused(String),
    /// The node speaks the protocol of before OTP 23.
    #[error("the node is too old: OTP 23 or later is needed (its capabilities: {0:?})")]
    TooOld(Flags),
    /// The cookies differ: the node closed the connection when it saw ours, or its own proof is wrong.
    #[error("the node's cookie is not the one that was given")]
    WrongCookie,
    /// Another node answered than the one asked for.
    #[error("the node that answered is {found}, not {expected}")]
    OtherNode {
        /// The name asked for.
        expected: String,
        /// The name that answered.
        found: String,
    },
    /// What answered is TLS.
    #[error(
        "unsupported: the node's distribution is carried over TLS (`-proto_dist inet_tls`), which is not \
         spoken here; it is not observed, nothing can be called in it, and faults inside of it cannot act, \
         while partitions, kills, pauses and clients of the application's own ports work"
    )]
    Tls,
    /// The bytes are not those of a handshake.
    #[error("not the handshake of an Erlang node: {0}")]
    Malformed(&'static str),
}

/// The node's answer to our name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Go on.
    Ok,
    /// It believes that a connection to a node of this name is still there: ask it to go on.
    Alive,
}

/// The node's name and challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// What the node can do.
    pub flags: Flags,
    /// The number that the cookie has to be mixed with.
    pub challenge: u32,
    /// Distinguishes the node's incarnations.
    pub creation: u32,
    /// The node's name.
    pub name: String,
}

/// The first message: who we are.
pub fn name_message(name: &str, creation: u32) -> Vec<u8> {
    let mut message = vec![b'N'];
    message.extend(Flags::OURS.0.to_be_bytes());
    message.extend(creation.to_be_bytes());
    message.extend((name.len() as u16).to_be_bytes());
    message.extend(name.as_bytes());
    message
}

/// Is what came where the length of the first answer should be the beginning of an alert of TLS? As a
/// length it would be 5379, longer than any answer.
pub fn is_tls_alert(length: u16) -> bool {
    length == u16::from_be_bytes([21, 3])
}

/// Understands the node's answer to our name.
pub fn parse_status(message: &[u8]) -> Result<Status, HandshakeError> {
    match message {
        b"sok" | b"sok_simultaneous" => Ok(Status::Ok),
        b"salive" => Ok(Status::Alive),
        [b's', refusal @ ..] => {
            Err(HandshakeError::Refused(String::from_utf8_lossy(refusal).into_owned()))
        }
        _ => Err(HandshakeError::Malformed("no status after our name")),
    }
}

/// Understands the node's challenge.
pub fn parse_challenge(message: &[u8]) -> Result<Challenge, HandshakeError> {
    const SHORT: HandshakeError = HandshakeError::Malformed("a challenge that is cut short");
    let rest = match message {
        [b'N', rest @ ..] => rest,
        [b'n', ..] => return Err(HandshakeError::TooOld(Flags(0))),
        _ => return Err(HandshakeError::Malformed("no challenge after the status")),
    };
    let (flags, rest) = rest.split_first_chunk().ok_or(SHORT)?;
    let (challenge, rest) = rest.split_first_chunk().ok_or(SHORT)?;
    let (creation, rest) = rest.split_first_chunk().ok_or(SHORT)?;
    let (length, rest) = rest.split_first_chunk().ok_or(SHORT)?;
    let name = rest.get(..usize::from(u16::from_be_bytes(*length))).ok_or(SHORT)?;
    let flags = Flags(u64::from_be_bytes(*flags));
    if !flags.suffices() {
        return Err(HandshakeError::TooOld(flags));
    }
    Ok(Challenge {
        flags,
        challenge: u32::from_be_bytes(*challenge),
        creation: u32::from_be_bytes(*creation),
        name: String::from_utf8_lossy(name).into_owned(),
    })
}

/// Our proof that we know the cookie, and a challenge of our own.
pub fn reply_message(cookie: &str, theirs: u32, ours: u32) -> Vec<u8> {
    let mut message = vec![b'r'];
    message.extend(ours.to_be_bytes());
    message.extend(proof(cookie, theirs));
    message
}

/// Checks the node's proof that it knows the cookie.
pub fn check_ack(message: &[u8], cookie: &str, ours: u32) -> Result<(), HandshakeError> {
    match message {
        [b'a', digest @ ..] if digest == proof(cookie, ours) => Ok(()),
        [b'a', ..] => Err(HandshakeError::WrongCookie),
        _ => Err(HandshakeError::Malformed("no acknowledgement of our challenge")),
    }
}

/// The digest by which both sides prove that they know the cookie without sending it.
fn proof(cookie: &str, challenge: u32) -> [u8; 16] {
    Md5::digest(format!("{cookie}{challenge}")).into()
}
