//! Whether this machine allows a lab at all.

use super::{Lab, LabOptions};
use fuzz_dist_env::{Error, HostSpec, Scratch};

/// Tries the whole chain, from the user namespace to a host's network, with throw-away processes.
///
/// Some systems let the first steps pass and deny a later one, so that less than everything would
/// prove nothing. Takes about 10 ms.
///
/// # Errors
/// [`Error::Refused`] names the step that the system refuses, and the remedy.
pub fn probe() -> Result<(), Error> {
    let folder = Scratch::new().map_err(Error::io("make a temporary folder"))?;
    let mut options = LabOptions::new(folder.path(), vec![HostSpec::node("probe")]);
    options.name = "probe".into();
    Lab::start(options).map(drop)
}
