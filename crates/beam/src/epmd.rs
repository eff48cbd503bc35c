//! Asking a host's port mapper (epmd) for a node's distribution port: its two messages, without I/O.

/// The port that epmd listens on by default.
pub const EPMD_PORT: u16 = 4369;

/// Answers are shorter than this.
pub(crate) const ANSWER_BYTES_MAX: usize = 1024;

/// Why epmd gave no port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EpmdError {
    /// No node of this name is registered.
    #[error(
        "no node `{0}` is registered there: it is not running, not distributed, or still starting"
    )]
    NotRegistered(String),
    /// The bytes are not epmd's.
    #[error("whatever listens there is not epmd")]
    Malformed,
}

/// The request for a node's port; the name is what stands before the `@`.
pub fn request(name: &str) -> Vec<u8> {
    let mut message = ((name.len() + 1) as u16).to_be_bytes().to_vec();
    message.push(122);
    message.extend(name.as_bytes());
    message
}

/// The port in epmd's answer.
pub fn parse_answer(answer: &[u8], name: &str) -> Result<u16, EpmdError> {
    match answer {
        [119, 0, high, low, ..] => Ok(u16::from_be_bytes([*high, *low])),
        [119, 1..=255, ..] => Err(EpmdError::NotRegistered(name.into())),
        _ => Err(EpmdError::Malformed),
    }
}
