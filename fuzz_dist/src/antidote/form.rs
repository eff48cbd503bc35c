//! Forming data centres of nodes and a cluster of data centres, and proving that it is one.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;

use super::db::{client_of, erlang_name};
use super::{ConnectionDescriptor, DataType, Object, Update, Value};
use crate::error::Error;
use crate::node::{Cluster, Node, wait_until};

/// How long making a data centre may take; one of five nodes moves partitions between them.
const CREATE_LIMIT: Duration = Duration::from_secs(90);
/// How long a data centre may take to connect to all others: it waits without limit for one that
/// it cannot reach.
const CONNECT_LIMIT: Duration = Duration::from_secs(60);
/// How long what was written at one node may take to be read at all others.
const SEEN_LIMIT: Duration = Duration::from_secs(30);
/// How long one question may take meanwhile.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// What a node writes to be recognised by the others: in a bucket of its own, so that nobody
/// takes it for data.
pub(super) fn mark(node: &Node) -> Object {
    Object::new(DataType::LwwRegister, "fuzz_dist_formed", node.name())
}

/// The nodes of each data centre.
fn centres(cluster: &Cluster) -> Vec<Vec<Node>> {
    let (nodes, mut centres) = (cluster.nodes(), BTreeMap::<&str, Vec<Node>>::new());
    for node in &nodes {
        centres.entry(node.group().unwrap_or(node.name())).or_default().push(node.clone());
    }
    centres.into_values().collect()
}

/// Makes the data centres, connects them, and waits until every node reads what was written at
/// every other; each step within `limit`, or one of its own.
pub(super) async fn form(cluster: &Cluster, limit: Option<Duration>) -> Result<(), Error> {
    let centres = centres(cluster);
    let within = limit.unwrap_or(CREATE_LIMIT);
    let descriptors = all(centres.iter().map(|nodes| create(nodes.clone(), within))).await?;
    if centres.len() > 1 {
        let within = limit.unwrap_or(CONNECT_LIMIT);
        let connecting =
            centres.iter().map(|nodes| connect(nodes[0].clone(), descriptors.clone(), within));
        all(connecting).await?;
    }
    let nodes = cluster.nodes();
    all(nodes.iter().map(|node| write_mark(node.clone()))).await?;
    let within = limit.unwrap_or(SEEN_LIMIT);
    all(nodes.iter().map(|node| sees_all(node.clone(), nodes.to_vec(), within))).await?;
    Ok(())
}

/// Does everything at once; the results are in no order, the first error ends it.
async fn all<T, F>(tasks: impl Iterator<Item = F>) -> Result<Vec<T>, Error>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let mut running: JoinSet<_> = tasks.collect();
    let mut results = Vec::new();
    while let Some(done) = running.join_next().await {
        results.push(done??);
    }
    Ok(results)
}

/// Makes a data centre and asks for its address.
async fn create(nodes: Vec<Node>, limit: Duration) -> Result<ConnectionDescriptor, Error> {
    let first = &nodes[0];
    let names: Vec<String> = nodes.iter().map(erlang_name).collect();
    let mut client = client_of(first);
    client.create_dc(&names, limit).await.map_err(|e| {
        Error::setup(format!(
            "{} could not make a data centre of {}: {e}; what it said is in {}",
            first.name(),
            names.join(", "),
            first.logs()
        ))
    })?;
    client.connection_descriptor(ASK_LIMIT).await.map_err(|e| {
        Error::setup(e).context(format!("asking {} for the address of its centre", first.name()))
    })
}

async fn connect(
    node: Node,
    descriptors: Vec<ConnectionDescriptor>,
    limit: Duration,
) -> Result<(), Error> {
    let connecting = client_of(&node).connect_to_dcs(&descriptors, limit).await;
    connecting.map_err(|e| {
        Error::setup(format!(
            "{} could not connect to the other data centres: {e}; it waits for ever for one whose \
             ports 8085 and 8086 it cannot reach. What it said is in {}",
            node.name(),
            node.logs()
        ))
    })
}

async fn write_mark(node: Node) -> Result<(), Error> {
    let mut client = client_of(&node).timeout(ASK_LIMIT);
    let written = client.update(&[(mark(&node), Update::assign(node.name()))]).await;
    written
        .map_err(|e| Error::setup(e).context(format!("writing the first key on {}", node.name())))
}

async fn sees_all(node: Node, nodes: Vec<Node>, limit: Duration) -> Result<(), Error> {
    let marks: Vec<Object> = nodes.iter().map(mark).collect();
    let what = format!("{} reading what was written on every node", node.name());
    wait_until(node.clock(), &what, limit, || async {
        let mut client = client_of(&node).timeout(ASK_LIMIT);
        let values = client.read(&marks).await.map_err(Error::setup)?;
        let silent: Vec<&str> = nodes
            .iter()
            .zip(&values)
            .filter(|(of, value)| **value != Value::Register(of.name().into()))
            .map(|(of, _)| of.name())
            .collect();
        match silent.is_empty() {
            true => Ok(()),
            false => Err(Error::setup(format!("nothing from {} arrived", silent.join(", ")))),
        }
    })
    .await
}
