//! Cluster tests that each meet one fault.

use std::time::Duration;

use fuzz_dist::client::{Client, DynClient, Error as ClientError};
use fuzz_dist::embedded::{Bug, Embedded};
use fuzz_dist::env::{Command, Folder, HostSpec};
use fuzz_dist::generator::{Generator as _, from_fn, repeat};
use fuzz_dist::history::History;
use fuzz_dist::op::{Completion, Invocation, Name, OpError};
use fuzz_dist::prelude::*;

/// A database of one shell line per node.
#[derive(Clone)]
struct Shell {
    line: &'static str,
    ready: bool,
    hangs: bool,
    /// How long every operation takes.
    takes: Duration,
}

/// Its processes sleep, it is ready, its clients answer at once.
const FINE: Shell =
    Shell { line: "exec sleep 600", ready: true, hangs: false, takes: Duration::ZERO };

impl Db for Shell {
    fn name(&self) -> Name {
        "shell".into()
    }
    async fn start(&self, node: &Node) -> Result<(), Error> {
        node.spawn(Command::shell(self.line).named("shell")).await?;
        Ok(())
    }
    async fn ready(&self, _: &Node) -> Result<(), Error> {
        match self.ready {
            true => Ok(()),
            false => Err(Error::setup("it says no")),
        }
    }
    fn client(&self, _: &str, _: &Node) -> Option<Box<dyn DynClient>> {
        Some(Box::new(Answers { hangs: self.hangs, takes: self.takes }))
    }
}

struct Answers {
    hangs: bool,
    takes: Duration,
}

impl Client for Answers {
    async fn invoke(&mut self, op: &Invocation) -> Completion {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(self.takes).await;
        match &*op.f {
            "read" => Completion::Ok(fuzz_dist::op::Value::set([])),
            _ => Completion::Fail(OpError::new("refused", "this database takes nothing")),
        }
    }
    async fn reopen(&mut self) -> Result<(), ClientError> {
        Ok(())
    }
}

fn dies() -> Shell {
    Shell { line: "echo no memory left >&2; exit 3", ready: false, ..FINE }
}

#[fuzz_dist::test(db = Shell { ready: false, ..FINE }, workload = "g_set", setup_limit = "1s", nodes = 2)]
async fn never_ready(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(db = dies(), workload = "g_set", nodes = 2)]
async fn dies_at_the_start(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(
    db = Shell { line: "sleep 1; exit 3", ..FINE },
    workload = "g_set",
    nodes = 2,
    time_limit = "3s",
    quiesce_limit = "1s"
)]
async fn dies_by_itself(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(
    db = Shell { hangs: true, ..FINE },
    workload = "g_set",
    nodes = 2,
    time_limit = "1s",
    op_limit = "300ms",
    quiesce_limit = "1s"
)]
async fn clients_hang(test: Test) -> Outcome {
    test.run().await
}

struct Panics;
impl Checker for Panics {
    fn check(&self, _: &History) -> Verdict {
        panic!("the checker lost its mind")
    }
}

#[fuzz_dist::test(db = "embedded", workload = "g_set", checker = Panics, nodes = 2, time_limit = "1s")]
async fn checker_panics(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(db = "embedded", workload = "g_set", nemesis = "majority_ring", nodes = 3)]
async fn ring_of_three(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(db = "embedded", workload = "g_set", nemesis = "link", nodes = 1)]
async fn nothing_to_cut(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(db = "embedded", workload = "g_set", nemesis = "bridge", time_limit = "2s")]
async fn no_room_for_a_fault(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(db = "embedded", workload = "bank", time_limit = "2s")]
async fn no_such_workload(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nodes = 2,
    time_limit = "1s",
    total_limit = "60s"
)]
async fn an_error_after_some_operations(test: Test) -> Outcome {
    let cluster = test.start().await?;
    cluster.client("n1").invoke(Add(1)).await?;
    Err(Error::usage("the scenario gave up").into())
}

#[fuzz_dist::test(db = "embedded", workload = "g_set", nodes = 2)]
async fn the_body_panics(test: Test) -> Outcome {
    let cluster = test.start().await?;
    cluster.client("n1").invoke(Add(1)).await?;
    panic!("a slip in the scenario")
}

/// Long in every phase, so that it can be interrupted in each.
#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nemesis = majority_minority().after(millis(500)).lasting(secs(5)),
    time_limit = "30s"
)]
async fn takes_long(test: Test) -> Outcome {
    test.run().await
}

/// Its nodes never agree, so that it waits for that long.
#[fuzz_dist::test(
    db = Embedded::default().with(Bug::ForgetsPeers),
    workload = "g_set",
    nemesis = majority_minority().after(millis(100)).lasting(millis(1500)),
    time_limit = "2s",
    quiesce_limit = "30s"
)]
async fn never_agrees(test: Test) -> Outcome {
    test.run().await
}

/// Every read takes a second, the last ones, too.
#[fuzz_dist::test(
    db = Shell { takes: secs(1), ..FINE },
    workload = "g_set",
    nemesis = link().after(millis(200)).lasting(millis(500)),
    nodes = 2,
    time_limit = "2s"
)]
async fn reads_slowly(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(db = "embedded", workload = generator_panics(), nodes = 2, time_limit = "5s")]
async fn the_generator_panics(test: Test) -> Outcome {
    test.run().await
}

fn generator_panics() -> Workload {
    let operations = |_| {
        let mut asked = 0;
        let adds = from_fn(move || {
            asked += 1;
            assert!(asked < 30, "a slip in the generator");
            Some(Invocation::new("add", asked))
        });
        adds.boxed()
    };
    let named = Workload::new("g_set", ["add", "read"], operations);
    named.pure(["read"]).read(Invocation::new("read", ()))
}

/// A set on mnesia, whose connections last through a cut that is shorter than net_ticktime.
fn mnesia() -> ErlangApp {
    let source = std::env::var("FUZZ_DIST_FIXTURE_SOURCE").unwrap_or_default();
    ErlangApp::new("mnesia_set", [source])
        .start("ok = mnesia_set:start(#{peers => Peers})")
        .form("mnesia_set", "form")
        .formed("mnesia_set", "formed")
}

#[fuzz_dist::test(
    db = mnesia(),
    workload = set_workload()
        .add(|node, item| node.call::<()>("mnesia_set", "add", args![item]))
        .read(|node| node.call::<Vec<i64>>("mnesia_set", "read", args![])),
    nemesis = majority_minority().after(millis(500)).lasting(secs(1)),
    time_limit = "3s"
)]
async fn a_real_cluster(test: Test) -> Outcome {
    test.run().await
}

/// A client whose end starts a task, as those of some libraries do.
struct Spawns;

impl Client for Spawns {
    async fn invoke(&mut self, op: &Invocation) -> Completion {
        match &*op.f {
            "read" => Completion::Ok(fuzz_dist::op::Value::set([])),
            _ => Completion::Fail(OpError::new("refused", "this database takes nothing")),
        }
    }
    async fn reopen(&mut self) -> Result<(), ClientError> {
        Ok(())
    }
}

impl Drop for Spawns {
    fn drop(&mut self) {
        tokio::spawn(std::future::ready(()));
    }
}

/// A database whose clients, and which itself, start tasks at their end.
struct Spawning(#[allow(dead_code, reason = "it is there to be dropped")] Spawns);

impl Db for Spawning {
    fn name(&self) -> Name {
        "spawning".into()
    }
    async fn start(&self, node: &Node) -> Result<(), Error> {
        node.spawn(Command::shell("exec sleep 600").named("shell")).await?;
        Ok(())
    }
    async fn ready(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
    fn client(&self, _: &str, _: &Node) -> Option<Box<dyn DynClient>> {
        Some(Box::new(Spawns))
    }
}

/// A checker that starts a task at its end.
struct SpawningChecker(#[allow(dead_code, reason = "it is there to be dropped")] Spawns);

impl Checker for SpawningChecker {
    fn check(&self, _: &History) -> Verdict {
        Verdict::valid("spawning")
    }
}

fn spawning() -> Spawning {
    Spawning(Spawns)
}

#[fuzz_dist::test(
    db = spawning(),
    workload = "g_set",
    checker = SpawningChecker(Spawns),
    nodes = 2,
    time_limit = "1s",
    unknown = "warn"
)]
async fn clients_spawn_at_their_end(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(db = spawning(), workload = "g_set", nodes = 2)]
async fn clients_spawn_after_a_panic(test: Test) -> Outcome {
    let running = test.start().await?;
    let _held = Spawns;
    running.client("n1").invoke(Read).await?;
    let _ = tokio::time::timeout(millis(300), running.main_phase()).await;
    panic!("a slip in the scenario")
}

#[fuzz_dist::test(db = spawning(), workload = "g_set", nodes = 2, time_limit = "30s")]
async fn clients_spawn_after_an_interrupt(test: Test) -> Outcome {
    let _held = Spawns;
    test.run().await
}

/// Nobody judges what happens.
#[fuzz_dist::test(
    db = "embedded",
    workload = Workload::new("g_set", ["add"], |_| repeat(Invocation::new("add", 1)).boxed()),
    nodes = 2,
    time_limit = "1s"
)]
async fn nobody_judges(test: Test) -> Outcome {
    test.run().await
}

/// There is no time for anything.
#[fuzz_dist::test(db = "embedded", workload = "g_set", nodes = 2, time_limit = "1ms")]
async fn hardly_runs(test: Test) -> Outcome {
    test.run().await
}

/// A database without clients of its own.
pub(crate) struct Bare;

impl Db for Bare {
    fn name(&self) -> Name {
        "bare".into()
    }
    async fn start(&self, node: &Node) -> Result<(), Error> {
        node.spawn(Command::shell("exec sleep 600").named("shell")).await?;
        Ok(())
    }
    async fn ready(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
}

#[fuzz_dist::test(db = Bare, nodes = 1)]
async fn a_scenario_without_clients(test: Test) -> Outcome {
    let running = test.start().await?;
    running.client("n1").invoke(Add(1)).await?;
    running.check(fuzz_dist::checker::set_full()).await
}

#[fuzz_dist::test(db = Bare, workload = "g_set", nodes = 1)]
async fn a_workload_without_clients(test: Test) -> Outcome {
    test.run().await
}

/// A database of two processes, as Erlang's are of a node and its port mapper; one fails.
struct Half;

impl Db for Half {
    fn name(&self) -> Name {
        "half".into()
    }
    async fn start(&self, node: &Node) -> Result<(), Error> {
        node.spawn(Command::shell("exec sleep 600").named("mapper")).await?;
        node.spawn(Command::shell("echo no such module >&2; exit 3").named("node")).await?;
        Ok(())
    }
    async fn ready(&self, _: &Node) -> Result<(), Error> {
        Err(Error::setup("it says no"))
    }
}

#[fuzz_dist::test(db = Half, workload = "g_set", nodes = 2)]
async fn half_of_it_dies_at_the_start(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(db = Bare, nodes = 1)]
async fn a_run_without_a_workload(test: Test) -> Outcome {
    test.run().await
}

/// A database whose folder was mistyped.
struct Mistyped;

impl Db for Mistyped {
    fn name(&self) -> Name {
        "mistyped".into()
    }
    fn hosts(&self, nodes: usize) -> Result<Vec<HostSpec>, Error> {
        let with =
            |host: HostSpec| host.folder(Folder::read_only("/nonexistent/shop", "/srv/shop"));
        Ok(HostSpec::nodes(nodes).into_iter().map(with).collect())
    }
    async fn start(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
    async fn ready(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
    fn client(&self, workload: &str, node: &Node) -> Option<Box<dyn DynClient>> {
        FINE.client(workload, node)
    }
}

#[fuzz_dist::test(db = Mistyped, workload = "g_set", nodes = 2, time_limit = "1s")]
async fn names_no_folder(test: Test) -> Outcome {
    test.run().await
}

/// Nothing is wrong with it.
#[fuzz_dist::test(db = "embedded", workload = "g_set", nodes = 2, time_limit = "1s")]
async fn all_is_well(test: Test) -> Outcome {
    test.run().await
}

/// Acknowledged adds are gone: every twentieth of a node, which a busy machine must reach as well.
#[fuzz_dist::test(
    db = Embedded::default().with(Bug::LosesAdd),
    workload = "g_set",
    nodes = 2,
    rate = 500,
    time_limit = "1s",
    quiesce_limit = "1s",
    expect = "invalid"
)]
async fn loses_adds(test: Test) -> Outcome {
    test.run().await
}

/// Many operations within a short time.
#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nodes = 2,
    rate = 2000,
    time_limit = "3s",
    op_limit = "1s",
    quiesce_limit = "1s"
)]
async fn fills_the_disk(test: Test) -> Outcome {
    test.run().await
}
