//! The Erlang sources of the examples: what they promise, and what they lose, with nodes that are kept apart by their cookies.

use std::path::Path;
use std::time::Duration;

use fuzz_dist::args;
use fuzz_dist::beam::{Atom, CallError, Connection, NodeSpec, Term};
use fuzz_dist::provision::Runtime;

use super::support::{COOKIE, Epmd, Folder, Node, eventually, runtime};

const NODES: [&str; 3] = ["n1@localhost", "n2@localhost", "n3@localhost"];

struct Cluster {
    nodes: Vec<Node>,
    connections: Vec<Connection>,
    _epmd: Epmd,
    _folder: Folder,
}

impl Cluster {
    /// Starts three nodes that run `module:start(Options)`.
    async fn start(name: &str, module: &str, options: &str) -> Cluster {
        let runtime: Runtime = runtime();
        let folder = Folder::new(name);
        let source = format!("{}/../examples/{module}/{module}.erl", env!("CARGO_MANIFEST_DIR"));
        runtime.compile(&[Path::new(&source)], folder.path()).unwrap();
        let epmd = Epmd::start(&runtime);
        let peers = NODES.join(",").replace("@localhost", "@localhost'").replace(",n", ",'n");
        let start = format!("{module}:start(#{{peers => ['{peers}], {options}}})");
        let nodes: Vec<Node> = NODES
            .iter()
            .map(|name| {
                let directory = folder.path().join(name);
                // Links are cut one after the other here, which would look like a partial partition.
                let spec = NodeSpec::new(*name, COOKIE)
                    .prevent_overlapping_partitions(false)
                    .code_path(folder.path())
                    .flags(["-mnesia", "dir", &format!("\"{}\"", directory.display())])
                    .eval(&start);
                Node::start(&runtime, &epmd, &spec)
            })
            .collect();
        let mut connections = Vec::new();
        for node in &nodes {
            connections.push(node.connect().await);
        }
        let cluster = Cluster { nodes, connections, _epmd: epmd, _folder: folder };
        cluster.meshed().await;
        cluster
    }

    async fn meshed(&self) {
        for node in &self.connections {
            eventually("every node sees the others", async || {
                (node.call::<Vec<Atom>>("erlang", "nodes", args![]).await.ok()?.len() == 2)
                    .then_some(())
            })
            .await;
        }
    }

    /// Cuts the first node off: it and the others refuse each other's cookies. Connections are cut, too.
    async fn cut(&self) {
        self.cookies("apart").await;
        for other in &NODES[1..] {
            let cut: Term = self.connections[0]
                .call("erlang", "disconnect_node", args![Atom::from(*other)])
                .await
                .unwrap();
            assert!(cut.is_atom("true"));
        }
        eventually("the first node is alone", async || {
            let nodes: Vec<Atom> =
                self.connections[0].call("erlang", "nodes", args![]).await.ok()?;
            nodes.is_empty().then_some(())
        })
        .await;
    }

    async fn heal(&self) {
        self.cookies(COOKIE).await;
        self.meshed().await;
    }

    /// What the first node and the others take for each other's cookies.
    async fn cookies(&self, cookie: &str) {
        let (first, others) = (&self.connections[0], &self.connections[1..]);
        let set = async |node: &Connection, other: &str, cookie: String| {
            let args = args![Atom::from(other), Atom::from(cookie)];
            node.call::<Term>("erlang", "set_cookie", args).await.unwrap();
        };
        for (name, other) in NODES[1..].iter().zip(others) {
            set(first, name, cookie.to_owned()).await;
            set(
                other,
                NODES[0],
                if cookie == COOKIE { COOKIE.into() } else { format!("{cookie} too") },
            )
            .await;
        }
    }

    async fn restart_first(&mut self) {
        self.nodes[0].restart();
        self.connections[0] = self.nodes[0].connect().await;
        self.meshed().await;
    }

    /// Waits until this node has its copy of mnesia's set.
    async fn formed(&self, node: usize) {
        eventually("the node has the set", async || {
            let formed = self.connections[node].call("mnesia_set", "formed", args![]);
            formed.await.ok().filter(|formed| *formed)
        })
        .await;
    }

    async fn add(&self, module: &str, node: usize, element: i64) -> Result<Term, CallError> {
        self.connections[node].call(module, "add", args![element]).await
    }

    async fn read(&self, module: &str, node: usize) -> Vec<i64> {
        eventually("the set can be read", async || {
            self.connections[node].call(module, "read", args![]).await.ok()
        })
        .await
    }
}

async fn mnesia_loses(name: &str, options: &str, restarted: bool) -> (Vec<i64>, Vec<Vec<i64>>) {
    let mut cluster = Cluster::start(name, "mnesia_set", options).await;
    let nodes: Vec<Term> = NODES.iter().map(|name| Term::Atom(Atom::from(*name))).collect();
    cluster.connections[1].call::<()>("mnesia_set", "form", args![nodes]).await.unwrap();
    // Where it was formed it is there; the others hear of it.
    for node in 0..3 {
        cluster.formed(node).await;
    }
    let mut acknowledged = Vec::new();
    for (node, element) in [(0, 1), (1, 2), (2, 3)] {
        assert!(cluster.add("mnesia_set", node, element).await.unwrap().is_atom("ok"));
        acknowledged.push(element);
    }
    cluster.cut().await;
    for (node, element) in [(0, 4), (1, 5)] {
        if cluster.add("mnesia_set", node, element).await.unwrap().is_atom("ok") {
            acknowledged.push(element);
        }
    }
    cluster.heal().await;
    if restarted {
        cluster.restart_first().await;
        cluster.formed(0).await;
    }
    let mut reads = Vec::new();
    for node in 0..3 {
        reads.push(cluster.read("mnesia_set", node).await);
    }
    (acknowledged, reads)
}

#[tokio::test]
async fn mnesia_loses_what_the_minority_acknowledged() {
    let (acknowledged, reads) = mnesia_loses("mnesia_ram", "copies => ram_copies", true).await;
    assert_eq!(acknowledged, [1, 2, 3, 4, 5]);
    assert_eq!(reads, vec![vec![1, 2, 3, 5]; 3]);
}

#[tokio::test]
async fn mnesia_stays_split_until_a_restart() {
    let (_, reads) = mnesia_loses("mnesia_split", "copies => ram_copies", false).await;
    assert_eq!(reads, [vec![1, 2, 3, 4], vec![1, 2, 3, 5], vec![1, 2, 3, 5]]);
}

#[tokio::test]
async fn mnesia_loses_from_discs_too() {
    let (acknowledged, reads) = mnesia_loses("mnesia_disc", "copies => disc_copies", true).await;
    assert_eq!(acknowledged, [1, 2, 3, 4, 5]);
    assert_eq!(reads, vec![vec![1, 2, 3, 5]; 3]);
}

#[tokio::test]
async fn mnesia_with_majority_loses_nothing() {
    for copies in ["ram_copies", "disc_copies"] {
        let options = format!("copies => {copies}, majority => true");
        let (acknowledged, reads) = mnesia_loses("mnesia_majority", &options, true).await;
        assert_eq!(acknowledged, [1, 2, 3, 5]);
        assert_eq!(reads, vec![vec![1, 2, 3, 5]; 3]);
    }
}

/// Starts the broadcast set, and waits until its servers know each other.
async fn pg_cluster(name: &str, options: &str) -> Cluster {
    let cluster = Cluster::start(name, "pg_set", options).await;
    pg_has_met(&cluster).await;
    cluster
}

async fn pg_has_met(cluster: &Cluster) {
    for node in &cluster.connections {
        eventually("every server knows the others", async || {
            node.call::<usize>("pg_set", "members", args![])
                .await
                .ok()
                .filter(|members| *members == 3)
        })
        .await;
    }
}

/// Adds 2 on one side and 3 on the other, and after the heal elements from 4 on until one is everywhere.
async fn pg_partition(cluster: &Cluster) {
    assert!(cluster.add("pg_set", 0, 1).await.unwrap().is_atom("ok"));
    cluster.cut().await;
    for (node, element) in [(0, 2), (1, 3)] {
        assert!(cluster.add("pg_set", node, element).await.unwrap().is_atom("ok"));
    }
    cluster.heal().await;
    pg_has_met(cluster).await;
    let next = std::cell::Cell::new(4);
    // `global` may disconnect nodes again that have met: a broadcast can miss one of them.
    eventually("a broadcast reaches every node", async || {
        let element = next.get();
        next.set(element + 1);
        cluster.add("pg_set", 2, element).await.ok()?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        for node in 0..3 {
            cluster.read("pg_set", node).await.contains(&element).then_some(())?;
        }
        Some(())
    })
    .await;
}

/// What a node has of the elements that were added before the heal.
async fn pg_before_the_heal(cluster: &Cluster, node: usize) -> Vec<i64> {
    let mut elements = cluster.read("pg_set", node).await;
    elements.retain(|element| *element < 4);
    elements
}

#[tokio::test]
async fn a_broadcast_that_was_missed_never_comes() {
    let cluster = pg_cluster("pg_lossy", "exchange => false").await;
    pg_partition(&cluster).await;
    // A later broadcast has arrived, and messages between two processes keep their order.
    for (node, expected) in [vec![1, 2], vec![1, 3], vec![1, 3]].into_iter().enumerate() {
        assert_eq!(pg_before_the_heal(&cluster, node).await, expected, "node {node}");
    }
}

#[tokio::test]
async fn an_exchange_makes_up_for_it() {
    let cluster = pg_cluster("pg_exchange", "exchange => true").await;
    pg_partition(&cluster).await;
    for node in 0..3 {
        eventually(&format!("node {node} has all elements"), async || {
            (pg_before_the_heal(&cluster, node).await == [1, 2, 3]).then_some(())
        })
        .await;
    }
}
