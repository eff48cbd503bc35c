//! Starting a program on a host: fork, take on its surroundings, execute, and know that it runs.

use super::kernel::Proc;
use super::protocol::{At, DATA_DIR, Failure, StartPlan, Step};
use fuzz_dist_sys::fork::{Fork, SingleThreaded, close_all_but};
use fuzz_dist_sys::{namespace, signals};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Starts the program with `fds` as its standard output and error; returns once it is executed,
/// or with the step that failed.
pub(super) fn start(
    single: &SingleThreaded,
    proc: &Proc,
    plan: &StartPlan,
    fds: Vec<OwnedFd>,
) -> Result<(i32, OwnedFd), Failure> {
    let other = |what: &str| Step::Other(what.to_owned());
    let Ok([stdout, stderr]) = <[OwnedFd; 2]>::try_from(fds) else {
        let text = "no descriptors for the program's output".into();
        return Err(Failure { step: Step::Execute, errno: 0, text });
    };
    // The pipe closes when the program is executed; before that it takes what went wrong.
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).at(other("make a pipe"))?;
    match single.fork(0).at(Step::Fork)? {
        Fork::Child => {
            // Whoever traces this process before the program is executed finds nothing of the init's.
            let kept = [proc.as_fd(), stdout.as_fd(), stderr.as_fd(), theirs.as_fd()];
            let closed = close_all_but(&kept).at(other("close descriptors"));
            let failure = match closed.and_then(|()| become_program(proc, plan, stdout, stderr)) {
                Ok(never) => match never {},
                Err(failure) => failure,
            };
            let mut to = File::from(theirs);
            let _ = serde_json::to_writer(&mut to, &failure).map(|()| to.flush());
            std::process::exit(127)
        }
        Fork::Parent { pid, pidfd } => {
            drop(theirs);
            let mut answer = Vec::new();
            File::from(ours).read_to_end(&mut answer).at(other("hear of the program"))?;
            if answer.is_empty() {
                return Ok((pid, pidfd));
            }
            Err(serde_json::from_slice(&answer)
                .map_err(io::Error::from)
                .at(other("hear of the program"))?)
        }
    }
}

enum Never {}

fn become_program(
    proc: &Proc,
    plan: &StartPlan,
    stdout: OwnedFd,
    stderr: OwnedFd,
) -> Result<Never, Failure> {
    // A session of its own: its group is signalled as a whole, and no terminal is in reach.
    rustix::process::setsid().at(Step::Other("make a session".into()))?;
    signals::as_for_a_new_program().at(Step::Other("reset signals".into()))?;
    if let Some(uid) = plan.uid {
        take_uid(proc, uid).at(Step::TakeUid)?;
    }
    let cwd = plan.cwd.as_deref().unwrap_or(DATA_DIR);
    std::env::set_current_dir(cwd).at(Step::WorkingDir)?;
    let (program, arguments) = plan
        .argv
        .split_first()
        .ok_or_else(|| io::Error::other("no program is named"))
        .at(Step::Execute)?;
    let error = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(plan.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .exec();
    Err(error).at(Step::Execute)
}

/// Shows the program another user id, by a user namespace within: none of the machine's is needed.
fn take_uid(proc: &Proc, uid: u32) -> io::Result<()> {
    if uid == 0 {
        return Ok(());
    }
    // An ordinary user may write the maps of a process only while it can be traced.
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    namespace::unshare(libc::CLONE_NEWUSER)?;
    map_to(proc, uid)
}

/// Shows this process, just moved into a user namespace, its user and group as `uid`.
pub(super) fn map_to(proc: &Proc, uid: u32) -> io::Result<()> {
    // Where setting groups is denied already, it cannot be denied again, and need not.
    match proc.write("self/setgroups", "deny") {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
        _ => {}
    }
    proc.write("self/uid_map", &format!("{uid} 0 1"))?;
    proc.write("self/gid_map", &format!("{uid} 0 1"))
}
