//! Faults inside of real Erlang nodes: each is looked at from outside of itself, while it acts and
//! after it was undone.

mod announced;
mod connections;
mod near;
#[path = "../pg_nodes/mod.rs"]
mod pg_nodes;
mod pressure;
mod processes;
mod zones;

use fuzz_dist::checker::set_full;
use fuzz_dist::history::History;
use fuzz_dist::op::Process;
use fuzz_dist::prelude::*;
use pg_nodes::{call, eventually, set};

fn sources() -> [String; 2] {
    let root = env!("CARGO_MANIFEST_DIR");
    [format!("{root}/examples/pg_set/pg_set.erl"), format!("{root}/tests/inside/inside.erl")]
}

/// A broadcast set, whose servers look for each other, and what faults can hit.
fn app() -> ErlangApp {
    ErlangApp::new("inside", sources())
        .net_ticktime(4)
        .start("pg_set:start(#{peers => Peers, exchange => true}), inside:start()")
}

/// The same, whose servers look for nobody.
fn app_that_never_looks() -> ErlangApp {
    app().start("pg_set:start(#{peers => [], exchange => true}), inside:start()")
}

/// Ends a scenario: the set is whole, and some node said each of these things.
async fn ends(cluster: Running, said: &'static [&'static str]) -> Outcome {
    cluster.client("n1").invoke(Add(1)).await?;
    cluster.client("n2").invoke(Add(2)).await?;
    cluster.checker(Said(said)).check(set_full()).await
}

/// Were these things said by nodes?
struct Said(&'static [&'static str]);

impl Checker for Said {
    fn check(&self, history: &History) -> Verdict {
        let said = |f: &&&str| {
            let mut events = 0..history.len();
            events.any(|i| history.process(i) == Process::RUNTIME && &**history.function(i) == **f)
        };
        match self.0.iter().find(|f| !said(f)) {
            None => Verdict::valid("said"),
            Some(f) => Verdict::invalid("said", format!("no node spoke of {f}")),
        }
    }
}

/// A judge that is a function.
struct Judge(fn(&History) -> Result<(), String>);

impl Checker for Judge {
    fn check(&self, history: &History) -> Verdict {
        match (self.0)(history) {
            Ok(()) => Verdict::valid("judge"),
            Err(why) => Verdict::invalid("judge", why),
        }
    }
}

fuzz_dist::main!();
