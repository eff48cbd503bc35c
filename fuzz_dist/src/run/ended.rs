//! What there is to say of a node, or a service, whose processes ended although nobody ended them.

use std::time::Duration;

use crate::env::threads;
use crate::error::Error;
use crate::node::{Cluster, Node};

/// So much of the end of what a process wrote is repeated.
const CHARS_MAX: usize = 1000;

/// So much of a log is read for that, with what is around these characters.
const BYTES_MAX: usize = 4096;

/// The end of a process is heard of a moment after whoever was connected to it noticed.
const HEAR_LIMIT: Duration = Duration::from_secs(1);

/// The error that has to do with nodes, or that the processes of one of them, or of a service, ended, which explains it.
pub(super) async fn or(cluster: &Cluster, error: Error) -> Error {
    let clock = cluster.clock();
    let begun = clock.now();
    loop {
        let nodes = cluster.nodes();
        let services = cluster.others().iter().filter(|host| host.is_service());
        let ended = |n: &&Node| n.failed_process().is_some() || !n.is_running() && !n.is_service();
        if let Some(node) = services.chain(&nodes).find(ended) {
            return Error::new(error.kind(), format!("{error}; {}{}", what(node), said(node)));
        }
        if clock.now().since(begun) > HEAR_LIMIT {
            return error;
        }
        clock.sleep(Duration::from_millis(50)).await;
    }
}

/// Which processes did.
pub(super) fn what(node: &Node) -> String {
    let what = match node.failed_process() {
        Some(process) => format!("process `{}`", process.name()),
        None => "processes".into(),
    };
    format!("{what} on {} exited unexpectedly", node.name())
}

/// What the process said last, where its logs are, and what to do where that is known.
pub(super) fn said(node: &Node) -> String {
    let said = node.failed_process().and_then(|process| {
        let log = format!("{}.err", process.name());
        node.last_output(BYTES_MAX).into_iter().find(|(name, _)| *name == log)
    });
    let said = said.map(|(_, end)| last_words(&end)).filter(|said| !said.is_empty());
    let said = said.map_or(String::new(), |said| format!(": {said}"));
    let remedy = remedy(node).filter(|remedy| !said.contains(remedy));
    let remedy = remedy.map_or(String::new(), |remedy| format!("\n  remedy: {remedy}"));
    format!("{said}; logs: {}{remedy}", node.logs())
}

/// What to do where a process on the node was refused a thread, as it said itself.
pub(super) fn remedy(node: &Node) -> Option<String> {
    let logs = node.last_output(BYTES_MAX);
    let errors = logs.iter().filter(|(name, _)| name.ends_with(".err"));
    errors.into_iter().find_map(|(_, end)| threads::remedy_for(&last_words(end)))
}

/// The end of a log.
fn last_words(text: &str) -> String {
    let text = text.trim();
    let skipped = text.chars().count().saturating_sub(CHARS_MAX);
    let end: String = text.chars().skip(skipped).collect();
    if skipped > 0 { format!("…{end}") } else { end }
}
