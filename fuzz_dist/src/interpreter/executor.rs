//! The rules of one operation, for the interpreter's threads and for clients of scenarios alike:
//! how it is recorded, how long it may take, and what an error says about its effect.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::connection::Target;
use super::{Counters, Observer, Options, Sent};
use crate::client::{ABANDONED, DynOpener, PANICKED};
use crate::clock::Clock;
use crate::generator::Thread;
use crate::history::Recorder;
use crate::op::{Completion, Event, Invocation, Kind, NodeId, Phase, Process};
use crate::time::Time;

/// Who executes an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) thread: Thread,
    pub(crate) process: Process,
    pub(crate) node: NodeId,
}

/// Records operations and judges what becomes of them.
#[derive(Clone)]
pub(crate) struct Executor {
    pub(super) clock: Clock,
    pub(super) recorder: Recorder,
    pub(super) options: Options,
    pub(super) counters: Arc<Counters>,
    pub(super) observers: Vec<Arc<dyn Observer>>,
}

impl Executor {
    /// Where a caller's operation goes, and how long it may take.
    pub(crate) fn target<'a>(&self, opener: &'a dyn DynOpener, caller: Caller) -> Target<'a> {
        Target {
            opener,
            clock: self.clock.clone(),
            thread: caller.thread,
            node: caller.node,
            open_timeout: self.options.open_timeout,
            op_timeout: self.options.op_timeout,
            latency: self.options.latency,
        }
    }

    /// Records that an operation is about to be sent. It must not leave before.
    pub(crate) fn invoked(&self, caller: Caller, phase: Phase, op: &Invocation) -> Time {
        self.counters.invoked.fetch_add(1, Ordering::Relaxed);
        let (time, index) = self.record(caller, phase, Kind::Invoke, op, None);
        for observer in &self.observers {
            observer.about_to_invoke(&sent(caller, time, index, op));
        }
        time
    }

    /// Records what became of an operation, and gives what that is by the rules. After
    /// [`Completion::Info`] the caller's process is dead.
    pub(crate) fn completed(
        &self,
        caller: Caller,
        phase: Phase,
        op: &Invocation,
        completion: Completion,
    ) -> (Completion, Time) {
        let completion = self.judged(op, completion);
        self.counters.completed(&completion);
        let (time, index) = self.record(caller, phase, completion.kind(), op, Some(&completion));
        for observer in &self.observers {
            observer.completed(&sent(caller, time, index, op), &completion);
        }
        (completion, time)
    }

    /// What does nothing has certainly not happened where nobody knows: such an operation has
    /// failed. Not where its client is gone: then the session has ended, and the process too.
    fn judged(&self, op: &Invocation, completion: Completion) -> Completion {
        match completion {
            Completion::Info(error)
                if ![PANICKED, ABANDONED].contains(&&*error.kind)
                    && self.options.pure_functions.contains(&op.f) =>
            {
                Completion::Fail(error)
            }
            completion => completion,
        }
    }

    fn record(
        &self,
        caller: Caller,
        phase: Phase,
        kind: Kind,
        op: &Invocation,
        completion: Option<&Completion>,
    ) -> (Time, usize) {
        let (value, error) = match completion {
            None => (op.value.clone(), None),
            Some(Completion::Ok(value)) => (value.clone(), None),
            Some(Completion::Fail(error) | Completion::Info(error)) => {
                (op.value.clone(), Some(error.clone()))
            }
        };
        let time = self.clock.now();
        let event = Event {
            time,
            process: caller.process,
            node: Some(caller.node),
            kind,
            f: op.f.clone(),
            value,
            error,
            phase,
        };
        let index = self.recorder.record(event);
        (time, index.expect("each process does one thing at a time"))
    }
}

fn sent<'a>(caller: Caller, time: Time, index: usize, op: &'a Invocation) -> Sent<'a> {
    let Caller { thread, process, node } = caller;
    Sent { time, thread, process, node, index, op }
}
