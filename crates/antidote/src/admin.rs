//! Making data centres out of nodes, and a cluster out of data centres.

use std::fmt;
use std::time::Duration;

use super::answer::{malformed, succeeded};
use super::client::Client;
use super::error::{Error, RequestKind};
use super::proto;

/// How other data centres reach one. Opaque: made by one server, to be read by another.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ConnectionDescriptor(Vec<u8>);

impl ConnectionDescriptor {
    /// The descriptor that `bytes` once were.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> ConnectionDescriptor {
        ConnectionDescriptor(bytes.into())
    }

    /// The descriptor as bytes, to hand it to somebody else.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ConnectionDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionDescriptor({} bytes)", self.0.len())
    }
}

/// Requests that set up a cluster. They take seconds, so that each comes with a limit of its own.
impl Client {
    /// Makes one data centre out of `nodes` (Erlang node names, the server's own among them).
    ///
    /// Nothing may be sent to a server before its application runs, which is later than its
    /// port accepts: an earlier request can hang for ever.
    ///
    /// # Errors
    /// Any [`Error`]; after most, some of the nodes may have joined.
    pub async fn create_dc<N: AsRef<str>>(
        &mut self,
        nodes: &[N],
        limit: Duration,
    ) -> Result<(), Error> {
        let kind = RequestKind::CreateDc;
        if nodes.is_empty() {
            return Err(Error::Empty { request: kind });
        }
        let nodes = nodes.iter().map(|node| node.as_ref().to_string()).collect();
        let answer = self.request(kind, &proto::CreateDc { nodes }, limit).await?;
        succeeded(kind, answer.success, answer.error_code)
    }

    /// Asks the server's data centre how others reach it.
    ///
    /// # Errors
    /// Any [`Error`]; all are definite.
    pub async fn connection_descriptor(
        &mut self,
        limit: Duration,
    ) -> Result<ConnectionDescriptor, Error> {
        let kind = RequestKind::ConnectionDescriptor;
        let answer = self.request(kind, &proto::GetConnectionDescriptor {}, limit).await?;
        succeeded(kind, answer.success, answer.error_code)?;
        let descriptor = answer.descriptor.filter(|descriptor| !descriptor.is_empty());
        descriptor
            .map(ConnectionDescriptor)
            .ok_or_else(|| malformed(kind, "no descriptor in the answer"))
    }

    /// Lets the server's data centre receive the updates of all `others`; its own descriptor
    /// may be among them. For a whole cluster call it for every data centre, best all at once.
    ///
    /// The server waits without limit for one that it cannot reach, and can report success
    /// although one failed: only a write at one data centre that is read at the others shows
    /// that they are connected.
    ///
    /// # Errors
    /// Any [`Error`]; after most, some of the data centres may be connected.
    pub async fn connect_to_dcs(
        &mut self,
        others: &[ConnectionDescriptor],
        limit: Duration,
    ) -> Result<(), Error> {
        let kind = RequestKind::ConnectToDcs;
        if others.is_empty() {
            return Err(Error::Empty { request: kind });
        }
        let descriptors = others.iter().map(|other| other.0.clone()).collect();
        let answer = self.request(kind, &proto::ConnectToDcs { descriptors }, limit).await?;
        succeeded(kind, answer.success, answer.error_code)
    }
}
