//! Leases between threads; those between processes are tried by the tests of the whole.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of a test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("fuzz_dist-lease-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    /// Takes a lease of `slots` labs, or gives up at once.
    fn try_take(&self, trial: &str, slots: usize, wanted: usize) -> Result<Lease, LeaseError> {
        self.take(trial, slots, wanted, Duration::ZERO)
    }

    fn take(
        &self,
        trial: &str,
        slots: usize,
        wanted: usize,
        limit: Duration,
    ) -> Result<Lease, LeaseError> {
        let started = Instant::now();
        Queue { folder: &self.0, slots, trial, limit, started, said: true }.take(wanted)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn refusal(result: Result<Lease, LeaseError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn as_many_as_there_are_slots() {
    let folder = Folder::new();
    let first = folder.try_take("first", 2, 1).unwrap();
    let _second = folder.try_take("second", 2, 1).unwrap();
    let text = refusal(folder.try_take("third", 2, 1));
    let process = std::process::id();
    let holders = format!("first (process {process}), second (process {process})");
    assert!(text.contains(&holders), "{text}");
    assert!(text.contains("FUZZ_DIST_WAIT_LIMIT"), "{text}");
    drop(first);
    let _third = folder.try_take("third", 2, 1).unwrap();
}

#[test]
fn the_whole_machine_is_for_one_alone() {
    let folder = Folder::new();
    let single = folder.try_take("single", 3, 1).unwrap();
    assert!(refusal(folder.try_take("all", 3, 3)).contains("single (process"));
    drop(single);
    let all = folder.try_take("all", 3, 3).unwrap();
    let text = refusal(folder.try_take("single", 3, 1));
    assert_eq!(text.matches("all (process").count(), 1, "{text}");
    drop(all);
    // The refused attempts left nothing locked.
    let _leases: Vec<Lease> =
        (0..3).map(|n| folder.try_take(&n.to_string(), 3, 1).unwrap()).collect();
}

#[test]
fn nobody_passes_one_that_waits_for_the_whole_machine() {
    let folder = Folder::new();
    let single = folder.try_take("single", 2, 1).unwrap();
    std::thread::scope(|scope| {
        let all = scope.spawn(|| folder.take("all", 2, 2, Duration::from_secs(60)));
        // The waiting one has the gate, so the free slot is not for newcomers.
        let gate = Queue {
            folder: &folder.0,
            slots: 2,
            trial: "",
            limit: Duration::ZERO,
            started: Instant::now(),
            said: true,
        }
        .open("gate")
        .unwrap();
        while locked(&gate) {
            flock(&gate, FlockOperation::Unlock).unwrap();
            std::thread::yield_now();
        }
        assert!(folder.try_take("newcomer", 2, 1).is_err());
        drop(single);
        assert!(all.join().unwrap().is_ok());
    });
}

#[test]
fn many_threads_never_hold_more_than_the_slots() {
    let folder = Folder::new();
    let (holding, most) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for number in 0..6 {
            let (folder, holding, most) = (&folder, &holding, &most);
            scope.spawn(move || {
                let share = if number == 3 { 2 } else { 1 };
                let name = number.to_string();
                let lease = folder.take(&name, 2, share as usize, Duration::from_secs(60)).unwrap();
                let now = holding.fetch_add(share, Ordering::SeqCst) + share;
                most.fetch_max(now, Ordering::SeqCst);
                std::thread::yield_now();
                holding.fetch_sub(share, Ordering::SeqCst);
                drop(lease);
            });
        }
    });
    assert!((1..=2).contains(&most.load(Ordering::SeqCst)), "{most:?}");
}

#[test]
fn a_folder_that_is_no_folder_is_refused() {
    let folder = Folder::new();
    let user = rustix::process::geteuid().as_raw();
    private_folder(&folder.0, user).unwrap();
    private_folder(&folder.0.join("new"), user).unwrap();
    let link = folder.0.join("link");
    std::os::unix::fs::symlink(&folder.0, &link).unwrap();
    let text = private_folder(&link, user).unwrap_err().to_string();
    assert!(text.contains("no folder of this user's"), "{text}");
    let text = private_folder(&folder.0, user + 1).unwrap_err().to_string();
    assert!(text.contains("no folder of this user's"), "{text}");
    assert!(private_folder(&folder.0.join("absent/child"), user).is_err());
}

#[test]
fn every_machine_carries_one_lab() {
    assert!(slots() >= 1);
    assert_eq!(slots(), slots());
    assert!(total_memory_bytes().is_some_and(|bytes| bytes > 1 << 26));
}
