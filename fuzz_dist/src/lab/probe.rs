//! Whether this machine allows a lab at all.

use super::{Lab, LabOptions};
use crate::env::{Error, HostSpec};

/// Tries the whole chain, from the user namespace to a host's network, with throw-away processes.
///
/// Some systems let the first steps pass and deny a later one, so that less than everything would
/// prove nothing. Takes about 10 ms.
///
/// # Errors
/// [`Error::Refused`] names the step that the system refuses, and the remedy.
pub fn probe() -> Result<(), Error> {
    let folder = std::env::temp_dir().join(format!("fuzz_dist-probe-{}", std::process::id()));
    let mut options = LabOptions::new(&folder, vec![HostSpec::node("probe")]);
    options.name = "probe".into();
    let result = Lab::start(options).map(drop);
    // What is left there is a few empty folders.
    let _ = std::fs::remove_dir_all(&folder);
    result
}
