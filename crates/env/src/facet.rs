//! Facets: what some environments can do and others cannot, and which of them a provider has.

use std::collections::BTreeSet;
use std::fmt;

use super::{BoxFuture, Error, HostId, HostSpec, LinkCounters, LinkMatrix};

/// Something that an environment may be able to do beyond hosts, processes, files, sockets and logs.
///
/// Faults, databases and options name the facets that they need; what the provider lacks is refused
/// before anything starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Facet {
    /// Links between hosts can be cut: [`Environment::links`](super::Environment::links).
    Links,
    /// One direction of a link can be cut alone.
    OneWayLinks,
    /// TCP can go on at once when a cut is over: [`Heal::Prompt`](super::Heal::Prompt).
    PromptHeal,
    /// The content of links can be followed: [`Environment::wire`](super::Environment::wire).
    Wire,
    /// Hosts join and leave: [`Environment::membership`](super::Environment::membership).
    Membership,
    /// Processes can be stopped and continued.
    Pause,
    /// Each host has all ports for itself, and hosts resolve each other's names.
    OwnNetwork,
    /// Each host has a file system of its own, in which a folder can be at any path.
    OwnFiles,
    /// Processes live in the time of the environment's clock, where that is simulated.
    SimulatedTime,
}

impl Facet {
    /// All facets.
    pub const ALL: [Facet; 9] = [
        Facet::Links,
        Facet::OneWayLinks,
        Facet::PromptHeal,
        Facet::Wire,
        Facet::Membership,
        Facet::Pause,
        Facet::OwnNetwork,
        Facet::OwnFiles,
        Facet::SimulatedTime,
    ];

    /// Its name: `links`, `wire`, `own_network`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Facet::Links => "links",
            Facet::OneWayLinks => "one_way_links",
            Facet::PromptHeal => "prompt_heal",
            Facet::Wire => "wire",
            Facet::Membership => "membership",
            Facet::Pause => "pause",
            Facet::OwnNetwork => "own_network",
            Facet::OwnFiles => "own_files",
            Facet::SimulatedTime => "simulated_time",
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Facet::Links => "links between hosts can be cut",
            Facet::OneWayLinks => "one direction of a link can be cut",
            Facet::PromptHeal => "TCP goes on at once after a cut",
            Facet::Wire => "the content of links can be followed",
            Facet::Membership => "hosts join and leave",
            Facet::Pause => "processes can be paused",
            Facet::OwnNetwork => "each host has all ports for itself",
            Facet::OwnFiles => "each host has a file system of its own",
            Facet::SimulatedTime => "processes live in simulated time",
        }
    }
}

/// Its name and its meaning: `links` (links between hosts can be cut).
impl fmt::Display for Facet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.as_str(), self.meaning())
    }
}

/// The facets that a provider's environments have.
///
/// ```
/// use fuzz_dist_env::{Capabilities, Facet};
///
/// let able = Capabilities::of([Facet::Links, Facet::Pause]);
/// assert!(able.has(Facet::Links) && !able.has(Facet::Wire));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(BTreeSet<Facet>);

impl Capabilities {
    /// Exactly these facets.
    pub fn of(facets: impl IntoIterator<Item = Facet>) -> Capabilities {
        Capabilities(facets.into_iter().collect())
    }

    /// All facets.
    pub fn all() -> Capabilities {
        Capabilities::of(Facet::ALL)
    }

    /// The same without one of them.
    #[must_use]
    pub fn without(mut self, facet: Facet) -> Capabilities {
        self.0.remove(&facet);
        self
    }

    /// Whether this facet is among them.
    pub fn has(&self, facet: Facet) -> bool {
        self.0.contains(&facet)
    }
}

/// The facet of environments whose links can be cut.
pub trait LinkControl: Send + Sync {
    /// Brings all links into the state that the matrix describes. After it returns, no packet of
    /// a link that is now cut is delivered any more. Links that the matrix does not name are open.
    fn set_links(&self, links: &LinkMatrix) -> BoxFuture<'_, Result<(), Error>>;

    /// The matrix that was set last.
    fn matrix(&self) -> LinkMatrix;

    /// What every directed link has carried and dropped so far.
    fn counters(&self) -> LinkCounters;

    /// Whether [`counters`](LinkControl::counters) counts dropped packets: they prove a cut.
    fn counts_drops(&self) -> bool {
        true
    }
}

/// The facet of environments whose hosts join and leave.
pub trait Membership: Send + Sync {
    /// Adds a host; the others know its name when this returns. Where it fails, the host is not there.
    fn add_host(&self, spec: HostSpec) -> BoxFuture<'_, Result<HostId, Error>>;

    /// Removes a host at once, as if its power failed: its processes are killed. Its logs stay.
    fn remove_host(&self, host: HostId) -> BoxFuture<'_, Result<(), Error>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_facet_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = Facet::ALL.iter().map(|facet| facet.as_str()).collect();
        assert_eq!(names.len(), Facet::ALL.len());
        for facet in Facet::ALL {
            assert!(Capabilities::all().has(facet));
            assert!(!Capabilities::all().without(facet).has(facet));
        }
    }
}
