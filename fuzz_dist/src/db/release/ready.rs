//! When a node of a release is ready.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::args;
use crate::beam::{Atom, CallError, Term};
use crate::error::Error;
use crate::node::Node;

/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// So much of each log is searched.
const LOG_BYTES_MAX: usize = 1 << 20;

/// So much of an HTTP answer is read: its status line.
const HTTP_BYTES_MAX: usize = 256;

/// When a node of a release is ready, beside that all of its applications have started
/// ([`Release::ready`](super::Release::ready)). It is asked on the node's own host: no partition touches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready(Condition);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Call(String, String),
    Port(u16),
    Http(u16, String),
    Log(String),
}

impl Ready {
    /// When this function without arguments returns `true` or `:ok`.
    pub fn call(module: impl Into<String>, function: impl Into<String>) -> Ready {
        Ready(Condition::Call(module.into(), function.into()))
    }

    /// When the port accepts connections.
    pub fn port(port: u16) -> Ready {
        Ready(Condition::Port(port))
    }

    /// When a GET of the path is answered with a status from 200 to 399.
    ///
    /// ```
    /// # use fuzz_dist::db::Ready;
    /// let ready = Ready::http(4000, "/health");
    /// ```
    pub fn http(port: u16, path: impl Into<String>) -> Ready {
        Ready(Condition::Http(port, path.into()))
    }

    /// When one of its logs contains the text, in the last MiB of it. A node that was started again may find the line of its former
    /// life: prefer the others.
    pub fn log(text: impl Into<String>) -> Ready {
        Ready(Condition::Log(text.into()))
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        match &self.0 {
            Condition::Http(_, path)
                if !path.starts_with('/') || path.contains(char::is_whitespace) =>
            {
                Err(Error::usage(format!(
                    "`Ready::http` needs a path such as /health, not {path:?}"
                )))
            }
            Condition::Log(text) if text.is_empty() => {
                Err(Error::usage("`Ready::log` needs a text"))
            }
            _ => Ok(()),
        }
    }

    /// Asks once.
    pub(super) async fn ask(&self, node: &Node) -> Result<(), Error> {
        match &self.0 {
            Condition::Call(module, function) => says_yes(node, module, function).await,
            Condition::Port(port) => node
                .connect(*port)
                .await
                .map(drop)
                .map_err(|e| Error::setup(e).context(format!("port {port} on {}", node.name()))),
            Condition::Http(port, path) => {
                let asked = node.clock().timeout(ANSWER_LIMIT, status(node, *port, path)).await;
                let what = format!("GET {path} on port {port} of {}", node.name());
                let status = asked
                    .unwrap_or_else(|_| {
                        Err(Error::setup(format!("no answer within {ANSWER_LIMIT:?}")))
                    })
                    .map_err(|e| e.context(&what))?;
                match status {
                    200..400 => Ok(()),
                    other => Err(Error::setup(format!("{what} was answered with {other}"))),
                }
            }
            Condition::Log(text) => {
                let logs = node.last_output(LOG_BYTES_MAX);
                match logs.iter().any(|(_, log)| log.contains(text)) {
                    true => Ok(()),
                    false => Err(Error::setup(format!("no log of {} says {text:?}", node.name()))),
                }
            }
        }
    }
}

/// Asks a function without arguments; anything but `true` and `:ok` is an error that shows it.
pub(super) async fn says_yes(node: &Node, module: &str, function: &str) -> Result<(), Error> {
    let control = node.control().await.map_err(Error::setup)?;
    let asking = control.call::<Term>(module, function, args![]).within(ANSWER_LIMIT);
    let said = asking.await.map_err(|error| match error {
        // The application has started, so that all of its modules are there: no waiting mends it.
        CallError::Undefined { function, peer, .. } => Error::usage(format!(
            "{function} is undefined on {peer}; check module and function of `Ready::call` or `.formed(…)`"
        )),
        other => Error::setup(other),
    })?;
    match said == Term::from(true) || said == Term::from(Atom::from("ok")) {
        true => Ok(()),
        false => Err(Error::setup(format!("{module}.{function}() on {} says {said}", node.name()))),
    }
}

async fn status(node: &Node, port: u16, path: &str) -> Result<u16, Error> {
    let mut stream = node.connect(port).await.map_err(Error::setup)?;
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", node.name());
    stream.write_all(request.as_bytes()).await.map_err(Error::setup)?;
    let mut answer = Vec::new();
    while answer.len() < HTTP_BYTES_MAX && !answer.contains(&b'\n') {
        if stream.read_buf(&mut answer).await.map_err(Error::setup)? == 0 {
            break;
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    let line = answer.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    let status = words
        .next()
        .filter(|word| word.starts_with("HTTP/"))
        .and_then(|_| words.next()?.parse().ok());
    status.ok_or_else(|| Error::setup(format!("the answer is no HTTP: {line:?}")))
}
