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

    /// Takes a lease of `slots` clusters, or gives up at once.
    fn try_take(&self, trial: &str, slots: usize, wanted: usize) -> Result<Lease, LeaseError> {
        self.take(trial, slots, wanted, Duration::ZERO)
    }

    /// How many have a place in the queue, as the files say, those up to `dead` left out.
    fn waiting(&self, dead: u64) -> usize {
        let tickets =
            Queue::new(&self.0, 1, "", Duration::ZERO, &Clock::system()).tickets().unwrap();
        tickets.iter().filter(|(number, _)| *number > dead).count()
    }

    fn take(
        &self,
        trial: &str,
        slots: usize,
        wanted: usize,
        limit: Duration,
    ) -> Result<Lease, LeaseError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let clock = Clock::system();
        runtime.block_on(Queue::new(&self.0, slots, trial, limit, &clock).take(wanted))
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
        while folder.waiting(0) == 0 {
            std::thread::yield_now();
        }
        assert!(folder.try_take("newcomer", 2, 1).is_err());
        drop(single);
        assert!(all.join().unwrap().is_ok());
    });
    assert_eq!(folder.waiting(0), 0);
}

#[test]
fn who_comes_first_is_served_first_and_the_dead_are_passed_over() {
    const DEAD: u64 = 7;
    let folder = Folder::new();
    let running = folder.try_take("running", 1, 1).unwrap();
    // What a killed process leaves: its file without its lock.
    std::fs::write(folder.0.join(format!("{TICKET}{DEAD:012}")), "").unwrap();
    let served = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for number in 0..5 {
            let (folder, served) = (&folder, &served);
            scope.spawn(move || {
                let lease = folder.take("waiting", 1, 1, Duration::from_secs(60)).unwrap();
                served.lock().unwrap().push(number);
                drop(lease);
            });
            // The next one comes only when this one has its place.
            while folder.waiting(DEAD) < number + 1 {
                std::thread::yield_now();
            }
        }
        drop(running);
    });
    assert_eq!(*served.lock().unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(folder.waiting(0), 0, "the dead one's file is removed as well");
}

#[test]
fn a_name_of_the_former_owner_does_not_run_any_more() {
    let folder = Folder::new();
    drop(folder.try_take("former", 2, 2).unwrap());
    let _first = folder.try_take("first", 2, 1).unwrap();
    std::thread::scope(|scope| {
        let all = scope.spawn(|| folder.take("all", 2, 2, Duration::from_millis(500)));
        while folder.waiting(0) == 0 {
            std::thread::yield_now();
        }
        let text = refusal(folder.try_take("third", 2, 1));
        assert!(!text.contains("former"), "{text}");
        assert!(text.contains("first (process"), "{text}");
        assert!(all.join().unwrap().is_err());
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
