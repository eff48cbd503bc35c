//! Levels that are no matter of Adya's cycles alone: each name has one judge.
//!
//! What an axiom defines is decided by [`weak`], whichever checker is asked. Of the other ones the
//! axioms that they imply are asked, and whether something stronger holds; between these the answer
//! is *unknown: incomplete*.

use std::borrow::Cow;

use super::core::{Shape, Transactions};
use super::isolation::Isolation;
use super::weak::{Level, weak};
use crate::{Validity, Verdict};

/// The axioms that a level implies, each with or without the order of sessions.
struct Axioms {
    levels: &'static [(Level, bool)],
    /// Do they define it?
    exact: bool,
}

/// Clocks of transactions without sessions take the square of their number.
const SESSIONLESS_MAX: usize = 8_000;

fn axioms(model: Isolation) -> Option<Axioms> {
    use Isolation as I;
    use Level as L;
    let (levels, exact): (&'static [(Level, bool)], bool) = match model {
        I::ReadAtomic => (&[(L::ReadAtomic, true)], true),
        I::MonotonicAtomicView => (&[(L::AxiomaticReadCommitted, false)], true),
        I::MonotonicView | I::MonotonicSnapshotRead => {
            (&[(L::AxiomaticReadCommitted, false)], false)
        }
        I::Rola => (&[(L::ReadAtomic, false)], false),
        I::CausalCerone => (&[(L::Causal, false)], true),
        I::Prefix
        | I::ParallelSnapshotIsolation
        | I::UpdateSerializable
        | I::ForwardConsistentView => (&[(L::Causal, false)], false),
        I::ReadYourWrites => (&[(L::ReadYourWrites, true)], true),
        I::MonotonicReads => (&[(L::MonotonicReads, true)], true),
        I::MonotonicWrites => (&[(L::MonotonicWrites, true)], true),
        I::WritesFollowReads => (&[(L::WritesFollowReads, true)], true),
        I::Pram => (
            &[(L::ReadYourWrites, true), (L::MonotonicReads, true), (L::MonotonicWrites, true)],
            true,
        ),
        I::Causal => (&[(L::Causal, true)], true),
        _ => return None,
    };
    Some(Axioms { levels, exact })
}

/// The verdict about a level, from what Adya's phenomena say of it. `holds` says whether a stronger
/// level certainly does.
pub(crate) fn judged(
    model: Isolation,
    txns: &Transactions,
    adya: Verdict,
    holds: impl Fn(Isolation) -> bool,
) -> Verdict {
    let Some(Axioms { levels, exact }) = axioms(model).filter(|_| !adya.is_invalid()) else {
        return adya;
    };
    let registers = match txns.shape {
        Shape::Registers => Cow::Borrowed(txns),
        Shape::Lists => Cow::Owned(txns.as_registers()),
    };
    let (mut open, mut skipped) = (false, false);
    for (level, sessions) in levels {
        let too_long = !sessions && *level == Level::Causal && txns.len() > SESSIONLESS_MAX;
        if too_long {
            (open, skipped) = (true, true);
            continue;
        }
        let verdict = match sessions {
            true => weak(*level).judge(&registers),
            false => weak(*level).judge(&registers.without_sessions()),
        };
        if verdict.is_invalid() {
            let kinds: Vec<String> = verdict.anomalies.iter().map(|a| a.kind.to_string()).collect();
            let mut kinds: Vec<&str> = kinds.iter().map(|k| &**k).collect();
            kinds.sort_unstable();
            kinds.dedup();
            let why = format!("not {model}: {}", kinds.join(", "));
            let mut refuted = Verdict::invalid(adya.checker.clone(), why);
            refuted.results = adya.results;
            refuted.anomalies = verdict.anomalies;
            return refuted;
        }
        open |= !verdict.is_valid();
    }
    let mut verdict = adya;
    // The axioms for registers do not see the order in which lists have their elements.
    let decided = exact && !open && txns.shape == Shape::Registers;
    let needs_sessions = levels.iter().any(|(_, sessions)| *sessions);
    let stronger = match needs_sessions {
        true => Isolation::StrongSessionSerializable,
        false => Isolation::Serializable,
    };
    if decided || holds(stronger) {
        verdict.validity = Validity::Valid;
        verdict.reasons.clear();
    } else {
        let mut reason = format!(
            "incomplete: nothing excludes {model}, and {stronger}, which would imply it, does not hold for certain"
        );
        if skipped {
            reason.push_str(&format!(
                "; its axiom was not checked, since {} transactions are more than {SESSIONLESS_MAX}",
                txns.len()
            ));
        }
        verdict.validity = Validity::Unknown;
        verdict.reasons.insert(0, reason);
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Checker;
    use crate::txn::{generate::script, list_append, rw_register};

    /// What is left out because it is too long is no proof: a history that is not serializable is
    /// valid below the limit, and above it unknown, and says why.
    #[test]
    fn an_axiom_that_was_not_checked_makes_it_unknown() {
        let skew = |more: usize, text: &str| {
            script(&format!("{text}\n{}", "2: r z nil\n".repeat(more))).unwrap()
        };
        let registers = "0: r x nil, w y 1\n1: r y nil, w x 1";
        let lists = "0: r x [], append y 1\n1: r y [], append x 1\n3: r x [1], r y [1]";
        let [short, long] = [10, SESSIONLESS_MAX].map(|more| skew(more, registers));
        for model in [Isolation::CausalCerone, Isolation::Prefix] {
            let exact = model == Isolation::CausalCerone;
            let checker = rw_register().model(model);
            let short = checker.check(&short);
            assert_eq!(short.is_valid(), exact, "{model}: {:?}", short.reasons);
            let long = checker.check(&long);
            assert_eq!(long.validity, Validity::Unknown, "{model}: {:?}", long.reasons);
            assert!(long.reasons[0].contains("was not checked"), "{:?}", long.reasons);
        }
        let long = skew(SESSIONLESS_MAX, lists);
        let verdict = list_append().model(Isolation::CausalCerone).check(&long);
        assert_eq!(verdict.validity, Validity::Unknown, "{:?}", verdict.reasons);
    }
}
