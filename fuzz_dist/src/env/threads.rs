//! The limit of processes and threads that a user may have, and what to say when it is reached.

use std::io;
use std::sync::mpsc;
use std::thread::Builder;

use rustix::process::{Resource, getrlimit};

/// Why this process could not start so many more threads; `None` if it could.
///
/// Some libraries panic when a thread is refused, so that this has to be known before.
pub(crate) fn refused(count: usize) -> Option<String> {
    let mut held = Vec::new();
    for started in 0..count {
        let (release, wait) = mpsc::channel::<()>();
        // The thread ends when its sender is dropped.
        match Builder::new().spawn(move || wait.recv()) {
            Ok(thread) => held.push((release, thread)),
            Err(error) => {
                return Some(format!(
                    "the system refused to start thread {} of {count}: {error}\n  remedy: {}",
                    started + 1,
                    remedy()
                ));
            }
        }
    }
    for (release, thread) in held {
        drop(release);
        let _ = thread.join();
    }
    None
}

/// Whether an error says that there are too many threads or processes.
pub(crate) fn too_many(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EAGAIN)
}

/// One line on what to do then.
pub(crate) fn remedy() -> String {
    let limit = getrlimit(Resource::Nproc).current;
    let now = limit.map_or_else(String::new, |limit| format!(", now {limit}"));
    format!(
        "raise the number of processes and threads that this user may have (`ulimit -u`{now}; in a \
         container or a service also its limit of tasks), or end others of this user"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_threads_are_always_to_be_had() {
        assert_eq!(refused(4), None);
        assert!(remedy().contains("ulimit -u"));
    }
}
