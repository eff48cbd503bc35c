//! Frames of AntidoteDB's client protocol: a big-endian length, a message code, a message.
//!
//! Pure: bytes in, frames out, so that it can be fuzzed and used over any transport.

/// Bytes in front of every frame's content: its length as an unsigned 32-bit big-endian number.
const HEADER_BYTES: usize = 4;

/// The largest content a [`Decoder`] takes by default: 64 MiB.
pub const DEFAULT_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// One message as it travels: its code and its still encoded body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What kind of message `body` is.
    pub code: u8,
    /// The message in the encoding of protocol buffers.
    pub body: Vec<u8>,
}

impl Frame {
    /// The frame's bytes, header included.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] when code and body together pass what the header can say.
    ///
    /// ```
    /// use fuzz_dist_antidote::frame::Frame;
    /// let frame = Frame { code: 133, body: vec![] };
    /// assert_eq!(frame.encode().unwrap(), [0, 0, 0, 1, 133]);
    /// ```
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let content = self.body.len() + 1;
        let length = u32::try_from(content)
            .map_err(|_| FrameError::TooLong { bytes: content, limit_bytes: u32::MAX as usize })?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + content);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.push(self.code);
        bytes.extend_from_slice(&self.body);
        Ok(bytes)
    }
}

/// Why bytes are not frames. Nothing after such bytes can be trusted: the connection is lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A frame says that it has no content, so not even a code.
    #[error("a frame without a message code")]
    Empty,
    /// A frame says that it is longer than allowed.
    #[error("a frame of {bytes} bytes where {limit_bytes} are allowed")]
    TooLong {
        /// The length that the frame claims.
        bytes: usize,
        /// The longest that is accepted.
        limit_bytes: usize,
    },
}

/// Finds frames in a stream of bytes that arrives in pieces of any size.
///
/// ```
/// use fuzz_dist_antidote::frame::Decoder;
/// let mut decoder = Decoder::default();
/// decoder.push(&[0, 0, 0, 3, 111, 8]);
/// assert_eq!(decoder.next_frame(), Ok(None));
/// decoder.push(&[1]);
/// let frame = decoder.next_frame().unwrap().unwrap();
/// assert_eq!((frame.code, frame.body), (111, vec![8, 1]));
/// ```
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
    limit_bytes: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder::with_limit(DEFAULT_LIMIT_BYTES)
    }
}

impl Decoder {
    /// A decoder that refuses frames whose code and body are longer than `limit_bytes`.
    pub fn with_limit(limit_bytes: usize) -> Self {
        Decoder { buffer: Vec::new(), start: 0, limit_bytes }
    }

    /// Adds bytes that arrived.
    ///
    /// Memory grows with the bytes that came and never with the length that a frame claims,
    /// so that a liar cannot exhaust it with four bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// A [`FrameError`] when the bytes cannot be a frame; it repeats on every further call.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let unread = &self.buffer[self.start..];
        let Some((header, rest)) = unread.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*header) as usize;
        if length > self.limit_bytes {
            return Err(FrameError::TooLong { bytes: length, limit_bytes: self.limit_bytes });
        }
        if length == 0 {
            return Err(FrameError::Empty);
        }
        if rest.len() < length {
            return Ok(None);
        }
        let frame = Frame { code: rest[0], body: rest[1..length].to_vec() };
        self.start += HEADER_BYTES + length;
        Ok(Some(frame))
    }

    /// Whether no byte is left that belongs to no frame yet.
    pub fn is_empty(&self) -> bool {
        self.start == self.buffer.len()
    }
}
