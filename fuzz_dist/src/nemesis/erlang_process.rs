//! Faults of single Erlang processes: one that has a name is killed, or stands still for a while.

use std::time::Duration;

use super::erlang::{control, erlang_nodes};
use super::{Check, Fault, Nemesis, Plan, Targets};
use crate::args;
use crate::beam::{Atom, Connection, Down, Term, charlist};
use crate::error::Error;
use crate::history::FaultStatus;
use crate::node::Node;
use crate::op::{Name, Value};
use crate::random::Stream;

/// How long a killed process may take to end.
const END_LIMIT: Duration = Duration::from_secs(2);

/// Kills the process that is registered under this name on one random node, with
/// `exit(Pid, kill)`. Starting it again is its supervisor's work.
///
/// Finds: state that only that process had, supervisors that give up, callers that wait for ever.
pub fn kill_process(name: impl Into<Name>) -> Nemesis {
    KillProcessFault(name.into()).into()
}

/// Suspends the process that is registered under this name on one random node, and lets it go on
/// at the end.
///
/// Finds: requests that are executed after their caller has given up, leases that outlive a pause
/// of who holds them. It goes on by itself when the harness is gone for ten minutes.
pub fn suspend_process(name: impl Into<Name>) -> Nemesis {
    SuspendProcessFault(name.into()).into()
}

/// See [`kill_process`].
#[derive(Clone, Debug)]
pub struct KillProcessFault(pub Name);

/// See [`suspend_process`].
#[derive(Clone, Debug)]
pub struct SuspendProcessFault(pub Name);

fn one_node(fault: &str, name: &str, t: Targets<'_>, random: &mut Stream) -> Result<Plan, Error> {
    let nodes = erlang_nodes(t, fault, 1)?;
    let node = nodes[random.index(nodes.len())];
    let shape = format!("{name} on {}", node.name());
    Ok(Plan { shape, nodes: vec![node.id()], ..Plan::default() })
}

fn hit<'a>(targets: Targets<'a>, plan: &Plan) -> &'a Node {
    targets.cluster.node(plan.nodes[0])
}

/// Who is registered under the name now.
async fn whereis(node: &Connection, name: &str) -> Result<Term, Error> {
    node.call("erlang", "whereis", args![Atom::from(name)]).await.map_err(Error::environment)
}

fn nobody(name: &str) -> Check {
    Check::seen(false, format!("nobody is registered as `{name}`"))
}

impl Fault for KillProcessFault {
    fn name(&self) -> Name {
        "kill_process".into()
    }

    fn lasts(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<Plan, Error> {
        one_node("kill_process", &self.0, targets, random)
    }

    async fn start(&self, targets: Targets<'_>, plan: &Plan) -> Result<Check, Error> {
        let node = control(hit(targets, plan)).await?;
        let pid = whereis(&node, &self.0).await?;
        let Term::Pid(victim) = &pid else { return Ok(nobody(&self.0)) };
        let mut watch = node.monitor((**victim).clone()).await.map_err(Error::environment)?;
        let _: bool = node
            .call("erlang", "exit", args![pid.clone(), Atom::from("kill")])
            .await
            .map_err(Error::environment)?;
        let down = tokio::time::timeout(END_LIMIT, watch.down()).await;
        let (ended, told) = match down {
            Ok(Down::Ended(reason)) => (true, format!("{pid} ended: {reason}")),
            Ok(Down::Disconnected(reason)) => (false, format!("not seen: {reason}")),
            Err(_) => (false, format!("{pid} did not end within {END_LIMIT:?}")),
        };
        Ok(Check::seen(ended, told))
    }

    /// Over as it began: whether somebody has that name again is the application's work.
    async fn stop(&self, targets: Targets<'_>, plan: &Plan) -> Result<Check, Error> {
        let now = match control(hit(targets, plan)).await {
            Ok(node) => whereis(&node, &self.0).await.map(|pid| pid.to_string()),
            Err(e) => Err(e),
        };
        let evidence = Value::map([
            ("registered", Value::from(now.unwrap_or_else(|e| e.to_string()))),
            ("restarts", "its supervisor".into()),
        ]);
        Ok(Check { status: FaultStatus::Installed, evidence })
    }
}

impl SuspendProcessFault {
    /// The process that holds the other one: it is suspended for as long as that lives.
    fn holder(&self) -> String {
        format!("fuzz_dist_holds_{}", self.0)
    }
}

/// `process_info(Pid, status)`, as `suspended`, `waiting`, …; `undefined` for one that has ended.
async fn status(node: &Connection, pid: &Term) -> Result<String, Error> {
    let info: Term = node
        .call("erlang", "process_info", args![pid.clone(), Atom::from("status")])
        .await
        .map_err(Error::environment)?;
    Ok(info.as_tuple().and_then(|t| t.get(1)).unwrap_or(&info).to_string())
}

/// Evaluates Erlang expressions on the node; no compiler is needed there.
async fn evaluate(node: &Connection, expressions: &str) -> Result<Term, Error> {
    let bad = |what: &str, term: &Term| Error::environment(format!("{what}: {term}"));
    let scanned: Term = node
        .call("erl_scan", "string", args![charlist(expressions)])
        .await
        .map_err(Error::environment)?;
    let Some([_, tokens, _]) = scanned.as_tuple() else {
        return Err(bad("the expression was not read", &scanned));
    };
    let parsed: Term = node
        .call("erl_parse", "parse_exprs", args![tokens.clone()])
        .await
        .map_err(Error::environment)?;
    let Some([_, forms @ Term::List(_)]) = parsed.as_tuple() else {
        return Err(bad("the expression was not understood", &parsed));
    };
    let value: Term = node
        .call("erl_eval", "exprs", args![forms.clone(), Vec::<Term>::new()])
        .await
        .map_err(Error::environment)?;
    match value.as_tuple() {
        Some([_, value, _]) => Ok(value.clone()),
        _ => Err(bad("the expression had no value", &value)),
    }
}

impl Fault for SuspendProcessFault {
    fn name(&self) -> Name {
        "suspend_process".into()
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<Plan, Error> {
        one_node("suspend_process", &self.0, targets, random)
    }

    async fn start(&self, targets: Targets<'_>, plan: &Plan) -> Result<Check, Error> {
        let node = control(hit(targets, plan)).await?;
        let pid = whereis(&node, &self.0).await?;
        let Term::Pid(_) = &pid else { return Ok(nobody(&self.0)) };
        let (holder, name) = (Atom::from(self.holder()), Atom::from(&*self.0));
        let (holder, name) = (Term::Atom(holder).to_string(), Term::Atom(name).to_string());
        let held = evaluate(
            &node,
            &format!(
                "Held = whereis({name}), Caller = self(), \
                 Holder = spawn(fun() -> register({holder}, self()), \
                     erlang:suspend_process(Held), Caller ! {{self(), held}}, \
                     receive resume -> ok after 600000 -> ok end end), \
                 receive {{Holder, held}} -> Held after 2000 -> exit(Holder, kill), late end."
            ),
        )
        .await?;
        let status = status(&node, &held).await?;
        Ok(Check::seen(status == "suspended", format!("{held} is {status}")))
    }

    async fn stop(&self, targets: Targets<'_>, plan: &Plan) -> Result<Check, Error> {
        let hit = hit(targets, plan);
        if !hit.is_running() {
            return Ok(Check { status: FaultStatus::Installed, evidence: "not running".into() });
        }
        let node = control(hit).await?;
        let holder = whereis(&node, &self.holder()).await?;
        if let Term::Pid(_) = &holder {
            let _: bool = node
                .call("erlang", "exit", args![holder, Atom::from("kill")])
                .await
                .map_err(Error::environment)?;
        }
        let pid = whereis(&node, &self.0).await?;
        let Term::Pid(_) = &pid else {
            return Ok(Check { status: FaultStatus::Installed, evidence: "it has ended".into() });
        };
        // The holder's end reaches the other process a moment later.
        let going = || async {
            match status(&node, &pid).await?.as_str() {
                "suspended" => Err(Error::environment(format!("{pid} is suspended"))),
                other => Ok(format!("{pid} is {other}")),
            }
        };
        let going = crate::node::wait_until("the process to go on", END_LIMIT, going).await;
        let evidence = going.as_ref().map_or_else(ToString::to_string, Clone::clone);
        Ok(Check::seen(going.is_ok(), evidence))
    }
}
