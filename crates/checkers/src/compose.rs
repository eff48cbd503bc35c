//! Several checkers as one.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::online::All;
use super::{Checker, Online, Verdict};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Name;

/// Several checkers as one; see [`compose`].
#[derive(Default)]
pub struct Compose {
    parts: Vec<(Name, Box<dyn Checker>)>,
}

/// A checker that asks several: its verdict is the greatest of theirs, `valid` < `unknown` <
/// `invalid`. One that panics counts as `unknown`, with what it said.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, compose, set_full, stats, histories::Script};
/// let checker = compose().with("set", set_full()).with("stats", stats());
/// let verdict = checker.check(&Script::parse("a1 a1' r r'{1}"));
/// assert!(verdict.is_valid() && verdict.part("stats").is_some());
/// ```
pub fn compose() -> Compose {
    Compose::default()
}

impl Compose {
    /// With one more checker; the name is for the verdict where the checker panics.
    #[must_use]
    pub fn with(mut self, name: impl Into<Name>, checker: impl Checker + 'static) -> Compose {
        self.parts.push((name.into(), Box::new(checker)));
        self
    }

    /// With one more checker that is boxed already.
    #[must_use]
    pub fn with_boxed(mut self, name: impl Into<Name>, checker: Box<dyn Checker>) -> Compose {
        self.parts.push((name.into(), checker));
        self
    }
}

impl Checker for Compose {
    fn check(&self, history: &History) -> Verdict {
        let parts = self.parts.iter().map(|(name, checker)| {
            catch_unwind(AssertUnwindSafe(|| checker.check(history)))
                .unwrap_or_else(|panic| {
                    let said = (panic.downcast_ref::<&str>().map(|s| (*s).to_string()))
                        .or_else(|| panic.downcast_ref::<String>().cloned())
                        .unwrap_or_else(|| "nothing".into());
                    Verdict::unknown(
                        name.clone(),
                        format!("internal error: checker {name} panicked: {said}"),
                    )
                })
                .asked(checker.arguments())
        });
        Verdict::compose("compose", parts)
    }

    fn online(&self, history: &History) -> Option<Box<dyn Online>> {
        let online: Vec<_> =
            self.parts.iter().filter_map(|(_, checker)| checker.online(history)).collect();
        (!online.is_empty()).then(|| Box::new(All(online)) as Box<dyn Online>)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Validity, set_full};
    use super::*;

    struct Panics;
    impl Checker for Panics {
        fn check(&self, _: &History) -> Verdict {
            panic!("out of cheese")
        }
    }

    #[test]
    fn a_checker_that_panics_is_unknown_with_what_it_said() {
        let checker = compose().with("panics", Panics).with("set_full", set_full());
        let verdict = checker.check(&super::super::histories::Script::parse("a a' r r'{0}"));
        assert_eq!(verdict.validity, Validity::Unknown);
        assert!(verdict.reasons[0].contains("out of cheese"), "{:?}", verdict.reasons);
        assert!(verdict.part("set_full").is_some_and(Verdict::is_valid));
    }
}
