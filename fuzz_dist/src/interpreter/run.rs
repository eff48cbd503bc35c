//! The loop of one phase: serve completions, ask the generator, wait.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;

use super::connection::{Connection, Done, Target};
use super::executor::Caller;
use super::pool::{Finished, Pool};
use super::{Ended, Interpreter};
use crate::client::{ABANDONED, DynOpener, NO_CLIENT, PANICKED};
use crate::clock::Timer;
use crate::generator::{Context, Generator, Next, Planned, Thread, ThreadSet, Update};
use crate::op::{Completion, OpError, Phase, Process};
use crate::time::Time;

/// So much is done in a row before the runtime gets its turn: I/O and timers live there.
const TURN: u32 = 64;

/// The pauses between attempts to connect grow from the first of these to the second.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// One call of [`Interpreter::run`].
pub(super) struct Run<'a> {
    interpreter: &'a mut Interpreter,
    phase: Phase,
    opener: &'a dyn DynOpener,
    pool: Pool<'a, Done>,
    free: ThreadSet,
    end: Time,
    timer: Timer,
}

/// What a wait ended with.
enum Woken {
    Done(usize, Finished<Done>),
    Timer,
    Cancelled,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        interpreter: &'a mut Interpreter,
        phase: Phase,
        opener: &'a dyn DynOpener,
        end: Time,
    ) -> Run<'a> {
        let threads = interpreter.threads.len();
        interpreter.follow();
        let timer = interpreter.executor.clock.timer();
        let mut run = Run {
            interpreter,
            phase,
            opener,
            pool: Pool::new(threads),
            free: ThreadSet::empty(),
            end,
            timer,
        };
        for i in 0..threads {
            run.interpreter.threads[i].failures = 0;
            run.leave_behind(i);
            run.release(i);
        }
        run
    }

    /// An operation whose phase was dropped while it ran has an end in the history, too: nobody knows
    /// what became of it.
    fn leave_behind(&mut self, i: usize) {
        let Some(op) = self.interpreter.threads[i].op.take() else { return };
        // It ends when that is recorded.
        let _flight = self.interpreter.threads[i].flight.take();
        let completion = Completion::Info(OpError::new(ABANDONED, "its phase was dropped"));
        self.interpreter.executor.completed(self.caller(i), self.phase, &op, completion);
        self.next_process(i);
    }

    /// Asks the generator and serves completions until there is a reason to end.
    pub(super) async fn work(
        &mut self,
        generator: &mut dyn Generator,
        cancel: &mut watch::Receiver<bool>,
    ) -> Ended {
        let mut turn = 0_u32;
        loop {
            turn = turn.wrapping_add(1);
            if turn.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
            // Completions are served before new work is asked for.
            if let Some((slot, done)) = self.finished().await {
                self.serve(slot, done, generator);
                continue;
            }
            if *cancel.borrow() {
                return Ended::Cancelled;
            }
            let now = self.interpreter.executor.clock.now();
            if now >= self.end {
                return Ended::TimeLimit;
            }
            self.follow();
            let wake = match generator.next(&self.context(now)) {
                Next::Op(planned) if planned.time <= now => {
                    let node = self.interpreter.bound[planned.thread.index()];
                    // A node that is about to leave: who remains is known in a moment.
                    let Some(flight) = self.interpreter.begin(node) else { continue };
                    generator.take(&self.context(now));
                    self.interpreter.threads[planned.thread.index()].flight = Some(flight);
                    self.invoke(planned, generator);
                    continue;
                }
                Next::Log(text) => {
                    generator.take(&self.context(now));
                    let observers = &self.interpreter.executor.observers;
                    observers.iter().for_each(|observer| observer.log(now, &text));
                    continue;
                }
                Next::Op(planned) => Some(planned.time),
                Next::Pending(wake) => wake,
                Next::Exhausted => return Ended::Exhausted,
            };
            if wake.is_none() && self.free.len() == self.interpreter.threads.len() {
                return Ended::Stuck;
            }
            // A generator that names a time in the past has to wait for something all the same.
            let wake = wake.filter(|wake| *wake > now).unwrap_or(self.end).min(self.end);
            if let Woken::Done(slot, done) = self.wait(wake, Some(&mut *cancel)).await {
                self.serve(slot, done, generator);
            }
        }
    }

    /// Awaits what is in flight for a bounded time, and records the rest as unknown.
    pub(super) async fn drain(&mut self, generator: &mut dyn Generator, ended: Ended) -> usize {
        let options = &self.interpreter.executor.options;
        let bound = match ended {
            Ended::Cancelled => options.cancelled_drain_timeout,
            Ended::Exhausted | Ended::TimeLimit | Ended::Stuck => options.drain_timeout,
        };
        let until = self.interpreter.executor.clock.now() + bound;
        while self.interpreter.threads.iter().any(|t| t.op.is_some()) {
            match self.wait(until, None).await {
                Woken::Done(slot, done) => self.serve(slot, done, generator),
                Woken::Timer | Woken::Cancelled => break,
            }
        }
        let mut abandoned = 0;
        for i in 0..self.interpreter.threads.len() {
            if !self.pool.abandon(i) {
                continue;
            }
            if self.interpreter.threads[i].op.is_some() {
                abandoned += 1;
                let text = format!("still running {bound:?} after the end of the phase");
                let completion = Completion::Info(OpError::new(ABANDONED, text));
                self.complete(i, completion, generator);
            } else {
                // Its client went with the attempt to mend it, and with it the session.
                self.next_process(i);
            }
        }
        abandoned
    }

    fn context(&self, now: Time) -> Context<'_> {
        Context::new(now, &self.interpreter.processes, self.interpreter.executor.options.nodes)
            .with_bound(&self.interpreter.bound)
            .with_free(self.free)
            .with_cursor(self.interpreter.cursor)
    }

    /// What has finished already, without waiting.
    async fn finished(&mut self) -> Option<(usize, Finished<Done>)> {
        poll_fn(|cx| {
            Poll::Ready(match self.pool.poll_next(cx) {
                Poll::Ready(done) => Some(done),
                Poll::Pending => None,
            })
        })
        .await
    }

    /// Waits until something finishes, but not longer than `until`.
    async fn wait(&mut self, until: Time, cancel: Option<&mut watch::Receiver<bool>>) -> Woken {
        self.timer.set(until);
        let mut cancelled = pin!(async {
            if let Some(cancel) = cancel
                && cancel.wait_for(|cancelled| *cancelled).await.is_ok()
            {
                return;
            }
            // Nobody can cancel any more.
            std::future::pending().await
        });
        poll_fn(|cx| {
            if let Poll::Ready((slot, done)) = self.pool.poll_next(cx) {
                return Poll::Ready(Woken::Done(slot, done));
            }
            if self.timer.poll(cx).is_ready() {
                return Poll::Ready(Woken::Timer);
            }
            cancelled.as_mut().poll(cx).map(|()| Woken::Cancelled)
        })
        .await
    }

    fn caller(&self, i: usize) -> Caller {
        Caller {
            thread: Thread(i as u16),
            process: self.interpreter.processes[i],
            node: self.interpreter.bound[i],
        }
    }

    fn target(&self, i: usize) -> Target<'a> {
        self.interpreter.executor.target(self.opener, self.caller(i))
    }

    fn invoke(&mut self, planned: Planned, generator: &mut dyn Generator) {
        let Planned { thread, op, .. } = planned;
        let i = thread.index();
        assert!(self.free.remove(thread), "a generator offers operations on free threads only");
        self.interpreter.cursor = Thread(thread.0 + 1);
        let caller = self.caller(i);
        let now = self.interpreter.executor.invoked(caller, self.phase, &op);
        let target = self.target(i);
        let update = Update { thread, process: caller.process, op: &op, completion: None };
        generator.update(&self.context(now), &update);
        let connection = std::mem::take(&mut self.interpreter.threads[i].connection);
        self.pool.start(i, Box::pin(target.execute(connection, op.clone())));
        self.interpreter.threads[i].op = Some(op);
    }

    /// Deals with what a thread has done.
    fn serve(&mut self, i: usize, done: Finished<Done>, generator: &mut dyn Generator) {
        match done {
            Ok(Done::Op(connection, completion)) => {
                self.interpreter.threads[i].connection = connection;
                self.complete(i, completion, generator);
                self.release(i);
            }
            Ok(Done::Mended(connection)) => {
                let thread = &mut self.interpreter.threads[i];
                thread.failures = if connection.is_ready() { 0 } else { thread.failures + 1 };
                thread.connection = connection;
                // Without a client too: its next operation fails, and the history shows it.
                self.free_or_move(i);
            }
            Err(panic) if self.interpreter.threads[i].op.is_some() => {
                self.complete(i, Completion::Info(OpError::new(PANICKED, panic)), generator);
                self.release(i);
            }
            Err(_) => {
                // It panicked as it was opened, and its session is gone with it.
                self.interpreter.threads[i].failures += 1;
                self.next_process(i);
                self.free_or_move(i);
            }
        }
    }

    /// Takes up who takes part now. Free threads move at once, others when they are done.
    fn follow(&mut self) {
        if self.interpreter.follow() {
            for i in 0..self.interpreter.threads.len() {
                if self.moves(i) && self.free.remove(Thread(i as u16)) {
                    self.release(i);
                }
            }
        }
    }

    /// Shall the thread speak to another node?
    fn moves(&self, i: usize) -> bool {
        self.interpreter.bound[i] != self.interpreter.wanted[i]
    }

    fn free_or_move(&mut self, i: usize) {
        match self.moves(i) {
            true => self.release(i),
            false => self.free.insert(Thread(i as u16)),
        }
    }

    /// Makes a thread free, or lets it get a connection first.
    fn release(&mut self, i: usize) {
        if self.moves(i) {
            // A session does not go over to another node.
            self.interpreter.bound[i] = self.interpreter.wanted[i];
            let thread = &mut self.interpreter.threads[i];
            (thread.connection, thread.failures) = (Connection::None, 0);
            self.next_process(i);
        }
        if self.interpreter.threads[i].connection.is_ready() {
            self.free.insert(Thread(i as u16));
            return;
        }
        let connection = std::mem::take(&mut self.interpreter.threads[i].connection);
        let pause = match self.interpreter.threads[i].failures {
            0 => Duration::ZERO,
            n => PAUSE_MAX.min(PAUSE_MIN * 2_u32.saturating_pow(n.min(10))),
        };
        self.pool.start(i, Box::pin(self.target(i).mend(connection, pause)));
    }

    /// Records what became of a thread's operation, and passes it to the generator.
    fn complete(&mut self, i: usize, completion: Completion, generator: &mut dyn Generator) {
        let op = self.interpreter.threads[i].op.take().expect("what completes was in flight");
        // It ends when that is recorded.
        let _flight = self.interpreter.threads[i].flight.take();
        let caller = self.caller(i);
        let (completion, now) =
            self.interpreter.executor.completed(caller, self.phase, &op, completion);
        match &completion {
            Completion::Ok(_) => self.interpreter.threads[i].failures = 0,
            Completion::Fail(error) => {
                self.interpreter.threads[i].failures += u32::from(&*error.kind == NO_CLIENT);
            }
            Completion::Info(_) => self.next_process(i),
        }
        let Caller { thread, process, .. } = caller;
        let update = Update { thread, process, op: &op, completion: Some(&completion) };
        generator.update(&self.context(now), &update);
    }

    /// The thread's process is dead; the next one begins a session of its own, unless its
    /// client is reusable and stands ready.
    fn next_process(&mut self, i: usize) {
        let process = &mut self.interpreter.processes[i];
        let next = process.0 + u32::from(self.interpreter.executor.options.concurrency);
        *process = Process(next);
        assert!(process.is_client(), "a run uses up fewer than 2^32 processes");
        self.interpreter.threads[i].connection.for_next_process();
    }
}
