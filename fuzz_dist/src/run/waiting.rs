//! How long the threads of a test wait for a core, as the kernel counts it: behind other threads, or because
//! the quota of their control group is used up.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Between two looks, at least.
const EVERY: Duration = Duration::from_millis(300);

/// A look at a hundred threads takes about a millisecond: it is repeated so much later.
const PAUSE_FACTOR: u32 = 100;

/// Over about so long the waiting of a thread is averaged. Of a hundred threads of a run that goes on well
/// there is always one that has just waited for a look's whole time; no thread does so again and again.
const MEMORY: Duration = Duration::from_secs(3);

/// Watches the threads of a process and of all its descendants: of a harness, these are its own and
/// those of the hosts' processes.
pub(super) struct Waiting {
    root: u32,
    looked: Instant,
    pause: Duration,
    memory: Duration,
    /// By their process and their own number.
    threads: HashMap<(u32, u32), Thread>,
}

/// What has been counted of a thread's waiting.
#[derive(Clone, Copy, Debug)]
struct Thread {
    counted_ns: u64,
    /// Which part of the time it has been waiting lately.
    share: f64,
}

/// What a look gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Look {
    /// Which part of the time the thread that waited longest has been waiting, from 0 to 1.
    Share(f64),
    /// The last look is not long enough ago.
    TooSoon,
    /// This kernel does not count it.
    Unknown,
}

impl Waiting {
    pub(super) fn of(root: u32) -> Waiting {
        let mut waiting = Waiting {
            root,
            looked: Instant::now(),
            pause: EVERY,
            memory: MEMORY,
            threads: HashMap::new(),
        };
        waiting.count(Duration::ZERO);
        waiting
    }

    pub(super) fn look(&mut self) -> Look {
        let elapsed = self.looked.elapsed();
        if elapsed < self.pause {
            return Look::TooSoon;
        }
        self.looked += elapsed;
        // Its own waiting is no part of what a look costs.
        let begun = cpu_time();
        let share = self.count(elapsed);
        self.pause = EVERY.max((cpu_time() - begun) * PAUSE_FACTOR);
        share.map_or(Look::Unknown, Look::Share)
    }

    /// The greatest share of a thread. A wait is counted by the kernel when it is over: what is longer than
    /// the time that elapsed belongs to the next looks.
    fn count(&mut self, elapsed: Duration) -> Option<f64> {
        waited_ns(self.root, self.root)?;
        let mut threads = HashMap::new();
        for process in family(self.root) {
            for number in numbers(&format!("/proc/{process}/task")) {
                let Some(waited) = waited_ns(process, number) else { continue };
                let unknown = Thread { counted_ns: waited, share: 0.0 };
                let mut thread = *self.threads.get(&(process, number)).unwrap_or(&unknown);
                thread.has_waited(waited, elapsed, self.memory);
                threads.insert((process, number), thread);
            }
        }
        self.threads = threads;
        Some(self.threads.values().map(|thread| thread.share).fold(0.0, f64::max))
    }
}

impl Thread {
    /// Takes in for how long it has waited altogether.
    fn has_waited(&mut self, waited_ns: u64, elapsed: Duration, memory: Duration) {
        let elapsed_ns = elapsed.as_nanos() as u64;
        let new = waited_ns.saturating_sub(self.counted_ns).min(elapsed_ns);
        self.counted_ns += new;
        let now = new as f64 / elapsed_ns.max(1) as f64;
        let weight = elapsed.as_secs_f64() / (elapsed + memory).as_secs_f64().max(1e-9);
        self.share += weight * (now - self.share);
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// The process and its descendants. One that is nicer than the process wants to wait.
fn family(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut nice: HashMap<u32, i64> = HashMap::new();
    for process in numbers("/proc") {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"));
        let Some((parent, niceness)) = stat.ok().as_deref().and_then(parent_and_nice) else {
            continue;
        };
        children.entry(parent).or_default().push(process);
        nice.insert(process, niceness);
    }
    let mut family = vec![root];
    let mut next = 0;
    while let Some(process) = family.get(next) {
        next += 1;
        family.extend(children.remove(process).unwrap_or_default());
    }
    let limit = nice.get(&root).copied().unwrap_or_default();
    family.retain(|process| nice.get(process).is_some_and(|nice| *nice <= limit));
    family
}

/// By `/proc/<process>/stat`; the name before the parenthesis may contain anything.
fn parent_and_nice(stat: &str) -> Option<(u32, i64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let nice = fields.nth(14)?.parse().ok()?;
    Some((parent, nice))
}

/// The names of a folder's entries that are numbers.
fn numbers(folder: &str) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// For how long a thread has waited for a core; `None` where it has ended or nobody counts.
fn waited_ns(process: u32, thread: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat")).ok()?;
    let mut words = text.split_ascii_whitespace().map(str::parse);
    let (ran, waited): (u64, u64) = (words.next()?.ok()?, words.next()?.ok()?);
    (ran > 0 || waited > 0).then_some(waited)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::{Child, Command};

    use rustix::process::Pid;
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    use super::*;

    /// A program that computes for ever, on the first core that this process may use.
    struct Burner(Child);

    impl Burner {
        fn start(nice: &str) -> Burner {
            let mut command = Command::new("nice");
            let child = command.args(["-n", nice, "sh", "-c", "while :; do :; done"]).spawn();
            let child = Burner(child.expect("nice, of coreutils, is needed"));
            let allowed = sched_getaffinity(None).unwrap();
            let mut first = CpuSet::new();
            first.set((0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).unwrap());
            sched_setaffinity(Some(Pid::from_child(&child.0)), &first).unwrap();
            child
        }

        /// How many tasks shared the core with it, by its waiting for two seconds.
        fn tasks(&self) -> f64 {
            let mut waiting = Waiting::of(self.0.id());
            waiting.memory = Duration::ZERO;
            std::thread::sleep(Duration::from_secs(2));
            match waiting.look() {
                Look::Share(share) => 1.0 / (1.0 - share.min(0.999)),
                other => panic!("{other:?}"),
            }
        }
    }

    impl Drop for Burner {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn burners_count_and_niced_ones_do_not() {
        let measured = Burner::start("0");
        let tasks_beside = |nice: &str| {
            let burners: Vec<Burner> = (0..24).map(|_| Burner::start(nice)).collect();
            let tasks = measured.tasks();
            drop(burners);
            tasks
        };
        // Others compute on this machine as well, now more and now less; burners take a while to begin.
        let mut seen = Vec::new();
        while !seen.iter().any(|(niced, plain)| *plain > 10.0 && *plain > 2.0 * niced) {
            assert!(seen.len() < 15, "tasks beside niced and plain burners: {seen:?}");
            seen.push((tasks_beside("19"), tasks_beside("0")));
        }
    }

    /// A control group with a tenth of a core, where one may be made.
    struct Quota(PathBuf);

    impl Quota {
        fn make() -> Option<Quota> {
            let name = format!("fuzz_dist-{}", std::process::id());
            [("cpu", "cpu.cfs_quota_us", "10000"), ("", "cpu.max", "10000 100000")].iter().find_map(
                |(below, file, quota)| {
                    let parent = PathBuf::from("/sys/fs/cgroup").join(below);
                    let group = Quota(parent.join(&name));
                    fs::create_dir(&group.0).ok()?;
                    fs::write(group.0.join(file), quota).ok().map(|()| group)
                },
            )
        }
    }

    impl Drop for Quota {
        fn drop(&mut self) {
            let _ = fs::remove_dir(&self.0);
        }
    }

    #[test]
    fn a_quota_that_is_used_up_counts() {
        let Some(quota) = Quota::make() else {
            return eprintln!("no control group can be made here: a quota was not tested");
        };
        let burner = Burner::start("0");
        fs::write(quota.0.join("cgroup.procs"), burner.0.id().to_string()).unwrap();
        let tasks = burner.tasks();
        drop(burner);
        assert!(tasks > 6.0, "{tasks}");
    }

    /// One long wait is no overload, whoever it hits.
    #[test]
    fn a_single_wait_counts_little_and_many_count_in_full() {
        let mut thread = Thread { counted_ns: 0, share: 0.0 };
        let each = EVERY.as_nanos() as u64;
        thread.has_waited(each, EVERY, MEMORY);
        assert!(thread.share < 0.2, "{thread:?}");
        (2..50).for_each(|n| thread.has_waited(n * each, EVERY, MEMORY));
        assert!(thread.share > 0.95, "{thread:?}");
        // A wait is counted when it is over: the rest of a long one belongs to the looks after it.
        let mut thread = Thread { counted_ns: 0, share: 0.0 };
        (0..2).for_each(|_| thread.has_waited(2 * each, EVERY, Duration::ZERO));
        assert_eq!((thread.counted_ns, thread.share), (2 * each, 1.0));
    }

    #[test]
    fn a_look_covers_descendants_and_comes_at_intervals() {
        let mut parent = Command::new("sh");
        let parent =
            Burner(parent.args(["-c", "sleep 600 & nice -n 5 sleep 600"]).spawn().unwrap());
        let begun = Instant::now();
        // Three processes, of which the nice one does not count.
        while family(parent.0.id()).len() != 2 {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", family(parent.0.id()));
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(Waiting::of(std::process::id()).look(), Look::TooSoon);
        for process in numbers("/proc") {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            if parent_and_nice(&stat).is_some_and(|(its, _)| its == parent.0.id()) {
                let _ = Command::new("kill").arg(process.to_string()).status();
            }
        }
    }

    #[test]
    fn names_of_processes_may_contain_anything() {
        let stat = "7 (a) b) S 3 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 5 1 0 9";
        assert_eq!(parent_and_nice(stat), Some((3, 5)));
        assert_eq!(parent_and_nice(""), None);
    }
}
