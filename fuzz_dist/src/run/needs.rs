//! What the parts of a test need of their environment: refused by name before anything starts.

use super::options::{Effective, Heal, Timing};
use crate::db::AnyDb;
use crate::env::{Capabilities, Facet, Folder, HostSpec, Provider};
use crate::error::Error;
use crate::nemesis::{Lane, Nemesis};

/// What a test's environment is able to do.
#[derive(Clone, Debug)]
pub(super) struct Able {
    env: String,
    capabilities: Capabilities,
}

impl Able {
    /// What those of a provider are.
    pub(super) fn of(provider: &dyn Provider) -> Able {
        Able { env: provider.name().into(), capabilities: provider.capabilities() }
    }

    /// Those of an environment that is able to do everything.
    #[cfg(test)]
    pub(super) fn everything() -> Able {
        Able { env: "one host".into(), capabilities: Capabilities::all() }
    }

    /// Has the environment what all faults of a nemesis need?
    ///
    /// # Errors
    ///
    /// A usage error with the fault, the facet, the environment, and what to do.
    pub(super) fn nemesis(&self, nemesis: &Nemesis) -> Result<(), Error> {
        for fault in nemesis.lanes().iter().flat_map(Lane::faults) {
            let who = || format!("nemesis `{}`", fault.name());
            fault.needs().into_iter().try_for_each(|facet| self.has(facet, who, "nemesis"))?;
        }
        Ok(())
    }

    /// The same of a database and its hosts.
    ///
    /// # Errors
    ///
    /// As for a nemesis.
    pub(super) fn db(&self, db: &AnyDb, hosts: &[HostSpec]) -> Result<(), Error> {
        let folders = hosts.iter().flat_map(|host| &host.folders);
        let own_files = folders.into_iter().any(Folder::needs_own_files);
        let facets = db.needs().into_iter().chain(own_files.then_some(Facet::OwnFiles));
        let who = || format!("db `{}`", db.name());
        facets.into_iter().try_for_each(|facet| self.has(facet, who, "db"))
    }

    /// The same of a test's options.
    ///
    /// # Errors
    ///
    /// As for a nemesis.
    pub(super) fn options(&self, options: &Effective) -> Result<(), Error> {
        let is_real = options.time == Timing::Real;
        // Heals in simulated time are prompt by themselves.
        let is_prompt = is_real && options.heal == Heal::Prompt;
        let needed = [
            (options.wire, Facet::Wire, "`wire = true`"),
            (is_prompt, Facet::PromptHeal, "`heal = \"prompt\"`"),
            (!is_real, Facet::SimulatedTime, "`time`"),
        ];
        let needed = needed.into_iter().filter(|(said, ..)| *said);
        needed.into_iter().try_for_each(|(_, facet, who)| {
            self.has(facet, || format!("option {who}"), "value of the option")
        })
    }

    /// Can hosts join and leave?
    ///
    /// # Errors
    ///
    /// As for a nemesis.
    pub(super) fn membership(&self) -> Result<(), Error> {
        self.has(Facet::Membership, || "a change of the cluster's members".into(), "test")
    }

    fn has(&self, facet: Facet, who: impl Fn() -> String, kind: &str) -> Result<(), Error> {
        if self.capabilities.has(facet) {
            return Ok(());
        }
        Err(Error::usage(format!(
            "{} needs {facet}, which the environment `{}` does not have; use another `env`, or a {kind} \
             that does without it",
            who(),
            self.env
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::db::Db;
    use crate::env::Folder;
    use crate::error::ErrorKind;
    use crate::nemesis::{
        Check, Fault, Hit, Targets, at, custom, cut_at_tick, kill, majority_ring, membership,
        one_way, pause, restart_after,
    };
    use crate::node::Node;
    use crate::op::Name;
    use crate::random::Stream;
    use crate::run::options::Options;
    use crate::run::overrides::Overrides;

    fn without(facet: Facet) -> Able {
        Able { env: "shed".into(), capabilities: Capabilities::all().without(facet) }
    }

    /// It is refused without each of these facets, by name, and has what it needs with all others.
    #[track_caller]
    fn needs(facets: &[Facet], who: &str, of: impl Fn(&Able) -> Result<(), Error>) {
        for facet in Facet::ALL {
            let found = of(&without(facet));
            if !facets.contains(&facet) {
                found.unwrap();
                continue;
            }
            let error = found.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            let text = error.to_string();
            for part in [who, &facet.to_string(), "environment `shed`", "use another `env`"] {
                assert!(text.contains(part), "no {part:?} in {text:?}");
            }
        }
    }

    /// A part of a test that needs one facet.
    struct Needs(Facet);

    impl Fault for Needs {
        type Plan = Hit;
        fn name(&self) -> Name {
            "needs".into()
        }
        fn needs(&self) -> Vec<Facet> {
            vec![self.0]
        }
        fn plan(&self, _: Targets<'_>, _: &mut Stream) -> Result<Hit, Error> {
            Ok(Hit::default())
        }
        async fn start(&self, _: Targets<'_>, _: &Hit) -> Result<Check, Error> {
            Ok(Check::seen(true, ""))
        }
        async fn stop(&self, _: Targets<'_>, _: &Hit) -> Result<Check, Error> {
            Ok(Check::seen(true, ""))
        }
    }

    impl Db for Needs {
        fn name(&self) -> Name {
            "needs".into()
        }
        fn needs(&self) -> Vec<Facet> {
            vec![self.0]
        }
        async fn start(&self, _: &Node) -> Result<(), Error> {
            Ok(())
        }
        async fn ready(&self, _: &Node) -> Result<(), Error> {
            Ok(())
        }
    }

    #[test]
    fn every_facet_is_asked_for_by_name() {
        for facet in Facet::ALL {
            let nemesis = Nemesis::of(Needs(facet));
            needs(&[facet], "nemesis `needs`", |able| able.nemesis(&nemesis));
            let second = kill().after_nodedown(Nemesis::of(Needs(facet)));
            needs(&[facet], "nemesis `needs`", |able| able.nemesis(&second));
            let db: AnyDb = Arc::new(Needs(facet));
            needs(&[facet], "db `needs`", |able| able.db(&db, &[]));
        }
    }

    #[test]
    fn faults_say_what_they_need() {
        use crate::env::wire::{cut, tick};
        use crate::grudge::Grudge;
        let check = |nemesis: Nemesis, facets: &[Facet]| {
            let who = format!("nemesis `{}`", nemesis.name());
            needs(facets, &who, |able| able.nemesis(&nemesis));
        };
        check(Nemesis::none(), &[]);
        check(kill(), &[]);
        check(pause(), &[Facet::Pause]);
        check(majority_ring(), &[Facet::Links]);
        check(restart_after(majority_ring()), &[Facet::Links]);
        check(one_way(), &[Facet::Links, Facet::OneWayLinks]);
        check(custom(Grudge::none(3).cut_both(0, 1)), &[Facet::Links]);
        check(custom(Grudge::none(3).cut(0, 1)), &[Facet::Links, Facet::OneWayLinks]);
        check(cut_at_tick(), &[Facet::Wire]);
        check(at(tick(1), cut()), &[Facet::Wire]);
        check(membership(), &[Facet::Membership]);
        let who = "a change of the cluster's members";
        needs(&[Facet::Membership], who, |able| able.membership());
    }

    #[test]
    fn databases_say_what_they_need_of_their_hosts() {
        let check = |folder: Folder, facets: &[Facet]| {
            let (db, host): (AnyDb, _) = (Arc::new(Needs(Facet::Pause)), HostSpec::node("n1"));
            let hosts = [host.folder(folder)];
            let facets = [&[Facet::Pause], facets].concat();
            needs(&facets, "db `needs`", |able| able.db(&db, &hosts));
        };
        check(Folder::in_place("/usr"), &[]);
        check(Folder::own_copy("/usr/lib/shop", "shop"), &[]);
        check(Folder::read_only("/usr/lib/shop", "/srv/shop"), &[Facet::OwnFiles]);
        check(Folder::own_copy("/usr/lib/shop", "/usr/lib/shop"), &[Facet::OwnFiles]);
    }

    #[test]
    fn options_say_what_they_need() {
        let check = |options: Options, who: &str, facets: &[Facet]| {
            let effective = options.effective(&Overrides::default()).unwrap();
            needs(facets, who, |able| able.options(&effective));
        };
        check(Options::default(), "", &[]);
        let wire = Options { wire: Some(true), ..Options::default() };
        check(wire, "option `wire = true`", &[Facet::Wire]);
        let prompt = Options { heal: Some(Heal::Prompt), ..Options::default() };
        check(prompt, "option `heal = \"prompt\"`", &[Facet::PromptHeal]);
        let simulated = Options { time: Some(Timing::Simulated), ..Options::default() };
        check(simulated, "option `time`", &[Facet::SimulatedTime]);
    }
}
