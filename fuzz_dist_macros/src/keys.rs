//! The keys of `#[fuzz_dist::test(...)]` and what their values look like.

use crate::suggest;
use syn::{Error, Ident};

/// What a key's value is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// A registered name or an expression of the plug's trait.
    Plug(Plug),
    /// An integer of at least one.
    Count,
    /// Operations per second, above zero.
    Rate,
    /// A number of clients, or `"2n"` for two on every node.
    Concurrency,
    /// `"30s"`, or an expression of type `Duration`; zero only where the flag is set.
    Time {
        /// Whether "0s" means something.
        zero: bool,
    },
    /// Any 64-bit number.
    Seed,
    /// `true`, `false`, or the bare key for `true`.
    Flag,
    /// One of a few words, each with the enum's variant that it stands for.
    Word(&'static [(&'static str, &'static str)]),
    /// The bare key, or a reason.
    Reason,
}

/// The field's plugs.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Plug {
    Db,
    Nemesis,
    Workload,
    Checker,
    Env,
}

/// One key.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether an array is a matrix; for `checker` it is not: several judge one history.
    pub(crate) matrix: bool,
    /// What to write, for messages.
    pub(crate) example: &'static str,
}

const fn key(name: &'static str, kind: Kind, matrix: bool, example: &'static str) -> Key {
    Key { name, kind, matrix, example }
}

const TIME: Kind = Kind::Time { zero: false };

/// All keys, in the order in which messages list them.
pub(crate) const KEYS: &[Key] = &[
    key("db", Kind::Plug(Plug::Db), true, "db = \"antidote\"` or `db = MyDb::new()"),
    key("nemesis", Kind::Plug(Plug::Nemesis), true, "nemesis = \"majority_ring\""),
    key("workload", Kind::Plug(Plug::Workload), true, "workload = \"g_set\""),
    key("checker", Kind::Plug(Plug::Checker), false, "checker = \"set_full\""),
    key("nodes", Kind::Count, true, "nodes = 5"),
    key("env", Kind::Plug(Plug::Env), true, "env = \"local\""),
    key("rate", Kind::Rate, true, "rate = 100"),
    key("concurrency", Kind::Concurrency, true, "concurrency = 10` or `concurrency = \"2n\""),
    key("time_limit", TIME, true, "time_limit = \"30s\""),
    key("setup_limit", TIME, false, "setup_limit = \"2m\""),
    key("op_limit", TIME, true, "op_limit = \"5s\""),
    key("quiesce_limit", Kind::Time { zero: true }, false, "quiesce_limit = \"40s\""),
    key("total_limit", TIME, false, "total_limit = \"5m\""),
    key("seed", Kind::Seed, true, "seed = 42"),
    key("ignore", Kind::Reason, false, "ignore = \"takes an hour\""),
    key(
        "expect",
        Kind::Word(&[("invalid", "Invalid"), ("valid", "Valid")]),
        false,
        "expect = \"invalid\"",
    ),
    key("attempts", Kind::Count, false, "attempts = 3"),
    key("unknown", Kind::Word(&[("warn", "Warn"), ("fail", "Fail")]), false, "unknown = \"warn\""),
    key("reconnect", Kind::Flag, true, "reconnect = true"),
    key(
        "heal",
        Kind::Word(&[("natural", "Natural"), ("prompt", "Prompt")]),
        true,
        "heal = \"prompt\"",
    ),
    key("wire", Kind::Flag, false, "wire = true"),
    key("sessions", Kind::Flag, false, "sessions = true"),
    key("exclusive", Kind::Flag, false, "exclusive = true"),
    key(
        "overlapping_partitions",
        Kind::Word(&[("on", "On"), ("off", "Off")]),
        true,
        "overlapping_partitions = [\"on\", \"off\"]",
    ),
    key("samples", Kind::Time { zero: true }, false, "samples = \"1s\""),
    key(
        "announce",
        Kind::Word(&[("faults", "Faults"), ("operations", "Operations"), ("nothing", "Nothing")]),
        false,
        "announce = \"operations\"",
    ),
    key(
        "stop",
        Kind::Word(&[("first_anomaly", "FirstAnomaly"), ("time_limit", "TimeLimit")]),
        false,
        "stop = \"first_anomaly\"",
    ),
];

/// The key of that name, or an error at it that proposes one.
pub(crate) fn find(ident: &Ident) -> syn::Result<&'static Key> {
    let name = ident.to_string();
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return Ok(key);
    }
    let names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    let hint = match meant(&name).or_else(|| suggest::nearest(&name, &names)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the keys are {}", names.join(", ")),
    };
    Err(Error::new(ident.span(), format!("unknown key `{name}`; {hint}")))
}

/// Other tools' words for the same thing, which no spelling distance finds.
fn meant(name: &str) -> Option<&'static str> {
    Some(match name {
        "database" | "system" => "db",
        "fault" | "faults" | "partition" => "nemesis",
        "clients" | "threads" | "workers" => "concurrency",
        "timeout" | "op_timeout" | "operation_limit" => "op_limit",
        "duration" => "time_limit",
        "retries" | "runs" => "attempts",
        "environment" => "env",
        "ignored" | "skip" => "ignore",
        "serial" | "alone" => "exclusive",
        "prevent_overlapping_partitions" => "overlapping_partitions",
        "fail_fast" | "until" => "stop",
        "should_fail" | "should_panic" => "expect",
        _ => return None,
    })
}
