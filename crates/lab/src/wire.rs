//! Messages with descriptors over a SEQPACKET socket.

use super::protocol::Message;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The longest message; the kernel's default for what a socket may hold is twice as much.
const MESSAGE_MAX: usize = 100 * 1024;

/// The most descriptors beside one message.
const FDS_MAX: usize = 4;

/// Two connected sockets that keep the borders of messages and report when the other end is closed.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let pair = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    Ok(pair)
}

/// A message with the descriptors that go with it, ready to be sent.
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Outgoing {
    /// Fails for a message that is too long. The descriptors are duplicated.
    pub(crate) fn new<T: Serialize>(
        id: u64,
        body: T,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<Outgoing> {
        let bytes = serde_json::to_vec(&Message { id, body }).map_err(io::Error::other)?;
        if bytes.len() > MESSAGE_MAX {
            return Err(io::Error::other(format!(
                "a message of {} bytes is too long",
                bytes.len()
            )));
        }
        let fds = fds.iter().map(|fd| fd.try_clone_to_owned()).collect::<io::Result<_>>()?;
        Ok(Outgoing { bytes, fds })
    }

    /// Sends it; fails with [`io::ErrorKind::WouldBlock`] when the other end takes nothing now.
    pub(crate) fn try_send(&self, socket: impl AsFd) -> io::Result<()> {
        self.send(socket, SendFlags::DONTWAIT)
    }

    fn send(&self, socket: impl AsFd, flags: SendFlags) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fds: Vec<BorrowedFd<'_>> = self.fds.iter().map(AsFd::as_fd).collect();
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(io::Error::other("too many descriptors for one message"));
        }
        let flags = flags | SendFlags::NOSIGNAL;
        rustix::net::sendmsg(socket, &[IoSlice::new(&self.bytes)], &mut ancillary, flags)?;
        Ok(())
    }
}

/// Sends one message, and waits while the other end takes nothing: for the agents, who have
/// nothing to do without the harness and end with it.
pub(crate) fn send<T: Serialize>(
    socket: impl AsFd,
    id: u64,
    body: T,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    Outgoing::new(id, body, fds)?.send(socket, SendFlags::empty())
}

/// What a socket had to say.
pub(crate) enum Received<T> {
    Message(Message<T>, Vec<OwnedFd>),
    /// The other end is closed, or its process is gone.
    Closed,
}

/// A receiver with its buffer.
pub(crate) struct Receiver(Vec<u8>);

impl Receiver {
    pub(crate) fn new() -> Self {
        Receiver(vec![0; MESSAGE_MAX])
    }

    /// Waits for one message.
    pub(crate) fn receive<T: DeserializeOwned>(
        &mut self,
        socket: impl AsFd,
    ) -> io::Result<Received<T>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut once = || {
            let buffer = &mut [IoSliceMut::new(&mut self.0)];
            rustix::net::recvmsg(&socket, buffer, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
        };
        let mut received = rustix::io::retry_on_intr(&mut once);
        if matches!(received, Err(Errno::CONNRESET)) {
            // An end that closed without having read everything is reported first; what it had to
            // say before is still there.
            received = rustix::io::retry_on_intr(&mut once);
        }
        let received = match received {
            Ok(received) if received.bytes == 0 => return Ok(Received::Closed),
            Err(Errno::CONNRESET) => return Ok(Received::Closed),
            other => other?,
        };
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(io::Error::other("a message was cut off"));
        }
        let fds = ancillary
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(fds) => Some(fds),
                _ => None,
            })
            .flatten()
            .collect();
        let message = serde_json::from_slice(&self.0[..received.bytes])?;
        Ok(Received::Message(message, fds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_an_end_that_did_not_listen_are_heard() {
        let (one, other) = pair().unwrap();
        send(&one, 1, "unread", &[]).unwrap();
        send(&other, 2, "last words", &[one.as_fd()]).unwrap();
        drop(other);
        let mut receiver = Receiver::new();
        match receiver.receive::<String>(&one).unwrap() {
            Received::Message(message, fds) => {
                assert_eq!((message.id, &*message.body, fds.len()), (2, "last words", 1));
            }
            Received::Closed => panic!("the last words were lost"),
        }
        assert!(matches!(receiver.receive::<String>(&one).unwrap(), Received::Closed));
    }

    #[test]
    fn sending_to_an_end_that_takes_nothing_fails_at_once() {
        let (one, other) = pair().unwrap();
        let message = |id| Outgoing::new(id, "x".repeat(10_000), &[]).unwrap();
        let full = (0..1000).map(|id| message(id).try_send(&one)).find_map(Result::err);
        assert_eq!(full.unwrap().kind(), io::ErrorKind::WouldBlock);
        Receiver::new().receive::<String>(&other).unwrap();
        message(0).try_send(&one).unwrap();
    }

    #[test]
    fn a_message_that_is_too_long_is_refused() {
        let (one, _other) = pair().unwrap();
        assert!(send(&one, 1, "x".repeat(MESSAGE_MAX), &[]).is_err());
    }
}
