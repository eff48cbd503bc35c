//! What observing costs an Erlang node: the processor time of a node under a steady load of calls, alone,
//! observed, sampled, and sent every call. Variants take turns in every round, and each is compared with
//! the node alone in the same round.
//!
//! `cargo bench -p fuzz_dist_benches --bench agent -- [ROUNDS [CALLS_PER_SECOND]]`

use std::time::Duration;

use fuzz_dist::args;
use fuzz_dist::beam::{
    AGENT_MODULE, AGENT_SOURCE, ANNOUNCER_MODULE, ANNOUNCER_SOURCE, Agent, Announced, Announcement,
    Announcer, Connection, SAMPLER_MODULE, SAMPLER_SOURCE, Sampler, Term, atom,
};
use tokio::time::{Instant, interval, sleep_until};

mod node;

use node::{connect, gen_call, load, start, start_server};

/// How long each variant runs in a round.
const BLOCK: Duration = Duration::from_secs(4);
/// Calls are made in bursts so far apart.
const BURST_EVERY: Duration = Duration::from_millis(5);
/// A hundred times as often as tests have it: one sample a second is less than can be measured.
const SAMPLES_EVERY: Duration = Duration::from_millis(10);
const ANNOUNCE_EVERY: Duration = Duration::from_millis(25);

/// Stands in for the library of that name, without handlers.
const TELEMETRY: &str = "-module(telemetry).\n-export([execute/3]).\n\
    execute(Event, _, _) -> [] = ets:lookup(ac_tab, {fuzz_dist_handlers, Event}), ok.\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Alone,
    Observed,
    Sampled,
    AnnouncedLogs,
    AnnouncedTelemetry,
}

use Variant::{Alone, AnnouncedLogs, AnnouncedTelemetry, Observed, Sampled};

const VARIANTS: [(Variant, &str); 5] = [
    (Alone, "alone"),
    (Observed, "observed by the agent"),
    (Sampled, "and sampled 100 times a second"),
    (AnnouncedLogs, "observed, and sent every call, for logs"),
    (AnnouncedTelemetry, "observed, and sent every call, for telemetry"),
];

struct Bench {
    node: Connection,
    /// As in a test, operations have a connection of their own.
    control: Connection,
    beams: [Vec<u8>; 3],
    calls_per_s: u64,
}

impl Bench {
    /// The processor time that the node's machine has used so far, in milliseconds.
    async fn used_ms(&self) -> i64 {
        let runtime: (i64, i64) =
            self.control.call("erlang", "statistics", args![atom("runtime")]).await.unwrap();
        runtime.0
    }

    /// The processor time of one block of a variant, in milliseconds, and the calls of it.
    async fn block(&self, variant: Variant) -> (i64, u64) {
        let observed = variant != Alone;
        let sampled = variant == Sampled;
        let announced = matches!(variant, AnnouncedLogs | AnnouncedTelemetry);
        let telemetry = variant == AnnouncedTelemetry;
        if telemetry {
            load(&self.control, "telemetry", TELEMETRY).await;
        }
        let [agent, sampler, announcer] = &self.beams;
        let agent = match observed {
            true => Some(Agent::start(&self.control, agent).await.unwrap()),
            false => None,
        };
        let mut sampler = match sampled {
            true => Some(Sampler::start(&self.control, sampler, SAMPLES_EVERY).await.unwrap()),
            false => None,
        };
        let announcer = match announced {
            true => Some(Announcer::start(&self.control, announcer, "0a0b").await.unwrap()),
            false => None,
        };
        let speaks_to = announcer.as_ref().map(|a| a.speaks_to() == "telemetry");
        assert!(speaks_to.is_none_or(|speaks| speaks == telemetry));
        let before = self.used_ms().await;
        let sampling = async {
            while let Some(sampler) = &mut sampler {
                sampler.next().await.expect("another sample");
            }
        };
        let (calls, ()) = tokio::join!(self.calls(announcer), async {
            // Samples come for as long as there are calls.
            let _ = tokio::time::timeout(BLOCK - BLOCK / 8, sampling).await;
        });
        let used = self.used_ms().await - before;
        drop((agent, sampler));
        if telemetry {
            for function in ["delete", "purge"] {
                let module = args![atom("telemetry")];
                self.control.call::<Term>("code", function, module).await.unwrap();
            }
        }
        (used, calls)
    }

    /// Calls at a steady rate for the length of a block, and announces them where somebody does.
    async fn calls(&self, announcer: Option<Announcer>) -> u64 {
        let begin = Instant::now();
        let (sender, mut done) = tokio::sync::mpsc::unbounded_channel();
        let announcing = async {
            let Some(mut announcer) = announcer else {
                while done.recv().await.is_some() {}
                return;
            };
            let mut every = interval(ANNOUNCE_EVERY);
            loop {
                every.tick().await;
                let mut batch = Vec::new();
                while let Ok(edge) = done.try_recv() {
                    batch.push(edge);
                }
                let ended = batch.is_empty() && done.is_closed();
                if !batch.is_empty() {
                    announcer.announce(&batch).await.unwrap();
                }
                if ended {
                    return;
                }
            }
        };
        let calling = async {
            let mut made = 0;
            for burst in 0.. {
                let at = begin + BURST_EVERY * burst;
                if at >= begin + BLOCK {
                    break;
                }
                sleep_until(at).await;
                let due = self.calls_per_s * (at - begin).as_micros() as u64 / 1_000_000;
                let calls = (made..due).map(|n| {
                    let (call, sender) = (gen_call(&self.node), sender.clone());
                    tokio::spawn(async move {
                        let _ = sender.send(edge(n, true));
                        call.await.unwrap();
                        let _ = sender.send(edge(n, false));
                    })
                });
                for call in calls.collect::<Vec<_>>() {
                    call.await.unwrap();
                }
                made = due.max(made);
            }
            drop(sender);
            made
        };
        tokio::join!(calling, announcing).0
    }
}

fn edge(n: u64, start: bool) -> Announcement {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let monotonic_ns = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
    let (function, client) = ("add".into(), (n % 10) as u32);
    let what = match start {
        true => Announced::OperationStart { function, client, value: Some(n as i64) },
        false => Announced::OperationStop { function, client, outcome: "ok", duration_ns: 100_000 },
    };
    Announcement { id: n as i64, span: n + 1, monotonic_ns, what }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let rounds = numbers.first().copied().unwrap_or(8).max(1);
    let calls_per_s = numbers.get(1).copied().unwrap_or(2000);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (_children, options) = start();
        let node = connect(&options).await;
        start_server(&node).await;
        let control = connect(&options).await;
        let beams = [
            load(&control, AGENT_MODULE, AGENT_SOURCE).await,
            load(&control, SAMPLER_MODULE, SAMPLER_SOURCE).await,
            load(&control, ANNOUNCER_MODULE, ANNOUNCER_SOURCE).await,
        ];
        let bench = Bench { node, control, beams, calls_per_s };
        bench.block(Alone).await;
        // By variant, the milliseconds of every round.
        let mut used = vec![Vec::new(); VARIANTS.len()];
        for round in 0..rounds as usize {
            for turn in 0..VARIANTS.len() {
                // Nobody always comes after the same one.
                let at = (turn * (1 + round % 2 * 2) + round) % VARIANTS.len();
                let (ms, calls) = bench.block(VARIANTS[at].0).await;
                assert_eq!(calls, (calls_per_s * (BLOCK - BURST_EVERY).as_millis() as u64) / 1000);
                used[at].push(ms as f64);
            }
        }
        println!("{rounds} rounds of {BLOCK:?} for each, {calls_per_s} calls/s");
        let seconds = BLOCK.as_secs_f64();
        for ((_, name), ms) in VARIANTS.iter().zip(&used) {
            let more: Vec<f64> = ms.iter().zip(&used[0]).map(|(ms, alone)| ms - alone).collect();
            let (least, most) =
                more.iter().fold((f64::MAX, f64::MIN), |(l, m), x| (l.min(*x), m.max(*x)));
            let more = median(more);
            println!(
                "{name:50} {:8.2} ms/s; {:+6.2} ms/s ({:+.2} to {:+.2}), {:+.2} %",
                median(ms.clone()) / seconds,
                more / seconds,
                least / seconds,
                most / seconds,
                100.0 * more / median(used[0].clone()).max(1.0),
            );
        }
    });
}
