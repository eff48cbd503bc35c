//! Defaults, who overrides whom, and what is refused.

use super::*;
use crate::time::secs;

fn effective(options: Options) -> Result<Effective, OptionsError> {
    options.effective(&Overrides::default())
}

fn seeded() -> Options {
    Options { seed: Some(Seed(7)), ..Options::default() }
}

#[test]
fn the_defaults_in_a_line() {
    assert_eq!(
        effective(seeded()).unwrap().to_string(),
        "5 nodes, 10 clients, 100 ops/s, main phase 30s, op time-out 5s, set-up limit 2m, \
         quiesce limit max(10s, longest cut + 30s), total limit sum of stages, seed 7"
    );
    let drawn = effective(Options::default()).unwrap();
    assert!(drawn.to_string().ends_with(&format!("seed {} (drawn)", drawn.seed)));
}

#[test]
fn everything_that_was_said_is_in_the_line() {
    let options = Options {
        nodes: Some(3),
        rate: Some(0.5),
        concurrency: Some(Concurrency::PerNode(4)),
        time_limit: Some(Duration::from_millis(1500)),
        quiesce_limit: Some(secs(40)),
        total_limit: Some(secs(300)),
        expect: Some(Expect::Invalid),
        attempts: Some(3),
        unknown: Some(OnUnknown::Warn),
        reconnect: Some(true),
        heal: Some(Heal::Prompt),
        wire: Some(true),
        sessions: Some(true),
        exclusive: Some(true),
        samples: Some(Duration::from_millis(200)),
        announce: Some(Announce::Operations),
        stop: Some(Stop::FirstAnomaly),
        time: Some(Timing::Simulated),
        deterministic: Some(true),
        ..seeded()
    };
    assert_eq!(
        effective(options).unwrap().to_string(),
        "3 nodes, 12 clients, 0.5 ops/s, main phase 1500ms, op time-out 5s, set-up limit 2m, \
         quiesce limit 40s, total limit 5m, seed 7, 3 attempts, samples every 200ms, \
         expects invalid, unknown only warns, reconnects after heal, prompt heal, follows the wire, \
         sessions count, exclusive, announces operations, stops at the first anomaly, \
         simulated time, deterministic"
    );
}

#[test]
fn only_simulated_time_is_deterministic_and_heals_are_prompt_in_all_but_the_machines() {
    for time in [Timing::Real, Timing::Simulated, Timing::Natural, Timing::Tenfold] {
        let options = Options { time: Some(time), ..seeded() };
        let is_prompt = effective(options.clone()).unwrap().heal == Heal::Prompt;
        assert_eq!(is_prompt, time != Timing::Real, "{time:?}");
        let settled = effective(Options { deterministic: Some(true), ..options });
        match time {
            Timing::Simulated => assert!(settled.unwrap().deterministic),
            _ => assert_eq!(settled, Err(OptionsError::Deterministic(time))),
        }
    }
    let text = OptionsError::Deterministic(Timing::Tenfold).to_string();
    assert!(
        text.contains("the time is \"10x\"") && text.contains("`time = \"simulated\"`"),
        "{text}"
    );
}

#[test]
fn the_environment_has_the_last_word() {
    let over = Options {
        seed: Some(Seed(1)),
        rate: Some(9.0),
        time_limit: Some(secs(60)),
        nodes: Some(7),
        concurrency: Some(Concurrency::PerNode(1)),
        attempts: Some(2),
        ..Options::default()
    };
    let over = Overrides { options: over, ..Overrides::default() };
    let options = Options { rate: Some(5.0), nodes: Some(3), ..seeded() };
    let effective = options.effective(&over).unwrap();
    assert_eq!((effective.seed, effective.rate, effective.nodes), (Seed(1), 9.0, 7));
    assert_eq!((effective.clients, effective.attempts), (7, 2));
    assert_eq!(effective.time_limit, secs(60));
    assert!(effective.seed_given);
}

#[test]
fn what_makes_no_test_is_refused() {
    let check = |options: Options, message: &str| {
        assert_eq!(effective(options).unwrap_err().to_string(), message);
    };
    let none = Options::default;
    check(
        Options { nodes: Some(0), ..none() },
        "nodes = 0: a cluster has at least one node (default 5)",
    );
    check(
        Options { concurrency: Some(Concurrency::Total(4)), ..none() },
        "4 client(s) for 5 nodes: every node needs at least one of its own; write \
         `concurrency = 5`, or `concurrency = \"2n\"` for two on each",
    );
    check(
        Options { rate: Some(f64::NAN), ..none() },
        "rate = NaN: operations per second are a finite number above 0 (default 100)",
    );
    check(
        Options { rate: Some(0.0), ..none() },
        "rate = 0: operations per second are a finite number above 0 (default 100)",
    );
    check(
        Options { op_limit: Some(Duration::ZERO), ..none() },
        "op_limit is zero: write a duration such as \"30s\"",
    );
    check(Options { attempts: Some(0), ..none() }, "attempts = 0: a test runs at least once");
    check(
        Options { total_limit: Some(secs(30)), ..none() },
        "total_limit 30s is not above time_limit 30s = 30s, which these stages may take; raise \
         total_limit, or leave it out",
    );
    check(
        Options {
            total_limit: Some(secs(120)),
            setup_limit: Some(secs(60)),
            quiesce_limit: Some(secs(40)),
            ..none()
        },
        "total_limit 2m is not above setup_limit 1m + time_limit 30s + quiesce_limit 40s = 130s, \
         which these stages may take; raise total_limit, or leave it out",
    );
    assert!(effective(Options { concurrency: Some(Concurrency::Total(5)), ..none() }).is_ok());
}

#[test]
fn limits_follow_the_longest_cut() {
    let effective = effective(Options::default()).unwrap();
    assert_eq!(effective.quiesce_limit(Duration::ZERO), secs(30));
    assert_eq!(effective.quiesce_limit(secs(120)), secs(150));
    assert_eq!(effective.total_limit(secs(900), secs(38)), secs(900 + 120 + 30 + 38 + 20 + 120));
    let said = Effective { total_limit: Some(secs(60)), ..effective };
    assert_eq!(said.total_limit(secs(900), secs(38)), secs(60));
}

#[test]
fn attempts_have_seeds_of_their_own() {
    let effective = effective(seeded()).unwrap();
    let seeds: Vec<Seed> = (0..4).map(|n| effective.seed_of_attempt(n)).collect();
    assert_eq!(seeds[0], Seed(7), "a printed seed repeats the first attempt");
    let distinct: std::collections::HashSet<_> = seeds.iter().collect();
    assert_eq!(distinct.len(), seeds.len());
    assert_eq!(seeds[3], effective.seed_of_attempt(3));
}

#[test]
fn shown_durations_read_back() {
    for millis in [0, 1, 500, 1000, 1500, 60_000, 90_000, 3_600_000, 3_601_000] {
        let duration = Duration::from_millis(millis);
        assert_eq!(crate::time::parse_duration(&show(duration)), Ok(duration));
    }
}

#[test]
fn concurrency_in_total_or_per_node() {
    let check = |text: &str, expected| assert_eq!(text.parse(), expected, "{text}");
    check("10", Ok(Concurrency::Total(10)));
    check("2n", Ok(Concurrency::PerNode(2)));
    check("n", Ok(Concurrency::PerNode(1)));
    check("", Err(()));
    check("2m", Err(()));
    check("-1", Err(()));
    assert_eq!(Concurrency::PerNode(usize::MAX).clients(5), usize::MAX);
}
