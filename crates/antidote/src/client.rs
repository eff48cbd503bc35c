//! The client of one data centre: transactions of a single request, and the start of longer ones.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use fuzz_dist_clock::Clock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::answer::{
    check_objects, malformed, parse_answer, read_values, succeeded, update_messages,
};
use super::connection::{Connection, Connector, Lost};
use super::error::{Error, RequestKind};
use super::frame::{DEFAULT_LIMIT_BYTES, Frame};
use super::object::{Object, Update, Value};
use super::proto;
use super::token::Token;
use super::transaction::Transaction;

/// How long an answer is waited for by default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// A session with one server: one connection at most, made when it is first needed.
///
/// Requests follow one another. After a time-out, a broken connection or an answer that does not
/// fit, the connection is given up and the next request makes a new one; the same when a
/// request's future is dropped before it ended. A session's causal token survives all of that.
///
/// ```no_run
/// # async fn example() -> Result<(), fuzz_dist_antidote::Error> {
/// use fuzz_dist_antidote::{Client, DataType, Object, Update, Value};
///
/// let mut client = Client::tcp("127.0.0.1:8087".parse().unwrap()).causal(true);
/// let set = Object::new(DataType::OrSet, "bucket", "fruit");
/// let sold = Object::new(DataType::Counter, "bucket", "sold");
///
/// client.update(&[(set.clone(), Update::add("pear"))]).await?;
///
/// let mut transaction = client.begin().await?;
/// transaction.update(&[(set.clone(), Update::remove("pear"))]).await?;
/// transaction.update(&[(sold.clone(), Update::Increment(1))]).await?;
/// transaction.commit().await?;
///
/// let values = client.read(&[set, sold]).await?;
/// assert_eq!(values, [Value::Set(vec![]), Value::Counter(1)]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Client {
    connector: Connector,
    connection: Option<Connection>,
    timeout: Duration,
    clock: Clock,
    limit_bytes: usize,
    causal: bool,
    token: Option<Token>,
}

impl Client {
    /// A client that makes its connections with `connect`: over TCP from another network
    /// namespace, through a proxy, or within the process.
    pub fn new<C, F, S>(connect: C) -> Client
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Client {
            connector: Connector::new(connect),
            connection: None,
            timeout: DEFAULT_TIMEOUT,
            clock: Clock::system(),
            limit_bytes: DEFAULT_LIMIT_BYTES,
            causal: false,
            token: None,
        }
    }

    /// A client that makes TCP connections to `address` from where it runs.
    pub fn tcp(address: SocketAddr) -> Client {
        Client::new(move || async move {
            let stream = TcpStream::connect(address).await?;
            // Requests are small and wait for their answers: nothing is gained by collecting them.
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    }

    /// Waits `limit` for a connection, and as long for each answer. 5 s unless set.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Client {
        self.timeout = limit;
        self
    }

    /// Waits by this clock. It is the machine's unless set.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Client {
        self.clock = clock;
        self
    }

    /// Takes answers of at most `limit_bytes`. 64 MiB unless set.
    #[must_use]
    pub fn limit_bytes(mut self, limit_bytes: usize) -> Client {
        self.limit_bytes = limit_bytes;
        self
    }

    /// Whether every transaction is to see what the session has seen and written before.
    ///
    /// With it a client is not available during a partition that separates its server from what
    /// the session depends on: its requests time out. Off unless set.
    #[must_use]
    pub fn causal(mut self, causal: bool) -> Client {
        self.causal = causal;
        self
    }

    /// What the session has seen and written so far; `None` before its first transaction.
    ///
    /// It is kept whether or not it is sent ([`causal`](Client::causal)).
    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Makes the session depend on `token`, for instance on another session's, instead of on
    /// its own past.
    pub fn set_token(&mut self, token: Option<Token>) {
        self.token = token;
    }

    /// Closes the connection, if there is one. The next request makes a new one.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Whether a connection is held, as far as is known without using it.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Reads `objects` in one transaction; the values come in the same order.
    ///
    /// # Errors
    /// Any [`Error`]; all are definite, as nothing is written.
    pub async fn read(&mut self, objects: &[Object]) -> Result<Vec<Value>, Error> {
        let kind = RequestKind::StaticRead;
        check_objects(kind, objects)?;
        let request = proto::StaticReadObjects {
            transaction: self.start_message(),
            objects: objects.iter().map(Object::to_proto).collect(),
        };
        let answer = self.request(kind, &request, self.timeout).await?;
        let values = read_values(kind, objects, answer.objects)?;
        self.committed(kind, answer.commit)?;
        Ok(values)
    }

    /// Writes `updates` in one transaction.
    ///
    /// # Errors
    /// Any [`Error`]. *Aborted*, and what never left, is definite; the rest may be committed.
    pub async fn update(&mut self, updates: &[(Object, Update)]) -> Result<(), Error> {
        let kind = RequestKind::StaticUpdate;
        let request = proto::StaticUpdateObjects {
            transaction: self.start_message(),
            updates: update_messages(kind, updates)?,
        };
        let answer = self.request(kind, &request, self.timeout).await?;
        self.committed(kind, answer)
    }

    /// Starts an interactive transaction.
    ///
    /// # Errors
    /// Any [`Error`]; all are definite, as nothing is written.
    pub async fn begin(&mut self) -> Result<Transaction<'_>, Error> {
        let kind = RequestKind::Start;
        let answer = self.request(kind, &self.start_message(), self.timeout).await?;
        succeeded(kind, answer.success, answer.error_code)?;
        match answer.descriptor {
            Some(descriptor) => Ok(Transaction::new(self, descriptor)),
            None => Err(malformed(kind, "a started transaction without a descriptor")),
        }
    }

    /// Goes on with an interactive transaction that was started on another connection.
    ///
    /// The server binds a transaction to no connection. One that has ended there is refused.
    pub fn resume(&mut self, descriptor: Vec<u8>) -> Transaction<'_> {
        Transaction::new(self, descriptor)
    }

    /// The time limit of a request, for those that are made by other parts of this module.
    pub(super) fn request_timeout(&self) -> Duration {
        self.timeout
    }

    fn start_message(&self) -> proto::StartTransaction {
        let token = self.token.as_ref().filter(|_| self.causal);
        proto::StartTransaction {
            timestamp: token.map(|token| token.as_bytes().to_vec()),
            properties: None,
        }
    }

    /// Takes note of an answer to a commit.
    pub(super) fn committed(
        &mut self,
        kind: RequestKind,
        answer: proto::CommitResp,
    ) -> Result<(), Error> {
        succeeded(kind, answer.success, answer.error_code)?;
        let time = answer.commit_time.filter(|time| !time.is_empty());
        let time = time.ok_or_else(|| malformed(kind, "a commit without a commit time"))?;
        self.token = Some(Token::from_bytes(&time));
        Ok(())
    }

    /// Sends a request and takes its answer apart. The connection is kept only if all went well.
    pub(super) async fn request<R: proto::Request>(
        &mut self,
        kind: RequestKind,
        message: &R,
        limit: Duration,
    ) -> Result<R::Reply, Error> {
        let frame = Frame { code: R::CODE, body: message.encode_to_vec() };
        let bytes = frame
            .encode()
            .map_err(|error| Error::TooLong { request: kind, what: error.to_string() })?;
        // Out of the client while in use: a future that is dropped takes the connection with it.
        let mut connection = self.idle_connection(kind).await?;
        let answer = match self.clock.timeout(limit, connection.exchange(&bytes)).await {
            Err(_) => return Err(Error::Timeout { request: kind, limit }),
            Ok(Err(Lost::Broken(source))) => return Err(Error::Broken { request: kind, source }),
            Ok(Err(Lost::Malformed(error))) => return Err(malformed(kind, &error.to_string())),
            Ok(Ok(answer)) => answer,
        };
        match parse_answer(kind, &answer) {
            result @ (Ok(_) | Err(Error::Refused { .. })) => {
                self.connection = Some(connection);
                result
            }
            error => error,
        }
    }

    async fn idle_connection(&mut self, kind: RequestKind) -> Result<Connection, Error> {
        if let Some(mut connection) = self.connection.take()
            && connection.is_idle().await
        {
            return Ok(connection);
        }
        let connecting = self.connector.connect(self.limit_bytes);
        match self.clock.timeout(self.timeout, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(source)) => Err(Error::Connect { request: kind, source }),
            Err(_) => {
                let what = format!("no connection within {} ms", self.timeout.as_millis());
                let source = io::Error::new(io::ErrorKind::TimedOut, what);
                Err(Error::Connect { request: kind, source })
            }
        }
    }
}
