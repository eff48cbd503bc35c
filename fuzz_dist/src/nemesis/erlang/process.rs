//! Faults of single Erlang processes: one that has a name is killed, or stands still for a while.

use std::time::Duration;

use super::super::{Check, Fault, Hit, Nemesis, Targets};
use super::kept::{self, Kept, KeptFault, Numbered};
use super::{control, hit, one_node};
use crate::args;
use crate::beam::{Atom, Connection, Down, Term};
use crate::error::Error;
use crate::op::{Name, Value};
use crate::random::Stream;

/// How long a killed process may take to end.
const END_LIMIT: Duration = Duration::from_secs(2);

/// Kills the process that is registered under this name on one random node, with
/// `exit(Pid, kill)`. Starting it again is its supervisor's work. Elixir's names are as in its code,
/// `"Shop.Cart"`.
///
/// Finds: state that only that process had, supervisors that give up, callers that wait for ever.
pub fn kill_process(name: impl Into<Name>) -> Nemesis {
    KillProcessFault(name.into()).into()
}

/// Kills a random worker of a random supervisor on one random node, with `exit(Pid, kill)`: of any
/// supervisor that does not belong to the `kernel` application. Starting it again is its work.
///
/// Needs supervisors. Finds what [`kill_process`] finds, without naming anybody.
#[fuzz_dist::nemesis("kill_child")]
pub fn kill_child() -> Nemesis {
    KillChildFault.into()
}

/// Suspends the process that is registered under this name on one random node, and lets it go on
/// at the end. Elixir's names are as in its code, `"Shop.Cart"`.
///
/// Finds: requests that are executed after their caller has given up, leases that outlive a pause
/// of who holds them. It goes on when the harness is gone.
pub fn suspend_process(name: impl Into<Name>) -> Nemesis {
    Nemesis::of(KeptFault(SuspendProcessFault(name.into())))
}

/// See [`kill_process`].
#[derive(Clone, Debug)]
pub struct KillProcessFault(pub Name);

/// See [`kill_child`].
#[derive(Clone, Copy, Debug)]
pub struct KillChildFault;

/// See [`suspend_process`].
#[derive(Clone, Debug)]
struct SuspendProcessFault(pub Name);

/// Who is registered under the name now.
async fn whereis(node: &Connection, name: &str) -> Result<Term, Error> {
    node.call("erlang", "whereis", args![Atom::of_name(name)]).await.map_err(Error::environment)
}

fn nobody(name: &str) -> Check {
    Check::seen(false, format!("no process is registered as {}", Atom::of_name(name)))
}

impl Fault for KillProcessFault {
    type Plan = Hit;

    fn name(&self) -> Name {
        "kill_process".into()
    }

    fn lasts(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<Hit, Error> {
        one_node("kill_process", &self.0, targets, random)
    }

    async fn start(&self, targets: Targets<'_>, plan: &Hit) -> Result<Check, Error> {
        let node = control(&hit(targets, plan)).await?;
        let pid = whereis(&node, &self.0).await?;
        let Term::Pid(victim) = &pid else { return Ok(nobody(&self.0)) };
        let mut watch = node.monitor((**victim).clone()).await.map_err(Error::environment)?;
        let _: bool = node
            .call("erlang", "exit", args![pid.clone(), Atom::from("kill")])
            .await
            .map_err(Error::environment)?;
        let down = targets.cluster.clock().timeout(END_LIMIT, watch.down()).await;
        let (ended, evidence) = match down {
            Ok(Down::Ended(reason)) => (true, format!("{pid} ended: {reason}")),
            Ok(Down::Disconnected(reason)) => (false, format!("not seen: {reason}")),
            Err(_) => (false, format!("{pid} did not end within {END_LIMIT:?}")),
        };
        Ok(Check::seen(ended, evidence))
    }

    /// Over as it began: whether somebody has that name again is the application's work.
    async fn stop(&self, targets: Targets<'_>, plan: &Hit) -> Result<Check, Error> {
        let now = match control(&hit(targets, plan)).await {
            Ok(node) => whereis(&node, &self.0).await.map(|pid| pid.to_string()),
            Err(e) => Err(e),
        };
        let evidence = Value::map([
            ("registered", Value::from(now.unwrap_or_else(|e| e.to_string()))),
            ("restarts", "its supervisor".into()),
        ]);
        Ok(Check::seen(true, evidence))
    }
}

impl Fault for KillChildFault {
    type Plan = Numbered;

    fn name(&self) -> Name {
        "kill_child".into()
    }

    fn lasts(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<Numbered, Error> {
        Ok(kept::numbered(one_node("kill_child", "", targets, random)?, random))
    }

    async fn start(&self, targets: Targets<'_>, plan: &Numbered) -> Result<Check, Error> {
        kept::call(&hit(targets, &plan.hit), "kill_child", args![plan.number]).await
    }

    /// Over as it began: its supervisor starts it again, or gives up.
    async fn stop(&self, _: Targets<'_>, _: &Numbered) -> Result<Check, Error> {
        let evidence = Value::map([("restarts", "its supervisor".into())]);
        Ok(Check::seen(true, evidence))
    }
}

impl Kept for SuspendProcessFault {
    const NAME: &'static str = "suspend_process";

    fn what(&self) -> String {
        self.0.to_string()
    }

    fn arguments(&self) -> Vec<Term> {
        vec![Atom::of_name(&self.0).into()]
    }
}
