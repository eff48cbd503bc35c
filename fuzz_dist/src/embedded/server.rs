//! The store's process: a log of elements, pushed to every peer until it has them all.

use std::collections::{BTreeSet, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Bug, PORT};
use crate::env::threads;

/// The hidden first argument that makes a program this store.
pub(super) const ARGUMENT: &str = "__fuzz_dist_embedded_store";

/// Between two pushes to a peer, in a cluster of few nodes.
const PUSH_EVERY: Duration = Duration::from_millis(20);
/// How many pushes a second all nodes of a large cluster make together: what every pair costs would
/// otherwise take the whole machine, and the cluster never agrees.
const PUSHES_PER_SECOND: u64 = 5_000;
/// A peer that does not answer for so long is tried anew.
const PEER_TIMEOUT: Duration = Duration::from_millis(500);
/// So many elements in one push.
const PUSH_MAX: usize = 10_000;
/// The age of the picture from which a stale read is answered.
const STALE: Duration = Duration::from_secs(2);

/// Runs the store and never returns, where this process was started as one.
pub fn main_if_asked() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some(ARGUMENT) {
        return;
    }
    let path = args.next().expect("the path of the log");
    let bug = args.next().and_then(|b| Bug::parse(&b));
    let address = args.next().expect("the host's address");
    let peers: Vec<String> = args.collect();
    match serve(&path, bug, &address, peers) {
        Ok(()) => std::process::exit(0),
        Err(e) => {
            fuzz_dist_sys::say!("the embedded store ends: {e}");
            std::process::exit(1)
        }
    }
}

struct State {
    log: Vec<i64>,
    present: HashSet<i64>,
    file: File,
    probes: BTreeSet<String>,
    /// Elements that peers must not get, for [`Bug::ForgetsPeers`].
    kept_back: HashSet<i64>,
    peers_out_of_reach: HashSet<String>,
    /// Those that this node pushes to.
    peers: BTreeSet<String>,
    /// Is it about to leave?
    retired: bool,
    stale: (Instant, Vec<i64>),
    adds: u64,
    reads: u64,
}

type Shared = Arc<Mutex<State>>;

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(path: &str, bug: Option<Bug>, address: &str, peers: Vec<String>) -> std::io::Result<()> {
    let mut text = String::new();
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    file.read_to_string(&mut text)?;
    // A line without an end was being written when the process was killed: never acknowledged.
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    file.set_len(whole.len() as u64)?;
    let log: Vec<i64> = whole.lines().filter_map(|l| l.parse().ok()).collect();
    let state = State {
        present: log.iter().copied().collect(),
        log,
        file,
        probes: BTreeSet::new(),
        kept_back: HashSet::new(),
        peers_out_of_reach: HashSet::new(),
        peers: BTreeSet::new(),
        retired: false,
        stale: (Instant::now(), Vec::new()),
        adds: 0,
        reads: 0,
    };
    let shared: Shared = Arc::new(Mutex::new(state));
    let listener = TcpListener::bind((address, PORT))?;
    let every = push_every(peers.len());
    let pushing = Pushing { shared: shared.clone(), every, bug };
    for peer in peers {
        pushing.start(&peer, 0)?;
    }
    for stream in listener.incoming() {
        let (stream, pushing) = (stream?, pushing.clone());
        start(move || drop(answer_lines(stream, &pushing)))?;
    }
    Ok(())
}

/// What pushing to a peer takes, also to one that joins later.
#[derive(Clone)]
struct Pushing {
    shared: Shared,
    every: Duration,
    bug: Option<Bug>,
}

impl Pushing {
    /// Pushes all but so many elements to a peer from now on, unless it does already.
    fn start(&self, peer: &str, acknowledged: usize) -> std::io::Result<()> {
        if !lock(&self.shared).peers.insert(peer.into()) {
            return Ok(());
        }
        let (peer, shared, every) = (peer.to_string(), self.shared.clone(), self.every);
        start(move || push_to_the_end(&peer, &shared, every, acknowledged))
    }

    /// Another node has joined.
    fn joined(&self, peer: &str) -> std::io::Result<()> {
        let former = lock(&self.shared).log.len();
        let forgets = self.bug == Some(Bug::ForgetsJoiners);
        self.start(peer, if forgets { former } else { 0 })
    }
}

/// Starts a thread; the store ends where there is none.
fn start(run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new().spawn(run).map(drop).map_err(threads::with_remedy)
}

/// Between two pushes to one of so many peers.
fn push_every(peers: usize) -> Duration {
    let pairs = peers as u64 * (peers as u64 + 1);
    PUSH_EVERY.max(Duration::from_millis(pairs * 1000 / PUSHES_PER_SECOND))
}

fn answer_lines(stream: TcpStream, pushing: &Pushing) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let mut answer = match line.trim_end().split_once(' ') {
            Some(("peer", peer)) => pushing.joined(peer).map(|()| "ok".to_string())?,
            _ => lock(&pushing.shared).answer(&line, pushing.bug)?,
        };
        answer.push('\n');
        writer.write_all(answer.as_bytes())?;
        line.clear();
    }
    Ok(())
}

impl State {
    fn answer(&mut self, line: &str, bug: Option<Bug>) -> std::io::Result<String> {
        let mut words = line.split_whitespace();
        Ok(match words.next() {
            Some("add") if self.retired => "this node is about to leave".into(),
            Some("add") => match words.next().and_then(|n| n.parse().ok()) {
                Some(n) => self.add(n, bug)?,
                None => "an add needs a whole number".into(),
            },
            Some("read") => self.read(bug),
            Some("merge") => {
                for n in words.filter_map(|n| n.parse().ok()) {
                    self.insert(n)?;
                }
                "ok".into()
            }
            Some("probe") => {
                self.probes.extend(words.map(str::to_string));
                "ok".into()
            }
            Some("probes") => self.probes.iter().cloned().collect::<Vec<_>>().join(" "),
            Some("size") => self.log.len().to_string(),
            Some("all") => self.log.iter().map(i64::to_string).collect::<Vec<_>>().join(" "),
            Some("retire") => {
                self.retired = true;
                "ok".into()
            }
            Some("gone") => {
                self.peers.retain(|peer| !words.clone().any(|gone| gone == peer));
                "ok".into()
            }
            _ => "unknown".into(),
        })
    }

    fn add(&mut self, n: i64, bug: Option<Bug>) -> std::io::Result<String> {
        self.adds += 1;
        let chosen = self.adds.is_multiple_of(20);
        match bug {
            Some(Bug::LosesAdd) if chosen => return Ok("ok".into()),
            Some(Bug::ResurrectsFailed) if chosen => {
                self.insert(n)?;
                return Ok("refused".into());
            }
            Some(Bug::ForgetsPeers) if !self.peers_out_of_reach.is_empty() => {
                self.kept_back.insert(n);
            }
            _ => {}
        }
        self.insert(n)?;
        Ok("ok".into())
    }

    fn insert(&mut self, n: i64) -> std::io::Result<()> {
        if self.present.insert(n) {
            // One write: a kill leaves a whole line or a line without an end.
            self.file.write_all(format!("{n}\n").as_bytes())?;
            self.log.push(n);
        }
        Ok(())
    }

    fn read(&mut self, bug: Option<Bug>) -> String {
        self.reads += 1;
        let chosen = self.reads.is_multiple_of(7);
        if self.stale.0.elapsed() > STALE {
            self.stale = (Instant::now(), self.log.clone());
        }
        let mut elements = match bug {
            Some(Bug::ReadsStale) if chosen => self.stale.1.clone(),
            _ => self.log.clone(),
        };
        match bug {
            Some(Bug::Duplicates) if chosen => elements.extend(self.log.first()),
            Some(Bug::Invents) if chosen => elements.push(-1),
            _ => {}
        }
        let words = elements.iter().map(|n| format!(" {n}"));
        std::iter::once("set".to_string()).chain(words).collect()
    }
}

/// Sends a peer whatever it has not acknowledged yet, until that has left.
fn push_to_the_end(peer: &str, shared: &Shared, every: Duration, acknowledged: usize) {
    let mut acknowledged = acknowledged;
    while lock(shared).peers.contains(peer) {
        let gone = push_while_connected(peer, shared, every, &mut acknowledged).is_err();
        if gone {
            lock(shared).peers_out_of_reach.insert(peer.to_string());
        }
        thread::sleep(every);
    }
    lock(shared).peers_out_of_reach.remove(peer);
}

fn push_while_connected(
    peer: &str,
    shared: &Shared,
    every: Duration,
    acknowledged: &mut usize,
) -> std::io::Result<()> {
    let address = (peer, PORT)
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| std::io::Error::other("no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, PEER_TIMEOUT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PEER_TIMEOUT))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    lock(shared).peers_out_of_reach.remove(peer);
    while lock(shared).peers.contains(peer) {
        let (line, upto) = {
            let state = lock(shared);
            let upto = state.log.len().min(*acknowledged + PUSH_MAX);
            let news = state.log[*acknowledged..upto].iter();
            let news = news.filter(|n| !state.kept_back.contains(n)).map(|n| format!(" {n}"));
            let merge: String = std::iter::once("merge".to_string()).chain(news).collect();
            let probes: Vec<&str> = state.probes.iter().map(String::as_str).collect();
            (format!("{merge}\nprobe {}\n", probes.join(" ")), upto)
        };
        stream.write_all(line.as_bytes())?;
        let mut answers = [String::new(), String::new()];
        for answer in &mut answers {
            if reader.read_line(answer)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        *acknowledged = upto;
        thread::sleep(every);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_cluster_does_not_push_more_than_a_machine_can_take() {
        for nodes in [2, 5, 10, 50, 100] {
            let pairs = (nodes * (nodes - 1)) as f64;
            let per_second = pairs / push_every(nodes - 1).as_secs_f64();
            assert!(per_second <= PUSHES_PER_SECOND as f64, "{nodes}: {per_second}");
        }
        assert_eq!(push_every(4), PUSH_EVERY, "five nodes agree as fast as before");
    }
}
