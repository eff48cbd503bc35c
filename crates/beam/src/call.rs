//! Remote calls: functions of any module, requests to any `gen_server`, code to be loaded.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::time::Duration;

use super::connection::Connection;
use super::control::{Control, Process};
use super::error::{CallError, Class, CloseReason};
use super::exception;
use super::from_term::FromTerm;
use super::into_term::{Args, Bytes, IntoArgs};
use super::shared::{Answer, Shared, WaitRefused};
use super::term::{Atom, Pid, Term, atom, charlist};

/// A remote call that is ready to be awaited. Nothing is sent before that.
///
/// Its arguments are encoded already, so that it owns all it needs.
#[derive(Debug)]
#[must_use = "a call is sent when it is awaited"]
pub struct Call<R> {
    connection: Connection,
    limit: Duration,
    what: What,
    at: &'static Location<'static>,
    result: PhantomData<fn() -> R>,
}

#[derive(Debug)]
enum What {
    /// A function, in a process of its own.
    Function { module: Atom, function: Atom, args: Vec<Term> },
    /// A function, through the node's server for remote calls.
    Rex { module: Atom, function: Atom, args: Vec<Term> },
    /// A request to a `gen_server`.
    Request { process: Process, request: Term },
}

impl Connection {
    /// Calls a function, as `erpc:call/4` does: in a new process of the node.
    ///
    /// A module's name that begins with a capital is Elixir's: `"Shop.Cart"` is the module
    /// `'Elixir.Shop.Cart'` ([`Atom::of_name`]).
    ///
    /// ```no_run
    /// # async fn example(node: fuzz_dist_beam::Connection) -> Result<(), fuzz_dist_beam::CallError> {
    /// use std::time::Duration;
    /// use fuzz_dist_beam::args;
    /// let nodes: Vec<fuzz_dist_beam::Atom> = node.call("erlang", "nodes", args![]).await?;
    /// let sum: i64 = node.call("lists", "sum", args![vec![1, 2, 3]]).within(Duration::from_secs(1)).await?;
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn call<R: FromTerm>(&self, module: &str, function: &str, args: impl IntoArgs) -> Call<R> {
        let what = What::Function {
            module: Atom::of_name(module),
            function: Atom::from(function),
            args: args.into_args().0,
        };
        self.prepared(what)
    }

    /// Calls a function, as `rpc:call/4` did before OTP 23: through the server `rex`.
    ///
    /// Errors and exits cannot be distinguished this way, and a thrown value is a result.
    #[track_caller]
    pub fn call_rex<R: FromTerm>(
        &self,
        module: &str,
        function: &str,
        args: impl IntoArgs,
    ) -> Call<R> {
        let what = What::Rex {
            module: Atom::of_name(module),
            function: Atom::from(function),
            args: args.into_args().0,
        };
        self.prepared(what)
    }

    /// Sends a request to a `gen_server` (Elixir's `GenServer`) and waits for its reply, as
    /// `gen_server:call/3` does. The process is watched meanwhile.
    #[track_caller]
    pub fn gen_call<R: FromTerm>(
        &self,
        process: impl Into<Process>,
        request: impl Into<Term>,
    ) -> Call<R> {
        self.prepared(What::Request { process: process.into(), request: request.into() })
    }

    /// Loads a compiled module into the node: the bytes of its `.beam` file.
    pub async fn load_binary(&self, module: &str, beam: &[u8]) -> Result<(), CallError> {
        let arguments = Args(vec![
            Term::Atom(Atom::of_name(module)),
            charlist(&format!("{module}.beam")),
            Bytes(beam.to_vec()).into(),
        ]);
        self.call::<()>("code", "load_binary", arguments).await
    }

    #[track_caller]
    fn prepared<R>(&self, what: What) -> Call<R> {
        Call {
            connection: self.clone(),
            limit: self.call_limit(),
            what,
            at: Location::caller(),
            result: PhantomData,
        }
    }
}

impl<R> Call<R> {
    /// The line that errors name as that of the call, where it is not the one that made this value.
    pub fn called_at(mut self, at: &'static Location<'static>) -> Self {
        self.at = at;
        self
    }

    /// Waits so long at most (the default is the connection's).
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

impl<R: FromTerm + Send + 'static> IntoFuture for Call<R> {
    type Output = Result<R, CallError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let peer = self.connection.peer().to_owned();
            let limit = self.limit;
            let name = self.what.to_string();
            let called = self.what.function();
            let running = run(&self.connection, self.what);
            let term = match self.connection.clock().timeout(limit, running).await {
                Ok(result) => result.map_err(|error| of_no_function(error, called, self.at))?,
                Err(_) => return Err(CallError::TimedOut { peer, what: name, limit }),
            };
            R::from_term(term).map_err(|error| CallError::UnexpectedResult { peer, error })
        })
    }
}

/// The error of a call whose own function does not exist; any other as it is.
fn of_no_function(
    error: CallError,
    called: Option<(Atom, Atom, usize)>,
    at: &'static Location<'static>,
) -> CallError {
    match (error, called) {
        (
            CallError::Exception { peer, reason, stacktrace, .. },
            Some((module, function, arity)),
        ) if exception::undefined(
            (module.as_str(), function.as_str(), arity),
            &reason,
            &stacktrace,
        ) =>
        {
            let function = exception::name(module.as_str(), function.as_str(), arity);
            CallError::Undefined {
                peer,
                function,
                at: Some(format!("{}:{}", at.file(), at.line())),
            }
        }
        (error, _) => error,
    }
}

impl What {
    /// The function that is called: module, name and number of arguments.
    fn function(&self) -> Option<(Atom, Atom, usize)> {
        match self {
            What::Function { module, function, args } | What::Rex { module, function, args } => {
                Some((module.clone(), function.clone(), args.len()))
            }
            What::Request { .. } => None,
        }
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            What::Function { module, function, args } | What::Rex { module, function, args } => {
                write!(f, "{module}:{function}/{}", args.len())
            }
            What::Request { process, .. } => write!(f, "a request to {process}"),
        }
    }
}

async fn run(connection: &Connection, what: What) -> Result<Term, CallError> {
    let name = what.to_string();
    match what {
        What::Function { module, function, args } => {
            let group_leader =
                connection.user().get_or_try_init(|| find_user(connection, &name)).await?;
            spawned(connection, &name, group_leader.clone(), module, function, args).await
        }
        What::Rex { module, function, args } => {
            through_rex(connection, &name, module, function, args).await
        }
        What::Request { process, request } => requested(connection, &name, process, request).await,
    }
}

/// The node's process `user`, or ours that swallows all output if it has none.
async fn find_user(connection: &Connection, name: &str) -> Result<Pid, CallError> {
    let ours = connection.shared().caller();
    let (module, function) = (Atom::from_static("erlang"), Atom::from_static("whereis"));
    let args = vec![atom("user")];
    match spawned(connection, name, ours.clone(), module, function, args).await? {
        Term::Pid(user) => Ok(*user),
        _ => Ok(ours),
    }
}

/// Starts a process on the node that calls the function, and takes its exit reason for the answer.
async fn spawned(
    connection: &Connection,
    name: &str,
    group_leader: Pid,
    module: Atom,
    function: Atom,
    args: Vec<Term>,
) -> Result<Term, CallError> {
    let shared = connection.shared();
    let (key, request) = shared.new_reference();
    let arguments = Term::List(vec![
        Term::from(request.clone()),
        Term::Atom(module),
        Term::Atom(function),
        Term::List(args),
    ]);
    let control = Control::SpawnRequest {
        request: request.clone(),
        from: shared.caller(),
        group_leader,
        function: (Atom::from_static("erpc"), Atom::from_static("execute_call"), 4),
        options: vec![Atom::from_static("monitor")],
    };
    let mut message = Vec::with_capacity(256);
    control.write(Some(&arguments), &mut message)?;
    match exchange(connection, name, key, &message).await? {
        Answer::NotStarted(reason) => {
            Err(CallError::NotStarted { peer: connection.peer().into(), reason })
        }
        Answer::Reply(reason) | Answer::Down(reason) => {
            outcome(connection, &Term::from(request), reason)
        }
        Answer::Closed(reason) => Err(lost(connection, name, reason)),
    }
}

/// What the exit reason of `erpc:execute_call/4` says.
fn outcome(connection: &Connection, tag: &Term, reason: Term) -> Result<Term, CallError> {
    let exception = |class, reason, stacktrace| {
        Err(CallError::Exception { peer: connection.peer().into(), class, reason, stacktrace })
    };
    let nowhere = Term::List(Vec::new());
    let parts = match reason {
        Term::Tuple(parts) if parts.first() == Some(tag) => parts,
        // The process was killed, or never got as far as the function.
        other => return exception(Class::Exit, other, nowhere),
    };
    let mut parts = parts.into_iter().skip(1);
    match (
        parts.next().as_ref().and_then(Term::as_atom).map(Atom::as_str),
        parts.next(),
        parts.next(),
    ) {
        (Some("return"), Some(value), None) => Ok(value),
        (Some("throw"), Some(value), None) => exception(Class::Throw, value, nowhere),
        (Some("exit"), Some(value), None) => exception(Class::Exit, value, nowhere),
        (Some("error"), Some(value), stack) => {
            exception(Class::Error, value, stack.unwrap_or(nowhere))
        }
        _ => exception(Class::Exit, atom("unknown"), nowhere),
    }
}

async fn through_rex(
    connection: &Connection,
    name: &str,
    module: Atom,
    function: Atom,
    args: Vec<Term>,
) -> Result<Term, CallError> {
    let call = Term::Tuple(vec![
        atom("call"),
        Term::Atom(module),
        Term::Atom(function),
        Term::List(args),
        // The group leader. Without it output would wait for us, who serve none.
        atom("user"),
    ]);
    let shared = connection.shared();
    let (key, reference) = shared.new_reference();
    let from = Term::Tuple(vec![shared.caller().into(), reference.into()]);
    let request = Term::Tuple(vec![atom("$gen_call"), from, call]);
    let control =
        Control::Send { from: Some(shared.caller()), to: Process::Name(Atom::from_static("rex")) };
    let mut message = Vec::with_capacity(256);
    control.write(Some(&request), &mut message)?;
    let reply = match exchange(connection, name, key, &message).await? {
        Answer::Reply(reply) | Answer::Down(reply) | Answer::NotStarted(reply) => reply,
        Answer::Closed(reason) => return Err(lost(connection, name, reason)),
    };
    match reply.as_tuple() {
        Some([tag, Term::Tuple(exit)])
            if tag.is_atom("badrpc") && exit.len() == 2 && exit[0].is_atom("EXIT") =>
        {
            let (reason, stacktrace) = match exit[1].as_tuple() {
                Some([reason, stack @ Term::List(_)]) => (reason.clone(), stack.clone()),
                _ => (exit[1].clone(), Term::List(Vec::new())),
            };
            Err(CallError::Exception {
                peer: connection.peer().into(),
                class: Class::Error,
                reason,
                stacktrace,
            })
        }
        _ => Ok(reply),
    }
}

async fn requested(
    connection: &Connection,
    name: &str,
    process: Process,
    request: Term,
) -> Result<Term, CallError> {
    let shared = connection.shared();
    let (key, reference) = shared.new_reference();
    let mut message = Vec::with_capacity(512);
    let from = shared.caller();
    let watch =
        Control::Monitor { from: from.clone(), to: process.clone(), reference: reference.clone() };
    watch.write(None, &mut message)?;
    let call = Term::Tuple(vec![
        atom("$gen_call"),
        Term::Tuple(vec![from.clone().into(), reference.clone().into()]),
        request,
    ]);
    Control::Send { from: Some(from.clone()), to: process.clone() }
        .write(Some(&call), &mut message)?;
    // On success and on every way out, the watch is taken away.
    let unwatch = Unwatch {
        shared,
        control: Some(Control::Demonitor { from, to: process.clone(), reference }),
    };
    let peer = || connection.peer().to_owned();
    match exchange(connection, name, key, &message).await? {
        Answer::Reply(reply) => Ok(reply),
        Answer::Down(reason) => {
            unwatch.fired();
            match &reason {
                reason if reason.is_atom("noproc") => {
                    Err(CallError::NoProcess { peer: peer(), process })
                }
                _ => Err(CallError::ServerDown { peer: peer(), process, reason }),
            }
        }
        Answer::NotStarted(reason) => Err(CallError::NotStarted { peer: peer(), reason }),
        Answer::Closed(reason) => {
            unwatch.fired();
            Err(lost(connection, name, reason))
        }
    }
}

/// Takes a watch away when it goes out of scope, unless it has fired.
struct Unwatch<'a> {
    shared: &'a Shared,
    control: Option<Control>,
}

impl Unwatch<'_> {
    fn fired(mut self) {
        self.control = None;
    }
}

impl Drop for Unwatch<'_> {
    fn drop(&mut self) {
        if let Some(control) = self.control.take() {
            self.shared.send_now(control, None);
        }
    }
}

/// Sends a message and waits for its answer; the wait ends with this future, too.
async fn exchange(
    connection: &Connection,
    name: &str,
    key: u64,
    message: &[u8],
) -> Result<Answer, CallError> {
    let shared = connection.shared();
    let receiver = shared.wait_for(key).map_err(|refused| match refused {
        WaitRefused::Closed(reason) => connection.not_connected(reason),
        WaitRefused::TooMany => CallError::TooManyPending {
            peer: connection.peer().into(),
            limit: shared.options.pending_max,
        },
    })?;
    let _forget = Forget { shared, key };
    tokio::pin!(receiver);
    // While there is no room to send, the connection may end.
    tokio::select! {
        biased;
        () = shared.outbox.push(message) => {}
        _ = &mut receiver => {
            let reason = shared.close_reason().unwrap_or(CloseReason::Local);
            return Err(connection.not_connected(reason));
        }
    }
    match receiver.await {
        Ok(answer) => Ok(answer),
        Err(_) => Err(lost(connection, name, shared.close_reason().unwrap_or(CloseReason::Local))),
    }
}

/// Ends a wait when it goes out of scope.
struct Forget<'a> {
    shared: &'a Shared,
    key: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.shared.forget(self.key);
    }
}

fn lost(connection: &Connection, what: &str, reason: CloseReason) -> CallError {
    CallError::Disconnected { peer: connection.peer().into(), what: what.into(), reason }
}
