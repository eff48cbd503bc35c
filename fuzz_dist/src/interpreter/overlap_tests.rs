//! In simulated time, where work takes none, operations overlap as they do in real time.

use std::time::Duration;

use tokio::sync::watch;

use super::{Interpreter, Options, Phase, Recorder};
use crate::client::{Client, Error, Opener};
use crate::clock::{Clock, Manual};
use crate::generator::{Generator, Thread, repeat};
use crate::op::{Completion, Invocation, Kind, NodeId, Value};
use crate::random::Seed;
use crate::time::secs;

/// Answers at once, or as real nodes do: after a while that differs.
struct Answers(Option<(Clock, u64)>);

impl Client for Answers {
    async fn invoke(&mut self, op: &Invocation) -> Completion {
        if let Some((clock, count)) = &mut self.0 {
            *count += 1;
            clock.sleep(Duration::from_micros(100 + *count * 7919 % 1900)).await;
        }
        Completion::Ok(op.value.clone())
    }
    async fn reopen(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// With a clock: they take time by it.
struct Opens(Option<Clock>);

impl Opener for Opens {
    type Client = Answers;
    async fn open(&self, thread: Thread, _: NodeId) -> Result<Answers, Error> {
        Ok(Answers(self.0.clone().map(|clock| (clock, u64::from(thread.0)))))
    }
}

/// Which part of the operations overlaps another one; so many a second from six clients, or each client
/// one after the other.
fn overlapping(latency: Option<Seed>, takes_time: bool, rate: Option<f64>) -> (usize, f64) {
    Manual::run(|clock| async move {
        let recorder = Recorder::in_memory(["n1", "n2"]);
        let options = Options { concurrency: 6, latency, ..Options::for_nodes(2) };
        let mut interpreter = Interpreter::new(clock.clone(), recorder.clone(), options).unwrap();
        let ops = repeat(Invocation::new("write", Value::Nil));
        let mut generator: Box<dyn Generator> = match rate {
            Some(rate) => Box::new(ops.stagger(secs(1).div_f64(rate), Seed(1).stream("ops"))),
            None => Box::new(ops),
        };
        let opener = Opens(takes_time.then_some(clock));
        let (_cancel, mut cancelled) = watch::channel(false);
        interpreter.run(Phase::Main, &mut generator, &opener, secs(2), &mut cancelled).await;
        let times: Vec<(u64, bool)> =
            recorder.with(|h| h.events().map(|e| (e.time.0, e.kind == Kind::Invoke)).collect());
        // Of two events in a row that both are invocations, both operations overlap.
        let (mut open, mut alone, mut all) = (0_usize, 0, 0);
        let mut is_alone = false;
        for (_, invoked) in times {
            if invoked {
                all += 1;
                is_alone = open == 0;
                open += 1;
            } else {
                open -= 1;
                alone += usize::from(is_alone && open == 0);
                is_alone = false;
            }
        }
        (all, 1.0 - alone as f64 / all as f64)
    })
}

#[test]
fn operations_overlap_as_in_real_time() {
    let (_, none) = overlapping(None, false, Some(500.0));
    let (count, simulated) = overlapping(Some(Seed(1)), false, Some(500.0));
    let (_, real) = overlapping(None, true, Some(500.0));
    assert!(count > 500, "{count}");
    assert!(none < 0.01, "work takes no time: {none}");
    assert!((real - 0.2..real + 0.2).contains(&simulated), "{simulated} beside {real}");
    assert_eq!(simulated, overlapping(Some(Seed(1)), false, Some(500.0)).1);
    assert_ne!(simulated, overlapping(Some(Seed(2)), false, Some(500.0)).1);
}

/// Without a latency time would stand still while clients ask one thing after the other.
#[test]
fn closed_loops_without_think_time_go_on() {
    let (count, share) = overlapping(Some(Seed(1)), false, None);
    assert!((2 * 6 * 500..2 * 6 * 10_000).contains(&count) && share > 0.99, "{count}, {share}");
}
