//! Tests that need a cluster and misbehave: they occupy the machine, block, exit, overflow.

use fuzz_dist::client::{Client, DynClient};
use fuzz_dist::history::History;
use fuzz_dist::nemesis::{Check, Fault, Hit, Targets};
use fuzz_dist::op::{Completion, Invocation, Name, Value};
use fuzz_dist::prelude::*;
use fuzz_dist::random::Stream;
use fuzz_dist::run::Running;

/// Hosts without any process.
#[fuzz_dist::db("hostile")]
#[derive(Default)]
struct Hosts;

impl Db for Hosts {
    fn name(&self) -> Name {
        "hostile".into()
    }

    async fn start(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }

    async fn ready(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
}

/// The test, when its cluster is up.
async fn up(test: Test) -> Result<Running, Error> {
    let running = test.start().await?;
    println!("came up");
    Ok(running)
}

/// Has the whole machine for as long as it is let.
#[fuzz_dist::test(db = "hostile", nodes = 1, ignore, exclusive = true)]
async fn occupies(test: Test) -> Outcome {
    let _running = up(test).await?;
    println!("occupied");
    std::future::pending().await
}

#[fuzz_dist::test(db = "hostile", nodes = 1)]
async fn comes_up(test: Test) -> Outcome {
    drop(up(test).await?);
    Err(Error::usage("it came up, which is enough").into())
}

#[fuzz_dist::test(db = "hostile", workload = "g_set", nodes = 3, nemesis = "majority_ring")]
async fn cuts_too_small_a_ring(test: Test) -> Outcome {
    test.run().await
}

/// Finds out while it prepares that something is missing.
struct Unreleased;

impl Db for Unreleased {
    fn name(&self) -> Name {
        "unreleased".into()
    }

    async fn prepare(&self) -> Result<(), Error> {
        Err(Error::missing("no release of the hostile fixture"))
    }

    async fn start(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }

    async fn ready(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
}

#[fuzz_dist::test(db = Unreleased, workload = "g_set", nodes = 1)]
async fn has_no_release(test: Test) -> Outcome {
    test.run().await
}

/// Blocks its thread for longer than anything waits.
fn block() {
    println!("blocking");
    std::thread::sleep(secs(3600));
}

/// A client that answers at once, or blocks when it is asked to add.
struct Blocks(bool);

impl Client for Blocks {
    async fn invoke(&mut self, op: &Invocation) -> Completion {
        match &*op.f {
            "add" if self.0 => block(),
            "read" => return Completion::Ok(Value::set([])),
            _ => {}
        }
        Completion::Ok(op.value.clone())
    }

    async fn reopen(&mut self) -> Result<(), fuzz_dist::client::Error> {
        Ok(())
    }
}

/// Hosts whose database blocks on request.
struct Stuck(&'static str);

impl Db for Stuck {
    fn name(&self) -> Name {
        "stuck".into()
    }

    async fn start(&self, _: &Node) -> Result<(), Error> {
        if self.0 == "start" {
            block();
        }
        Ok(())
    }

    async fn ready(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }

    fn client(&self, _: &str, _: &Node) -> Option<Box<dyn DynClient>> {
        Some(Box::new(Blocks(self.0 == "client")))
    }
}

#[fuzz_dist::test(
    db = Stuck("client"), workload = "g_set", nodes = 1, time_limit = "2s", op_limit = "1s", ignore
)]
async fn a_client_blocks(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(
    db = Stuck("start"), workload = "g_set", nodes = 3, time_limit = "2s", setup_limit = "1s", ignore
)]
async fn a_start_blocks(test: Test) -> Outcome {
    test.run().await
}

/// The total limit ends it.
#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nodes = 1,
    time_limit = "1s",
    total_limit = "4s",
    ignore
)]
async fn a_function_blocks(test: Test) -> Outcome {
    up(test).await?.client("n1").invoke(Add(1)).await?;
    block();
    Err(Error::usage("it went on").into())
}

/// Computes for ever instead of waiting.
#[fuzz_dist::test(db = "embedded", workload = "g_set", nodes = 1, ignore)]
async fn a_function_spins(test: Test) -> Outcome {
    up(test).await?.client("n1").invoke(Add(1)).await?;
    println!("blocking");
    loop {
        std::hint::spin_loop();
    }
}

/// A fault whose start blocks; Ctrl-C must end the run all the same.
struct Freezes;

impl Fault for Freezes {
    type Plan = Hit;

    fn name(&self) -> Name {
        "freezes".into()
    }

    fn plan(&self, _: Targets<'_>, _: &mut Stream) -> Result<Hit, Error> {
        Ok(Hit::default())
    }

    async fn start(&self, _: Targets<'_>, _: &Hit) -> Result<Check, Error> {
        block();
        Ok(Check::seen(true, "it began"))
    }

    async fn stop(&self, _: Targets<'_>, _: &Hit) -> Result<Check, Error> {
        Ok(Check::seen(true, "it ended"))
    }
}

#[fuzz_dist::test(
    db = "embedded", workload = "g_set", nemesis = Nemesis::of(Freezes), nodes = 1, ignore
)]
async fn a_fault_blocks(test: Test) -> Outcome {
    test.run().await
}

/// A checker that does what its name says.
struct Planted(&'static str);

impl Checker for Planted {
    fn check(&self, _: &History) -> Verdict {
        match self.0 {
            "panics" => panic!("the planted checker panicked"),
            "exits" => std::process::exit(0),
            "aborts" => std::process::abort(),
            "overflows" => {
                std::hint::black_box(deep(0));
            }
            "computes" => {
                println!("computing");
                loop {
                    std::hint::spin_loop();
                }
            }
            _ => {}
        }
        Verdict::invalid("planted", "found a fault").with("seen", 7)
    }
}

/// Uses all of the stack.
#[allow(unconditional_recursion)]
fn deep(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 64]);
    deep(n + 1) + frame[0]
}

/// One trial for each way in which a checker can end without a verdict, and one with.
macro_rules! planted {
    ($($name:ident)+) => {$(
        #[fuzz_dist::test(db = "embedded", workload = "g_set", nodes = 1, time_limit = "300ms")]
        async fn $name(test: Test) -> Outcome {
            let way = stringify!($name).strip_prefix("checker_").expect("its name");
            test.checker(Planted(way)).run().await
        }
    )+};
}

planted! { checker_panics checker_exits checker_aborts checker_overflows checker_finds }

#[fuzz_dist::test(db = "embedded", workload = "g_set", nodes = 1, time_limit = "300ms", ignore)]
async fn checker_computes(test: Test) -> Outcome {
    test.checker(Planted("computes")).run().await
}

/// Ends the process as if all were well.
#[fuzz_dist::test(db = "embedded", workload = "g_set", nodes = 1, ignore)]
async fn a_function_exits(test: Test) -> Outcome {
    let _running = up(test).await?;
    std::process::exit(0);
}

/// What a test says is as long as 20 MB.
#[fuzz_dist::test(db = "hostile")]
async fn says_too_much(_test: Test) -> Outcome {
    Err(Error::usage("x".repeat(20_000_000)).into())
}
