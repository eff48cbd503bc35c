//! What the kernel says of threads, from /proc: whether one sleeps, and whether it has run meanwhile.

use super::shared::machine_now;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

/// A thread that has not been given a processor for so long is asleep, where the kernel does not say where it waits.
const ASLEEP_NS: i64 = 100_000_000;

/// A thread that is looked at again and again.
pub(crate) struct Thread {
    pub(crate) tid: i32,
    stat: File,
    runs: Option<File>,
    at: Option<File>,
    /// Since when it has been given a processor so many times.
    since: Cell<Option<(u64, i64)>>,
}

/// What a look finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It runs, wants to, or sleeps where nothing interrupts it.
    Busy,
    Asleep,
    /// Stopped by a signal: a paused host.
    Stopped,
    Gone,
}

impl Thread {
    pub(crate) fn open(pid: i32, tid: i32) -> io::Result<Thread> {
        let folder = format!("/proc/{pid}/task/{tid}");
        let stat = File::open(format!("{folder}/stat"))?;
        let [runs, at] =
            ["schedstat", "wchan"].map(|name| File::open(format!("{folder}/{name}")).ok());
        Ok(Thread { tid, stat, runs, at, since: Cell::new(None) })
    }

    pub(crate) fn look(&self) -> Found {
        // The state follows the name, which has 15 bytes in a process (a kernel's thread may have some more).
        let mut text = [0; 96];
        let length = match self.stat.read_at(&mut text, 0) {
            Ok(length @ 1..) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Found::Busy,
            _ => return Found::Gone,
        };
        // The program's name may hold anything, also parentheses.
        let end = text[..length].iter().rposition(|byte| *byte == b')');
        match end.and_then(|end| text.get(end + 2)) {
            Some(b'S' | b'I') => Found::Asleep,
            Some(b'T' | b't') => Found::Stopped,
            Some(b'Z' | b'X') => Found::Gone,
            _ => Found::Busy,
        }
    }

    /// The same, but asleep is only who has left its processor. While the kernel looks for what a thread waits for (and
    /// reaps a child that has ended), it calls the thread asleep although it runs.
    pub(crate) fn look_closely(&self) -> Found {
        match self.look() {
            Found::Asleep if !self.is_off() => Found::Busy,
            found => found,
        }
    }

    /// The kernel names the function in which a thread waits once it has left its processor, and says 0 before.
    pub(crate) fn is_off(&self) -> bool {
        let mut name = [0; 2];
        let length = self.at.as_ref().and_then(|at| at.read_at(&mut name, 0).ok()).unwrap_or(0);
        if length > 0 && name[..length] != *b"0" {
            return true;
        }
        // Or it says nothing to us at all.
        let (runs, now) = (self.runs(), machine_now());
        let since = self.since.get().filter(|(before, _)| *before == runs);
        let (_, since) = since.unwrap_or((runs, now));
        self.since.set(Some((runs, since)));
        now - since > ASLEEP_NS
    }

    /// How often it was given a processor; always 0 where the kernel does not count it.
    pub(crate) fn runs(&self) -> u64 {
        self.counter(2)
    }

    /// For how long it had a processor, in nanoseconds; likewise.
    pub(crate) fn ran_ns(&self) -> u64 {
        self.counter(0)
    }

    fn counter(&self, number: usize) -> u64 {
        let mut text = [0; 80];
        let read = |file: &File| file.read_at(&mut text, 0).ok();
        let length = self.runs.as_ref().and_then(read).unwrap_or(0);
        let text = std::str::from_utf8(&text[..length]).unwrap_or_default();
        text.split_ascii_whitespace().nth(number).and_then(|count| count.parse().ok()).unwrap_or(0)
    }
}

/// The threads of one process.
pub(crate) struct Process {
    pid: i32,
    threads: BTreeMap<i32, Thread>,
}

impl Process {
    pub(crate) fn new(pid: i32) -> Process {
        Process { pid, threads: BTreeMap::new() }
    }

    /// One of those that were found before.
    pub(crate) fn thread(&self, tid: i32) -> Option<&Thread> {
        self.threads.get(&tid)
    }

    /// Its threads as they are now; none when it has ended.
    pub(crate) fn threads(&mut self) -> impl Iterator<Item = &Thread> {
        let now = ids(&format!("/proc/{}/task", self.pid));
        self.threads.retain(|tid, _| now.contains(tid));
        for tid in now {
            if !self.threads.contains_key(&tid)
                && let Ok(thread) = Thread::open(self.pid, tid)
            {
                self.threads.insert(tid, thread);
            }
        }
        self.threads.values()
    }
}

/// The numbers among the names in a folder.
pub(crate) fn ids(folder: &str) -> Vec<i32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The pid namespace of a process: the inode's number.
pub(crate) fn space(pid: &str) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{pid}/ns/pid")).ok()?;
    link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

/// The ids by which this process knows a thread that has `tid` in the pid namespace `space`.
pub(crate) fn resolve(space: u64, tid: i32) -> Option<(i32, i32)> {
    let is_it = |folder: &str| {
        let status = fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let last = ids.and_then(|ids| ids.split_ascii_whitespace().last()?.parse().ok());
        last == Some(tid)
    };
    ids("/proc").into_iter().filter(|pid| self::space(&pid.to_string()) == Some(space)).find_map(
        |pid| {
            let tasks = format!("/proc/{pid}/task");
            let found = ids(&tasks).into_iter().find(|tid| is_it(&format!("{tasks}/{tid}")));
            found.map(|tid| (pid, tid))
        },
    )
}

/// The kernel's threads for interrupts: what they have not done yet is a packet on its way.
pub(crate) fn interrupts() -> Vec<Thread> {
    let is_one = |pid: &i32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.starts_with("ksoftirqd/")
    };
    let found = ids("/proc").into_iter().filter(is_one);
    found.filter_map(|pid| Thread::open(pid, pid).ok()).collect()
}

/// The name of a thread and what it does in the kernel, for people.
pub(crate) fn describe(pid: i32, tid: i32) -> String {
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/{name}"));
        text.map(|text| text.trim().to_owned()).unwrap_or_default()
    };
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command: Vec<_> = command.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let mut command: String = command.join(" ").chars().take(80).collect();
    command.truncate(command.trim_end().len());
    let at = match read("wchan") {
        none if none.is_empty() || none == "0" => String::new(),
        at => format!(", in {at}"),
    };
    format!("thread {tid} ({}) of process {pid} ({command}){at}", read("comm"))
}

/// The id of a process in its own pid namespace.
pub(crate) fn inner_id(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    ids.split_ascii_whitespace().last()?.parse().ok()
}
