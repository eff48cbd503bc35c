//! The limit of processes and threads that a user may have, and what to say when it is reached.

use std::io;
use std::sync::mpsc;
use std::thread::Builder;

use rustix::process::{Resource, getrlimit};

use super::Error;

/// Why this process could not start so many more threads, which `what` needs; `None` if it could. A
/// process counts as much as a thread.
///
/// Some libraries panic or wait when a thread is refused, so that this has to be known before.
#[doc(hidden)]
pub fn refused(what: &str, count: usize) -> Option<String> {
    let mut held = Vec::new();
    for started in 0..count {
        let (release, wait) = mpsc::channel::<()>();
        // The thread ends when its sender is dropped.
        match Builder::new().spawn(move || wait.recv()) {
            Ok(thread) => held.push((release, thread)),
            Err(error) => {
                return Some(format!(
                    "{what} needs {count} processes and threads, and the system refused number {}: \
                     {error}\n  remedy: {}",
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

/// How many threads run at once, and a runtime has.
#[doc(hidden)]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Whether an error says that there are too many threads or processes.
#[doc(hidden)]
pub fn too_many(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EAGAIN)
}

/// With what to do, where that is why the system refused a step.
#[doc(hidden)]
pub fn explained(error: Error) -> Error {
    match error {
        Error::Io { what, source } if too_many(&source) => {
            Error::Refused { step: what, source, remedy: remedy() }
        }
        other => other,
    }
}

/// The same for an error that is reported without an [`Error`] around it.
#[doc(hidden)]
pub fn with_remedy(error: io::Error) -> io::Error {
    match too_many(&error) {
        true => io::Error::new(error.kind(), format!("{error}; {}", remedy())),
        false => error,
    }
}

/// What to do where a program ended since it could start no thread or process, as its last words say.
#[doc(hidden)]
pub fn remedy_for(said: &str) -> Option<String> {
    // The C library's text, as programs in most languages print it, and the virtual machine's of Erlang.
    let refused = said.contains("Resource temporarily unavailable")
        || said.contains("Failed to create") && said.contains("thread");
    refused.then(remedy)
}

/// One line on what to do then.
#[doc(hidden)]
pub fn remedy() -> String {
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
        assert_eq!(refused("this test", 4), None);
        assert!(remedy().contains("ulimit -u"));
    }

    #[test]
    fn a_refused_thread_has_its_remedy_however_it_is_reported() {
        let refused = || io::Error::from_raw_os_error(libc::EAGAIN);
        let error = explained(Error::Io { what: "start a timer".into(), source: refused() });
        assert!(error.to_string().contains("ulimit -u"), "{error}");
        assert!(with_remedy(refused()).to_string().contains("ulimit -u"));
        let panicked = "failed to spawn thread: Os { code: 11, kind: WouldBlock, message: \"Resource \
                        temporarily unavailable\" }";
        assert!(remedy_for(panicked).is_some());
        assert!(remedy_for("Failed to create dirty io scheduler thread 5, error = 11").is_some());
        // Other errors are left alone.
        let other = || io::Error::from_raw_os_error(libc::ENOENT);
        let error = explained(Error::Io { what: "start a timer".into(), source: other() });
        assert!(!error.to_string().contains("ulimit -u"), "{error}");
        assert!(!with_remedy(other()).to_string().contains("ulimit -u"));
        assert_eq!(remedy_for("no such file"), None);
    }
}
