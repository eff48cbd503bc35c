//! What goes wrong with observing changes no verdict about the database.

use std::time::Duration;

use super::{app, call, eventually, set};
use fuzz_dist::client::DynClient;
use fuzz_dist::db::Facts;
use fuzz_dist::embedded::Embedded;
use fuzz_dist::env::HostSpec;
use fuzz_dist::history::History;
use fuzz_dist::op::{Name, Process};
use fuzz_dist::prelude::*;

/// What nodes said of this kind, how often.
fn said(history: &History, f: &str) -> usize {
    let of = |i: &usize| history.process(*i) == Process::RUNTIME && **history.function(*i) == *f;
    (0..history.len()).filter(of).count()
}

/// The agent of a node ended, and another one took its place.
struct Replaced;

impl Checker for Replaced {
    fn check(&self, history: &History) -> Verdict {
        let (ended, observed) = (said(history, "agent_ended"), said(history, "observed"));
        match ended >= 1 && observed >= 3 {
            true => Verdict::valid("replaced"),
            false => Verdict::invalid("replaced", format!("{ended} ended, {observed} began")),
        }
    }
}

/// An agent, a sampler and an announcer that are killed are replaced, or missed, and nothing else.
#[fuzz_dist::test(
    db = app(false),
    workload = set(),
    nodes = 2,
    samples = "100ms",
    announce = "operations",
    seed = 1
)]
async fn agents_that_are_killed_change_nothing(test: Test) -> Outcome {
    let cluster = test.start().await?;
    cluster.client("n1").invoke(Add(1)).await?;
    let whereis = async |name: &'static str| {
        call(&cluster, "n1", ("erlang", "whereis"), args![fuzz_dist::beam::atom(name)]).await
    };
    let agent = whereis("fuzz_dist_agent").await;
    for name in ["fuzz_dist_sampler", "fuzz_dist_announcer", "fuzz_dist_agent"] {
        // The announcer comes with the first announcement.
        eventually(name, async || !whereis(name).await.is_atom("undefined")).await;
        let kill = args![whereis(name).await, fuzz_dist::beam::atom("kill")];
        call(&cluster, "n1", ("erlang", "exit"), kill).await;
    }
    eventually("another agent is there", async || {
        let now = whereis("fuzz_dist_agent").await;
        !now.is_atom("undefined") && now != agent
    })
    .await;
    eventually("another sampler is there", async || {
        !whereis("fuzz_dist_sampler").await.is_atom("undefined")
    })
    .await;
    for n in 2..5 {
        cluster.client("n1").invoke(Add(n)).await?;
    }
    cluster.checker(Replaced).check(fuzz_dist::checker::set_full()).await
}

/// More than anybody would read.
struct Bounded;

impl Checker for Bounded {
    fn check(&self, history: &History) -> Verdict {
        match said(history, "log") {
            n @ 1000..=5000 => Verdict::valid("bounded").with("logs", n),
            n => Verdict::invalid("bounded", format!("{n} log events are in the history")),
        }
    }
}

/// A node that says far too much is recorded up to a limit, and the run goes on.
#[fuzz_dist::test(db = app(false), workload = set(), nodes = 2, seed = 1)]
async fn a_flood_of_events_is_kept_out_of_the_history(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let warning = |n: i64| {
        args![fuzz_dist::beam::atom("warning"), fuzz_dist::beam::charlist(&format!("flood {n}"))]
    };
    let node = cluster.find("n1").expect("a node of the test").clone();
    for n in 0..8000 {
        let logged = node.call::<fuzz_dist::beam::Term>("logger", "log", warning(n)).await;
        logged.expect("the node answers");
    }
    cluster.client("n1").invoke(Add(1)).await?;
    cluster.checker(Bounded).check(fuzz_dist::checker::set_full()).await
}

/// A database that says that it runs Erlang, where nobody answers: no distribution at all.
struct Mute(Embedded);

impl Db for Mute {
    fn name(&self) -> Name {
        "mute".into()
    }
    fn facts(&self) -> Facts {
        self.0.facts()
    }
    fn hosts(&self, nodes: usize) -> Result<Vec<HostSpec>, Error> {
        self.0.hosts(nodes)
    }
    async fn start(&self, node: &Node) -> Result<(), Error> {
        // One without an epmd, one whose port answers otherwise.
        match node.name() {
            "n1" => node.speaks_erlang("app@n1", "cookie"),
            name => node.speaks_erlang_at(format!("app@{name}"), "cookie", 7000),
        }
        self.0.start(node).await
    }
    async fn ready(&self, node: &Node) -> Result<(), Error> {
        self.0.ready(node).await
    }
    async fn form(&self, cluster: &Cluster) -> Result<(), Error> {
        self.0.form(cluster).await
    }
    fn client(&self, workload: &str, node: &Node) -> Option<Box<dyn DynClient>> {
        self.0.client(workload, node)
    }
    fn workloads(&self) -> Vec<Name> {
        self.0.workloads()
    }
}

/// Its partitions and its own clients work all the same; nothing is observed, and nothing hangs.
#[fuzz_dist::test(
    db = Mute(Embedded::default()),
    workload = "g_set",
    nemesis = isolate_node().after(millis(500)).lasting(Duration::from_secs(1)),
    announce = "operations",
    nodes = 3,
    time_limit = "3s",
    seed = 1
)]
async fn without_distribution_partitions_and_clients_work(test: Test) -> Outcome {
    test.run().await
}
