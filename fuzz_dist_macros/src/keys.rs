//! The table of options: keys of `#[fuzz_dist::test(...)]`, and what is said about them elsewhere.

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
    /// One of a few words, each with the variant that it stands for, of the enum of that name.
    Word(&'static str, &'static [(&'static str, &'static str)]),
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

/// An option of a test: whatever is said about it, in attributes, code, the environment and pages, comes from here.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether an array is a matrix; for `checker` it is not: several judge one history.
    pub(crate) matrix: bool,
    /// What to write, for messages.
    pub(crate) example: &'static str,
    /// Its type, as Rust in `run/options.rs`. Empty where a trial, and not a run, is what it is about.
    pub(crate) ty: &'static str,
    /// Its value where nobody said any, as Rust; empty where that depends on other things.
    pub(crate) default: &'static str,
    /// What its method of `Test` takes, as Rust; empty without a method.
    pub(crate) method: &'static str,
    /// Whether the variable `FUZZ_DIST_<NAME>` overrides it.
    pub(crate) variable: bool,
    /// How the table of the pages writes it, if not by its name alone.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the pages, which a test compares"))]
    pub(crate) form: &'static str,
    pub(crate) meaning: &'static str,
    /// The default, for people.
    pub(crate) otherwise: &'static str,
}

/// A part of a test, or what is said about its trial: no option of a run.
const fn key(name: &'static str, kind: Kind, example: &'static str, meaning: &'static str) -> Key {
    Key {
        name,
        kind,
        matrix: false,
        example,
        ty: "",
        default: "",
        method: "",
        variable: false,
        form: "",
        meaning,
        otherwise: "",
    }
}

impl Key {
    const fn matrix(self) -> Key {
        Key { matrix: true, ..self }
    }

    /// An option of the run, of the given type and default, both as Rust.
    const fn of(self, ty: &'static str, default: &'static str) -> Key {
        Key { ty, default, ..self }
    }

    /// With a method that takes a value of this type.
    const fn method(self, takes: &'static str) -> Key {
        Key { method: takes, ..self }
    }

    const fn variable(self) -> Key {
        Key { variable: true, ..self }
    }

    const fn form(self, form: &'static str) -> Key {
        Key { form, ..self }
    }

    const fn otherwise(self, otherwise: &'static str) -> Key {
        Key { otherwise, ..self }
    }

    /// The variable that overrides it.
    pub(crate) fn variable_name(&self) -> String {
        format!("FUZZ_DIST_{}", self.name.to_uppercase())
    }

    /// A line of the table in the pages.
    #[cfg(test)]
    pub(crate) fn row(&self) -> String {
        let form = match self.form {
            "" => format!("`{}`", self.name),
            form => form.into(),
        };
        format!("| {form} | {} | {} |\n", self.meaning, self.otherwise).replace("|  |", "| |")
    }

    /// What an editor shows at the key.
    pub(crate) fn hover(&self) -> String {
        let otherwise = match self.otherwise {
            "" => String::new(),
            otherwise => format!(" Default: {otherwise}."),
        };
        format!("`{}`: {}.{otherwise}", self.example, self.meaning)
    }
}

const TIME: Kind = Kind::Time { zero: false };
const TIME_OR_ZERO: Kind = Kind::Time { zero: true };

/// All options, in the order of the pages.
#[rustfmt::skip]
pub(crate) const KEYS: &[Key] = &[
    key("db", Kind::Plug(Plug::Db), "db = \"antidote\"` or `db = MyDb::new()",
        "the system under test").matrix(),
    key("workload", Kind::Plug(Plug::Workload), "workload = \"g_set\"",
        "the operations, their client and their checker").matrix(),
    key("nemesis", Kind::Plug(Plug::Nemesis), "nemesis = \"majority_ring\"",
        "faults, by name or as `bridge().every(secs(20)).lasting(secs(8)).and(pause())`").matrix()
        .otherwise("none"),
    key("checker", Kind::Plug(Plug::Checker), "checker = \"set_full\"",
        "further checkers of the same history, one or an array; `cargo fuzz-dist checkers` lists the names"),
    key("nodes", Kind::Count, "nodes = 5",
        "number of nodes").matrix()
        .of("usize", "5").method("usize").variable().otherwise("5"),
    key("env", Kind::Plug(Plug::Env), "env = \"local\"",
        "where the hosts run: the provider of their environment; `\"local\"` is namespaces on this machine").matrix()
        .otherwise("`\"local\"`"),
    key("concurrency", Kind::Concurrency, "concurrency = 10` or `concurrency = \"2n\"",
        "number of clients, in total (`10`) or for each node (`\"2n\"`); at least one for each node").matrix()
        .of("Concurrency", "Concurrency::PerNode(2)").method("impl Into<Concurrency>").variable()
        .otherwise("`\"2n\"`"),
    key("rate", Kind::Rate, "rate = 100",
        "operations per second of all clients together").matrix()
        .of("f64", "100.0").method("impl Into<f64>").variable().otherwise("100"),
    key("time_limit", TIME, "time_limit = \"30s\"",
        "length of the main phase").matrix()
        .of("Duration", "Duration::from_secs(30)").method("Duration").variable().otherwise("30 s"),
    key("setup_limit", TIME, "setup_limit = \"2m\"",
        "limit of provisioning, start and cluster formation together")
        .of("Duration", "Duration::from_secs(120)").method("Duration").variable().otherwise("2 min"),
    key("op_limit", TIME, "op_limit = \"5s\"",
        "limit of one operation; after it the operation is indeterminate").matrix()
        .of("Duration", "Duration::from_secs(5)").method("Duration").variable().otherwise("5 s"),
    key("quiesce_limit", TIME_OR_ZERO, "quiesce_limit = \"40s\"",
        "limit of the convergence after the heal")
        .of("Duration", "").method("Duration").variable()
        .otherwise("longest fault + 30 s, at least 10 s"),
    key("total_limit", TIME, "total_limit = \"5m\"",
        "limit of the whole run; less than the sum of the limits that the test sets is an error")
        .of("Duration", "").method("Duration").variable().otherwise("the sum"),
    key("seed", Kind::Seed, "seed = 42",
        "seed of all random choices; repeats the schedule, not the interleaving").matrix()
        .of("Seed", "Seed::fresh()").variable().otherwise("drawn, and printed"),
    key("attempts", Kind::Count, "attempts = 3",
        "number of runs, each with a seed derived from the first")
        .of("u32", "1").variable().otherwise("1"),
    key("expect", Kind::Word("Expect", &[("invalid", "Invalid"), ("valid", "Valid")]), "expect = \"invalid\"",
        "a known loss: passes only with the verdict `invalid`; stops at the first attempt that shows the loss")
        .of("Expect", "Expect::Valid").form("`expect = \"invalid\"`").otherwise("valid"),
    key("unknown", Kind::Word("OnUnknown", &[("warn", "Warn"), ("fail", "Fail")]), "unknown = \"warn\"",
        "passes with a warning where the verdict is `unknown`")
        .of("OnUnknown", "OnUnknown::Fail").variable().form("`unknown = \"warn\"`").otherwise("fails"),
    key("sessions", Kind::Flag, "sessions = true",
        "violations of session guarantees are anomalies")
        .of("bool", "false").method("bool").form("`sessions = true`").otherwise("results only"),
    key("heal", Kind::Word("Heal", &[("natural", "Natural"), ("prompt", "Prompt")]), "heal = \"prompt\"",
        "TCP continues at once when a cut ends, not with its next retransmission").matrix()
        .of("Heal", "Heal::Natural").method("Heal").form("`heal = \"prompt\"`").otherwise("`\"natural\"`"),
    key("reconnect", Kind::Flag, "reconnect = true",
        "the framework reconnects the nodes after the heal").matrix()
        .of("bool", "false").method("bool").form("`reconnect = true`").otherwise("off"),
    key("overlapping_partitions", Kind::Word("Overlapping", &[("on", "On"), ("off", "Off")]),
        "overlapping_partitions = [\"on\", \"off\"]",
        "`\"on\"` or `\"off\"`: starts nodes with `prevent_overlapping_partitions` false or true").matrix()
        .of("Overlapping", "").method("Overlapping").otherwise("the nodes' own"),
    key("wire", Kind::Flag, "wire = true",
        "follows connections between nodes from their start, for triggers in scenarios; a nemesis with `at` turns it on")
        .of("bool", "false").method("bool").form("`wire = true`").otherwise("off"),
    key("samples", TIME_OR_ZERO, "samples = \"1s\"",
        "sampling interval of node metrics, at least 100 ms; `\"0s\"` turns it off")
        .of("Duration", "SAMPLES").method("Duration").variable().otherwise("1 s"),
    key("announce",
        Kind::Word("Announce", &[("faults", "Faults"), ("operations", "Operations"), ("nothing", "Nothing")]),
        "announce = \"operations\"",
        "events emitted inside Erlang nodes: `\"nothing\"`, `\"faults\"` or `\"operations\"`")
        .of("Announce", "Announce::Faults").method("Announce").otherwise("`\"faults\"`"),
    key("stop", Kind::Word("Stop", &[("first_anomaly", "FirstAnomaly"), ("time_limit", "TimeLimit")]),
        "stop = \"first_anomaly\"",
        "ends the main phase, and no later one, at the first anomaly that is certain whatever follows, and keeps the state of the nodes in `state/` of the run")
        .of("Stop", "Stop::TimeLimit").method("Stop").variable().form("`stop = \"first_anomaly\"`")
        .otherwise("`\"time_limit\"`"),
    key("time",
        Kind::Word("Timing", &[("real", "Real"), ("simulated", "Simulated"), ("simulated-1x", "Natural"), ("10x", "Tenfold")]),
        "time = \"simulated\"",
        "`\"simulated\"`: time stands still while anybody works, and leaps when everybody waits; `\"simulated-1x\"`: it leaps when everybody waits; `\"10x\"`: it passes ten times as fast").matrix()
        .of("Timing", "Timing::Real").variable().form("`time = \"simulated\"`")
        .otherwise("`\"real\"`"),
    key("deterministic", Kind::Flag, "deterministic = true",
        "only with `time = \"simulated\"`: nodes do one thing after the other, so that the same seed gives the same run")
        .of("bool", "false").method("bool").form("`deterministic = true`").otherwise("off"),
    key("exclusive", Kind::Flag, "exclusive = true",
        "runs no other cluster trial on this machine at the same time")
        .of("bool", "").method("bool").form("`exclusive = true`").otherwise("off, on for faults near a boundary and where time leaps"),
    key("ignore", Kind::Reason, "ignore = \"takes an hour\"",
        "runs only with `--ignored`").form("`ignore`, `ignore = \"reason\"`").otherwise("off"),
];

/// A variable of the environment that is no option of a test.
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    /// The field of `Overrides` and its type, as Rust; empty where another part reads it.
    pub(crate) field: &'static str,
    pub(crate) ty: &'static str,
    /// How the table of the pages writes it, if not by its name alone.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the pages, which a test compares"))]
    pub(crate) form: &'static str,
    pub(crate) meaning: &'static str,
}

const fn variable(name: &'static str, form: &'static str, meaning: &'static str) -> Variable {
    Variable { name, field: "", ty: "", form, meaning }
}

impl Variable {
    const fn field(self, field: &'static str, ty: &'static str) -> Variable {
        Variable { field, ty, ..self }
    }

    /// A line of the table in the pages.
    #[cfg(test)]
    pub(crate) fn row(&self) -> String {
        let form = if self.form.is_empty() { self.name } else { self.form };
        format!("| `{form}` | {} |\n", self.meaning)
    }
}

#[rustfmt::skip]
pub(crate) const VARIABLES: &[Variable] = &[
    variable("FUZZ_DIST_VERBOSE", "FUZZ_DIST_VERBOSE=1",
        "prints the whole report of trials that pass; without it they take one line")
        .field("verbose", "bool"),
    variable("FUZZ_DIST_STORE", "",
        "folder of all runs; default `target/fuzz_dist`"),
    variable("FUZZ_DIST_ERLANG", "",
        "the Erlang runtime, as `code:root_dir()` prints it; default: `erl` on the PATH, else a download"),
    variable("FUZZ_DIST_ANTIDOTE", "",
        "AntidoteDB's release: a folder or its tarball"),
    variable("FUZZ_DIST_MISSING", "FUZZ_DIST_MISSING=ignore",
        "ignores trials that this machine refuses to run; without it they fail")
        .field("missing", "Missing"),
    variable("FUZZ_DIST_WAIT_LIMIT", "",
        "how long a trial waits in the queue for the machine; default `1h`")
        .field("wait_limit", "Duration"),
    variable("FUZZ_DIST_LOG_LIMIT", "",
        "size of each process's log, of which the beginning and the end are kept; default `64M`")
        .field("log_limit", "Size"),
    variable("FUZZ_DIST_TRACES", "FUZZ_DIST_TRACES=1",
        "exports the run as OpenTelemetry traces")
        .field("traces", "bool"),
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
