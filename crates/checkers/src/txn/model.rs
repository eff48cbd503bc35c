//! The option `model` of checkers of transactions: the isolation level that is asked for.

use super::Isolation;
use crate::registration::{BuildError, Opt, Options};

pub(crate) const MODEL: Opt = Opt::value(
    "model",
    "the isolation level, such as strict-serializable (the default), serializable, snapshot-isolation, by the names of Elle and of Adya",
    "snapshot-isolation",
);

/// The level of the option, or the strongest one that the history can be judged by.
pub(crate) fn isolation_of(o: &Options<'_>) -> Result<Isolation, BuildError> {
    let model = o.word("model").map(|word| {
        let all = Isolation::ALL.iter().map(|i| i.as_str());
        word.parse().map_err(|_| BuildError::unknown("model", word, all))
    });
    let default = match (o.real_time, o.processes) {
        (true, _) => Isolation::StrictSerializable,
        (false, true) => Isolation::StrongSessionSerializable,
        (false, false) => Isolation::Serializable,
    };
    let model: Isolation = model.unwrap_or(Ok(default))?;
    if !o.real_time && model.implies(Isolation::StrongReadUncommitted) {
        let why = "depends on real time, which this history does not record";
        return Err(format!("{model} {why}").into());
    }
    let of_sessions = match model {
        Isolation::ReadAtomic | Isolation::Rola | Isolation::Pram | Isolation::Causal => true,
        Isolation::ReadYourWrites | Isolation::MonotonicReads => true,
        Isolation::MonotonicWrites | Isolation::WritesFollowReads => true,
        // Real time orders what one client did, too.
        _ if model.implies(Isolation::StrongReadUncommitted) => false,
        _ => model.implies(Isolation::StrongSessionReadUncommitted),
    };
    if !o.processes && of_sessions {
        let why = "speaks of sessions, and the operations have no :process";
        return Err(format!("{model} {why}").into());
    }
    Ok(model)
}
