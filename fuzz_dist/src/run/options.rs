//! The options of a test (rates, limits, seeds), the defaults, and who overrides whom.
//!
//! The environment beats the builder (`test.rate(..)`), which beats the attribute, which beats
//! the defaults: who runs a test has the last word on how. The options, with their types and defaults, are a table
//! in `fuzz_dist_macros`; here is what they mean together.

use super::overrides::Overrides;
pub use crate::env::Heal;
use crate::random::Seed;
use std::fmt;
use std::time::Duration;

/// Default and minimum sampling interval of Erlang nodes.
const SAMPLES: Duration = Duration::from_secs(1);
const SAMPLES_MIN: Duration = Duration::from_millis(100);

/// Room that the total limit leaves for tear-down, log collection and checkers.
const TOTAL_SLACK: Duration = Duration::from_secs(120);

/// How many clients there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// This many in total.
    Total(usize),
    /// This many on every node: `"2n"` in the attribute.
    PerNode(usize),
}

impl Concurrency {
    /// The number of clients of a cluster of that many nodes.
    pub fn clients(self, nodes: usize) -> usize {
        match self {
            Concurrency::Total(clients) => clients,
            Concurrency::PerNode(clients) => clients.saturating_mul(nodes),
        }
    }
}

impl From<usize> for Concurrency {
    fn from(clients: usize) -> Self {
        Concurrency::Total(clients)
    }
}

impl std::str::FromStr for Concurrency {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.strip_suffix('n') {
            Some("") => Ok(Concurrency::PerNode(1)),
            Some(clients) => clients.parse().map(Concurrency::PerNode).map_err(drop),
            None => text.parse().map(Concurrency::Total).map_err(drop),
        }
    }
}

/// The verdict with which a trial passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expect {
    /// Only `valid` passes.
    #[default]
    Valid,
    /// A known loss: only `invalid` passes, and the explanation is printed.
    Invalid,
}

/// What an `unknown` verdict does to a trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUnknown {
    /// It fails: a gate must not pass in silence.
    #[default]
    Fail,
    /// It passes with a warning.
    Warn,
}

/// Events emitted inside the nodes while a test runs, for the application's own telemetry and logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Announce {
    /// Nothing.
    Nothing,
    /// When faults begin and end.
    #[default]
    Faults,
    /// Operations as well: the start and the outcome of each.
    Operations,
}

/// When the main phase ends before its time limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// Never: anomalies are found when the run is over.
    #[default]
    TimeLimit,
    /// At the first anomaly that is certain whatever follows, as far as the checkers judge while the run
    /// goes on (see [`Checker::online`](crate::checker::Checker::online)). The state of the nodes at that
    /// moment is kept in the store; then faults are undone and the history is judged, without a quiesce
    /// and final reads.
    FirstAnomaly,
}

/// How time passes for the cluster and the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timing {
    /// As the machine's.
    #[default]
    Real,
    /// It stands still while anybody works, and leaps to the next deadline when everybody waits.
    Simulated,
    /// It passes as the machine's while anybody works, and leaps when everybody waits.
    Natural,
    /// It passes ten times as fast as the machine's.
    Tenfold,
}

impl Timing {
    /// As the attribute writes it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Timing::Real => "real",
            Timing::Simulated => "simulated",
            Timing::Natural => "simulated-1x",
            Timing::Tenfold => "10x",
        }
    }
}

/// Whether partitions may overlap: the opposite of `prevent_overlapping_partitions` of Erlang's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overlapping {
    /// They may: nodes that see each other stay together.
    On,
    /// They may not: `global` disconnects nodes until the rest is fully connected. OTP's default
    /// since 25.
    Off,
}

impl Overlapping {
    /// The kernel's parameter, as nodes report it.
    pub(super) fn prevented(self) -> &'static str {
        match self {
            Overlapping::On => "false",
            Overlapping::Off => "true",
        }
    }
}

/// What a field holds where nobody said anything: its default, if the table has one.
macro_rules! settled {
    (type $ty:ty, ) => { Option<$ty> };
    (type $ty:ty, $default:expr) => { $ty };
    (value $said:expr, ) => { $said };
    (value $said:expr, $default:expr) => { $said.unwrap_or_else(|| $default) };
}

/// The options as Rust: the table is `fuzz_dist_macros/src/keys.rs`.
macro_rules! options {
    (
        keys $keys:tt
        options {$(
            #[doc = $doc:literal]
            $name:ident: ($ty:ty) [$(= $default:expr)?] [$($variable:tt)*] [$($method:tt)*] [$($words:tt)*];
        )*}
        variables $variables:tt
        names $names:tt
    ) => {
        /// Everything that the attribute or the builder said; `None` where nothing was said.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Options {$(
            #[doc = $doc]
            pub $name: Option<$ty>,
        )*}

        /// Options with their defaults. Their text is one line, printed with every run.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Effective {
            /// Clients in total, at least one on every node.
            pub clients: usize,
            /// Whether somebody chose the seed; if not, it was drawn.
            pub seed_given: bool,
            $(
                #[doc = $doc]
                pub $name: settled!(type $ty, $($default)?),
            )*
        }

        impl Options {
            /// These options, and where they say nothing, what `others` say.
            #[must_use]
            fn or(&self, others: &Options) -> Options {
                Options { $($name: self.$name.or(others.$name),)* }
            }

            /// These options with the defaults of the table.
            fn settle(&self) -> Effective {
                let mut effective = Effective {
                    clients: 0,
                    seed_given: self.seed.is_some(),
                    $($name: settled!(value self.$name, $($default)?),)*
                };
                effective.clients = effective.concurrency.clients(effective.nodes);
                // TCP's timers are the machine's: in another time they must decide nothing.
                if effective.time != Timing::Real {
                    effective.heal = Heal::Prompt;
                }
                effective
            }
        }
    };
}

fuzz_dist_macros::with_options!(options);

/// Options that do not make a test; each says what to write instead.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A cluster of nobody.
    #[error("nodes = 0: a cluster has at least one node (default 5)")]
    NoNodes,
    /// Some node would have no client, and nothing would be known about it.
    #[error(
        "{clients} client(s) for {nodes} nodes: every node needs at least one of its own; write `concurrency = {nodes}`, or `concurrency = \"2n\"` for two on each"
    )]
    TooFewClients {
        /// Clients asked for.
        clients: usize,
        /// Nodes of the cluster.
        nodes: usize,
    },
    /// No operations would be made, or infinitely many.
    #[error("rate = {0}: operations per second are a finite number above 0 (default 100)")]
    Rate(f64),
    /// A stage without time.
    #[error("{0} is zero: write a duration such as \"30s\"")]
    NoTime(&'static str),
    /// No run at all.
    #[error("attempts = 0: a test runs at least once")]
    NoAttempts,
    /// Samples would be a load of their own.
    #[error(
        "samples {} is too often: write at least {}, or \"0s\" for none",
        show(*.0), show(SAMPLES_MIN)
    )]
    SamplesTooOften(Duration),
    /// The machine's speed would decide about the order of what happens.
    #[error(
        "deterministic = true is for `time = \"simulated\"`, and the time is \"{}\", in which the machine's speed decides \
         what happens first; write `time = \"simulated\"`, or leave `deterministic` out",
        .0.as_str()
    )]
    Deterministic(Timing),
    /// The total would cut stages off that were given more time.
    #[error(
        "total_limit {} is not above {} = {}, which these stages may take; raise total_limit, or leave it out",
        show(*.total),
        .stages.iter().map(|(name, limit)| format!("{name} {}", show(*limit))).collect::<Vec<_>>().join(" + "),
        show(.stages.iter().map(|(_, limit)| *limit).sum())
    )]
    TotalTooShort {
        /// The total limit.
        total: Duration,
        /// The main phase, and the other stages whose limits were given.
        stages: Vec<(&'static str, Duration)>,
    },
}

impl Options {
    /// What the run uses: the environment's word, else what was said, else the default.
    ///
    /// # Errors
    /// Options that do not make a test.
    pub fn effective(&self, over: &Overrides) -> Result<Effective, OptionsError> {
        let said = over.options.or(self);
        let effective = said.settle();
        effective.check()?;
        said.check_total(&effective)?;
        Ok(effective)
    }

    /// Whether the total leaves room for what was given time by name; defaults are upper limits,
    /// which a total may well be below.
    fn check_total(&self, effective: &Effective) -> Result<(), OptionsError> {
        let stages = [
            ("setup_limit", self.setup_limit),
            ("time_limit", Some(effective.time_limit)),
            ("quiesce_limit", self.quiesce_limit),
        ];
        let stages: Vec<(&'static str, Duration)> =
            stages.into_iter().filter_map(|(name, limit)| Some((name, limit?))).collect();
        let needed = stages.iter().map(|(_, limit)| *limit).sum();
        match effective.total_limit {
            Some(total) if total <= needed => Err(OptionsError::TotalTooShort { total, stages }),
            _ => Ok(()),
        }
    }
}

impl Effective {
    fn check(&self) -> Result<(), OptionsError> {
        if self.nodes == 0 {
            return Err(OptionsError::NoNodes);
        }
        if self.clients < self.nodes {
            return Err(OptionsError::TooFewClients { clients: self.clients, nodes: self.nodes });
        }
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return Err(OptionsError::Rate(self.rate));
        }
        let times = [
            ("time_limit", Some(self.time_limit)),
            ("setup_limit", Some(self.setup_limit)),
            ("op_limit", Some(self.op_limit)),
            ("total_limit", self.total_limit),
        ];
        if let Some((name, _)) = times.iter().find(|(_, time)| *time == Some(Duration::ZERO)) {
            return Err(OptionsError::NoTime(name));
        }
        if self.attempts == 0 {
            return Err(OptionsError::NoAttempts);
        }
        if self.deterministic && self.time != Timing::Simulated {
            return Err(OptionsError::Deterministic(self.time));
        }
        if !self.samples.is_zero() && self.samples < SAMPLES_MIN {
            return Err(OptionsError::SamplesTooOften(self.samples));
        }
        Ok(())
    }

    /// How long convergence may take: what was said, else max(10 s, longest cut + 30 s).
    pub fn quiesce_limit(&self, longest_cut: Duration) -> Duration {
        let default = (longest_cut + Duration::from_secs(30)).max(Duration::from_secs(10));
        self.quiesce_limit.unwrap_or(default)
    }

    /// How long one attempt may take: what was said, else the sum of its stages and some slack.
    ///
    /// `prepare` and `quiesce` are the limits of the two stages that depend on the database.
    pub fn total_limit(&self, prepare: Duration, quiesce: Duration) -> Duration {
        let stages = prepare + self.setup_limit + self.time_limit + quiesce + self.op_limit * 4;
        self.total_limit.unwrap_or(stages + TOTAL_SLACK)
    }

    /// The seed of an attempt: the first runs with the seed itself, so that a printed seed repeats
    /// the attempt that printed it.
    pub fn seed_of_attempt(&self, attempt: u32) -> Seed {
        match attempt {
            0 => self.seed,
            n => self.seed.derive(&format!("attempt {n}")),
        }
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |limit: Option<Duration>, default: &str| {
            limit.map_or_else(|| default.to_string(), show)
        };
        write!(
            f,
            "{} nodes, {} clients, {} ops/s, main phase {}, op time-out {}, set-up limit {}, \
             quiesce limit {}, total limit {}, seed {}{}",
            self.nodes,
            self.clients,
            self.rate,
            show(self.time_limit),
            show(self.op_limit),
            show(self.setup_limit),
            or(self.quiesce_limit, "max(10s, longest cut + 30s)"),
            or(self.total_limit, "sum of stages"),
            self.seed,
            if self.seed_given { "" } else { " (drawn)" },
        )?;
        if self.attempts > 1 {
            write!(f, ", {} attempts", self.attempts)?;
        }
        match self.samples {
            SAMPLES => {}
            Duration::ZERO => write!(f, ", no samples")?,
            every => write!(f, ", samples every {}", show(every))?,
        }
        let flags = [
            (self.expect == Expect::Invalid, "expects invalid"),
            (self.unknown == OnUnknown::Warn, "unknown only warns"),
            (self.reconnect, "reconnects after heal"),
            (self.heal == Heal::Prompt, "prompt heal"),
            (self.wire, "follows the wire"),
            (self.sessions, "sessions count"),
            (self.exclusive == Some(true), "exclusive"),
            (self.overlapping_partitions == Some(Overlapping::On), "partitions may overlap"),
            (self.overlapping_partitions == Some(Overlapping::Off), "overlapping is prevented"),
            (self.announce == Announce::Nothing, "announces nothing"),
            (self.announce == Announce::Operations, "announces operations"),
            (self.stop == Stop::FirstAnomaly, "stops at the first anomaly"),
            (self.time == Timing::Simulated, "simulated time"),
            (self.time == Timing::Natural, "simulated time, 1x while anybody works"),
            (self.time == Timing::Tenfold, "time passes ten times as fast"),
            (self.deterministic, "deterministic"),
        ];
        flags.iter().filter(|(set, _)| *set).try_for_each(|(_, text)| write!(f, ", {text}"))
    }
}

/// The shortest text that reads as the same duration, to the millisecond.
pub fn show(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "0s".into(),
        m if m % 3_600_000 == 0 => format!("{}h", m / 3_600_000),
        m if m % 60_000 == 0 => format!("{}m", m / 60_000),
        m if m % 1_000 == 0 => format!("{}s", m / 1_000),
        m => format!("{m}ms"),
    }
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
