//! Interactive transactions: reads and writes over several requests that take effect together.

use super::answer::{check_objects, read_values, succeeded, update_messages};
use super::client::Client;
use super::error::{Ending, Error, Refusal, RequestKind};
use super::object::{Object, Update, Value};
use super::proto;

/// A transaction that was started and not yet ended.
///
/// It reads from the snapshot of its start and sees its own writes; nobody else does before its
/// commit. After an error it is over: nothing of it was committed unless the error came from
/// [`commit`](Transaction::commit) and [is not definite](Error::is_definite). One that is
/// dropped stays open on the server, without effect.
#[derive(Debug)]
pub struct Transaction<'a> {
    client: &'a mut Client,
    descriptor: Vec<u8>,
    ending: Option<Ending>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(client: &'a mut Client, descriptor: Vec<u8>) -> Self {
        Transaction { client, descriptor, ending: None }
    }

    /// The server's name for the transaction, with which another client can
    /// [resume](Client::resume) it.
    pub fn descriptor(&self) -> &[u8] {
        &self.descriptor
    }

    /// How the transaction ended, or `None` while it can be used.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Reads `objects`; the values come in the same order.
    ///
    /// # Errors
    /// Any [`Error`]; all are definite, and end the transaction if anything was sent.
    pub async fn read(&mut self, objects: &[Object]) -> Result<Vec<Value>, Error> {
        let kind = RequestKind::Read;
        self.check_open(kind)?;
        check_objects(kind, objects)?;
        let request = proto::ReadObjects {
            objects: objects.iter().map(Object::to_proto).collect(),
            descriptor: self.descriptor.clone(),
        };
        let answer = self.request(kind, &request, Ending::Failed).await?;
        let values = read_values(kind, objects, answer);
        self.end_on_error(values, Ending::Failed)
    }

    /// Writes `updates`, to be seen by this transaction only until it is committed.
    ///
    /// # Errors
    /// Any [`Error`]; all are definite, and end the transaction if anything was sent.
    pub async fn update(&mut self, updates: &[(Object, Update)]) -> Result<(), Error> {
        let kind = RequestKind::Update;
        self.check_open(kind)?;
        let request = proto::UpdateObjects {
            updates: update_messages(kind, updates)?,
            descriptor: self.descriptor.clone(),
        };
        let answer = self.request(kind, &request, Ending::Failed).await?;
        let done = succeeded(kind, answer.success, answer.error_code);
        self.end_on_error(done, Ending::Failed)
    }

    /// Makes the transaction's writes visible, all of them at once.
    ///
    /// # Errors
    /// Any [`Error`]. *Aborted* is definite: a concurrent transaction of the same data centre
    /// wrote one of the keys. After most others the transaction may be committed, or become so.
    pub async fn commit(&mut self) -> Result<(), Error> {
        let kind = RequestKind::Commit;
        self.check_open(kind)?;
        let request = proto::CommitTransaction { descriptor: self.descriptor.clone() };
        let answer = self.request(kind, &request, Ending::Indeterminate).await?;
        let committed = self.client.committed(kind, answer);
        self.end_on_error(committed, Ending::Indeterminate)?;
        self.ending = Some(Ending::Committed);
        Ok(())
    }

    /// Gives the transaction up. Possible after a failed read or update, too.
    ///
    /// # Errors
    /// Any [`Error`]; whatever it is, nothing of the transaction is committed.
    pub async fn abort(&mut self) -> Result<(), Error> {
        let kind = RequestKind::Abort;
        if self.ending != Some(Ending::Failed) {
            self.check_open(kind)?;
        }
        let request = proto::AbortTransaction { descriptor: self.descriptor.clone() };
        let answer = self.request(kind, &request, Ending::Aborted).await?;
        self.ending = Some(Ending::Aborted);
        succeeded(kind, answer.success, answer.error_code)
    }

    fn check_open(&self, request: RequestKind) -> Result<(), Error> {
        match self.ending {
            None => Ok(()),
            Some(ending) => Err(Error::TransactionOver { request, ending }),
        }
    }

    /// Sends a request; `on_loss` is how the transaction ends when no usable answer comes.
    async fn request<R: proto::Request>(
        &mut self,
        kind: RequestKind,
        message: &R,
        on_loss: Ending,
    ) -> Result<R::Reply, Error> {
        // Set before the wait: a future that is dropped in the middle leaves it as it then is.
        self.ending = Some(on_loss);
        let answer = self.client.request(kind, message, self.client.request_timeout()).await;
        if answer.is_ok() {
            self.ending = None;
        }
        self.end_on_error(answer, on_loss)
    }

    /// Ends the transaction if `result` is an error: for certain where the error is certain.
    fn end_on_error<T>(&mut self, result: Result<T, Error>, on_loss: Ending) -> Result<T, Error> {
        if let Err(error) = &result {
            self.ending = Some(match error {
                Error::Refused { reason: Refusal::Aborted, .. } => Ending::Aborted,
                definite if definite.is_definite() => Ending::Failed,
                _ => on_loss,
            });
        }
        result
    }
}
