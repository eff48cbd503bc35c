//! Cluster tests for BEAM applications under `cargo test`: the real application in a real
//! cluster, real environmental faults, and checkers that judge the recorded history.

// What the attributes emit says `::fuzz_dist::..`, and built-ins are registered by them as well.
extern crate self as fuzz_dist;

// Layers, lowest first: a module uses only those above it in this list (tests/tidy.rs holds it so).
// words
pub mod error;
// pure
pub mod generator;
pub mod grudge;
// reach
pub mod beam;
pub mod erlang;
pub mod node;
mod places;
pub mod provision;
pub mod runtime;
// parts
#[cfg(feature = "antidote")]
pub mod antidote;
pub mod client;
pub mod db;
pub mod embedded;
pub mod nemesis;
pub mod workload;
// run
#[doc(hidden)]
pub mod interpreter;
pub mod run;
pub mod store;
// show
mod report;
// shell
mod harness;
mod registry;

pub use error::Error;
pub use fuzz_dist_beam::args;
#[doc(inline)]
pub use fuzz_dist_checkers as checker;
#[doc(inline)]
pub use fuzz_dist_clock as clock;
#[doc(inline)]
pub use fuzz_dist_env as env;
#[doc(inline)]
pub use fuzz_dist_history::{self as history, op, time};
#[doc(inline)]
pub use fuzz_dist_lab as lab;
pub use fuzz_dist_macros::{checker, db, env, nemesis, test, workload};
#[doc(inline)]
pub use fuzz_dist_random as random;
pub use harness::{main_if_asked, run_main};
#[cfg(feature = "insta")]
pub use insta;

/// Defines `fn main` of a target with `harness = false`: runs its `#[fuzz_dist::test]`s.
///
/// ```no_run
/// use fuzz_dist::prelude::*;
///
/// fuzz_dist::main!();
/// ```
#[macro_export]
macro_rules! main {
    () => {
        fn main() -> ::std::process::ExitCode {
            $crate::run_main()
        }
    };
}

/// What nearly every file of cluster tests needs: `use fuzz_dist::prelude::*;`.
pub mod prelude {
    pub use crate::args;
    pub use crate::checker::{Checker, Verdict};
    pub use crate::db::{Db, ErlangApp, Ready, Release};
    pub use crate::error::Error;
    pub use crate::nemesis::{
        Nemesis, at, blip, block_schedulers, bridge, busy_dist, cut_at_tick, disallow, gc_pressure,
        halves, hold_message, isolate_all, isolate_dc, isolate_node, kill, kill_child, kill_epmd,
        kill_process, link, majority_minority, majority_ring, memory_pressure, near_call_timeout,
        near_tick, none, one_way, pause, purge_module, restart_after, retransmission,
        suspend_process, wrong_cookie,
    };
    pub use crate::node::{Cluster, Node};
    pub use crate::run::{Add, InvokeError, Outcome, Read, Running, Test};
    pub use crate::time::{millis, secs};
    pub use crate::workload::{Failure, Refusal, Workload, g_set, set_workload};
}

// What the attributes emit refers to; no part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::checker::{AnyChecker, any_checker};
    pub use crate::db::AnyDb;
    pub use crate::env::AnyProvider as AnyEnv;
    pub use crate::nemesis::Nemesis as AnyNemesis;
    pub use crate::random::Seed;
    pub use crate::registry::{Axis, Cell, Choice, Registered, Setting, Source, TestCase, keys};
    pub use crate::run::options::{
        Announce, Concurrency, Expect, Heal, OnUnknown, Overlapping, Stop, Timing,
    };
    pub use crate::run::{IntoOutcome, Location};
    pub use crate::workload::{AnyWorkload, any_workload};
    pub use inventory;
    pub use std::boxed::Box;
    pub use std::time::Duration;

    /// An expression behind `db =`.
    pub fn any_db(db: impl crate::db::Db) -> AnyDb {
        std::sync::Arc::new(db)
    }

    /// An expression behind `nemesis =`.
    pub fn any_nemesis(nemesis: impl crate::nemesis::IntoNemesis) -> AnyNemesis {
        nemesis.into_nemesis()
    }

    /// An expression behind `env =`.
    pub fn any_env(env: impl crate::env::Provider) -> AnyEnv {
        std::sync::Arc::new(env)
    }

    /// A rate that is an expression of any number type.
    pub fn rate(rate: impl Into<f64>) -> f64 {
        rate.into()
    }

    /// A concurrency that is an expression: a number of clients, or a `Concurrency`.
    pub fn concurrency(concurrency: impl Into<Concurrency>) -> Concurrency {
        concurrency.into()
    }
}
