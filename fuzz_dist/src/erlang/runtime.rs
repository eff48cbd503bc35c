//! The BEAM as a [`Runtime`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::modules;
use crate::args;
use crate::beam::follow::Distribution;
use crate::beam::{
    AGENT_MODULE, ANNOUNCER_MODULE, Agent, Announcer, SAMPLER_MODULE, Sampler, Term,
};
use crate::env::wire::Protocol;
use crate::error::Error;
use crate::node::{BoxFuture, Node};
use crate::op::Value;
use crate::provision;
use crate::runtime::{
    Announcement, AnyRuntime, NodeAnnouncer, NodeObserver, NodeSampler, Report, Runtime, Sample,
};

/// Words for the virtual machine, put before those of whatever script starts it.
const ERL_AFLAGS: &str = "ERL_AFLAGS";

/// The same, put after all others, so that they have the last word.
const ERL_ZFLAGS: &str = "ERL_ZFLAGS";

/// Erlang's virtual machine, whose nodes speak the Erlang distribution protocol.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beam;

/// The BEAM, as databases name it.
pub fn beam() -> AnyRuntime {
    Arc::new(Beam)
}

impl Runtime for Beam {
    fn name(&self) -> &'static str {
        "erlang"
    }

    fn protocol(&self) -> Option<Arc<dyn Protocol>> {
        Some(Arc::new(Distribution))
    }

    fn prepare(&self) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(modules::prepare())
    }

    fn fetch(&self) -> BoxFuture<'static, ()> {
        Box::pin(modules::runtime())
    }

    fn runs_on(&self, node: &Node) -> bool {
        node.erlang_name().is_some()
    }

    fn peer_name(&self, node: &Node) -> Option<String> {
        node.erlang_name()
    }

    fn set(&self, node: &Node, setting: &str, value: &str) {
        node.with_variable(ERL_AFLAGS, format!("-kernel {setting} {value}"));
    }

    fn one_at_a_time(&self, node: &Node) {
        node.with_variable(ERL_ZFLAGS, "+S 1:1 +SDcpu 1:1 +SDio 1 +A 1");
    }

    fn observe<'a>(
        &'a self,
        node: &'a Node,
    ) -> BoxFuture<'a, Result<Box<dyn NodeObserver>, Error>> {
        Box::pin(async move {
            let control = node.control().await.map_err(Error::environment)?;
            let module = modules::compiled(AGENT_MODULE).await?;
            let agent = Agent::start(&control, &module).await.map_err(Error::environment)?;
            Ok(Box::new(Observer { agent, node: node.name().into() }) as _)
        })
    }

    fn sample<'a>(
        &'a self,
        node: &'a Node,
        every: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn NodeSampler>, Error>> {
        Box::pin(async move {
            let control = node.control().await.map_err(Error::environment)?;
            let module = modules::compiled(SAMPLER_MODULE).await?;
            let sampler = Sampler::start(&control, &module, every).await;
            Ok(Box::new(sampler.map_err(Error::environment)?) as _)
        })
    }

    fn announce<'a>(
        &'a self,
        node: &'a Node,
        trace: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn NodeAnnouncer>, Error>> {
        Box::pin(async move {
            let control = node.control().await.map_err(Error::environment)?;
            let module = modules::compiled(ANNOUNCER_MODULE).await?;
            let announcer = Announcer::start(&control, &module, trace).await;
            Ok(Box::new(announcer.map_err(Error::environment)?) as _)
        })
    }

    fn state<'a>(&'a self, node: &'a Node, limit: Duration) -> BoxFuture<'a, Result<Value, Error>> {
        Box::pin(async move {
            let control = node.control_with(modules::STATE_MODULE).await?;
            let limit_ms = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
            let asked = control.call(modules::STATE_MODULE, "collect", args![limit_ms]);
            let state: Term = asked.await.map_err(Error::environment)?;
            Ok(Value::from(&state))
        })
    }
}

/// An agent in a node of this name.
struct Observer {
    agent: Agent,
    node: String,
}

impl NodeObserver for Observer {
    fn facts(&self) -> &BTreeMap<String, String> {
        self.agent.facts()
    }

    fn remarks(&self) -> Vec<String> {
        let facts = self.agent.facts();
        let owned = facts.get("system_monitor").is_some_and(|owner| owner == "owned");
        let owned = owned.then(|| {
            format!(
                "system_monitor on {} belongs to the application and was left to it: no long \
                 collections or blocked senders are reported of that node",
                self.node
            )
        });
        let release = facts.get("otp_release").and_then(|release| release.parse().ok());
        owned.into_iter().chain(release.and_then(provision::Runtime::untried)).collect()
    }

    fn next(&mut self) -> BoxFuture<'_, Option<Report>> {
        Box::pin(self.agent.next())
    }
}

impl NodeSampler for Sampler {
    fn next(&mut self) -> BoxFuture<'_, Option<Sample>> {
        Box::pin(Sampler::next(self))
    }
}

impl NodeAnnouncer for Announcer {
    fn announce<'a>(&'a mut self, batch: &'a [Announcement]) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { self.announce(batch).await.map_err(Error::environment) })
    }
}
