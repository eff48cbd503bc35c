//! The two tasks that serve a connection: one reads what the node sends, one writes what waits to be sent.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::error::CloseReason;
use super::frame::{self, Message, TICK};
use super::shared::Shared;

/// What is read at once at most.
const READ_BYTES: usize = 64 << 10;

/// What has been handed over when we close is still sent, within this time.
const FLUSH_LIMIT: Duration = Duration::from_millis(500);

pub(crate) fn spawn(socket: TcpStream, shared: &Arc<Shared>) {
    let (reading, writing) = socket.into_split();
    let (for_reader, for_writer) = (shared.clone(), shared.clone());
    tokio::spawn(async move {
        let reason = tokio::select! {
            reason = read(reading, &for_reader) => reason,
            () = for_reader.closed() => CloseReason::Local,
        };
        for_reader.close(reason);
    });
    tokio::spawn(async move {
        let (mut writing, mut taken) = (writing, Taken::default());
        let broken = tokio::select! {
            error = write(&mut writing, &for_writer, &mut taken) => Some(error),
            () = for_writer.closed() => None,
        };
        match broken {
            Some(error) => for_writer.close(CloseReason::Io(error.to_string())),
            None => flush(&mut writing, &for_writer, &mut taken).await,
        }
    });
}

/// What was taken to be written, and how much of it has been.
#[derive(Default)]
struct Taken {
    bytes: Vec<u8>,
    written: usize,
}

async fn read(mut socket: OwnedReadHalf, shared: &Shared) -> CloseReason {
    let limit = shared.options.message_bytes_max;
    let silence = shared.options.silence_limit;
    let mut buffer = Vec::with_capacity(READ_BYTES);
    loop {
        // Room grows with what has really come, never with what a length announces.
        buffer.reserve(READ_BYTES.max(buffer.len() / 2));
        match shared.options.clock.timeout(silence, socket.read_buf(&mut buffer)).await {
            Ok(Ok(0)) => return CloseReason::ByPeer,
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                return CloseReason::ByPeer;
            }
            Ok(Err(error)) => return CloseReason::Io(error.to_string()),
            Err(_) => return CloseReason::Silent(silence),
        }
        let mut rest = &buffer[..];
        loop {
            let parsed = match frame::split(rest, limit) {
                Ok(Some((body, after))) => {
                    rest = after;
                    frame::parse(body)
                }
                Ok(None) => break,
                Err(error) => Err(error),
            };
            match parsed {
                Ok(Message::Tick) => {
                    shared.outbox.try_push(&TICK);
                }
                Ok(Message::Signal(control, payload)) => shared.receive(control, payload),
                Err(error) => return CloseReason::Protocol(error.to_string()),
            }
        }
        let left = rest.len();
        let used = buffer.len() - left;
        buffer.drain(..used);
        // After a large message the memory is given back.
        if left < READ_BYTES {
            buffer.shrink_to(4 * READ_BYTES);
        }
    }
}

/// Writes until that fails. A node drops a peer that says nothing, even one that it sends to all
/// the time (then it sends no ticks that could be answered): we tick by ourselves.
async fn write(socket: &mut OwnedWriteHalf, shared: &Shared, taken: &mut Taken) -> io::Error {
    loop {
        let more = shared.outbox.take(&mut taken.bytes);
        if shared.options.clock.timeout(shared.options.tick_after, more).await.is_err() {
            taken.bytes.extend(TICK);
        }
        if let Err(error) = taken.write_to(socket).await {
            return error;
        }
        taken.bytes.shrink_to(4 * READ_BYTES);
    }
}

impl Taken {
    /// Writes what is left. Where this is cancelled, the next call goes on: half a message must
    /// not be followed by another one.
    async fn write_to(&mut self, socket: &mut OwnedWriteHalf) -> io::Result<()> {
        while self.written < self.bytes.len() {
            match socket.write(&self.bytes[self.written..]).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => self.written += written,
            }
        }
        self.bytes.clear();
        self.written = 0;
        Ok(())
    }
}

/// What cannot be sent in time is lost with the connection, as was intended.
async fn flush(socket: &mut OwnedWriteHalf, shared: &Shared, taken: &mut Taken) {
    let rest = async {
        taken.write_to(socket).await?;
        shared.outbox.take_now(&mut taken.bytes);
        taken.write_to(socket).await?;
        socket.shutdown().await
    };
    let _ = shared.options.clock.timeout(FLUSH_LIMIT, rest).await;
}
