//! What a run knows of its Erlang nodes beside the history, and what is announced to them of the run.

mod announced;
mod bad;
#[path = "../pg_nodes/mod.rs"]
mod pg_nodes;
mod samples;
mod state;

use fuzz_dist::prelude::*;
use pg_nodes::{call, eventually, set};

/// A set that is broadcast; with a module that stands in for `telemetry`, or without.
fn app(telemetry: bool) -> ErlangApp {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut sources = vec![format!("{root}/examples/pg_set/pg_set.erl")];
    sources.push(format!("{root}/tests/observed/observed_state.erl"));
    sources.extend(telemetry.then(|| format!("{root}/tests/inside/telemetry.erl")));
    let run = if telemetry { "telemetry:run(), " } else { "" };
    ErlangApp::new("observed", sources)
        .net_ticktime(4)
        .start(format!("{run}pg_set:start(#{{peers => Peers, exchange => true}})"))
}

fuzz_dist::main!();
