//! AntidoteDB under the standard suite: topologies × workloads × nemeses.
//!
//! A row's name is `holds::WORKLOAD::NEMESIS`, or `loses::WORKLOAD::NEMESIS` where AntidoteDB was
//! seen to break the promise; a part of it selects rows:
//!
//! ```sh
//! cargo run --release --example antidote -- --list                     # all names
//! cargo run --release --example antidote -- g_set::majority_minority   # one row
//! cargo run --release --example antidote                               # all: about two hours
//! ```
//!
//! It needs a release of AntidoteDB: `FUZZ_DIST_ANTIDOTE` names its folder or tarball.
//! docs/antidote.md says what was found, how often.

use fuzz_dist::antidote::{Antidote, Topology};
use fuzz_dist::prelude::*;

/// One data centre of all nodes, which speak distributed Erlang with each other.
fn one_dc() -> Antidote {
    Antidote::default().topology(Topology::OneDc).net_ticktime(8)
}

/// Every node a data centre, and transactions are acknowledged when they are on the disk.
fn durable() -> Antidote {
    Antidote::default().sync_log(true)
}

/// Clients carry causal tokens.
fn causal() -> Antidote {
    Antidote::default().causal(true)
}

mod holds {
    use super::*;

    /// Adds that a data centre acknowledged are read on every data centre in the end; the set lies
    /// on eight keys.
    #[fuzz_dist::test(
        db = "antidote",
        workload = "g_set_spread",
        nemesis = ["none"],
        time_limit = "60s"
    )]
    async fn g_set(test: Test) -> Outcome {
        test.run().await
    }

    /// Increments that a data centre acknowledged count on every data centre in the end; each node
    /// has a counter of its own, and the sum is read.
    #[fuzz_dist::test(
        db = "antidote",
        workload = "pn_counter_spread",
        nemesis = ["none"],
        time_limit = "60s"
    )]
    async fn pn_counter_spread(test: Test) -> Outcome {
        test.run().await
    }

    /// Adds win over removes that have not seen them, and data centres agree in the end.
    #[fuzz_dist::test(
        db = "antidote",
        workload = "or_set",
        nemesis = ["none"],
        time_limit = "60s"
    )]
    async fn or_set(test: Test) -> Outcome {
        test.run().await
    }

    /// A register comes to one value on all data centres, and to none that its own writer replaced.
    #[fuzz_dist::test(
        db = "antidote",
        workload = "lww_register",
        nemesis = ["none"],
        time_limit = "60s"
    )]
    async fn lww_register(test: Test) -> Outcome {
        test.run().await
    }

    /// The same for a register that keeps all values that were written at once.
    #[fuzz_dist::test(
        db = "antidote",
        workload = "mv_register",
        nemesis = ["none"],
        time_limit = "60s"
    )]
    async fn mv_register(test: Test) -> Outcome {
        test.run().await
    }

    /// Clients that carry causal tokens read their own writes, and never less than before.
    #[fuzz_dist::test(
        db = causal(),
        workload = "g_set_spread",
        nemesis = "none",
        rate = 20,
        time_limit = "30s",
        sessions = true
    )]
    async fn sessions_with_tokens(test: Test) -> Outcome {
        test.run().await
    }

    /// One data centre of five nodes keeps every acknowledged add; the set lies on eight keys.
    #[fuzz_dist::test(
        db = one_dc(),
        workload = "g_set_spread",
        nemesis = ["none", "majority_minority"],
        time_limit = "60s"
    )]
    async fn g_set_one_dc(test: Test) -> Outcome {
        test.run().await
    }

    /// The same on one key.
    #[fuzz_dist::test(
        db = one_dc(),
        workload = "g_set",
        nemesis = ["none", "majority_minority"],
        time_limit = "60s"
    )]
    async fn g_set_hot_one_dc(test: Test) -> Outcome {
        test.run().await
    }
}

mod loses {
    use super::*;

    /// Adds that a data centre acknowledged are read on every data centre in the end; the set lies
    /// on eight keys.
    #[fuzz_dist::test(
        db = "antidote",
        workload = "g_set_spread",
        nemesis = ["majority_minority", "majority_ring", "bridge", "isolate_dc", "pause"],
        time_limit = "60s",
        expect = "invalid"
    )]
    async fn g_set(test: Test) -> Outcome {
        test.run().await
    }

    /// The same while processes of a minority are killed, with every acknowledged add on the disk.
    #[fuzz_dist::test(
        db = durable(),
        workload = "g_set_spread",
        nemesis = ["kill"],
        time_limit = "60s",
        expect = "invalid"
    )]
    async fn g_set_durable(test: Test) -> Outcome {
        test.run().await
    }

    /// The same on one key that all data centres write at once.
    #[fuzz_dist::test(
        db = "antidote",
        workload = "g_set",
        nemesis = ["none", "majority_minority", "majority_ring", "bridge"],
        time_limit = "60s",
        expect = "invalid"
    )]
    async fn g_set_hot(test: Test) -> Outcome {
        test.run().await
    }

    /// Increments that a data centre acknowledged count on every data centre in the end.
    #[fuzz_dist::test(
        db = "antidote",
        workload = "pn_counter",
        nemesis = ["none", "majority_minority"],
        time_limit = "60s",
        expect = "invalid"
    )]
    async fn pn_counter(test: Test) -> Outcome {
        test.run().await
    }

    /// The same for a counter that only grows.
    #[fuzz_dist::test(
        db = "antidote",
        workload = "pn_counter_grow",
        nemesis = ["none", "majority_minority"],
        time_limit = "60s",
        expect = "invalid"
    )]
    async fn pn_counter_grow(test: Test) -> Outcome {
        test.run().await
    }

    /// The same for a counter that swings far to either side.
    #[fuzz_dist::test(
        db = "antidote",
        workload = "pn_counter_swing",
        nemesis = ["none", "majority_minority"],
        time_limit = "60s",
        attempts = 3,
        expect = "invalid"
    )]
    async fn pn_counter_swing(test: Test) -> Outcome {
        test.run().await
    }

    /// The same where each node has a counter of its own, and the sum is read.
    #[fuzz_dist::test(
        db = "antidote",
        workload = "pn_counter_spread",
        nemesis = ["majority_minority"],
        time_limit = "60s",
        expect = "invalid"
    )]
    async fn pn_counter_spread(test: Test) -> Outcome {
        test.run().await
    }

    /// Adds win over removes that have not seen them, and data centres agree in the end.
    #[fuzz_dist::test(
        db = "antidote",
        workload = "or_set",
        nemesis = ["majority_minority"],
        time_limit = "60s",
        expect = "invalid"
    )]
    async fn or_set(test: Test) -> Outcome {
        test.run().await
    }

    /// A register comes to one value on all data centres, and to none that its own writer replaced.
    #[fuzz_dist::test(
        db = "antidote",
        workload = "lww_register",
        nemesis = ["majority_minority"],
        time_limit = "60s",
        attempts = 3,
        expect = "invalid"
    )]
    async fn lww_register(test: Test) -> Outcome {
        test.run().await
    }

    /// The same for a register that keeps all values that were written at once.
    #[fuzz_dist::test(
        db = "antidote",
        workload = "mv_register",
        nemesis = ["majority_minority"],
        time_limit = "60s",
        attempts = 3,
        expect = "invalid"
    )]
    async fn mv_register(test: Test) -> Outcome {
        test.run().await
    }

    /// Transactions are seen whole or not at all, and aborted ones never.
    #[fuzz_dist::test(
        db = "antidote",
        workload = "transactions",
        nemesis = ["none", "majority_minority"],
        time_limit = "60s",
        attempts = 3,
        expect = "invalid"
    )]
    async fn transactions(test: Test) -> Outcome {
        test.run().await
    }
}

fuzz_dist::main!();
