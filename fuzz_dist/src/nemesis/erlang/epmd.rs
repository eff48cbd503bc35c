//! The port mapper gone: nobody can make new connections to that node.

use std::time::Duration;

use super::super::{Check, Fault, Hit, Nemesis, Targets};
use super::{control, hit, one_node};
use crate::args;
use crate::beam::{Term, charlist};
use crate::env::Signal;
use crate::error::Error;
use crate::node::wait_until;
use crate::op::Name;
use crate::random::Stream;

/// The usual port of epmd.
const EPMD_PORT: u16 = 4369;
/// How long a port mapper may take to be gone, or to be back with its node registered: nodes try
/// again every two seconds.
const EPMD_LIMIT: Duration = Duration::from_secs(15);

/// Kills the port mapper of one random node (SIGKILL) and starts another one at the end.
///
/// Connections live on, but nobody can make new ones to that node. Finds: clusters that cannot heal
/// after a partition although the network can.
#[fuzz_dist::nemesis("kill_epmd")]
pub fn kill_epmd() -> Nemesis {
    KillEpmdFault.into()
}

/// See [`kill_epmd`].
#[derive(Clone, Copy, Debug)]
pub struct KillEpmdFault;

impl Fault for KillEpmdFault {
    type Plan = Hit;

    fn name(&self) -> Name {
        "kill_epmd".into()
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<Hit, Error> {
        one_node("kill_epmd", "", targets, random)
    }

    async fn start(&self, targets: Targets<'_>, plan: &Hit) -> Result<Check, Error> {
        let node = hit(targets, plan);
        // The connection over which another one is started has to be there before.
        control(&node).await?;
        let mappers: Vec<_> =
            node.processes().into_iter().filter(|process| process.name() == "epmd").collect();
        let Some(epmd) = mappers.first() else {
            let evidence = "the database started no process of the name `epmd` on this node";
            return Ok(Check::seen(false, evidence));
        };
        epmd.kill(Signal::Kill).await.map_err(Error::environment)?;
        let refused = || async {
            match node.connect(EPMD_PORT).await {
                Ok(_) => Err(Error::environment("epmd still answers")),
                Err(e) => Ok(e.to_string()),
            }
        };
        let refused = wait_until(node.clock(), "the end of epmd", EPMD_LIMIT, refused).await;
        let evidence = refused.as_ref().map_or_else(ToString::to_string, Clone::clone);
        Ok(Check::seen(refused.is_ok(), evidence))
    }

    async fn stop(&self, targets: Targets<'_>, plan: &Hit) -> Result<Check, Error> {
        let node = hit(targets, plan);
        if !node.is_running() {
            // Killed by another fault, whose end starts everything again.
            return Ok(Check::seen(true, "not running"));
        }
        let control = control(&node).await?;
        if node.connect(EPMD_PORT).await.is_err() {
            let bin: Term = control
                .call("os", "getenv", args![charlist("BINDIR")])
                .await
                .map_err(Error::environment)?;
            let bin = bin.as_text().unwrap_or_default();
            let start = format!("'{bin}/epmd' -daemon");
            let _: Term = control
                .call("os", "cmd", args![charlist(&start)])
                .await
                .map_err(Error::environment)?;
        }
        let name = node.erlang_name().unwrap_or_default();
        let own = name.split('@').next().unwrap_or_default();
        let registered = || async {
            let names: Term = control
                .call("erl_epmd", "names", args![charlist("localhost")])
                .await
                .map_err(Error::environment)?;
            match names.to_string().contains(&format!("\"{own}\"")) {
                // The ports there are others in every run.
                true => Ok(format!("{own} is registered")),
                false => Err(Error::environment(format!("{own} is not registered"))),
            }
        };
        let what = "the node in its new port mapper";
        let back = wait_until(node.clock(), what, EPMD_LIMIT, registered).await;
        let evidence = back.as_ref().map_or_else(ToString::to_string, Clone::clone);
        Ok(Check::seen(back.is_ok(), evidence))
    }
}
