//! A cluster of Erlang nodes in simulated time: what a cut does, and when, to the nanosecond.

#[path = "support/mod.rs"]
mod support;

use fuzz_dist_env::{Command, Environment, Heal, HostId, HostSpec, LinkMatrix};
use fuzz_dist_lab::{Lab, LabOptions};
use fuzz_dist_time::{Pace, Simulation};
use libtest_mimic::{Arguments, Failed};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use support::limited;

const SECOND_NS: u64 = 1_000_000_000;

fn main() -> ExitCode {
    fuzz_dist_lab::agent_main_if_asked();
    let arguments = Arguments::from_args();
    let here = support::erl().is_some();
    let trials = vec![
        limited("a_cut_is_noticed_when_net_ticktime_says", a_cut_is_noticed)
            .with_ignored_flag(!here),
        limited("what_was_sent_during_a_cut_arrives_when_it_heals", delivered_by_the_heal)
            .with_ignored_flag(!here),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Connects to its peers, and says what it hears of them, with the reading of its clock.
const NODE: &str = r#"
Peers = [list_to_atom(P) || P <- init:get_plain_arguments()],
Say = fun(What) -> io:format("~p ~p~n", [os:perf_counter(nanosecond), What]) end,
net_kernel:monitor_nodes(true, [nodedown_reason]),
Connect = fun(C) -> case [P || P <- Peers, net_adm:ping(P) =/= pong] of [] -> ok; _ -> timer:sleep(100), C(C) end end,
register(hear, self()), Connect(Connect), Say(up),
Send = fun(S, N) -> [{hear, P} ! {word, node(), N} || P <- Peers], timer:sleep(1000), S(S, N + 1) end,
case os:getenv("TALKS") of false -> ok; _ -> spawn(fun() -> Send(Send, 1) end) end,
Hear = fun(H) -> receive {word, N, I} -> Say({word, N, I}); {nodedown, N, I} -> Say({down, N, I}); {nodeup, N, _} -> Say({up, N}) end, H(H) end,
Hear(Hear).
"#;

struct Cluster {
    lab: Lab,
    hosts: Vec<HostId>,
    // Dropped last: it still holds the folders.
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Hosts with a connected node each, started at different times.
    fn connected(simulation: &Simulation, count: usize, talks: bool) -> Result<Cluster, String> {
        let cluster = Cluster::start(simulation, count);
        let runtime = runtime();
        for host in &cluster.hosts {
            runtime.block_on(cluster.start_node(simulation, *host, talks));
            simulation.advance(Duration::from_millis(1137));
        }
        let begun = Instant::now();
        while !cluster.all_said().iter().all(|said| said.contains("up")) {
            simulation.advance(Duration::from_millis(100));
            if begun.elapsed() > Duration::from_secs(60) {
                let (said, status) = (cluster.all_said(), simulation.status());
                return Err(format!("not connected: {said:?} {status:#?}"));
            }
        }
        Ok(cluster)
    }

    fn start(simulation: &Simulation, count: usize) -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        let options = LabOptions {
            clock: simulation.clock(),
            heal: Heal::Prompt,
            ..LabOptions::new(folder.path(), HostSpec::nodes(count))
        };
        let lab = Lab::start(options).unwrap_or_else(|error| panic!("{error}"));
        let hosts: Vec<HostId> = lab.hosts().into_iter().map(|(id, _)| id).collect();
        Cluster { lab, hosts, folder }
    }

    fn name(&self, host: HostId) -> String {
        format!("n@{}", self.lab.address(host).unwrap())
    }

    async fn start_node(&self, simulation: &Simulation, host: HostId, talks: bool) {
        let erl = support::erl().unwrap();
        let program = erl.get_program().to_str().unwrap().to_owned();
        let epmd = Path::new(&program).with_file_name("epmd");
        let peers: Vec<String> =
            self.hosts.iter().filter(|other| **other != host).map(|id| self.name(*id)).collect();
        let own = self.name(host);
        let mut arguments: Vec<&str> = "+sbwt none +sbwtdcpu none +sbwtdio none +S 1:1 +SDcpu 1:1 +SDio 1 -noinput -setcookie x -name"
            .split(' ')
            .collect();
        arguments.extend([own.as_str(), "-eval", NODE, "-extra"]);
        arguments.extend(peers.iter().map(String::as_str));
        let command = |name: &str, program: &str, arguments: &[&str]| {
            let mut command = Command::new(program).named(name);
            command.argv.extend(arguments.iter().map(|argument| (*argument).to_owned()));
            command.env.extend(talks.then(|| ("TALKS".to_owned(), "yes".to_owned())));
            command.env.extend(erl.get_envs().filter_map(|(name, value)| {
                Some((name.to_str()?.to_owned(), value?.to_str()?.to_owned()))
            }));
            command
        };
        self.lab.start(host, command("epmd", epmd.to_str().unwrap(), &[])).await.unwrap();
        // It listens before the node asks it, whatever the machine does first.
        simulation.advance(Duration::from_millis(1));
        self.lab.start(host, command("erl", &program, &arguments)).await.unwrap();
    }

    fn said(&self, host: HostId) -> String {
        let (_, spec) = self.lab.hosts().into_iter().find(|(id, _)| *id == host).unwrap();
        let path = self.folder.path().join(spec.name).join("logs/erl.out");
        std::fs::read_to_string(path).unwrap_or_default()
    }

    fn all_said(&self) -> Vec<String> {
        self.hosts.iter().map(|host| self.said(*host)).collect()
    }

    fn cut(&self, host: HostId, on: bool) {
        let mut links = LinkMatrix::default();
        for other in self.hosts.iter().filter(|other| on && **other != host) {
            links.cut(host, *other);
            links.cut(*other, host);
        }
        let set = self.lab.links().unwrap().set_links(&links);
        runtime().block_on(set).unwrap();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Two nodes run for an hour, then one is cut off for two minutes; gives when the cut began and what the nodes said.
fn hour_and_cut() -> Result<(u64, Vec<String>), String> {
    let page = tempfile::tempdir().unwrap();
    let simulation = Simulation::start(page.path(), Pace::Still).unwrap();
    let cluster = Cluster::connected(&simulation, 2, false)?;
    simulation.until(3600 * SECOND_NS);
    cluster.cut(cluster.hosts[1], true);
    simulation.advance(Duration::from_secs(120));
    let status = simulation.status();
    assert_eq!((status.guarded, status.refused.len()), (Duration::ZERO, 0), "{status:#?}");
    Ok((3600 * SECOND_NS, cluster.all_said()))
}

/// Erlang notices after between three and five quarters of net_ticktime (60 s), at one of its ticks: to the nanosecond.
fn a_cut_is_noticed() -> Result<(), Failed> {
    let begun = Instant::now();
    let (cut, said) = hour_and_cut()?;
    eprintln!("an hour and a cut took {:?}", begun.elapsed());
    for said in &said {
        let down = said.lines().find(|line| line.contains("{down,")).ok_or(said.as_str())?;
        let at: u64 = down.split(' ').next().unwrap().parse().unwrap();
        assert!(down.contains("net_tick_timeout"), "{down}");
        assert!((45 * SECOND_NS..=75 * SECOND_NS).contains(&(at - cut)), "cut at {cut}: {said}");
        // Ticks are whole milliseconds after a start which is one.
        assert_eq!(at % 1_000_000, 0, "{down}");
    }
    Ok(())
}

/// TCP's own timers, which are in real time, decide nothing: the heal delivers what was lost.
fn delivered_by_the_heal() -> Result<(), Failed> {
    let page = tempfile::tempdir().unwrap();
    let simulation = Simulation::start(page.path(), Pace::Still).unwrap();
    let cluster = Cluster::connected(&simulation, 2, true)?;
    // Words are sent at whole milliseconds, so that none is sent at these instants.
    let (cut, heal, end) = (20_500_000_500, 40_500_000_500, 60 * SECOND_NS);
    simulation.until(cut);
    cluster.cut(cluster.hosts[1], true);
    simulation.until(heal);
    cluster.cut(cluster.hosts[1], false);
    simulation.until(end);
    for said in cluster.all_said() {
        let mut numbers: Vec<u64> = Vec::new();
        for line in said.lines().filter(|line| line.contains("{word,")) {
            let at: u64 = line.split(' ').next().unwrap().parse().unwrap();
            assert!(!(cut..heal).contains(&at), "it came through the cut: {line}");
            numbers.push(line.rsplit(',').next().unwrap().trim_end_matches('}').parse().unwrap());
        }
        let at_the_heal = said.lines().filter(|line| line.starts_with(&format!("{heal} "))).count();
        assert!(at_the_heal >= 19, "{at_the_heal} of 20 arrived at the heal:\n{said}");
        let all: Vec<u64> = (1..=numbers.len() as u64).collect();
        assert_eq!(numbers, all, "lost or out of order:\n{said}");
        assert!(numbers.len() >= 55, "{said}");
    }
    Ok(())
}
