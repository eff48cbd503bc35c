//! The checkers that the command knows: one line each.

use std::time::Duration;

use super::arguments::unknown;
use super::given::Given;
use super::kv::KeyValue;
use fuzz_dist_checkers::txn::{
    self, Crdt, Isolation, Level, crdt_causal, list_append, rw_register,
};
use fuzz_dist_checkers::{
    AnyChecker, Arguments, CasRegister, Checker, CounterModel, Fifo, Linearizable, Model,
    MultiRegister, Registers, SetModel, StartingAt, Verdict, any_checker, atomic, convergence,
    counter, distinct_register, fifo, independent, jobs, lease, linearizable, liveness,
    log_pattern, offset_log, or_set, perf, pn_counter, replicated_register, sequential, set,
    set_full, stats, total_queue, unique_ids, unordered_queue,
};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;

/// A checker's line.
pub(super) struct Entry {
    pub(super) name: &'static str,
    about: &'static str,
    options: &'static [&'static str],
    pub(super) judges: Judges,
    build: fn(&Given<'_>) -> Result<AnyChecker, String>,
}

/// The operations that a checker knows.
#[derive(Clone, Copy)]
pub(super) enum Judges {
    /// These functions, each under another name where there is an option of its name: in a
    /// history with others it would take what it does not know for a mistake.
    Only(&'static [&'static str]),
    /// It says itself which it does not know.
    Itself,
    /// Whatever there is.
    Anything,
}
use Judges::{Anything, Itself, Only};

const fn entry(
    name: &'static str,
    about: &'static str,
    options: &'static [&'static str],
    judges: Judges,
    build: fn(&Given<'_>) -> Result<AnyChecker, String>,
) -> Entry {
    Entry { name, about, options, judges, build }
}

const SET: Judges = Only(&["add", "read"]);
const COUNTER: Judges = Only(&["add", "increment", "inc", "decrement", "dec", "read"]);
const PN_COUNTER: Judges = Only(&["add", "increment", "inc", "decrement", "dec", "update", "read"]);
/// The log's own functions, and those of Jepsen's kafka workload.
const LOG: &[&str] =
    &["send", "poll", "txn", "assign", "subscribe", "crash", "debug-topic-partitions"];
const TXN: &[&str] = &["model", "budget"];
const REGISTER: &[&str] = &["model", "linearizable-keys", "sequential-keys", "wfr-keys", "budget"];

#[rustfmt::skip]
pub(super) const CHECKERS: &[Entry] = &[
    entry("set_full", "every element of a grow-only set, through all reads", &["linearizable", "sessions", "add", "read"], SET, |o| done(set_full().linearizable(o.flag("linearizable")?).sessions(o.flag("sessions")?).functions(o.word_or("add", "add"), o.word_or("read", "read")))),
    entry("set", "a grow-only set by its last read", &["add", "read"], SET, |o| done(set().functions(o.word_or("add", "add"), o.word_or("read", "read")))),
    entry("or_set", "an add-wins set with removes", &["sessions", "sequential-nodes"], Only(&["add", "remove", "read"]), |o| done(or_set().sessions(o.flag("sessions")?).sequential_nodes(o.flag("sequential-nodes")?))),
    entry("atomic", "transactions of marks: seen whole or not at all, and aborted ones never", &[], Only(&["write", "abort", "read"]), |_| done(atomic())),
    entry("unique_ids", "no identifier is given out twice", &["generate"], Only(&["generate"]), |o| done(unique_ids().function(o.word_or("generate", "generate")))),
    entry("counter", "a linearizable counter", &["budget"], COUNTER, |o| done(o.set("budget", counter(), |c, steps| c.steps_max(steps))?)),
    entry("pn_counter", "a replicated counter, read by read and in the end", &["sessions"], PN_COUNTER, |o| done(pn_counter().sessions(o.flag("sessions")?))),
    entry("total_queue", "what goes into a queue comes out", &["redelivery"], Only(&["enqueue", "dequeue", "drain"]), |o| done(total_queue().redelivery(o.flag("redelivery")?))),
    entry("fifo", "a linearizable queue of distinct elements", &["per-producer"], Only(&["enqueue", "dequeue"]), |o| done(fifo().per_producer(o.flag("per-producer")?))),
    entry("unordered_queue", "a linearizable queue of distinct elements in any order", &[], Only(&["enqueue", "dequeue"]), |_| done(unordered_queue())),
    entry("jobs", "every job that was submitted is executed, exactly once", &["at-least-once"], Only(&["submit", "executed"]), |o| done(jobs().at_least_once(o.flag("at-least-once")?))),
    entry("names", "each name has one process, which all nodes know after the heal", &["always"], Only(&["register", "unregister", "lookup", "names"]), |o| done(fuzz_dist_checkers::names().always(o.flag("always")?))),
    entry("liveness", "every node works again soon after the heal", &["within-ms"], Anything, |o| done(liveness(Duration::from_millis(o.parsed("within-ms")?.unwrap_or(10_000))))),
    entry("offset_log", "a log whose records have offsets", &["from-start"], Only(LOG), |o| done(offset_log().from_start(o.flag("from-start")?))),
    entry("lease", "at most one holder at a time", &["ttl-ms"], Only(&["acquire", "release"]), |o| done(o.set("ttl-ms", lease(), |c, ms| c.ttl_ms(ms))?)),
    entry("linearizable", "a search in a model: register, cas-register, multi-register, mutex, set, fifo, counter or kv", &["model", "budget", "initial"], Itself, search),
    entry("cas_register", "linearizable with the model cas-register", &["budget", "initial"], Itself, register),
    entry("mutex", "linearizable with the model mutex", &["budget"], Itself, |o| model(o, fuzz_dist_checkers::Mutex)),
    entry("distinct_register", "a linearizable register whose values are distinct, without a search", &[], Itself, |_| done(distinct_register())),
    entry("sequential", "one order of all operations that keeps the order of each client, in a model: registers (unless said otherwise), register, cas-register, mutex, set, fifo or counter", &["model", "budget", "initial"], Itself, in_sequence),
    entry("replicated_register", "a replicated register or multi-value register, by its final reads", &[], Only(&["write", "read"]), |_| done(replicated_register())),
    entry("list_append", "transactions over lists, by Adya's phenomena", TXN, Itself, |o| done(o.set("budget", list_append().model(isolation(o)?), |c, steps| c.budget_steps(steps))?)),
    entry("rw_register", "transactions over registers, by Adya's phenomena", REGISTER, Itself, |o| done(o.set("budget", rw_register().model(isolation(o)?).linearizable_keys(o.flag("linearizable-keys")?).sequential_keys(o.flag("sequential-keys")?).wfr_keys(o.flag("wfr-keys")?), |c, steps| c.budget_steps(steps))?)),
    entry("weak", "weak isolation by its axiom, at a level", &["level", "budget"], Itself, |o| level(o, o.parsed("level")?.ok_or_else(|| format!("expected -o level={}", words(&Level::ALL, Level::as_str)))?)),
    entry("read_committed", "rw-register with the model read-committed, which is PL-2", &["budget"], Itself, |o| done(o.set("budget", rw_register().model(Isolation::ReadCommitted), |c, steps| c.budget_steps(steps))?)),
    entry("read_atomic", "weak with the level read-atomic", &["budget"], Itself, |o| level(o, Level::ReadAtomic)),
    entry("causal", "weak with the level causal", &["level", "budget"], Itself, |o| level(o, o.parsed("level")?.unwrap_or(Level::Causal))),
    entry("session_guarantees", "the four session guarantees, each by itself", &[], Itself, |_| done(txn::session_guarantees())),
    entry("crdt_causal", "transactional causal consistency over replicated data types", &["type", "keys"], Itself, replicated),
    entry("bank", "transfers keep the total", &["accounts", "total", "negative"], Only(&["transfer", "read"]), bank),
    entry("long_fork", "two reads of a group in contradicting orders", &[], Itself, |_| done(txn::long_fork())),
    entry("write_skew", "two transactions that each overwrite what the other read", &[], Itself, |_| done(txn::write_skew())),
    entry("g2", "inserts of which a predicate allows one for each key", &[], Only(&["insert", "read"]), |_| done(txn::g2())),
    entry("monotonic", "values that only grow", &[], Itself, |_| done(txn::monotonic())),
    entry("convergence", "all nodes read the same in the end", &["read", "ordered"], Anything, |o| done(convergence().read(o.word_or("read", "read")).ordered(o.flag("ordered")?))),
    entry("log_pattern", "no node logged one of these texts", &["patterns"], Anything, |o| done(log_pattern(o.word("patterns").ok_or("expected -o patterns=TEXT,TEXT")?.split(',')))),
    entry("stats", "counts, rates and latencies by function and node; always valid", &[], Anything, |_| done(stats())),
    entry("perf", "latencies and rates", &["window-ms"], Anything, |o| done(o.set("window-ms", perf(), |c, ms| c.window_ms(ms))?)),
];

/// What the options mean, for those who ask.
#[rustfmt::skip]
const OPTIONS: &[(&str, &str)] = &[
    ("independent", "every operation's value is [key value]; each key is judged by itself"),
    ("model", "of transactions: the isolation level asked for, such as strict-serializable (unless said otherwise), serializable, snapshot-isolation, by the names of Elle and of Adya; of linearizable and sequential: the object"),
    ("level", "axiomatic-read-committed (of Biswas and Enea; PL-2 is the checker read-committed), read-atomic, causal (ccv), weak-causal (cc), causal-memory (cm), or a session guarantee"),
    ("linearizable", "stale reads are invalid, too"),
    ("linearizable-keys, sequential-keys, wfr-keys", "what is known of each key's versions"),
    ("sessions", "findings within sessions are invalid, too"),
    ("accounts, total, negative", "of bank: 0,1,2 or 0-9; the sum of all balances; may they be below zero"),
    ("type, keys", "of crdt_causal: the type of all keys, such as pn-counter; those of others, KEY:TYPE,KEY:TYPE"),
    ("sequential-nodes", "of or-set: what a node acknowledged precedes all that is invoked there later"),
    ("redelivery", "of total-queue: an element may come out several times"),
    ("per-producer", "of fifo: only the order of each producer's elements counts"),
    ("ttl-ms", "of lease: it ends by itself so many ms after its acquire was invoked"),
    ("ordered", "of convergence: the order of list elements counts"),
    ("patterns", "of log-pattern: the texts, comma-separated"),
    ("window-ms", "of perf: the length of the intervals"),
    ("always", "of names: two processes at a time are invalid during faults, too"),
    ("at-least-once", "of jobs: a job may be executed several times"),
    ("within-ms", "of liveness: how soon operations must work after the heal (10000 unless said otherwise)"),
    ("budget", "how many steps a search may take"),
    ("initial", "of registers: the value before the first write, nil unless said otherwise"),
    ("from-start", "of offset-log: every client polls from the beginning of the log"),
    ("add, read, generate", "the functions, where they have other names"),
];

/// The names of all checkers, as they are written in arguments.
pub(super) fn names() -> Vec<String> {
    CHECKERS.iter().map(|c| c.name.replace('_', "-")).collect()
}

/// All checkers with their options.
pub(super) fn list() -> String {
    let mut text = String::from("checkers (-o independent goes with each of them):\n");
    for entry in CHECKERS {
        let name = entry.name.replace('_', "-");
        text += &format!("  {name:<19} {}\n", entry.about);
        if !entry.options.is_empty() {
            text += &format!("  {:<19}   -o {}\n", "", entry.options.join(", "));
        }
    }
    text += "\noptions (-o KEY is -o KEY=true):\n";
    for (key, about) in OPTIONS {
        text += &format!("  {key}\n      {about}\n");
    }
    text
}

/// The checker of this name, if it takes these options.
pub(super) fn find(name: &str, options: &[(String, String)]) -> Result<&'static Entry, String> {
    let wanted = name.replace('-', "_").to_lowercase();
    let entry = CHECKERS.iter().find(|c| c.name == wanted).ok_or_else(|| {
        let names = names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        unknown("checker", name, &names)
    })?;
    let known: Vec<&str> = entry.options.iter().copied().chain(["independent"]).collect();
    match options.iter().find(|(key, _)| !known.contains(&key.as_str())) {
        None => Ok(entry),
        Some((key, _)) => {
            Err(unknown(&format!("option of {}", name.replace('_', "-")), key, &known))
        }
    }
}

impl Entry {
    /// The checker, with its options.
    pub(super) fn build(&self, given: &Given<'_>) -> Result<AnyChecker, String> {
        let checker = (self.build)(given)?;
        let key_value = given.word("model") == Some("kv");
        if given.flag("independent")? || key_value {
            return done(independent(Shared(checker)));
        }
        Ok(checker)
    }
}

/// A checker of any type as one of a type.
struct Shared(AnyChecker);

impl Checker for Shared {
    fn check(&self, history: &History) -> Verdict {
        self.0.check(history)
    }

    fn arguments(&self) -> Option<Arguments> {
        self.0.arguments()
    }
}

fn done(checker: impl Checker + 'static) -> Result<AnyChecker, String> {
    Ok(any_checker(checker))
}

/// A register, with its first value.
fn register(given: &Given<'_>) -> Result<AnyChecker, String> {
    match given.word("initial") {
        None => model(given, CasRegister),
        Some(word) => model(given, StartingAt { model: CasRegister, initial: value(word) }),
    }
}

/// Only registers begin with a value.
fn no_initial(given: &Given<'_>, model: &str) -> Result<(), String> {
    let is_register = ["register", "cas-register", "multi-register"].contains(&model);
    match given.word("initial") {
        Some(_) if !is_register => {
            Err(format!("option initial: the model {model} has no initial value; registers have"))
        }
        _ => Ok(()),
    }
}

fn search(given: &Given<'_>) -> Result<AnyChecker, String> {
    const MODELS: [&str; 8] =
        ["register", "cas-register", "multi-register", "mutex", "set", "fifo", "counter", "kv"];
    no_initial(given, given.word_or("model", "register"))?;
    match given.word("model") {
        Some("register" | "cas-register") => register(given),
        Some("multi-register") => match given.word("initial") {
            None => model(given, MultiRegister::default()),
            Some(word) => model(given, MultiRegister::starting_at(value(word))),
        },
        Some("mutex") => model(given, fuzz_dist_checkers::Mutex),
        Some("set") => model(given, SetModel),
        Some("fifo") => model(given, Fifo),
        Some("counter") => model(given, CounterModel),
        Some("kv") => model(given, KeyValue),
        Some(other) => Err(unknown("model", other, &MODELS)),
        None => Err(format!("expected -o model= with one of {}", MODELS.join(", "))),
    }
}

fn model<M: Model + 'static>(given: &Given<'_>, model: M) -> Result<AnyChecker, String> {
    let search = linearizable(model);
    done(given.set("budget", search, |c: Linearizable<M>, steps| c.steps_max(steps))?)
}

fn in_sequence(given: &Given<'_>) -> Result<AnyChecker, String> {
    const MODELS: [&str; 7] =
        ["registers", "register", "cas-register", "mutex", "set", "fifo", "counter"];
    fn build<M: Model + 'static>(
        given: &Given<'_>,
        checker: fuzz_dist_checkers::Sequential<M>,
    ) -> Result<AnyChecker, String> {
        done(given.set("budget", checker, |c, steps| c.steps_max(steps))?)
    }
    no_initial(given, given.word_or("model", "registers"))?;
    match given.word_or("model", "registers") {
        "registers" => build(given, sequential(Registers).refuted_by(txn::causal())),
        "register" | "cas-register" => match given.word("initial") {
            None => build(given, sequential(CasRegister)),
            Some(word) => {
                let initial = value(word);
                build(given, sequential(StartingAt { model: CasRegister, initial }))
            }
        },
        "mutex" => build(given, sequential(fuzz_dist_checkers::Mutex)),
        "set" => build(given, sequential(SetModel)),
        "fifo" => build(given, sequential(Fifo)),
        "counter" => build(given, sequential(CounterModel)),
        other => Err(unknown("model", other, &MODELS)),
    }
}

fn isolation(given: &Given<'_>) -> Result<Isolation, String> {
    let model = given.word("model").map(|word| {
        let all: Vec<&str> = Isolation::ALL.iter().map(|i| i.as_str()).collect();
        word.parse().map_err(|_| unknown("model", word, &all))
    });
    let default = match (given.real_time, given.processes) {
        (true, _) => Isolation::StrictSerializable,
        (false, true) => Isolation::StrongSessionSerializable,
        (false, false) => Isolation::Serializable,
    };
    let model: Isolation = model.unwrap_or(Ok(default))?;
    if !given.real_time && model.implies(Isolation::StrongReadUncommitted) {
        return Err(format!("{model} depends on real time, which this history does not record"));
    }
    let of_sessions = match model {
        Isolation::ReadAtomic | Isolation::Rola | Isolation::Pram | Isolation::Causal => true,
        Isolation::ReadYourWrites | Isolation::MonotonicReads => true,
        Isolation::MonotonicWrites | Isolation::WritesFollowReads => true,
        // Real time orders what one client did, too.
        _ if model.implies(Isolation::StrongReadUncommitted) => false,
        _ => model.implies(Isolation::StrongSessionReadUncommitted),
    };
    if !given.processes && of_sessions {
        return Err(format!("{model} speaks of sessions, and the operations have no :process"));
    }
    Ok(model)
}

fn level(given: &Given<'_>, level: Level) -> Result<AnyChecker, String> {
    done(given.set("budget", txn::weak(level), |c, steps| c.budget_steps(steps))?)
}

fn words<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> String {
    all.iter().map(|t| word(*t)).collect::<Vec<_>>().join("|")
}

fn replicated(given: &Given<'_>) -> Result<AnyChecker, String> {
    let kind = |word: &str| {
        let found = Crdt::ALL.into_iter().find(|kind| kind.as_str() == word);
        found.ok_or_else(|| unknown("type", word, &Crdt::ALL.map(Crdt::as_str)))
    };
    let all = given.word("type").ok_or_else(|| {
        format!("expected -o type= with one of {}", Crdt::ALL.map(Crdt::as_str).join(", "))
    })?;
    let mut checker = crdt_causal(kind(all)?);
    for pair in given.word("keys").into_iter().flat_map(|keys| keys.split(',')) {
        let (key, word) = pair.split_once(':').ok_or("expected -o keys=KEY:TYPE,KEY:TYPE")?;
        checker = checker.key(value(key), kind(word)?);
    }
    done(checker)
}

fn bank(given: &Given<'_>) -> Result<AnyChecker, String> {
    let accounts = given.word("accounts").ok_or("expected -o accounts=0,1,2 or 0-9")?;
    let total = given.parsed("total")?.ok_or("expected -o total=NUMBER")?;
    let accounts = accounts_of(accounts)?;
    let checker = txn::bank(accounts, total);
    done(if given.flag("negative")? { checker.allow_negative() } else { checker })
}

/// A range of numbers, or names with commas between.
fn accounts_of(text: &str) -> Result<Vec<Value>, String> {
    const ACCOUNTS_MAX: i64 = 1_000_000;
    let digits = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let Some((from, to)) = text.split_once('-').filter(|(from, to)| digits(from) && digits(to))
    else {
        if text.split(',').any(str::is_empty) {
            return Err(format!("option accounts: `{text}` names no account between two commas"));
        }
        return Ok(text.split(',').map(value).collect());
    };
    let number = |word: &str| {
        word.parse::<i64>().map_err(|_| format!("option accounts: {word} does not fit in 64 bits"))
    };
    let (from, to) = (number(from)?, number(to)?);
    if from > to || to - from >= ACCOUNTS_MAX {
        return Err(format!(
            "option accounts: the range `{text}` is empty or has more than {ACCOUNTS_MAX} accounts; expected such as 0-9"
        ));
    }
    Ok((from..=to).map(Value::Int).collect())
}

/// A key or an account: a number where it looks like one.
fn value(word: &str) -> Value {
    word.parse::<i64>().map_or_else(|_| word.into(), Value::Int)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something for each option of each checker.
    fn value_of(checker: &str, option: &str) -> &'static str {
        match (checker, option) {
            ("linearizable" | "sequential", "model") => "fifo",
            (_, "model") => "snapshot-isolation",
            ("causal", "level") => "causal-memory",
            (_, "level") => "monotonic-reads",
            ("linearizable" | "sequential", "initial") => "0",
            (_, "type") => "mv-register",
            (_, "keys") => "7:pn-counter,x:grow-set",
            (_, "accounts") => "0-2",
            (_, "patterns") => "crash,oops",
            (_, "total" | "ttl-ms" | "window-ms" | "within-ms" | "budget") => "77",
            (_, "add" | "read" | "generate") => "other",
            _ => "true",
        }
    }

    fn built(name: &str, options: &[(String, String)]) -> AnyChecker {
        let entry = find(name, options).unwrap_or_else(|why| panic!("{name} {options:?}: {why}"));
        let given = Given { options, real_time: true, processes: true };
        entry.build(&given).unwrap_or_else(|why| panic!("{name} {options:?}: {why}"))
    }

    #[test]
    fn a_checker_says_how_it_is_asked_for() {
        const NEEDED: [&str; 6] = ["model", "level", "type", "accounts", "total", "patterns"];
        let mut silent = Vec::new();
        for entry in CHECKERS {
            let all = entry.options.iter().chain(&["independent"]);
            for option in all.map(|o| Some(*o)).chain([None]) {
                let needed = NEEDED.iter().filter(|o| entry.options.contains(o));
                let mut options: Vec<(String, String)> = (needed.copied().chain(option))
                    .map(|o| (o.to_string(), value_of(entry.name, o).to_string()))
                    .collect();
                if option == Some("initial") && entry.name != "cas_register" {
                    options.retain(|(key, _)| key != "model");
                    options.push(("model".into(), "cas-register".into()));
                }
                let Some(says) = built(entry.name, &options).arguments() else {
                    silent.push((entry.name, option));
                    continue;
                };
                let again: Vec<(String, String)> = says.options.clone().into_iter().collect();
                assert_eq!(built(&says.checker, &again).arguments(), Some(says.clone()));
                let chosen = option.filter(|o| *o != "model");
                let kept = chosen.is_none_or(|o| says.options.contains_key(o));
                assert!(kept, "{} lost {option:?}: {says:?}", entry.name);
            }
        }
        // A register with an initial value is the only thing that nothing stands for.
        assert!(silent.iter().all(|(_, option)| *option == Some("initial")), "{silent:?}");
    }
}
