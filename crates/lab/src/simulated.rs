//! Hosts in simulated time: what their processes need for it, and that they have it.

use super::environment::on_disk;
use super::host::pid_of;
use fuzz_dist_clock::Clock;
use fuzz_dist_env::{Error, HostId};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Where hosts see the folder of a simulated clock.
pub(super) const SEEN_AT: &str = "/run/fuzz_dist_time";

const PRELOAD: &str = "LD_PRELOAD";

/// The environment of a process, with what it needs to live in the clock's time.
pub(super) fn environment(
    clock: &Clock,
    host: HostId,
    mut env: Vec<(String, String)>,
) -> Vec<(String, String)> {
    let Some(preload) = clock.preload() else { return env };
    for (name, mut value) in preload.environment(Path::new(SEEN_AT), host.index() as u32) {
        // The program may preload something of its own.
        if let Some(at) = env.iter().rposition(|(other, _)| *other == name) {
            let (_, own) = env.remove(at);
            if name == PRELOAD && !own.is_empty() {
                value = format!("{value}:{own}");
            }
        }
        env.push((name, value));
    }
    env
}

/// Waits until a process that was started has registered with the clock.
pub(super) async fn registered(clock: &Clock, host: &str, pid: Option<i32>) -> Result<(), Error> {
    let (Some(preload), Some(pid)) = (clock.preload(), pid) else { return Ok(()) };
    let host = host.to_owned();
    on_disk(move || {
        preload.registered(pid).map_err(|why| Error::Invalid(format!("on host {host}, {why}")))
    })
    .await
}

/// Time stands still while a host's init works: it is no part of the simulation, and answers the harness.
pub(super) fn watch(clock: &Clock, init: &OwnedFd) {
    if let Some(preload) = clock.preload()
        && let Ok(Some(pid)) = pid_of(init)
    {
        preload.watch(pid);
    }
}
