//! Our own Erlang modules, loaded into nodes that know nothing of them.

use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::args;
use crate::beam::{
    AGENT_MODULE, AGENT_SOURCE, ANNOUNCER_MODULE, ANNOUNCER_SOURCE, Atom, Connection,
    SAMPLER_MODULE, SAMPLER_SOURCE,
};
use crate::error::Error;
use crate::node::Node;
use crate::provision::{ProvisionError, Runtime};

/// The module of the faults that act inside of a node.
pub(crate) const FAULT_MODULE: &str = "fuzz_dist_fault";
const FAULT_SOURCE: &str = include_str!("../../agent/fuzz_dist_fault.erl");

/// The module that says in which state a node is.
pub(crate) const STATE_MODULE: &str = "fuzz_dist_state";
const STATE_SOURCE: &str = include_str!("../../agent/fuzz_dist_state.erl");

const SOURCES: [(&str, &str); 5] = [
    (AGENT_MODULE, AGENT_SOURCE),
    (ANNOUNCER_MODULE, ANNOUNCER_SOURCE),
    (SAMPLER_MODULE, SAMPLER_SOURCE),
    (FAULT_MODULE, FAULT_SOURCE),
    (STATE_MODULE, STATE_SOURCE),
];

/// The compiled forms, in the order of [`SOURCES`].
static COMPILED: OnceCell<Vec<Arc<[u8]>>> = OnceCell::const_new();

/// Compiles all modules, or finds them compiled, so that nodes can be given them at once when they
/// are up.
///
/// # Errors
///
/// Where there is no runtime to be had, or its compiler refuses.
pub(crate) async fn prepare() -> Result<(), Error> {
    let compiling = || async { tokio::task::spawn_blocking(compile).await? };
    COMPILED.get_or_try_init(compiling).await.map(drop)
}

/// Waits until there is a runtime to compile with: it may have to be fetched, once. Where there is
/// none, [`compiled`] says so.
pub(crate) async fn runtime() {
    let _ = tokio::task::spawn_blocking(Runtime::find_or_fetch).await;
}

/// The compiled form of one of our modules.
///
/// # Errors
///
/// As for [`prepare`].
pub(crate) async fn compiled(module: &str) -> Result<Arc<[u8]>, Error> {
    prepare().await?;
    let at = SOURCES.iter().position(|(name, _)| *name == module);
    let compiled = COMPILED.get().zip(at).map(|(all, at)| all[at].clone());
    compiled.ok_or_else(|| Error::usage(format!("`{module}` is no module of this library")))
}

fn compile() -> Result<Vec<Arc<[u8]>>, Error> {
    let runtime = Runtime::find_or_fetch().map_err(ProvisionError::explained)?;
    runtime.modules(&SOURCES).map_err(Error::setup)
}

impl Node {
    /// The control connection of this node, with one of our modules loaded there.
    ///
    /// # Errors
    ///
    /// When the node cannot be reached or refuses the module.
    pub(crate) async fn control_with(&self, module: &str) -> Result<Connection, Error> {
        let reaching = || format!("reaching the Erlang node on {}", self.name());
        let failed = |e| Error::environment(e).context(reaching());
        let control = self.control().await.map_err(failed)?;
        let loaded: bool = control
            .call("erlang", "module_loaded", args![Atom::from(module)])
            .await
            .map_err(failed)?;
        if !loaded {
            let beam = compiled(module).await?;
            control.load_binary(module, &beam).await.map_err(failed)?;
        }
        Ok(control)
    }
}
