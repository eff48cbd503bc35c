//! Calls into the Erlang node that runs on a host.

use std::future::Future;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::beam::{CallError, CloseReason, Connection, FromTerm, IntoArgs, Options};
use crate::node::{BoxFuture, Node};

/// How long making a connection may take: both ends are on one host.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// The lines to an Erlang node: one for operations, one for control and observation, so that
/// load on the first does not delay the second.
#[derive(Debug, Default)]
struct Lines {
    identity: Mutex<Option<Identity>>,
    operations: tokio::sync::Mutex<Option<Connection>>,
    control: tokio::sync::Mutex<Option<Connection>>,
}

#[derive(Clone, Debug)]
struct Identity {
    name: String,
    cookie: String,
    /// Of its distribution, where no epmd knows it.
    port: Option<u16>,
}

impl Node {
    /// Says which Erlang node runs here; databases do so before they start it.
    pub fn speaks_erlang(&self, name: impl Into<String>, cookie: impl Into<String>) {
        self.identify(Identity { name: name.into(), cookie: cookie.into(), port: None });
    }

    /// The same of a node whose distribution has a port of its own and which no epmd knows (`erl
    /// -start_epmd false -erl_epmd_port 9100`).
    pub fn speaks_erlang_at(&self, name: impl Into<String>, cookie: impl Into<String>, port: u16) {
        self.identify(Identity { name: name.into(), cookie: cookie.into(), port: Some(port) });
    }

    fn lines(&self) -> Arc<Lines> {
        self.extension()
    }

    fn identify(&self, identity: Identity) {
        *self.lines().identity.lock().unwrap_or_else(PoisonError::into_inner) = Some(identity);
    }

    /// The name of the Erlang node that runs here, as `app@n1`.
    pub fn erlang_name(&self) -> Option<String> {
        let lines = self.lines();
        let identity = lines.identity.lock().unwrap_or_else(PoisonError::into_inner);
        identity.as_ref().map(|i| i.name.clone())
    }

    /// Calls an exported function of the Erlang node and waits for what it returns.
    ///
    /// The arguments are encoded at once, and the future owns all that it needs. It is for
    /// operations; see [`Node::control`] for everything else.
    ///
    /// ```no_run
    /// # async fn example(node: fuzz_dist::node::Node) -> Result<(), fuzz_dist::beam::CallError> {
    /// use fuzz_dist::args;
    /// let items: Vec<i64> = node.call("Shop.Cart", "items", args!["cart-1"]).await?;
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn call<R: FromTerm + Send + 'static>(
        &self,
        module: &str,
        function: &str,
        args: impl IntoArgs,
    ) -> BoxFuture<'static, Result<R, CallError>> {
        let (node, args) = (self.clone(), args.into_args());
        let at = Location::caller();
        let (module, function) = (module.to_owned(), function.to_owned());
        Box::pin(async move {
            let line = node.line(&node.lines().operations).await?;
            line.call::<R>(&module, &function, args).called_at(at).await
        })
    }

    /// A connection to the Erlang node that no operation uses: for readiness, faults, observation.
    ///
    /// # Errors
    ///
    /// When there is none to be had now.
    pub async fn control(&self) -> Result<Connection, CallError> {
        self.line(&self.lines().control).await
    }

    /// The connection that is there, or a new one where it has ended.
    async fn line(
        &self,
        line: &tokio::sync::Mutex<Option<Connection>>,
    ) -> Result<Connection, CallError> {
        let mut line = line.lock().await;
        if let Some(open) = line.as_ref().filter(|c| c.close_reason().is_none()) {
            return Ok(open.clone());
        }
        let opened = self.open_line().await?;
        *line = Some(opened.clone());
        Ok(opened)
    }

    fn open_line(&self) -> impl Future<Output = Result<Connection, CallError>> + Send {
        let identity = self.lines().identity.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let node = self.clone();
        async move {
            let not_connected = |why: String| CallError::NotConnected {
                peer: node.name().to_string(),
                reason: CloseReason::Io(why),
            };
            let Some(Identity { name, cookie, port }) = identity else {
                return Err(not_connected("its database runs no Erlang node".into()));
            };
            let mut options = Options::new(name, cookie);
            options.connect_limit = CONNECT_LIMIT;
            options.port = port;
            options.clock = node.clock().clone();
            let connector = |port| {
                let node = node.clone();
                async move { node.connect(port).await }
            };
            let opened = Connection::open(options, connector).await;
            opened.map_err(|e| not_connected(e.to_string()))
        }
    }
}
