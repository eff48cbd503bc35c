//! How long a verdict takes from a file: whole processes, with what they print asserted.
//!
//! `cargo bench -p fuzz_dist_benches --bench verdict -- [OPERATIONS [ROUNDS]]`. Each round runs all
//! programs once, so that what else the machine does meets all of them; the table has the least of
//! each figure. `FUZZ_DIST_AWDIT` is the path of AWDIT's program, if that is to run beside.
//!
//! This program is also the command that it measures: it starts itself again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use fuzz_dist::checker::histories::{Object, Run};
use fuzz_dist::checker::txn::Shape;
use fuzz_dist::checker::txn::generate::{Load, PLANTS, Store, plant, script, splice};
use fuzz_dist::history::{Format, History};
use fuzz_dist::op::{Event, Kind, Value};
use fuzz_dist::random::Seed;

/// Set for the processes that are the command.
const COMMAND: &str = "FUZZ_DIST_BENCH_IS_COMMAND";

fn main() -> ExitCode {
    if std::env::var_os(COMMAND).is_some() {
        return cargo_fuzz_dist::main();
    }
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let count = numbers.first().copied().unwrap_or(100_000);
    let rounds = numbers.get(1).copied().unwrap_or(3);
    let folder = Folder::new();
    let cases = cases(count, &folder.0);
    let mut least: Vec<Cost> = vec![Cost::MOST; cases.len()];
    for _ in 0..rounds {
        for (case, least) in cases.iter().zip(&mut least) {
            least.take(case.run());
        }
    }
    println!("{count} operations or transactions, least of {rounds} rounds");
    println!("| what | verdict | wall | processor time | memory |\n|---|---|---|---|---|");
    for (case, cost) in cases.iter().zip(&least) {
        println!(
            "| {} | {} | {:.3} s | {:.2} s | {} MB |",
            case.name,
            if case.valid { "valid" } else { "invalid" },
            cost.wall.as_secs_f64(),
            cost.processor.as_secs_f64(),
            cost.memory_kb / 1024
        );
    }
    ExitCode::SUCCESS
}

/// A folder that is gone in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let path = std::env::temp_dir().join(format!("fuzz_dist-verdict-{}", std::process::id()));
        fs::create_dir(&path).expect("a folder of our own");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program, the history that it judges, and what it must say.
struct Case {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    valid: bool,
    /// What a program prints that does not say it by its exit code.
    says: Option<&'static str>,
}

#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    processor: Duration,
    memory_kb: u64,
}

impl Cost {
    const MOST: Cost = Cost { wall: Duration::MAX, processor: Duration::MAX, memory_kb: u64::MAX };

    fn take(&mut self, other: Cost) {
        self.wall = self.wall.min(other.wall);
        self.processor = self.processor.min(other.processor);
        self.memory_kb = self.memory_kb.min(other.memory_kb);
    }
}

impl Case {
    fn run(&self) -> Cost {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env(COMMAND, "1").stdin(Stdio::null());
        let begin = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a program that runs");
        let process = PathBuf::from(format!("/proc/{}", child.id()));
        let (mut memory_kb, mut wall) = (0, None);
        // A process that ended keeps its times until it is waited for, but not its memory.
        while wall.is_none() {
            if !has_ended(&process) {
                memory_kb = memory_of(&process).unwrap_or(0).max(memory_kb);
                std::thread::sleep(Duration::from_millis(2));
            } else {
                wall = Some(begin.elapsed());
            }
        }
        let processor = processor_time(&process);
        let mut said = String::new();
        let mut output = child.stdout.take().expect("it is piped");
        std::io::Read::read_to_string(&mut output, &mut said).expect("what it printed");
        let code = child.wait().expect("our child").code();
        match self.says {
            None => assert_eq!(code, Some(i32::from(!self.valid)), "{}: {said}", self.name),
            Some(says) => assert!(said.contains(says), "{}: {said}", self.name),
        }
        Cost { wall: wall.unwrap_or_default(), processor, memory_kb }
    }
}

/// What stands behind the name of the program in the process's `stat`.
fn stat(process: &Path) -> Vec<String> {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().map(str::to_string).collect()
}

fn has_ended(process: &Path) -> bool {
    stat(process).first().is_none_or(|state| state == "Z")
}

/// Clock ticks are hundredths of a second on Linux.
fn processor_time(process: &Path) -> Duration {
    let stat = stat(process);
    let ticks = |i: usize| stat.get(i).and_then(|t| t.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// The most that it ever held, in kB.
fn memory_of(process: &Path) -> Option<u64> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn cases(count: usize, folder: &Path) -> Vec<Case> {
    let own = std::env::current_exe().expect("this program");
    let mut cases = Vec::new();
    let mut check = |name: String, file: &Path, checker: &[&str], valid: bool| {
        let mut arguments = vec!["check".to_string(), file.display().to_string()];
        arguments.push("--checker".into());
        arguments.extend(checker.iter().map(|word| word.to_string()));
        cases.push(Case { name, program: own.clone(), arguments, valid, says: None });
    };
    // As in `--bench checkers`: one operation in 500 reads the whole set.
    let sets = Run::new(Object::Set).operations(count).reads(0.002).lag(0.7).nodes(5).clients(10);
    for valid in [true, false] {
        let sets = sets.clone().outcomes(0.02, 0.02);
        let sets = if valid { sets } else { sets.plant("lost") };
        let file = folder.join(format!("sets-{valid}.json"));
        export(&sets.history(Seed(1)), &file, Format::Json);
        check("set-full from json".into(), &file, &["set-full"], valid);
    }
    let lists = Load::new(count).sessions(20).history(Shape::Lists, Store::StrictSerializable);
    let lists = shuffled(&lists);
    let skew = PLANTS.iter().find(|p| p.name == "G2-item").expect("it is one of them");
    for valid in [true, false] {
        let history = if valid { lists.clone() } else { plant(&lists, lists.len() / 2, skew) };
        for format in [Format::Json, Format::Edn] {
            let file = folder.join(format!("lists-{valid}.{format}"));
            export(&history, &file, format);
            check(format!("list-append from {format}"), &file, &["list-append"], valid);
        }
    }
    drop(lists);
    let load = Load::new(count).sessions(50).keys(count / 10).ops(8, 8).writes_per_key(1 << 30);
    let registers = shuffled(&load.history(Shape::Registers, Store::Causal { replicas: 5 }));
    // Reads what is overwritten after what overwrote it, in one transaction.
    let stale = script(
        "0: w 900000001 1\n0: w 900000001 2, w 900000002 2\n1: r 900000002 2, r 900000001 1",
    )
    .expect("it is well-formed");
    let peer = std::env::var_os("FUZZ_DIST_AWDIT").map(PathBuf::from);
    let mut peers = Vec::new();
    for valid in [true, false] {
        let history =
            if valid { registers.clone() } else { splice(&registers, registers.len() / 2, &stale) };
        let file = folder.join(format!("registers-{valid}.txt"));
        write_plume(&history, &file);
        for level in ["read-committed", "read-atomic", "causal"] {
            let words = match level {
                "read-committed" => vec!["weak", "-o", "level=axiomatic-read-committed"],
                level => vec![level],
            };
            check(format!("{level}, 50 sessions, from plume"), &file, &words, valid);
            if let Some(program) = peer.clone() {
                let arguments = ["check", "-i", level].map(str::to_string).into_iter();
                let arguments = arguments.chain([file.display().to_string()]).collect();
                let says = Some(if valid { "Consistent" } else { "Inconsistent" });
                let name = format!("AWDIT: {level}");
                peers.push(Case { name, program, arguments, valid, says });
            }
        }
    }
    cases.extend(peers);
    cases
}

fn export(history: &History, file: &Path, format: Format) {
    let mut out = BufWriter::new(File::create(file).expect("a file of our own"));
    history.export(&mut out, format).and_then(|()| out.flush()).expect("room for it");
}

/// The same with values that neither ascend nor lie close together; each is another one for each
/// value, so that those of a key stay distinct.
fn shuffled(history: &History) -> History {
    let mut new = History::new(history.nodes().iter().cloned());
    for event in history.events() {
        let value = shuffle(event.value);
        new.push(Event { value, ..event }).expect("the events of a history");
    }
    new
}

fn shuffle(value: Value) -> Value {
    let Value::List(items) = &value else { return value };
    match &**items {
        [f @ Value::Text(_), key, value] => {
            let value = match value {
                Value::List(elements) => Value::List(elements.iter().map(far).collect()),
                value => far(value),
            };
            Value::list([f.clone(), key.clone(), value])
        }
        ops => Value::List(ops.iter().cloned().map(shuffle).collect()),
    }
}

/// An odd factor gives another number below 2^30 for each of them.
fn far(value: &Value) -> Value {
    match value {
        Value::Int(n) => Value::Int((n * 0x2f0b_4a27) & ((1 << 30) - 1)),
        other => other.clone(),
    }
}

/// Plume's text, session by session, where keys and values are numbers and 0 is initial.
fn write_plume(history: &History, file: &Path) {
    let mut sessions: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for i in (0..history.len()).filter(|i| history.kind(*i) == Kind::Ok) {
        sessions.entry(history.process(i).0).or_default().push(i);
    }
    let mut out = BufWriter::new(File::create(file).expect("a file of our own"));
    let all =
        sessions.iter().flat_map(|(session, events)| events.iter().map(move |e| (session, e)));
    for (txn, (session, event)) in all.enumerate() {
        let ops = history.view(*event).and_then(|v| v.as_list()).expect("a transaction");
        for op in ops.iter() {
            let [f, key, value] = op.as_array().expect("a micro-operation");
            // Scripts have keys as text.
            let text = key.as_text().map(|key| key.parse().expect("a number"));
            let key: i64 = text.or(key.as_int()).expect("a key");
            let (f, value) = (f.as_text().unwrap_or("?"), value.as_int().unwrap_or(0));
            writeln!(out, "{f}({},{value},{session},{txn})", key + 1).expect("room for it");
        }
    }
    out.flush().expect("room for it");
}
