//! `bank`: transfers keep the total, and every read of all accounts shows it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Arguments;
use crate::evidence::{any_of, between};
use crate::online::OnlineBank;
use crate::registration::{Judges, Needs, Opt, Options, Registration, built};
use crate::verify::{self, verified};
use crate::{Anomaly, Checker, Online, Verdict};
use fuzz_dist_history::op::{Kind, NodeId, Value};
use fuzz_dist_history::time::Time;
use fuzz_dist_history::{Entries, History, View};

const NAME: &str = "bank";
const REPORTED_MAX: usize = 16;

/// Judges histories of transfers between accounts; see [`bank`].
#[derive(Clone, Debug)]
pub struct Bank {
    accounts: Vec<Value>,
    total: i64,
    negative: bool,
}

/// Operations `transfer` and `read`, where a read gives a map from each account to its balance.
///
/// Under snapshot isolation every read shows all accounts at one moment, so their sum is the
/// total (Jepsen's `bank`). Anomalies: `wrong-total`, `negative-value`, `missing-account`,
/// `unexpected-account`, `no-balance` (not a number).
///
/// ```
/// use fuzz_dist_checkers::Checker;
/// use fuzz_dist_checkers::txn::bank;
/// # use fuzz_dist_history::{History, op::*, time::Time};
/// # let mut history = History::new(["n1"]);
/// # let balances = Value::Map([(1.into(), 4.into()), (2.into(), 5.into())].into());
/// # for (kind, value) in [(Kind::Invoke, Value::Nil), (Kind::Ok, balances)] {
/// #     history.push(Event { time: Time(0), process: Process(0), node: None, kind, f: "read".into(),
/// #         value, error: None, phase: Phase::Main }).unwrap();
/// # }
/// // The history has one read: {1 4 2 5}.
/// assert!(bank([1, 2], 10).check(&history).is_invalid());
/// assert!(bank([1, 2], 9).check(&history).is_valid());
/// ```
pub fn bank<A: Into<Value>>(accounts: impl IntoIterator<Item = A>, total: i64) -> Bank {
    Bank { accounts: accounts.into_iter().map(Into::into).collect(), total, negative: false }
}

impl Bank {
    /// Balances below zero are fine.
    #[must_use]
    pub fn allow_negative(mut self) -> Bank {
        self.negative = true;
        self
    }

    /// What is wrong with one read.
    fn problem(&self, balances: Entries<'_>) -> Option<(&'static str, String)> {
        let mut sum = 0i128;
        for (account, balance) in balances.iter() {
            let Some(n) = balance.as_int() else {
                return Some(("no-balance", format!("account {account} has {balance}")));
            };
            let account = account.to_value();
            if !self.accounts.iter().any(|a| same_account(a, &account)) {
                return Some(("unexpected-account", format!("there is no account {account}")));
            }
            sum += i128::from(n);
        }
        let shown =
            |a: &&Value| !balances.iter().any(|(account, _)| same_account(a, &account.to_value()));
        if let Some(missing) = self.accounts.iter().find(shown) {
            return Some(("missing-account", format!("account {missing} is missing")));
        }
        if sum != i128::from(self.total) {
            return Some((
                "wrong-total",
                format!("the balances sum up to {sum}, not {}", self.total),
            ));
        }
        let below = |b: &(View<'_>, View<'_>)| b.1.as_int().is_some_and(|n| n < 0);
        let (account, balance) = balances.iter().filter(|_| !self.negative).find(below)?;
        Some(("negative-value", format!("account {account} has {balance}")))
    }
}

/// In JSON every key is text, also that of an account whose name is a number.
pub(crate) fn same_account(name: &Value, shown: &Value) -> bool {
    match (name, shown) {
        (Value::Int(n), Value::Text(text)) | (Value::Text(text), Value::Int(n)) => {
            text.parse() == Ok(*n)
        }
        _ => name == shown,
    }
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "bank",
    about: "transfers keep the total",
    judges: Judges::Only(&["transfer", "read"]),
    needs: Needs::Nothing,
    options: &[
        Opt::value("accounts", "0,1,2 or 0-9", "0-4").required(),
        Opt::value("total", "the sum of all balances", "100").required(),
        Opt::flag("negative", "balances may be below zero"),
    ],
    build: |o| {
        let accounts = o.word("accounts").ok_or("expected -o accounts=0,1,2 or 0-9")?;
        let total = o.parsed("total")?.ok_or("expected -o total=NUMBER")?;
        let checker = bank(accounts_of(accounts)?, total);
        built(if o.flag("negative")? { checker.allow_negative() } else { checker })
    },
};

/// A range of numbers, or names with commas between.
fn accounts_of(text: &str) -> Result<Vec<Value>, String> {
    const ACCOUNTS_MAX: i64 = 1_000_000;
    let digits = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let Some((from, to)) = text.split_once('-').filter(|(from, to)| digits(from) && digits(to))
    else {
        if text.split(',').any(str::is_empty) {
            return Err(format!("option accounts: `{text}` names no account between two commas"));
        }
        return Ok(text.split(',').map(Options::value).collect());
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

impl Checker for Bank {
    fn check(&self, history: &History) -> Verdict {
        let (mut reads, mut bad) = (0usize, 0usize);
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        let mut on: BTreeSet<Option<NodeId>> = BTreeSet::new();
        let mut when: Option<(Time, Time)> = None;
        let mut anomalies = Vec::new();
        for i in (0..history.len()).filter(|i| history.process(*i).is_client()) {
            let f = &**history.function(i);
            if f != "read" && f != "transfer" {
                return Verdict::unknown(
                    NAME,
                    format!("event {i} has the function `{f}`; expected `transfer` or `read`"),
                );
            }
            if f != "read" || history.kind(i) != Kind::Ok {
                continue;
            }
            let Some(View::Map(balances)) = history.view(i) else {
                return Verdict::unknown(
                    NAME,
                    format!("the read at event {i} gives no map from accounts to balances"),
                );
            };
            reads += 1;
            let Some((kind, why)) = self.problem(balances) else { continue };
            bad += 1;
            *kinds.entry(kind).or_default() += 1;
            on.insert(history.node(i));
            let time = history.time(i);
            when = Some(when.map_or((time, time), |(first, _)| (first, time)));
            if anomalies.len() < REPORTED_MAX {
                let text =
                    format!("client {} read {}: {why}", history.process(i), history.value(i));
                anomalies.push(
                    Anomaly::new(kind, i as i64)
                        .explained(text)
                        .proved_by(history.invocation(i).into_iter().chain([i]))
                        .on(history.node(i))
                        .at(history.time(i)),
                );
            }
        }
        let mut verdict = match (reads, bad) {
            (0, _) => Verdict::unknown(NAME, "no read succeeded"),
            (_, 0) => Verdict::valid(NAME),
            (_, 1) => Verdict::invalid(NAME, format!("1 of {reads} reads are wrong")),
            _ => {
                let when = when.map_or(String::new(), |(from, to)| between(from, to));
                let on = any_of(history, on.iter());
                Verdict::invalid(NAME, format!("{bad} of {reads} reads are wrong, by {on}{when}"))
            }
        };
        verdict.anomalies = anomalies;
        kinds.into_iter().for_each(|(kind, n)| verdict.count_of(kind, n));
        let verdict = verdict.with("reads", reads).with("bad_reads", bad);
        verified(history, verdict, |f, a| {
            verify::bank(f, a, &self.accounts, self.total, self.negative)
        })
    }

    fn online(&self, history: &History) -> Option<Box<dyn Online>> {
        Some(Box::new(OnlineBank::new(self, history)))
    }

    fn arguments(&self) -> Option<Arguments> {
        let names: Option<Vec<String>> = (self.accounts.iter())
            .map(|account| match account {
                Value::Int(n) => Some(n.to_string()),
                // Numbers in text would be numbers.
                Value::Text(t)
                    if !t.is_empty() && t.parse::<i64>().is_err() && !t.contains([',', '-']) =>
                {
                    Some(t.to_string())
                }
                _ => None,
            })
            .collect();
        let names = names.filter(|names| !names.is_empty());
        let bank = Arguments::of("bank").option("accounts", names?.join(","), "");
        Some(bank.option("total", self.total, "").flag("negative", self.negative))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn::generate::script;
    use fuzz_dist_random::Seed;

    /// A history of reads, and sometimes of transfers.
    fn reads(all: &[Vec<(i64, Value)>]) -> History {
        let mut history = History::new(["n1"]);
        for balances in all {
            let value =
                Value::Map(balances.iter().map(|(k, v)| ((*k).into(), v.clone())).collect());
            let mut event = script("0: r x 1").unwrap().event(0);
            event.f = "read".into();
            event.value = Value::Nil;
            history.push(event.clone()).unwrap();
            (event.kind, event.value) = (Kind::Ok, value);
            history.push(event).unwrap();
        }
        history
    }

    #[test]
    fn each_wrong_read_is_named() {
        for (balances, kind) in [
            (vec![(1, 4.into()), (2, 5.into())], "wrong-total"),
            (vec![(1, 11.into()), (2, (-1).into())], "negative-value"),
            (vec![(1, 10.into())], "missing-account"),
            (vec![(1, 5.into()), (2, 5.into()), (3, 0.into())], "unexpected-account"),
            (vec![(1, Value::Nil), (2, 5.into())], "no-balance"),
        ] {
            let good = vec![(1, 3.into()), (2, 7.into())];
            let verdict = bank([1, 2], 10).check(&reads(&[good, balances]));
            assert_eq!(&*verdict.anomalies[0].kind, kind);
            assert_eq!(verdict.anomalies[0].events, [2, 3]);
        }
        let below = reads(&[vec![(1, 11.into()), (2, (-1).into())]]);
        assert!(bank([1, 2], 10).allow_negative().check(&below).is_valid());
    }

    /// All wrong reads are counted, by kind, and the reason says where and when they were.
    #[test]
    fn many_wrong_reads_are_counted_and_summed_up() {
        let mut all = vec![vec![(1, 4.into()), (2, 5.into())]; 40];
        all.extend(vec![vec![(1, 10.into())]; 30]);
        let history = reads(&all);
        let verdict = bank([1, 2], 10).check(&history);
        let counts = ["wrong-total", "missing-account"].map(|kind| verdict.count(kind));
        assert_eq!((counts, verdict.anomalies.len()), ([40, 30], REPORTED_MAX));
        let (from, to) = (history.time(1), history.time(history.len() - 1));
        let on = history.node(1).map_or("an unnamed node", |n| history.node_name(n));
        let why = format!("70 of 70 reads are wrong, by {on}{}", between(from, to));
        assert_eq!(verdict.reasons, [why]);
    }

    #[test]
    fn accounts_whose_names_are_numbers_are_found_in_json() {
        let mut history = reads(&[]);
        for value in
            [Value::Nil, Value::Map([("1".into(), 4.into()), ("2".into(), 6.into())].into())]
        {
            let mut event = script("0: r x 1").unwrap().event(0);
            event.kind = if value.is_nil() { Kind::Invoke } else { Kind::Ok };
            (event.f, event.value) = ("read".into(), value);
            history.push(event).unwrap();
        }
        assert!(bank([1, 2], 10).check(&history).is_valid());
        assert_eq!(&*bank([1, 2], 9).check(&history).anomalies[0].kind, "wrong-total");
        assert_eq!(&*bank([1, 3], 10).check(&history).anomalies[0].kind, "unexpected-account");
    }

    #[test]
    fn agrees_with_a_sum_by_hand() {
        let mut rng = Seed(1).stream("bank");
        for _ in 0..10_000 {
            let all: Vec<Vec<(i64, Value)>> = (0..1 + rng.index(3))
                .map(|_| {
                    let a = rng.below(12) as i64 - 1;
                    let b = if rng.chance(0.7) { 10 - a } else { rng.below(12) as i64 };
                    vec![(1, a.into()), (2, b.into())]
                })
                .collect();
            let good = all.iter().all(|r| {
                let n: Vec<i64> = r.iter().filter_map(|(_, v)| v.as_int()).collect();
                n[0] + n[1] == 10 && n[0] >= 0 && n[1] >= 0
            });
            assert_eq!(bank([1, 2], 10).check(&reads(&all)).is_valid(), good);
        }
    }

    #[test]
    fn other_histories_are_unknown() {
        assert!(!bank([1], 1).check(&History::new(["n1"])).is_valid());
        let verdict = bank([1], 1).check(&script("0: r x 1").unwrap());
        assert!(verdict.reasons[0].contains("`txn`"));
    }
}
