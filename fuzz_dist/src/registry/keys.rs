//! The keys of `#[fuzz_dist::test(...)]` as documented constants.
//!
//! The attribute mentions the constant of every key that it is given, at the key's own place, so
//! that an editor shows these texts where the key is written.
#![allow(non_upper_case_globals)]

/// One key of the attribute.
#[derive(Debug)]
pub struct Key;

macro_rules! keys {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {
        $($(#[doc = $doc])+ pub const $name: Key = Key;)+
    };
}

keys! {
    /// `db = "name"` or `db = <expression>`: the system under test. An array is a matrix.
    db;
    /// `nemesis = "name"` or `nemesis = <expression>`: the faults; none if not given. An array is
    /// a matrix.
    nemesis;
    /// `workload = "name"` or `workload = <expression>`: clients, operations and their checker.
    /// An array is a matrix.
    workload;
    /// `checker = "name"`, `checker = <expression>`, or an array of them: further checkers of the
    /// same history.
    checker;
    /// `nodes = 5`: hosts of the cluster; 5 if not given.
    nodes;
    /// `env = "name"` or `env = <expression>`: where the hosts are; `"local"`, namespaces on this
    /// machine, if not given. An array is a matrix.
    env;
    /// `rate = 100`: operations per second, of all clients together; 100 if not given.
    rate;
    /// `concurrency = 10` or `concurrency = "2n"`: clients in total or on each node, at least one
    /// on every node; 2 on each if not given.
    concurrency;
    /// `time_limit = "30s"`: length of the main phase alone, set-up and final reads not counted;
    /// 30 s if not given.
    time_limit;
    /// `setup_limit = "2m"`: deadline of provisioning, start and cluster formation together; 2 min if
    /// not given.
    setup_limit;
    /// `op_limit = "5s"`: deadline of one operation, after which it is indeterminate (`info`); 5 s if not
    /// given.
    op_limit;
    /// `quiesce_limit = "40s"`: how long the nodes may take to converge after the heal;
    /// max(10 s, longest cut + 30 s) if not given.
    quiesce_limit;
    /// `total_limit = "5m"`: deadline of a run as a whole; the sum of its stages if not given.
    total_limit;
    /// `seed = 42`: repeats the schedule of operations and faults; drawn and printed if not given.
    seed;
    /// `ignore` or `ignore = "reason"`: runs only with `--ignored` or `--include-ignored`.
    ignore;
    /// `expect = "invalid"`: a known loss. The trial passes only with that verdict, prints the
    /// explanation, and stops at the first of its `attempts` that shows the loss.
    expect;
    /// `attempts = 3`: the number of runs, each with a seed derived from the first; 1 if not given.
    attempts;
    /// `unknown = "warn"`: the trial passes with a warning where the verdict is `unknown`; it fails if
    /// not given.
    unknown;
    /// `reconnect = true`: the framework reconnects the nodes after a heal, and says so.
    reconnect;
    /// `heal = "prompt"`: after a cut TCP goes on at once, not with its next retransmission; `"natural"`
    /// if not given.
    heal;
    /// `wire = true`: connections between nodes are followed from their start, for triggers in
    /// scenarios.
    wire;
    /// `sessions = true`: findings about session guarantees count for the verdict.
    sessions;
    /// `exclusive = true`: no other cluster test runs on this machine at the same time.
    exclusive;
    /// `overlapping_partitions = "on"`: nodes run with `prevent_overlapping_partitions` of Erlang's
    /// kernel off, so that partitions may overlap; `"off"`: with it on. Their own setting if not
    /// given (on, since OTP 25). An array is a matrix.
    overlapping_partitions;
    /// `samples = "1s"`: sampling interval of the metrics of Erlang nodes (run queue, memory, longest
    /// mailbox and others) in `samples.jsonl` and `results.json`; `"0s"` turns it off. 1 s if not given.
    samples;
    /// `announce = "operations"`: events of operations and faults are emitted inside Erlang nodes, to the
    /// application's telemetry or logs; `"nothing"`: no events. `"faults"` if not given.
    announce;
    /// `stop = "first_anomaly"`: the main phase ends at the first anomaly that is certain whatever
    /// follows, and the state of the nodes at that moment is kept in `state/` of the store; `"time_limit"`
    /// if not given. It needs a checker that judges while the run goes on.
    stop;
}
