//! The levels of `weak` by their names: `weak`, `read_atomic`, `causal`, `session_guarantees`.

use super::{Level, session_guarantees, weak};
use crate::AnyChecker;
use crate::registration::{
    BUDGET, BuildError, Judges, Needs, Opt, Options, Registration, built, words,
};

const LEVEL: Opt = Opt::value(
    "level",
    "axiomatic-read-committed (of Biswas and Enea; PL-2 is the checker read-committed), read-atomic, causal (ccv), weak-causal (cc), causal-memory (cm), or a session guarantee",
    "causal-memory",
);

pub(crate) const WEAK: Registration = Registration {
    name: "weak",
    about: "weak isolation by its axiom, at a level",
    judges: Judges::Itself,
    needs: Needs::Clients,
    options: &[LEVEL.required(), BUDGET],
    build: |o| {
        let expected = || format!("expected -o level={}", words(&Level::ALL, Level::as_str));
        at(o, o.parsed("level")?.ok_or_else(expected)?)
    },
};

pub(crate) const READ_ATOMIC: Registration = Registration {
    name: "read_atomic",
    about: "weak with the level read-atomic",
    judges: Judges::Itself,
    needs: Needs::Clients,
    options: &[BUDGET],
    build: |o| at(o, Level::ReadAtomic),
};

pub(crate) const CAUSAL: Registration = Registration {
    name: "causal",
    about: "weak with the level causal",
    judges: Judges::Itself,
    needs: Needs::Clients,
    options: &[LEVEL, BUDGET],
    build: |o| at(o, o.parsed("level")?.unwrap_or(Level::Causal)),
};

pub(crate) const SESSION_GUARANTEES: Registration = Registration {
    name: "session_guarantees",
    about: "the four session guarantees, each by itself",
    judges: Judges::Itself,
    needs: Needs::Clients,
    options: &[],
    build: |_| built(session_guarantees()),
};

fn at(o: &Options<'_>, level: Level) -> Result<AnyChecker, BuildError> {
    built(o.set("budget", weak(level), |c, steps| c.budget_steps(steps))?)
}
