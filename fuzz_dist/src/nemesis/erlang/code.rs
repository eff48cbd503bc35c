//! Faults of loaded code.

use std::time::Duration;

use super::super::{Check, Fault, Hit, Nemesis, Targets};
use super::{control, hit, kept, one_node};
use crate::args;
use crate::beam::{Atom, Term};
use crate::error::Error;
use crate::op::{Name, Value};
use crate::random::Stream;

/// Loads a module anew on one random node and purges its former code, as two upgrades in a row do:
/// processes that linger in the former code are killed, functions that were made there are gone.
///
/// Needs the module's compiled file where the node finds it. Elixir's names are as in its code,
/// `"Shop.Cart"`. Finds: loops that never leave their
/// version of the code, callbacks kept in states and tables.
pub fn purge_module(module: impl Into<Name>) -> Nemesis {
    PurgeModuleFault(module.into()).into()
}

/// See [`purge_module`].
#[derive(Clone, Debug)]
pub struct PurgeModuleFault(pub Name);

impl Fault for PurgeModuleFault {
    type Plan = Hit;

    fn name(&self) -> Name {
        "purge_module".into()
    }

    fn lasts(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<Hit, Error> {
        one_node("purge_module", &self.0, targets, random)
    }

    async fn start(&self, targets: Targets<'_>, plan: &Hit) -> Result<Check, Error> {
        kept::call(&hit(targets, plan), "purge_module", args![Atom::of_name(&self.0)]).await
    }

    /// Over as it began: the new code is there. Who was killed is the application's to start again.
    async fn stop(&self, targets: Targets<'_>, plan: &Hit) -> Result<Check, Error> {
        let loaded = match control(&hit(targets, plan)).await {
            Ok(node) => {
                let loaded = node.call("code", "is_loaded", args![Atom::of_name(&self.0)]);
                loaded.await.map_or_else(|e| e.to_string(), |file: Term| file.to_string())
            }
            Err(e) => e.to_string(),
        };
        let evidence = Value::map([("loaded", loaded.into())]);
        Ok(Check::seen(true, evidence))
    }
}
