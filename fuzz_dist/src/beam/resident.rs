//! Processes of ours in a node that report to a receiver, and end with it.

use super::Args;
use super::CallError;
use super::Connection;
use super::ConvertError;
use super::Mailbox;
use super::Term;
use crate::args;

/// Loads a module (its name, and the bytes of its compiled form) where the node has not got it yet,
/// calls its function `start`, and links the process that this began to a mailbox.
///
/// What it answered is given back: a tuple that begins with `ok` and the process.
pub(super) async fn start(
    connection: &Connection,
    (module, beam): (&str, &[u8]),
    arguments: Args,
    mailbox: &Mailbox,
) -> Result<Term, CallError> {
    let name = super::Atom::from(module);
    let loaded: bool = connection.call("erlang", "module_loaded", args![name]).await?;
    if !loaded {
        connection.load_binary(module, beam).await?;
    }
    let answer: Term = connection.call(module, "start", arguments).await?;
    let process = match answer.as_tuple() {
        Some([ok, process, ..]) if ok.is_atom("ok") => process.as_pid().cloned(),
        _ => None,
    };
    let process = process.ok_or_else(|| CallError::UnexpectedResult {
        peer: connection.peer().into(),
        error: ConvertError::new("{ok, Process, ...}", &answer),
    })?;
    mailbox.link(&process).await?;
    Ok(answer)
}
