//! One test's life, from resolve to verdict.

pub mod cancel;
pub mod options;
pub mod overrides;
mod spec;

pub use spec::{Body, Location, Part, TrialReport, TrialSpec};

// PLACEHOLDERS, until the real ones come: everything below.

use crate::checker::Verdict;
use crate::error::Error;

/// What a test function is given. (Placeholder.)
#[derive(Debug)]
pub struct Test {
    /// What is to be run.
    pub spec: TrialSpec,
}

/// What a test ends with. (Placeholder.)
pub type Outcome = Result<Verdict, Error>;

/// What a test function may return. (Placeholder, apart from its diagnostics.)
#[diagnostic::on_unimplemented(
    message = "a `#[fuzz_dist::test]` function cannot return `{Self}`",
    label = "expected `Outcome`, `Verdict`, or `Result<Verdict, E>`",
    note = "`E` is anything that becomes a `fuzz_dist::Error`, such as a `std::error::Error`"
)]
pub trait IntoOutcome {
    /// The outcome.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for Verdict {
    fn into_outcome(self) -> Outcome {
        Ok(self)
    }
}

impl<E: Into<Error>> IntoOutcome for Result<Verdict, E> {
    fn into_outcome(self) -> Outcome {
        self.map_err(Into::into)
    }
}

/// Runs one trial. (Placeholder: no cluster, just the user's function.)
pub fn run_trial(spec: TrialSpec) -> TrialReport {
    let over = match overrides::Overrides::from_env() {
        Ok(over) => over,
        Err(error) => return TrialReport::Failed(error.to_string()),
    };
    if let Err(error) = spec.options.effective(&over) {
        return TrialReport::Failed(format!("{error}\n  --> {}", spec.location));
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return TrialReport::Failed(error.to_string()),
    };
    let body = spec.body;
    match runtime.block_on(body(Test { spec })) {
        Ok(verdict) if verdict.is_valid() => TrialReport::Passed,
        Ok(verdict) => TrialReport::Failed(verdict.summary()),
        Err(error) => TrialReport::Failed(error.to_string()),
    }
}
