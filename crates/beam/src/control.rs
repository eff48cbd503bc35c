//! The control messages of the distribution protocol (erts/doc: "Distribution Protocol").

use super::decode::DecodeError;
use super::encode::{self, EncodeError};
use super::term::{Atom, Pid, Reference, Term};

/// Whom a signal is for: a process, or the one that is registered under a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Process {
    /// A process.
    Pid(Pid),
    /// The process that is registered under this name on the node, when the signal arrives.
    Name(Atom),
}

/// What one message between two nodes is about. What it carries besides comes as a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// Two processes are linked.
    Link {
        /// The process that links.
        from: Pid,
        /// The process that it is linked to.
        to: Pid,
    },
    /// A link is taken away; the other side acknowledges it by the same number.
    Unlink {
        /// The number that the acknowledgement repeats.
        id: Term,
        /// The process that unlinks.
        from: Pid,
        /// The process that it was linked to.
        to: Pid,
    },
    /// The acknowledgement of an [`Control::Unlink`].
    UnlinkAck {
        /// The number of the unlink.
        id: Term,
        /// The process that acknowledges.
        from: Pid,
        /// The process that unlinked.
        to: Pid,
    },
    /// A message; the payload is what is sent.
    Send {
        /// The sender, if it is given.
        from: Option<Pid>,
        /// The receiver.
        to: Process,
    },
    /// A message to an alias of a process.
    AliasSend {
        /// The sender.
        from: Pid,
        /// The alias.
        alias: Reference,
    },
    /// A linked process ended.
    Exit {
        /// The process that ended.
        from: Pid,
        /// The process that was linked to it.
        to: Pid,
        /// Why; `None` if the payload has the reason.
        reason: Option<Term>,
    },
    /// `exit(Pid, Reason)` was called.
    ExitSignal {
        /// Who called.
        from: Pid,
        /// Who is to exit.
        to: Pid,
        /// Why; `None` if the payload has the reason.
        reason: Option<Term>,
    },
    /// A process is watched.
    Monitor {
        /// The watcher.
        from: Pid,
        /// The watched.
        to: Process,
        /// The watch.
        reference: Reference,
    },
    /// A process is watched no more.
    Demonitor {
        /// The watcher.
        from: Pid,
        /// The watched.
        to: Process,
        /// The watch.
        reference: Reference,
    },
    /// A watched process ended, or there is none.
    Down {
        /// The watched.
        from: Process,
        /// The watcher.
        to: Pid,
        /// The watch.
        reference: Reference,
        /// Why; `None` if the payload has the reason.
        reason: Option<Term>,
    },
    /// A process is to be started; the payload is the list of its arguments.
    SpawnRequest {
        /// Distinguishes requests; with the option `monitor` also the watch.
        request: Reference,
        /// Who asks.
        from: Pid,
        /// Where the output of the process goes.
        group_leader: Pid,
        /// Module, function and arity.
        function: (Atom, Atom, u8),
        /// `monitor`, `link` and others.
        options: Vec<Atom>,
    },
    /// What became of a [`Control::SpawnRequest`].
    SpawnReply {
        /// The request.
        request: Reference,
        /// Who asked.
        to: Pid,
        /// The process, or an atom that says why there is none.
        result: Term,
    },
    /// Anything else: the elements as they came.
    Other(Vec<Term>),
}

const MALFORMED: DecodeError =
    DecodeError::Malformed("a control message whose parts are of the wrong kind");

impl Control {
    /// Understands a decoded control message.
    pub fn from_term(term: Term) -> Result<Control, DecodeError> {
        let Term::Tuple(mut parts) = term else { return Err(MALFORMED) };
        // Messages with a trace token have it as one more part; their numbers are 10 or 1 greater.
        let operation = match parts.first().and_then(Term::as_i64) {
            Some(traced @ (12 | 13 | 16 | 18)) => traced - 10,
            Some(traced @ (23 | 25 | 27 | 30 | 32 | 34)) => traced - 1,
            Some(plain) => plain,
            None => return Err(MALFORMED),
        };
        let traced = parts.first().and_then(Term::as_i64) != Some(operation);
        // The token stands before the reason of an exit and at the end of everything else.
        let reason_at = if traced { 4 } else { 3 };
        let mut part = |index: usize| parts.get_mut(index).map(take).ok_or(MALFORMED);
        Ok(match operation {
            1 => Control::Link { from: pid(part(1)?)?, to: pid(part(2)?)? },
            2 => Control::Send { from: None, to: Process::Pid(pid(part(2)?)?) },
            22 => Control::Send { from: Some(pid(part(1)?)?), to: Process::Pid(pid(part(2)?)?) },
            3 => Control::Exit {
                from: pid(part(1)?)?,
                to: pid(part(2)?)?,
                reason: Some(part(reason_at)?),
            },
            24 => Control::Exit { from: pid(part(1)?)?, to: pid(part(2)?)?, reason: None },
            6 => Control::Send { from: Some(pid(part(1)?)?), to: Process::Name(atom(part(3)?)?) },
            8 => Control::ExitSignal {
                from: pid(part(1)?)?,
                to: pid(part(2)?)?,
                reason: Some(part(reason_at)?),
            },
            26 => Control::ExitSignal { from: pid(part(1)?)?, to: pid(part(2)?)?, reason: None },
            19 => Control::Monitor {
                from: pid(part(1)?)?,
                to: process(part(2)?)?,
                reference: reference(part(3)?)?,
            },
            20 => Control::Demonitor {
                from: pid(part(1)?)?,
                to: process(part(2)?)?,
                reference: reference(part(3)?)?,
            },
            21 | 28 => Control::Down {
                from: process(part(1)?)?,
                to: pid(part(2)?)?,
                reference: reference(part(3)?)?,
                reason: if operation == 21 { Some(part(4)?) } else { None },
            },
            29 => Control::SpawnRequest {
                request: reference(part(1)?)?,
                from: pid(part(2)?)?,
                group_leader: pid(part(3)?)?,
                function: function(part(4)?)?,
                options: option_names(part(5)?)?,
            },
            31 => Control::SpawnReply {
                request: reference(part(1)?)?,
                to: pid(part(2)?)?,
                result: part(4)?,
            },
            33 => Control::AliasSend { from: pid(part(1)?)?, alias: reference(part(2)?)? },
            35 => Control::Unlink { id: part(1)?, from: pid(part(2)?)?, to: pid(part(3)?)? },
            36 => Control::UnlinkAck { id: part(1)?, from: pid(part(2)?)?, to: pid(part(3)?)? },
            _ => Control::Other(parts),
        })
    }

    /// The message as a term, in the form that a node of OTP 25 or later understands.
    pub fn into_term(self) -> Term {
        let tuple = |operation: i64, mut parts: Vec<Term>| {
            parts.insert(0, Term::Int(operation));
            Term::Tuple(parts)
        };
        let unused = || Term::Atom(Atom::from_static(""));
        match self {
            Control::Link { from, to } => tuple(1, vec![from.into(), to.into()]),
            Control::Unlink { id, from, to } => tuple(35, vec![id, from.into(), to.into()]),
            Control::UnlinkAck { id, from, to } => tuple(36, vec![id, from.into(), to.into()]),
            Control::Send { from: None, to: Process::Pid(to) } => {
                tuple(2, vec![unused(), to.into()])
            }
            Control::Send { from: Some(from), to: Process::Pid(to) } => {
                tuple(22, vec![from.into(), to.into()])
            }
            Control::Send { from, to: Process::Name(to) } => {
                tuple(6, vec![from.map_or_else(unused, Term::from), unused(), to.into()])
            }
            Control::AliasSend { from, alias } => tuple(33, vec![from.into(), alias.into()]),
            Control::Exit { from, to, reason: None } => tuple(24, vec![from.into(), to.into()]),
            Control::Exit { from, to, reason: Some(reason) } => {
                tuple(3, vec![from.into(), to.into(), reason])
            }
            Control::ExitSignal { from, to, reason: None } => {
                tuple(26, vec![from.into(), to.into()])
            }
            Control::ExitSignal { from, to, reason: Some(reason) } => {
                tuple(8, vec![from.into(), to.into(), reason])
            }
            Control::Monitor { from, to, reference } => {
                tuple(19, vec![from.into(), to.into(), reference.into()])
            }
            Control::Demonitor { from, to, reference } => {
                tuple(20, vec![from.into(), to.into(), reference.into()])
            }
            Control::Down { from, to, reference, reason: None } => {
                tuple(28, vec![from.into(), to.into(), reference.into()])
            }
            Control::Down { from, to, reference, reason: Some(reason) } => {
                tuple(21, vec![from.into(), to.into(), reference.into(), reason])
            }
            Control::SpawnRequest { request, from, group_leader, function: (m, f, a), options } => {
                tuple(
                    29,
                    vec![
                        request.into(),
                        from.into(),
                        group_leader.into(),
                        Term::from((m, f, a)),
                        options.into(),
                    ],
                )
            }
            Control::SpawnReply { request, to, result } => {
                tuple(31, vec![request.into(), to.into(), Term::Int(0), result])
            }
            Control::Other(parts) => Term::Tuple(parts),
        }
    }

    /// Appends the whole message as a node sends it: length, type, control message, payload.
    pub fn write(self, payload: Option<&Term>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        out.extend([0, 0, 0, 0, PASS_THROUGH, encode::VERSION]);
        let written = encode::encode(&self.into_term(), out).and_then(|()| match payload {
            Some(payload) => {
                out.push(encode::VERSION);
                encode::encode(payload, out)
            }
            None => Ok(()),
        });
        let length = out.len() - start - 4;
        let checked = written.and_then(|()| {
            u32::try_from(length).map_err(|_| EncodeError::TooLarge { kind: "a message", length })
        });
        match checked {
            Ok(length) => out[start..start + 4].copy_from_slice(&length.to_be_bytes()),
            Err(_) => out.truncate(start),
        }
        checked.map(|_| ())
    }
}

/// The type of a message that needs no atom table of the connection.
pub(crate) const PASS_THROUGH: u8 = 112;

impl From<Process> for Term {
    fn from(process: Process) -> Self {
        match process {
            Process::Pid(pid) => pid.into(),
            Process::Name(name) => name.into(),
        }
    }
}

/// By the rule of [`Atom::of_name`]: `"Shop.Cart"` is registered as `'Elixir.Shop.Cart'`.
impl From<&str> for Process {
    fn from(name: &str) -> Self {
        Process::Name(Atom::of_name(name))
    }
}

impl From<Atom> for Process {
    fn from(name: Atom) -> Self {
        Process::Name(name)
    }
}

impl From<Pid> for Process {
    fn from(pid: Pid) -> Self {
        Process::Pid(pid)
    }
}

impl From<&Pid> for Process {
    fn from(pid: &Pid) -> Self {
        Process::Pid(pid.clone())
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Process::Pid(pid) => write!(f, "{pid}"),
            Process::Name(name) => write!(f, "{name}"),
        }
    }
}

fn take(term: &mut Term) -> Term {
    std::mem::replace(term, Term::List(Vec::new()))
}

fn pid(term: Term) -> Result<Pid, DecodeError> {
    if let Term::Pid(pid) = term { Ok(*pid) } else { Err(MALFORMED) }
}

fn atom(term: Term) -> Result<Atom, DecodeError> {
    if let Term::Atom(atom) = term { Ok(atom) } else { Err(MALFORMED) }
}

fn reference(term: Term) -> Result<Reference, DecodeError> {
    if let Term::Reference(reference) = term { Ok(*reference) } else { Err(MALFORMED) }
}

fn process(term: Term) -> Result<Process, DecodeError> {
    match term {
        Term::Pid(pid) => Ok(Process::Pid(*pid)),
        Term::Atom(name) => Ok(Process::Name(name)),
        _ => Err(MALFORMED),
    }
}

fn function(term: Term) -> Result<(Atom, Atom, u8), DecodeError> {
    let Term::Tuple(parts) = term else { return Err(MALFORMED) };
    let [module, function, arity] = <[Term; 3]>::try_from(parts).map_err(|_| MALFORMED)?;
    let arity = arity.as_i64().and_then(|arity| u8::try_from(arity).ok()).ok_or(MALFORMED)?;
    Ok((atom(module)?, atom(function)?, arity))
}

/// Options that are tuples are of no use to us, and left out.
fn option_names(term: Term) -> Result<Vec<Atom>, DecodeError> {
    let Term::List(options) = term else { return Err(MALFORMED) };
    Ok(options.into_iter().filter_map(|option| atom(option).ok()).collect())
}
