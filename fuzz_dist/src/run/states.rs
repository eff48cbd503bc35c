//! The state of all nodes at one moment, kept in the store as `state/n1.json` and so on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::task::JoinSet;

use super::live::Live;
use crate::args;
use crate::beam::Term;
use crate::node::{Node, modules};
use crate::op::{Name, Value};
use crate::store::{StoreError, file_name};
use crate::time::Time;

/// How long a node may take to say everything, and how long all of it may take.
const NODE_LIMIT_MS: i64 = 3000;
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
            let (node, folder) = (node.clone(), folder.clone());
            asking.spawn(async move {
                let state = state(&node, now).await;
                let _stands_still = node.clock().hold();
                tokio::task::spawn_blocking({
                    let node = node.clone();
                    move || write(&folder, node.name(), &state)
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
async fn state(node: &Node, now: Time) -> Json {
    let (processes, erlang) = tokio::join!(
        node.clock().timeout(LIMIT, processes(node)),
        node.clock().timeout(LIMIT, erlang(node)),
    );
    let late = |_| json!({ "error": format!("no answer within {LIMIT:?}") });
    json!({
        "node": node.name(),
        "time_ns": now.0,
        "running": node.is_running(),
        "processes": processes.unwrap_or_else(late),
        "erlang": erlang.unwrap_or_else(|e| Some(late(e))),
    })
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

/// What the Erlang node says of itself, where there is one.
async fn erlang(node: &Node) -> Option<Json> {
    node.erlang_name()?;
    let asked = async {
        let control = node.control_with(modules::STATE_MODULE).await?;
        let state: Term = control
            .call(modules::STATE_MODULE, "collect", args![NODE_LIMIT_MS])
            .await
            .map_err(crate::error::Error::environment)?;
        Ok::<Json, crate::error::Error>(as_json(&Value::from(&state)))
    };
    Some(asked.await.unwrap_or_else(|error| json!({ "error": error.to_string() })))
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

fn write(folder: &Path, node: &str, state: &Json) -> Result<PathBuf, StoreError> {
    let mut text = serde_json::to_vec_pretty(state).unwrap_or_default();
    if text.len() > BYTES_MAX {
        let parts = state["erlang"].as_object().into_iter().flatten();
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
