//! The names that come with the library, given in the way in which users give theirs.

use crate::nemesis::{self, Nemesis};

macro_rules! nemeses {
    ($($(#[doc = $doc:literal])+ $make:ident = $name:literal $(, $alias:literal)*;)+) => {$(
        $(#[doc = $doc])+
        #[fuzz_dist::nemesis($name, aliases = [$($alias),*])]
        fn $make() -> Nemesis {
            nemesis::$make()
        }
    )+};
}

nemeses! {
    /// No faults: the run that has to be valid before any other means something.
    none = "none", "noop";
    /// A random majority apart from the minority.
    majority_minority = "majority_minority", "netsplit";
    /// Every node sees a majority, and no two see the same one.
    majority_ring = "majority_ring", "majorities_ring";
    /// Two halves and one node that sees both.
    bridge = "bridge";
    /// Two halves.
    halves = "halves";
    /// One random node apart from all others.
    isolate_node = "isolate_node";
    /// One random data centre apart from the others.
    isolate_dc = "isolate_dc";
    /// Every node apart from every other.
    isolate_all = "isolate_all";
    /// One node is not heard by half of the others, but hears them.
    one_way = "one_way";
    /// One random link, both directions.
    link = "link";
    /// The nodes that lead apart from the others.
    primaries = "primaries";
    /// Nodes die and are started again.
    kill = "kill", "crash";
    /// Nodes stand still and go on.
    pause = "pause";
}
