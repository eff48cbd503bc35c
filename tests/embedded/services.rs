//! Hosts of role service: the database starts them, and faults hit none that the test does not name.

use fuzz_dist::checker::{Validity, power};
use fuzz_dist::client::DynClient;
use fuzz_dist::db::{Db, Facts};
use fuzz_dist::embedded::Embedded;
use fuzz_dist::env::{Command, Facet, HostSpec, Role};
use fuzz_dist::history::History;
use fuzz_dist::nemesis::{isolate_all, kill_of, pause_of};
use fuzz_dist::node::{Cluster, Node};
use fuzz_dist::op::Name;
use fuzz_dist::prelude::*;

/// The embedded store beside a service, which its nodes need at their start.
#[derive(Default)]
struct Kept(Embedded);

fn keeper(of: &[(fuzz_dist::env::HostId, HostSpec)]) -> Option<fuzz_dist::env::HostId> {
    of.iter().find(|(_, host)| host.name == "keeper").map(|(id, _)| *id)
}

impl Db for Kept {
    fn name(&self) -> Name {
        "kept".into()
    }
    fn facts(&self) -> Facts {
        self.0.facts()
    }
    fn needs(&self) -> Vec<Facet> {
        self.0.needs()
    }
    fn hosts(&self, nodes: usize) -> Result<Vec<HostSpec>, Error> {
        Ok([HostSpec::new("keeper", Role::Service)]
            .into_iter()
            .chain(self.0.hosts(nodes)?)
            .collect())
    }
    async fn start_service(&self, service: &Node) -> Result<(), Error> {
        service.spawn(Command::new("/bin/sleep").arg("600").named("keeper")).await?;
        Ok(())
    }
    async fn start(&self, node: &Node) -> Result<(), Error> {
        let keeper = keeper(&node.env().hosts()).expect("it is one of the hosts");
        let running = node.env().processes(keeper).await.map_err(Error::setup)?;
        if running.is_empty() {
            return Err(Error::setup("the service does not run"));
        }
        self.0.start(node).await
    }
    async fn ready(&self, node: &Node) -> Result<(), Error> {
        self.0.ready(node).await
    }
    async fn form(&self, cluster: &Cluster) -> Result<(), Error> {
        self.0.form(cluster).await
    }
    async fn join(&self, node: &Node, cluster: &Cluster) -> Result<(), Error> {
        self.0.join(node, cluster).await
    }
    fn client(&self, workload: &str, node: &Node) -> Option<Box<dyn DynClient>> {
        self.0.client(workload, node)
    }
    fn workloads(&self) -> Vec<Name> {
        self.0.workloads()
    }
}

/// No fault of the nemesis names the service, and it is no node.
struct NoTarget;

impl Checker for NoTarget {
    fn check(&self, history: &History) -> Verdict {
        let faults = history.faults();
        let hit = faults.iter().find(|fault| fault.shape.contains("keeper"));
        match hit.is_none() && faults.len() > 2 && history.nodes().len() == 3 {
            true => Verdict::valid("no_target"),
            false => Verdict::invalid("no_target", format!("{hit:?}, {:?}", history.nodes())),
        }
    }
}

/// Faults are drawn among the nodes.
#[fuzz_dist::test(
    db = Kept::default(),
    workload = "g_set",
    nemesis = short(kill()).and(short(pause())).and(short(isolate_all())),
    checker = NoTarget,
    nodes = 3,
    time_limit = "4s",
    seed = 17
)]
async fn services_are_no_targets(test: Test) -> Outcome {
    test.run().await
}

fn short(nemesis: Nemesis) -> Nemesis {
    nemesis.after(millis(500)).lasting(millis(400)).every(millis(1200))
}

/// A fault that names a service hits it, and at its end the database starts it again.
#[fuzz_dist::test(db = Kept::default(), workload = "g_set", nodes = 2, concurrency = 6, seed = 18)]
async fn a_service_that_is_named_is_hit(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let [keeper] = cluster.others() else { panic!("one host is no node") };
    assert!(keeper.is_running() && cluster.nodes().len() == 2);
    assert!(cluster.nodes().iter().all(|node| node.id() != keeper.id()));
    for node in ["n1", "n2"] {
        cluster.client(node).invoke(Add(i64::from(node.as_bytes()[1]))).await?;
    }
    let killed = cluster.inject(kill_of(["keeper"])).await?;
    assert!(!keeper.is_running() && cluster.nodes().iter().all(Node::is_running));
    killed.heal().await?;
    assert!(keeper.is_running());
    let paused = cluster.inject(pause_of(["keeper", "n2"])).await?;
    let states = keeper.process_states().await;
    assert!(!states.is_empty() && states.iter().all(|s| s.ends_with(" Stopped")), "{states:?}");
    paused.heal().await?;
    let error = cluster.inject(kill_of(["clerk"])).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("no host `clerk`; there are n1, n2, keeper"), "{error}");
    for none in [kill_of([] as [&str; 0]), pause_of([] as [&str; 0])] {
        let error = cluster.inject(none).await.map(drop).unwrap_err().to_string();
        assert!(error.contains("need the name of a host"), "{error}");
    }
    // Nor does a node that joins get a service's number.
    let new = cluster.join().await?;
    assert!(new.name() == "n3" && new.id() != keeper.id());
    cluster.client("n3").invoke(Read).await?;
    cluster.check(power()).await
}

/// A service that ends although no fault killed it is reported as a node that does is.
#[fuzz_dist::test(
    db = Kept::default(),
    workload = "g_set",
    nodes = 2,
    concurrency = 4,
    seed = 19,
    unknown = "warn"
)]
async fn a_service_that_ends_by_itself_is_reported(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let [keeper] = cluster.others() else { panic!("one host is no node") };
    for node in ["n1", "n2"] {
        cluster.client(node).invoke(Add(i64::from(node.as_bytes()[1]))).await?;
    }
    let killed = cluster.inject(kill_of(["keeper"])).await?;
    killed.heal().await?;
    assert!(keeper.kill().await?);
    let verdict = cluster.check(power()).await?;
    let reported = |reason: &String| reason.contains("processes on keeper exited unexpectedly");
    assert!(
        verdict.validity == Validity::Unknown && verdict.reasons.iter().any(reported),
        "{verdict:#?}"
    );
    Ok(verdict)
}
