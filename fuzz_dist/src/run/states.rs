//! The state of all nodes at one moment, kept in the store as `state/n1.json` and so on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::task::JoinSet;

use super::live::Live;
use crate::node::Node;
use crate::op::{Name, Value};
use crate::runtime::AnyRuntime;
use crate::store::{StoreError, file_name};
use crate::time::Time;

/// How long a node may take to say everything, and how long all of it may take.
const NODE_LIMIT: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_secs(6);
/// What is kept of a node at most.
const BYTES_MAX: usize = 4 << 20;
/// So many of its host's processes are listed.
const PROCESSES_MAX: usize = 500;

/// The folder within the store.
pub(super) const FOLDER: &str = "state";

impl Live {
    /// Asks all nodes at once, and writes what they say. What goes wrong becomes a note: it changes no
    /// verdict.
    pub(super) async fn keep_states(&self) {
        let Some(folder) = self.folder.as_ref().map(|folder| folder.join(FOLDER)) else { return };
        let now = self.now();
        let mut asking = JoinSet::new();
        for node in self.cluster.nodes() {
            let (folder, runtime) = (folder.clone(), self.runtime.clone());
            asking.spawn(async move {
                let state = state(&node, runtime.as_ref(), now).await;
                let _stands_still = node.clock().hold();
                tokio::task::spawn_blocking({
                    let node = node.clone();
                    move || write(&folder, (node.name(), runtime.as_ref()), &state)
                })
                .await
            });
        }
        while let Some(done) = asking.join_next().await {
            let failed = match done {
                Ok(Ok(Ok(_))) => continue,
                Ok(Ok(Err(error))) => error.to_string(),
                Ok(Err(error)) | Err(error) => error.to_string(),
            };
            self.observed.note(format!("the state of a node was not kept: {failed}"));
        }
        self.observed
            .note(format!("state of the nodes at the first anomaly: {}", folder.display()));
    }
}

/// What is known of a node, with an error in place of what is not.
async fn state(node: &Node, runtime: Option<&AnyRuntime>, now: Time) -> Json {
    let late = |_| json!({ "error": format!("no answer within {LIMIT:?}") });
    let inside = async {
        let runtime = runtime?;
        Some((runtime.name(), node.clock().timeout(LIMIT, said(node, runtime)).await))
    };
    let (processes, inside) = tokio::join!(node.clock().timeout(LIMIT, processes(node)), inside);
    let mut state = json!({
        "node": node.name(),
        "time_ns": now.0,
        "running": node.is_running(),
        "processes": processes.unwrap_or_else(late),
    });
    if let Some((name, said)) = inside {
        state[name] = said.unwrap_or_else(|e| Some(late(e))).unwrap_or(Json::Null);
    }
    state
}

async fn processes(node: &Node) -> Json {
    match node.env().processes(node.host()).await {
        Ok(all) => all
            .iter()
            .take(PROCESSES_MAX)
            .map(|p| {
                json!({ "pid": p.pid, "program": p.program, "state": format!("{:?}", p.state) })
            })
            .collect(),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

/// What the node of the runtime system says of itself, where there is one.
async fn said(node: &Node, runtime: &AnyRuntime) -> Option<Json> {
    if !runtime.runs_on(node) {
        return None;
    }
    let state = runtime.state(node, NODE_LIMIT).await;
    Some(state.map_or_else(|error| json!({ "error": error.to_string() }), |state| as_json(&state)))
}

fn as_json(value: &Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Bool(b) => json!(b),
        Value::Int(n) => json!(n),
        Value::Text(text) => json!(&**text),
        Value::List(items) => items.iter().map(as_json).collect(),
        Value::Set(set) => json!(set.as_slice()),
        Value::Map(entries) => {
            let name = |key: &Value| key.as_text().map_or_else(|| key.to_string(), String::from);
            let entries = entries.iter().map(|(key, value)| (name(key), as_json(value)));
            Json::Object(entries.collect())
        }
    }
}

fn write(
    folder: &Path,
    (node, runtime): (&str, Option<&AnyRuntime>),
    state: &Json,
) -> Result<PathBuf, StoreError> {
    let mut text = serde_json::to_vec_pretty(state).unwrap_or_default();
    if text.len() > BYTES_MAX {
        let parts = runtime.and_then(|runtime| state[runtime.name()].as_object());
        let parts = parts.into_iter().flatten();
        let sizes: Vec<(Name, usize)> =
            parts.map(|(name, part)| (name.as_str().into(), part.to_string().len())).collect();
        let sizes: Vec<Json> = sizes.iter().map(|(name, n)| json!([&**name, n])).collect();
        let cut =
            json!({ "node": node, "error": "too large", "bytes": text.len(), "parts": sizes });
        text = serde_json::to_vec_pretty(&cut).unwrap_or_default();
    }
    text.push(b'\n');
    crate::store::write_into(folder, &format!("{}.json", file_name(node)), &text)
}
