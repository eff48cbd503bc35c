//! The searches by the name of their model: `linearizable`, `cas_register`, `mutex`, `sequential`.

use super::super::registration::{
    BUDGET, BuildError, INITIAL, Judges, Needs, Opt, Options, Registration, built,
};
use super::super::{AnyChecker, txn};
use super::kv::KeyValue;
use super::{
    CasRegister, CounterModel, Fifo, Linearizable, Model, MultiRegister, Mutex, Registers,
    Sequential, SetModel, StartingAt, linearizable, sequential,
};

pub(crate) const LINEARIZABLE: Registration = Registration {
    name: "linearizable",
    about: "a search in a model: register, cas-register, multi-register, mutex, set, fifo, counter or kv",
    judges: Judges::Itself,
    needs: Needs::Order,
    options: &[Opt::value("model", "the object", "fifo").required(), BUDGET, INITIAL],
    build: search,
};

pub(crate) const CAS_REGISTER: Registration = Registration {
    name: "cas_register",
    about: "linearizable with the model cas-register",
    judges: Judges::Itself,
    needs: Needs::Order,
    options: &[BUDGET, INITIAL],
    build: register,
};

pub(crate) const MUTEX: Registration = Registration {
    name: "mutex",
    about: "linearizable with the model mutex",
    judges: Judges::Itself,
    needs: Needs::Clients,
    options: &[BUDGET],
    build: |o| model(o, Mutex),
};

pub(crate) const SEQUENTIAL: Registration = Registration {
    name: "sequential",
    about: "one order of all operations that keeps the order of each client, in a model: registers (the default), register, cas-register, mutex, set, fifo or counter",
    judges: Judges::Itself,
    needs: Needs::Clients,
    options: &[Opt::value("model", "the object (default: registers)", "fifo"), BUDGET, INITIAL],
    build: in_sequence,
};

/// A register, with its first value.
fn register(o: &Options<'_>) -> Result<AnyChecker, BuildError> {
    match o.word("initial") {
        None => model(o, CasRegister),
        Some(word) => model(o, StartingAt { model: CasRegister, initial: Options::value(word) }),
    }
}

/// Only registers begin with a value.
fn no_initial(o: &Options<'_>, model: &str) -> Result<(), BuildError> {
    let is_register = ["register", "cas-register", "multi-register"].contains(&model);
    match o.word("initial") {
        Some(_) if !is_register => {
            let why = "has no initial value; registers have";
            Err(format!("option initial: the model {model} {why}").into())
        }
        _ => Ok(()),
    }
}

fn search(o: &Options<'_>) -> Result<AnyChecker, BuildError> {
    const MODELS: [&str; 8] =
        ["register", "cas-register", "multi-register", "mutex", "set", "fifo", "counter", "kv"];
    no_initial(o, o.word_or("model", "register"))?;
    match o.word("model") {
        Some("register" | "cas-register") => register(o),
        Some("multi-register") => match o.word("initial") {
            None => model(o, MultiRegister::default()),
            Some(word) => model(o, MultiRegister::starting_at(Options::value(word))),
        },
        Some("mutex") => model(o, Mutex),
        Some("set") => model(o, SetModel),
        Some("fifo") => model(o, Fifo),
        Some("counter") => model(o, CounterModel),
        Some("kv") => model(o, KeyValue),
        Some(other) => Err(BuildError::unknown("model", other, MODELS)),
        None => Err(format!("expected -o model= with one of {}", MODELS.join(", ")).into()),
    }
}

fn model<M: Model + 'static>(o: &Options<'_>, model: M) -> Result<AnyChecker, BuildError> {
    let search = linearizable(model);
    built(o.set("budget", search, |c: Linearizable<M>, steps| c.steps_max(steps))?)
}

fn in_sequence(o: &Options<'_>) -> Result<AnyChecker, BuildError> {
    const MODELS: [&str; 7] =
        ["registers", "register", "cas-register", "mutex", "set", "fifo", "counter"];
    fn build<M: Model + 'static>(
        o: &Options<'_>,
        checker: Sequential<M>,
    ) -> Result<AnyChecker, BuildError> {
        built(o.set("budget", checker, |c, steps| c.steps_max(steps))?)
    }
    no_initial(o, o.word_or("model", "registers"))?;
    match o.word_or("model", "registers") {
        "registers" => build(o, sequential(Registers).refuted_by(txn::causal())),
        "register" | "cas-register" => match o.word("initial") {
            None => build(o, sequential(CasRegister)),
            Some(word) => {
                let initial = Options::value(word);
                build(o, sequential(StartingAt { model: CasRegister, initial }))
            }
        },
        "mutex" => build(o, sequential(Mutex)),
        "set" => build(o, sequential(SetModel)),
        "fifo" => build(o, sequential(Fifo)),
        "counter" => build(o, sequential(CounterModel)),
        other => Err(BuildError::unknown("model", other, MODELS)),
    }
}
