//! A cluster of Erlang nodes in simulated time: what a cut does, and when, to the nanosecond.

#[path = "support/mod.rs"]
mod support;

use fuzz_dist_env::{Command, Environment, HostId, HostSpec, LinkMatrix};
use fuzz_dist_lab::{Lab, LabOptions};
use fuzz_dist_time::{Pace, Simulation};
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const SECOND_NS: u64 = 1_000_000_000;

fn main() -> ExitCode {
    fuzz_dist_lab::agent_main_if_asked();
    let arguments = Arguments::from_args();
    let here = support::erl().is_some();
    let trials = vec![
        Trial::test("a_cut_is_noticed_when_net_ticktime_says", a_cut_is_noticed)
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
Connect(Connect), Say(up),
Hear = fun(H) -> receive {nodedown, N, I} -> Say({down, N, I}); {nodeup, N, _} -> Say({up, N}) end, H(H) end,
Hear(Hear).
"#;

struct Cluster {
    lab: Lab,
    hosts: Vec<HostId>,
    // Dropped last: it still holds the folders.
    folder: tempfile::TempDir,
}

impl Cluster {
    fn start(simulation: &Simulation, count: usize) -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        let options = LabOptions {
            clock: simulation.clock(),
            ..LabOptions::new(folder.path(), HostSpec::nodes(count))
        };
        let lab = Lab::start(options).unwrap_or_else(|error| panic!("{error}"));
        let hosts: Vec<HostId> = lab.hosts().into_iter().map(|(id, _)| id).collect();
        Cluster { lab, hosts, folder }
    }

    fn name(&self, host: HostId) -> String {
        format!("n@{}", self.lab.address(host).unwrap())
    }

    async fn start_node(&self, host: HostId) {
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
            command.env.extend(erl.get_envs().filter_map(|(name, value)| {
                Some((name.to_str()?.to_owned(), value?.to_str()?.to_owned()))
            }));
            command
        };
        self.lab.start(host, command("epmd", epmd.to_str().unwrap(), &[])).await.unwrap();
        self.lab.start(host, command("erl", &program, &arguments)).await.unwrap();
    }

    fn said(&self, host: HostId) -> String {
        let (_, spec) = self.lab.hosts().into_iter().find(|(id, _)| *id == host).unwrap();
        let path = self.folder.path().join(spec.name).join("logs/erl.out");
        std::fs::read_to_string(path).unwrap_or_default()
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
    let cluster = Cluster::start(&simulation, 2);
    let runtime = runtime();
    for host in &cluster.hosts {
        runtime.block_on(cluster.start_node(*host));
        simulation.advance(Duration::from_millis(1137));
    }
    let said = || -> Vec<String> { cluster.hosts.iter().map(|host| cluster.said(*host)).collect() };
    let begun = Instant::now();
    while !said().iter().all(|said| said.contains("up")) {
        simulation.advance(Duration::from_millis(100));
        if begun.elapsed() > Duration::from_secs(60) {
            return Err(format!("not connected: {:?} {:#?}", said(), simulation.status()));
        }
    }
    simulation.until(3600 * SECOND_NS);
    cluster.cut(cluster.hosts[1], true);
    simulation.advance(Duration::from_secs(120));
    let status = simulation.status();
    assert_eq!((status.guarded, status.refused.len()), (Duration::ZERO, 0), "{status:#?}");
    Ok((3600 * SECOND_NS, said()))
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
    let (_, again) = hour_and_cut()?;
    assert_eq!(said, again, "the second run differs");
    Ok(())
}
