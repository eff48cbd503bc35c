//! The options of a test (rates, limits, seeds), the defaults, and who overrides whom.
//!
//! The environment beats the builder (`test.rate(..)`), which beats the attribute, which beats
//! the defaults: who runs a test has the last word on how.

use super::overrides::Overrides;
pub use crate::env::Heal;
use crate::random::Seed;
use std::fmt;
use std::time::Duration;

/// Default number of hosts: the fewest that have interesting minorities.
pub const NODES: usize = 5;

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

/// Where the hosts of a cluster are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EnvKind {
    /// In namespaces on this machine.
    #[default]
    Local,
}

/// The verdict with which a trial passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// Only `valid` passes.
    #[default]
    Valid,
    /// A known loss: only `invalid` passes, and the explanation is printed.
    Invalid,
}

/// What an `unknown` verdict does to a trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnknown {
    /// It fails: a gate must not pass in silence.
    #[default]
    Fail,
    /// It passes with a warning.
    Warn,
}

/// Events emitted inside the nodes while a test runs, for the application's own telemetry and logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

impl std::str::FromStr for Stop {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "time_limit" => Ok(Stop::TimeLimit),
            "first_anomaly" => Ok(Stop::FirstAnomaly),
            _ => Err(()),
        }
    }
}

/// Whether partitions may overlap: the opposite of `prevent_overlapping_partitions` of Erlang's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlapping {
    /// They may: nodes that see each other stay together.
    On,
    /// They may not: `global` disconnects nodes until the rest is fully connected. OTP's default
    /// since 25.
    Off,
}

impl Overlapping {
    /// The words for the virtual machine.
    pub(super) fn flags(self) -> String {
        format!("-kernel prevent_overlapping_partitions {}", self.prevented())
    }

    /// The kernel's parameter, as nodes report it.
    pub(super) fn prevented(self) -> &'static str {
        match self {
            Overlapping::On => "false",
            Overlapping::Off => "true",
        }
    }
}

/// Everything that the attribute or the builder said; `None` where nothing was said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Hosts of the cluster.
    pub nodes: Option<usize>,
    /// Where they are.
    pub env: Option<EnvKind>,
    /// Operations per second, of all clients together.
    pub rate: Option<f64>,
    /// Clients.
    pub concurrency: Option<Concurrency>,
    /// Length of the main phase alone.
    pub time_limit: Option<Duration>,
    /// Deadline of provisioning, start and cluster formation together.
    pub setup_limit: Option<Duration>,
    /// Deadline of one operation.
    pub op_limit: Option<Duration>,
    /// Deadline of the convergence after the heal.
    pub quiesce_limit: Option<Duration>,
    /// Deadline of everything together.
    pub total_limit: Option<Duration>,
    /// The source of all random choices.
    pub seed: Option<Seed>,
    /// The verdict that passes.
    pub expect: Option<Expect>,
    /// Runs, each with a seed derived from the first. Where a known loss is expected they end with the
    /// first that shows it, unless `FUZZ_DIST_ATTEMPTS` says how many there are to be.
    pub attempts: Option<u32>,
    /// What an unknown verdict does.
    pub unknown: Option<OnUnknown>,
    /// Whether the framework reconnects nodes after a heal.
    pub reconnect: Option<bool>,
    /// How TCP goes on after a cut.
    pub heal: Option<Heal>,
    /// Whether connections between nodes are followed from their beginning.
    pub wire: Option<bool>,
    /// Whether findings about sessions count for the verdict.
    pub sessions: Option<bool>,
    /// Whether the trial wants the whole machine.
    pub exclusive: Option<bool>,
    /// Whether partitions may overlap.
    pub overlapping_partitions: Option<Overlapping>,
    /// Sampling interval of Erlang nodes; zero turns it off.
    pub samples: Option<Duration>,
    /// What is announced inside of the nodes.
    pub announce: Option<Announce>,
    /// When the main phase ends early.
    pub stop: Option<Stop>,
}

/// Options that do not make a test; each says what to write instead.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OptionsError {
    /// A cluster of nobody.
    #[error("nodes = 0: a cluster has at least one node (default {NODES})")]
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
    pub fn effective(&self, over: &Overrides) -> Result<Effective, OptionsError> {
        let nodes = over.nodes.or(self.nodes).unwrap_or(NODES);
        let concurrency = over.concurrency.or(self.concurrency).unwrap_or(Concurrency::PerNode(2));
        let given_seed = over.seed.or(self.seed);
        let effective = Effective {
            nodes,
            env: self.env.unwrap_or_default(),
            rate: over.rate.or(self.rate).unwrap_or(100.0),
            clients: concurrency.clients(nodes),
            time_limit: over.time_limit.or(self.time_limit).unwrap_or(Duration::from_secs(30)),
            setup_limit: self.setup_limit.unwrap_or(Duration::from_secs(120)),
            op_limit: self.op_limit.unwrap_or(Duration::from_secs(5)),
            quiesce_limit: self.quiesce_limit,
            total_limit: self.total_limit,
            seed: given_seed.unwrap_or_else(Seed::fresh),
            seed_given: given_seed.is_some(),
            expect: self.expect.unwrap_or_default(),
            attempts: over.attempts.or(self.attempts).unwrap_or(1),
            unknown: self.unknown.unwrap_or_default(),
            reconnect: self.reconnect.unwrap_or(false),
            heal: self.heal.unwrap_or_default(),
            wire: self.wire.unwrap_or(false),
            sessions: self.sessions.unwrap_or(false),
            exclusive: self.exclusive,
            overlapping_partitions: self.overlapping_partitions,
            samples: self.samples.unwrap_or(SAMPLES),
            announce: self.announce.unwrap_or_default(),
            stop: over.stop.or(self.stop).unwrap_or_default(),
        };
        effective.check()?;
        self.check_total(&effective)?;
        Ok(effective)
    }
}

impl Options {
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

/// Options with every gap filled. Its text is one line, printed with every run.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// Hosts of the cluster.
    pub nodes: usize,
    /// Where they are.
    pub env: EnvKind,
    /// Operations per second, of all clients together.
    pub rate: f64,
    /// Clients in total, at least one on every node.
    pub clients: usize,
    /// Length of the main phase alone.
    pub time_limit: Duration,
    /// Deadline of provisioning, start and cluster formation together.
    pub setup_limit: Duration,
    /// Deadline of one operation.
    pub op_limit: Duration,
    /// What was said; see [`Effective::quiesce_limit`].
    pub quiesce_limit: Option<Duration>,
    /// What was said; see [`Effective::total_limit`].
    pub total_limit: Option<Duration>,
    /// The source of all random choices.
    pub seed: Seed,
    /// Whether somebody chose the seed; if not, it was drawn.
    pub seed_given: bool,
    /// The verdict that passes.
    pub expect: Expect,
    /// Runs, each with a seed derived from the first.
    pub attempts: u32,
    /// What an unknown verdict does.
    pub unknown: OnUnknown,
    /// Whether the framework reconnects nodes after a heal.
    pub reconnect: bool,
    /// How TCP goes on after a cut.
    pub heal: Heal,
    /// Whether connections between nodes are followed from their beginning.
    pub wire: bool,
    /// Whether findings about sessions count for the verdict.
    pub sessions: bool,
    /// Whether the trial has the whole machine; unless said, where its faults need that.
    pub exclusive: Option<bool>,
    /// Whether partitions may overlap; the nodes' own setting if nobody said.
    pub overlapping_partitions: Option<Overlapping>,
    /// Sampling interval of Erlang nodes; zero turns it off.
    pub samples: Duration,
    /// What is announced inside of the nodes.
    pub announce: Announce,
    /// When the main phase ends early.
    pub stop: Stop,
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
