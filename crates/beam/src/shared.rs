//! What the tasks of a connection and its users share: who waits for what, and whether it is still open.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use super::control::{Control, Process};
use super::error::CloseReason;
use super::inbox::Inbox;
use super::mailbox::Event;
use super::options::Options;
use super::outbox::Outbox;
use super::term::{Atom, Pid, Reference, Term, atom};

/// The process number that calls are made from; mailboxes have greater ones.
const CALLER: u32 = 1;

/// What ends a wait.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The reply to a call.
    Reply(Term),
    /// The watched process ended, or was not there.
    Down(Term),
    /// The process was not started.
    NotStarted(Term),
    /// The connection ended.
    Closed(CloseReason),
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: Atom,
    pub(crate) creation: u32,
    pub(crate) options: Options,
    pub(crate) outbox: Outbox,
    state: Mutex<State>,
    next_reference: AtomicU64,
    closed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    closed: Option<CloseReason>,
    pending: HashMap<u64, oneshot::Sender<Answer>>,
    mailboxes: HashMap<u32, MailboxState>,
    next_mailbox: u32,
    events_dropped: u64,
}

#[derive(Debug)]
struct MailboxState {
    inbox: Arc<Inbox>,
    /// Processes of the peer that watch this mailbox.
    watchers: Vec<(Reference, Pid)>,
}

/// A peer's processes may watch one of our mailboxes this many times.
const WATCHERS_MAX: usize = 10_000;

impl Shared {
    pub(crate) fn new(name: String, creation: u32, options: Options) -> Self {
        Shared {
            name: name.into(),
            creation,
            outbox: Outbox::new(options.outgoing_bytes_max),
            options,
            state: Mutex::new(State { next_mailbox: CALLER + 1, ..State::default() }),
            next_reference: AtomicU64::new(1),
            closed: watch::Sender::new(false),
        }
    }

    pub(crate) fn pid(&self, id: u32) -> Pid {
        // Numbers of older nodes have 15 bits; what is above goes into the serial.
        Pid { node: self.name.clone(), id: id & 0x7fff, serial: id >> 15, creation: self.creation }
    }

    pub(crate) fn caller(&self) -> Pid {
        self.pid(CALLER)
    }

    pub(crate) fn new_reference(&self) -> (u64, Reference) {
        let key = self.next_reference.fetch_add(1, Ordering::Relaxed);
        // The first word has 18 bits, as in nodes of every age.
        let ids = vec![(key & 0x3_ffff) as u32, (key >> 18) as u32, 0];
        (key, Reference { node: self.name.clone(), creation: self.creation, ids })
    }

    /// The number of one of our references.
    fn key(&self, reference: &Reference) -> Option<u64> {
        match reference.ids[..] {
            [low, high, 0]
                if reference.node == self.name && reference.creation == self.creation =>
            {
                Some(u64::from(high) << 18 | u64::from(low))
            }
            _ => None,
        }
    }

    /// Begins a wait; `Err` with the number of those who wait if they are too many.
    pub(crate) fn wait_for(&self, key: u64) -> Result<oneshot::Receiver<Answer>, WaitRefused> {
        let mut state = self.lock();
        if let Some(reason) = &state.closed {
            return Err(WaitRefused::Closed(reason.clone()));
        }
        if state.pending.len() >= self.options.pending_max {
            return Err(WaitRefused::TooMany);
        }
        let (sender, receiver) = oneshot::channel();
        state.pending.insert(key, sender);
        Ok(receiver)
    }

    /// Ends a wait that nobody is interested in any more.
    pub(crate) fn forget(&self, key: u64) -> bool {
        self.lock().pending.remove(&key).is_some()
    }

    pub(crate) fn pending(&self) -> usize {
        self.lock().pending.len()
    }

    pub(crate) fn events_dropped(&self) -> u64 {
        self.lock().events_dropped
    }

    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.lock().closed.clone()
    }

    /// Ends the connection: the first reason counts, and whoever waits gets it.
    pub(crate) fn close(&self, reason: CloseReason) {
        let (pending, mailboxes) = {
            let mut state = self.lock();
            if state.closed.is_some() {
                return;
            }
            state.closed = Some(reason.clone());
            (std::mem::take(&mut state.pending), std::mem::take(&mut state.mailboxes))
        };
        for (_, waiting) in pending {
            let _ = waiting.send(Answer::Closed(reason.clone()));
        }
        // What is in them can still be received.
        mailboxes.values().for_each(|mailbox| mailbox.inbox.close());
        self.closed.send_replace(true);
    }

    /// Waits until the connection has ended.
    pub(crate) async fn closed(&self) {
        // The sender is a field of ours, so it cannot be gone.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Sends without waiting, from where nobody can wait: what the node has to know about our
    /// processes (`DOWN`, `DEMONITOR`, the answer to an unlink or a request for output). It may pass
    /// the limit by a reserve; a node that leaves even that unread is given up, since it would
    /// believe something wrong from then on.
    pub(crate) fn send_now(&self, control: Control, payload: Option<&Term>) {
        let mut message = Vec::with_capacity(128);
        if control.write(payload, &mut message).is_ok() && !self.outbox.push_now(&message) {
            self.close(CloseReason::Unread);
        }
    }

    pub(crate) fn open_mailbox(&self, capacity: usize) -> (Pid, u32, Arc<Inbox>) {
        let inbox = Arc::new(Inbox::new(capacity));
        let mut state = self.lock();
        let id = state.next_mailbox;
        state.next_mailbox += 1;
        match state.closed {
            Some(_) => inbox.close(),
            None => {
                let mailbox = MailboxState { inbox: inbox.clone(), watchers: Vec::new() };
                state.mailboxes.insert(id, mailbox);
            }
        }
        (self.pid(id), id, inbox)
    }

    /// Ends a mailbox: the processes that watch it are notified.
    pub(crate) fn close_mailbox(&self, id: u32) {
        let Some(mailbox) = self.lock().mailboxes.remove(&id) else { return };
        for (reference, watcher) in mailbox.watchers {
            let from = Process::Pid(self.pid(id));
            let reason = Some(atom("normal"));
            self.send_now(Control::Down { from, to: watcher, reference, reason }, None);
        }
    }

    /// Acts on one signal of the peer.
    pub(crate) fn receive(&self, control: Control, payload: Option<Term>) {
        let payload = || payload.unwrap_or(Term::List(Vec::new()));
        match control {
            Control::Send { to: Process::Pid(to), .. } => self.deliver(&to, payload()),
            Control::Exit { from, to, reason } | Control::ExitSignal { from, to, reason } => {
                let reason = reason.unwrap_or_else(payload);
                self.post(&to, Event::Exit { from, reason });
            }
            Control::Down { reference, reason, .. } => {
                let reason = reason.unwrap_or_else(payload);
                self.answer(&reference, Answer::Down(reason));
            }
            Control::SpawnReply { request, result, .. } if result.as_pid().is_none() => {
                self.answer(&request, Answer::NotStarted(result));
            }
            Control::Monitor { from, to, reference } => self.watched(from, to, reference),
            Control::Demonitor { to: Process::Pid(to), reference, .. } => {
                let id = to.id | to.serial << 15;
                if let Some(mailbox) = self.lock().mailboxes.get_mut(&id) {
                    mailbox.watchers.retain(|(known, _)| *known != reference);
                }
            }
            Control::Unlink { id, from, to } => {
                self.send_now(Control::UnlinkAck { id, from: to, to: from }, None);
            }
            // Names of ours, aliases and spawn requests were never given out or agreed to.
            _ => {}
        }
    }

    /// A message to one of our processes: a reply, a request for output, or for a mailbox.
    fn deliver(&self, to: &Pid, message: Term) {
        let message = match message {
            Term::Tuple(mut parts) if parts.len() == 2 => match (&parts[0], parts.len()) {
                (Term::Reference(reference), 2) if self.key(reference).is_some() => {
                    let reference = reference.clone();
                    let reply = parts.pop().unwrap_or(Term::List(Vec::new()));
                    self.answer(&reference, Answer::Reply(reply));
                    return;
                }
                _ => Term::Tuple(parts),
            },
            message => message,
        };
        if *to == self.caller() {
            self.serve_output(&message);
        } else {
            self.post(to, Event::Message(message));
        }
    }

    /// Where a node has no process `user`, our caller is the group leader of what it starts: whoever
    /// prints must not wait for ever.
    fn serve_output(&self, message: &Term) {
        let Some([tag, Term::Pid(from), reply_as, _]) = message.as_tuple() else { return };
        if tag.is_atom("io_request") {
            let reply = Term::Tuple(vec![atom("io_reply"), reply_as.clone(), atom("ok")]);
            let to = Process::Pid((**from).clone());
            self.send_now(Control::Send { from: None, to }, Some(&reply));
        }
    }

    fn watched(&self, watcher: Pid, to: Process, reference: Reference) {
        let mut reason = "noproc";
        if let Process::Pid(pid) = &to {
            let mut state = self.lock();
            if let Some(mailbox) = state.mailboxes.get_mut(&(pid.id | pid.serial << 15)) {
                if mailbox.watchers.len() < WATCHERS_MAX {
                    mailbox.watchers.push((reference, watcher));
                    return;
                }
                // A monitor that is not kept must not look like one.
                reason = "system_limit";
            } else if *pid == self.caller() {
                return;
            }
        }
        let reason = Some(atom(reason));
        self.send_now(Control::Down { from: to, to: watcher, reference, reason }, None);
    }

    fn answer(&self, reference: &Reference, answer: Answer) {
        let waiting = self.key(reference).and_then(|key| self.lock().pending.remove(&key));
        if let Some(waiting) = waiting {
            let _ = waiting.send(answer);
        }
    }

    /// Puts an event into a mailbox; a full one drops messages, since the connection must not stand
    /// still.
    fn post(&self, to: &Pid, event: Event) {
        let mut state = self.lock();
        let mailbox = state.mailboxes.get(&(to.id | to.serial << 15));
        if mailbox.is_some_and(|mailbox| !mailbox.inbox.post(event)) {
            state.events_dropped += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a wait could not begin.
#[derive(Debug)]
pub(crate) enum WaitRefused {
    Closed(CloseReason),
    TooMany,
}
