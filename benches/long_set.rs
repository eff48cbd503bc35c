//! Writes a long valid history of a grow-only set, line by line, in little memory:
//! `cargo bench -p fuzz_dist_benches --bench long_set -- 100000000 | cargo fuzz-dist check - --checker set-full`.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, BufWriter};

const NODES: usize = 5;
const CLIENTS: usize = 10;
/// One operation in so many is a read.
const READS: u64 = 500;
/// Other nodes may lack so many of the latest elements.
const LAG: u64 = 200;

/// Numbers without a pattern that matters (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// What a client does.
#[derive(Clone, Copy)]
enum Open {
    Add(u64),
    Read,
}

/// All elements in the order in which they took effect, as far as some node still lacks them.
#[derive(Default)]
struct Log {
    begin: usize,
    /// Each with the node that has it at once.
    elements: VecDeque<(u64, usize)>,
    /// How many each node has read of those of others, and of its own.
    read: [[usize; 2]; NODES],
    /// The event of each node's last read.
    last: [Option<u64>; NODES],
}

impl Log {
    fn end(&self) -> usize {
        self.begin + self.elements.len()
    }

    /// What a node shows that its last read did not, up to so many of those of others.
    fn fresh(&mut self, node: usize, to: usize) -> Vec<u64> {
        let [others, own] = self.read[node];
        let to = to.max(others);
        let fresh = (others.min(own)..self.end()).filter_map(|at| {
            let (element, from) = self.elements[at - self.begin];
            let new = if from == node { at >= own } else { (others..to).contains(&at) };
            new.then_some(element)
        });
        let mut fresh: Vec<u64> = fresh.collect();
        self.read[node] = [to, self.end()];
        fresh.sort_unstable();
        let all = self.read.iter().flatten().copied().min().unwrap_or(0);
        self.elements.drain(..all - self.begin);
        self.begin = all;
        fresh
    }
}

/// The lines so far.
struct Lines<W> {
    out: W,
    line: String,
    events: u64,
    time: u64,
    random: Random,
}

impl<W: io::Write> Lines<W> {
    fn event(
        &mut self,
        process: usize,
        node: usize,
        kind: &str,
        f: &str,
        value: &str,
        phase: &str,
    ) -> io::Result<u64> {
        self.time += 1_000 + self.random.below(20_000);
        self.line.clear();
        let (index, time, node) = (self.events, self.time, node + 1);
        let error = if kind == "info" { r#","error":{"kind":"timeout","text":""}"# } else { "" };
        let written = writeln!(
            self.line,
            r#"{{"index":{index},"time":{time},"process":{process},"node":"n{node}","type":"{kind}","f":"{f}","value":{value}{error},"phase":"{phase}"}}"#
        );
        written.map_err(io::Error::other)?;
        self.out.write_all(self.line.as_bytes())?;
        self.events += 1;
        Ok(index)
    }

    /// A read that gives what the node shows.
    fn read(
        &mut self,
        process: usize,
        node: usize,
        log: &mut Log,
        lag: u64,
        phase: &str,
    ) -> io::Result<()> {
        let to = log.end().saturating_sub(lag as usize);
        let fresh = log.fresh(node, to);
        let numbers: Vec<String> = fresh.iter().map(u64::to_string).collect();
        let numbers = numbers.join(",");
        let value = match log.last[node] {
            None => format!(r#"{{"set":[{numbers}]}}"#),
            Some(base) => format!(r#"{{"base":{base},"+":[{numbers}],"-":[]}}"#),
        };
        log.last[node] = Some(self.event(process, node, "ok", "read", &value, phase)?);
        Ok(())
    }
}

fn write(out: impl io::Write, operations: u64) -> io::Result<()> {
    let random = Random(0x9e37_79b9_7f4a_7c15);
    let mut lines = Lines { out, line: String::new(), events: 0, time: 0, random };
    writeln!(
        lines.out,
        r#"{{"fuzz_dist_history":1,"nodes":["n1","n2","n3","n4","n5"],"meta":{{}}}}"#
    )?;
    let mut log = Log::default();
    let mut process: [usize; CLIENTS] = std::array::from_fn(|client| client);
    let mut open: [Option<Open>; CLIENTS] = [None; CLIENTS];
    let mut begun = 0;
    while begun < operations || open.iter().any(Option::is_some) {
        let client = lines.random.below(CLIENTS as u64) as usize;
        let (who, node) = (process[client], client % NODES);
        match open[client].take() {
            None if begun == operations => {}
            None if lines.random.below(READS) == 0 => {
                begun += 1;
                lines.event(who, node, "invoke", "read", "null", "main")?;
                open[client] = Some(Open::Read);
            }
            None => {
                begun += 1;
                lines.event(who, node, "invoke", "add", &begun.to_string(), "main")?;
                open[client] = Some(Open::Add(begun));
            }
            Some(Open::Read) => {
                let lag = lines.random.below(LAG);
                lines.read(who, node, &mut log, lag, "main")?;
            }
            Some(Open::Add(element)) => {
                // Two in a hundred fail, and of two the outcome is unknown.
                let (kind, done) = match lines.random.below(100) {
                    0 | 1 => ("fail", false),
                    2 => ("info", true),
                    3 => ("info", false),
                    _ => ("ok", true),
                };
                if done {
                    log.elements.push_back((element, node));
                }
                lines.event(who, node, kind, "add", &element.to_string(), "main")?;
                process[client] += if kind == "info" { CLIENTS } else { 0 };
            }
        }
    }
    for (node, who) in process.into_iter().take(NODES).enumerate() {
        lines.event(who, node, "invoke", "read", "null", "final")?;
        lines.read(who, node, &mut log, 0, "final")?;
    }
    lines.out.flush()
}

fn main() -> io::Result<()> {
    // Who runs all benchmarks did not ask for it.
    let Some(operations) = std::env::args().find_map(|argument| argument.parse().ok()) else {
        eprintln!("long_set: expected the number of operations");
        return Ok(());
    };
    write(BufWriter::with_capacity(1 << 20, io::stdout().lock()), operations)
}
