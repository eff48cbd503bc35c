//! What there is to say of a node whose processes ended although nobody ended them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::env::threads;
use crate::error::Error;
use crate::node::{Cluster, Node};

/// So much of the end of what a process wrote is repeated.
const CHARS_MAX: usize = 400;

/// The end of a process is heard of a moment after whoever was connected to it noticed.
const HEAR_LIMIT: Duration = Duration::from_secs(1);

/// The error that has to do with nodes, or that the processes of one of them ended, which explains it.
pub(super) async fn or(cluster: &Cluster, error: Error) -> Error {
    let clock = cluster.clock();
    let begun = clock.now();
    loop {
        let mut nodes = cluster.nodes().iter();
        if let Some(node) = nodes.find(|n| n.failed_process().is_some() || !n.is_running()) {
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
    let process = node.failed_process();
    let said = process.map(|p| last_words(&logs(node).join(format!("{}.err", p.name()))));
    let said =
        said.filter(|said| !said.is_empty()).map_or(String::new(), |said| format!(": {said}"));
    let remedy = remedy(node).filter(|remedy| !said.contains(remedy));
    let remedy = remedy.map_or(String::new(), |remedy| format!("\n  remedy: {remedy}"));
    format!("{said}; logs: {}{remedy}", logs(node).display())
}

/// What to do where a process on the node was refused a thread, as it said itself.
pub(super) fn remedy(node: &Node) -> Option<String> {
    let entries = std::fs::read_dir(logs(node)).into_iter().flatten().flatten();
    let errors = entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "err"));
    errors.into_iter().find_map(|log| threads::remedy_for(&last_words(&log)))
}

pub(super) fn logs(node: &Node) -> PathBuf {
    node.folder().unwrap_or_default().join("logs")
}

/// The end of a log.
fn last_words(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let text = text.trim();
    let skipped = text.chars().count().saturating_sub(CHARS_MAX);
    let end: String = text.chars().skip(skipped).collect();
    if skipped > 0 { format!("…{end}") } else { end }
}
