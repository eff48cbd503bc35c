//! One connection to the server: a request out, its answer in, never two at once.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::frame::{Decoder, Frame, FrameError};

/// What a connection can run over: any stream of bytes in both directions.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Dialling = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// Makes streams to one server, as often as a client needs a new one.
#[derive(Clone)]
pub(crate) struct Connector(Arc<dyn Fn() -> Dialling + Send + Sync>);

impl Connector {
    pub(crate) fn new<C, F, S>(connect: C) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Connector(Arc::new(move || {
            let stream = connect();
            Box::pin(async move { Ok(Box::new(stream.await?) as Box<dyn Stream>) })
        }))
    }

    pub(crate) async fn connect(&self, limit_bytes: usize) -> io::Result<Connection> {
        let stream = (self.0)().await?;
        Ok(Connection { stream, decoder: Decoder::with_limit(limit_bytes) })
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

/// Why a connection cannot be used any more.
#[derive(Debug)]
pub(crate) enum Lost {
    Broken(io::Error),
    Malformed(FrameError),
}

/// A connection on which nothing is under way.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    decoder: Decoder,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("decoder", &self.decoder).finish_non_exhaustive()
    }
}

impl Connection {
    /// Sends `request` (the bytes of one frame) and waits for one frame, without a limit in time.
    ///
    /// After an error, or when the future is dropped early, the connection must not be used
    /// again: the answer may still come, and would be taken for that of the next request.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Frame, Lost> {
        self.stream.write_all(request).await.map_err(Lost::Broken)?;
        self.stream.flush().await.map_err(Lost::Broken)?;
        let mut piece = [0_u8; 16 * 1024];
        loop {
            if let Some(frame) = self.decoder.next_frame().map_err(Lost::Malformed)? {
                return Ok(frame);
            }
            match self.stream.read(&mut piece).await.map_err(Lost::Broken)? {
                0 => {
                    let kind = io::ErrorKind::UnexpectedEof;
                    let closed = io::Error::new(kind, "closed by the server without an answer");
                    return Err(Lost::Broken(closed));
                }
                count => self.decoder.push(&piece[..count]),
            }
        }
    }

    /// Whether the connection, with nothing under way, looks usable.
    ///
    /// A server that was restarted meanwhile has closed it, and a request sent on it would end as
    /// *unknown* although it had never arrived anywhere. Bytes that nobody asked for mean that
    /// requests and answers are out of step.
    pub(crate) async fn is_idle(&mut self) -> bool {
        if !self.decoder.is_empty() {
            return false;
        }
        let mut byte = [0_u8; 1];
        poll_fn(|context| {
            let mut buffer = ReadBuf::new(&mut byte);
            let read = Pin::new(&mut self.stream).poll_read(context, &mut buffer);
            Poll::Ready(read.is_pending())
        })
        .await
    }
}
