//! Anomalies to plant into histories: each a few transactions on keys of their own.

use super::script;
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Kind, Process};

/// An anomaly as a script, and the name under which a checker must report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plant {
    /// The name.
    pub name: &'static str,
    /// Who must report it, by its name in `cargo fuzz-dist checkers`.
    pub checker: &'static str,
    /// The checker's option, as in `-o`; empty for none.
    pub option: &'static str,
    /// The transactions; see [`script`](super::script()).
    pub script: &'static str,
}

const fn of(
    checker: &'static str,
    option: &'static str,
    name: &'static str,
    script: &'static str,
) -> Plant {
    Plant { name, checker, option, script }
}

const fn lists(name: &'static str, script: &'static str) -> Plant {
    of("list_append", "", name, script)
}

const fn registers(name: &'static str, script: &'static str) -> Plant {
    of("rw_register", "", name, script)
}

const fn weak(level: &'static str, name: &'static str, script: &'static str) -> Plant {
    of("weak", level, name, script)
}

const fn objects(kind: &'static str, name: &'static str, script: &'static str) -> Plant {
    of("crdt_causal", kind, name, script)
}

/// That client 1 reads px from itself puts all of client 0's writes before its own, and so
/// before its read of pz (after figure 3 of Bouajjani et al. 2017).
pub(crate) const HIDDEN_INITIAL: &str =
    "0: w pz 1\n0: w px 1\n0: w py 1\n1: w px 2\n1: r pz nil\n1: r py 1\n1: r px 2";
pub(crate) const HIDDEN_CYCLE: &str = "2: w pz 5\n0: r pz 5\n0: w pz 1\n0: w px 1\n0: w py 1\n\
    1: w px 2\n1: r pz 5\n1: r py 1\n1: r px 2";

/// One of each phenomenon that the transactional checkers name. Those for registers use
/// the keys `px` and `py`, and show the order of versions by transactions that read and write.
pub const PLANTS: &[Plant] = &[
    lists(
        "G0",
        "0: append px 1, append py 1\n1: append px 2, append py 2\n--\n2: r px [1 2], r py [2 1]",
    ),
    lists("G1a", "0 fail: append px 1\n1: r px [1]"),
    lists("G1b", "0: append px 1, append px 2\n1: r px [1]\n--\n2: r px [1 2]"),
    lists("G1c", "0: append px 1, r py [1]\n1: append py 1, r px [1]"),
    lists("G-single", "0: append px 1, append py 1\n1: r px [1], r py []\n--\n2: r py [1]"),
    lists(
        "G-nonadjacent",
        "0: append px 1\n1: append py 1\n2: r px [1], r py []\n3: r py [1], r px []",
    ),
    lists("G2-item", "0: r px [], append py 1\n1: r py [], append px 1\n--\n2: r px [1], r py [1]"),
    lists("lost-update", "0: r px [], append px 1\n1: r px [], append px 2\n--\n2: r px [1 2]"),
    lists("internal", "0: append px 1, r px []"),
    lists("fuzzy-read", "0: append px 1\n1: r px [], r px [1]"),
    lists("incompatible-order", "0: append px 1\n1: append px 2\n--\n2: r px [1 2]\n3: r px [2 1]"),
    lists("duplicate-elements", "0: append px 1\n--\n1: r px [1 1]"),
    lists("dirty-update", "0 fail: append px 1\n1: append px 2\n--\n2: r px [1 2]"),
    lists("thin-air", "0: append px 1\n--\n1: r px [1 7]"),
    lists("G0-process", "0: append px 1\n0: append px 2\n1: r px [2 1]"),
    lists("G0-realtime", "0: append px 1\n--\n1: append px 2\n--\n2: r px [2 1]"),
    lists("G1c-process", "0: r px [1]\n0: append py 1\n1: r py [1], append px 1"),
    lists("G1c-realtime", "0: r px [1]\n--\n1: append px 1"),
    lists("G-single-process", "0: append px 1\n0: r px []\n1: r px [1]"),
    lists("G-single-realtime", "0: append px 1\n--\n1: r px []\n--\n2: r px [1]"),
    lists(
        "G-nonadjacent-process",
        "0: append py 1\n1: r py [1], r px []\n2: append px 1\n2: r py []\n--\n3: r px [1]",
    ),
    lists(
        "G-nonadjacent-realtime",
        "0: append py 1\n1: r py [1], r px []\n2: append px 1\n-- 2\n3: r py []\n--\n4: r px [1]",
    ),
    lists(
        "G2-item-process",
        "0: append px 1, r py []\n1: append py 1\n1: r px []\n--\n2: r px [1], r py [1]",
    ),
    lists(
        "G2-item-realtime",
        "0: append px 1, r py []\n1: append py 1\n-- 1\n2: r px []\n--\n3: r px [1], r py [1]",
    ),
    registers("G1a", "0 fail: w px 1\n1: r px 1"),
    registers("G1b", "0: w px 1, w px 2\n1: r px 1"),
    registers("G1c", "0: w px 1, r py 1\n1: w py 1, r px 1"),
    registers("G-single", "0: w px 1, w py 1\n1: r px 1, r py nil"),
    registers("G-nonadjacent", "0: w px 1\n1: w py 1\n2: r px 1, r py nil\n3: r py 1, r px nil"),
    registers("G2-item", "0: r px nil, w py 1\n1: r py nil, w px 1"),
    registers("lost-update", "0: r px nil, w px 1\n1: r px nil, w px 2"),
    registers("internal", "0: w px 1, r px nil"),
    registers("fuzzy-read", "0: w px 1\n1: r px nil, r px 1"),
    registers("thin-air", "0: w px 1\n1: r px 7"),
    registers("G-single-process", "0: w px 1\n0: r px nil"),
    registers("G-single-realtime", "0: w px 1\n--\n1: r px nil"),
    registers("G1c-process", "0: r px 1\n0: w py 1\n1: r py 1, w px 1"),
    of(
        "rw_register",
        "linearizable-keys",
        "cyclic-versions",
        "0: w px 1\n--\n1: w px 2\n--\n2: r px 1",
    ),
    of(
        "long_fork",
        "",
        "long-fork",
        "0: w px 1\n1: w py 1\n2: r px 1, r py nil\n3: r px nil, r py 1",
    ),
    of("write_skew", "", "write-skew", "0: r px nil, w py 1\n1: r py nil, w px 1"),
    of(
        "monotonic",
        "",
        "not-monotonic",
        "0: w px 1, w py 1\n1: r px 1, r py nil\n2: r px nil, r py 1",
    ),
    weak("level=axiomatic-read-committed", "thin-air", "0: w px 1\n1: r px 7"),
    weak("level=axiomatic-read-committed", "G1a", "0 fail: w px 1\n1: r px 1"),
    weak("level=axiomatic-read-committed", "G1b", "0: w px 1, w px 2\n1: r px 1"),
    weak("level=axiomatic-read-committed", "internal", "0: w px 1, r px nil"),
    weak(
        "level=axiomatic-read-committed",
        "cyclic-causality",
        "0: w px 1, r py 1\n1: w py 1, r px 1",
    ),
    weak("level=axiomatic-read-committed", "stale-read", "0: w px 1\n0: w px 2\n1: r px 2, r px 1"),
    weak(
        "level=axiomatic-read-committed",
        "stale-initial-read",
        "0: w px 1, w py 1\n1: r py 1, r px nil",
    ),
    weak(
        "level=axiomatic-read-committed",
        "cyclic-order",
        "0: w px 1\n1: w px 2\n2: r px 1, r px 2\n3: r px 2, r px 1",
    ),
    weak("level=read-atomic", "stale-initial-read", "0: w px 1, w py 1\n1: r px nil, r py 1"),
    weak(
        "level=read-atomic",
        "stale-read",
        "0: w px 1, w py 1\n0: w px 2, w py 2\n1: r px 1, r py 2",
    ),
    weak("level=read-atomic", "cyclic-order", "0: w px 1\n1: w px 2\n2: r px 1, r px 2"),
    weak(
        "level=causal",
        "stale-initial-read",
        "0: w px 1\n1: r px 1\n1: w py 1\n2: r py 1\n2: r px nil",
    ),
    weak("level=causal", "stale-read", "0: w px 1\n1: r px 1\n1: w px 2\n2: r px 2\n2: r px 1"),
    weak(
        "level=causal",
        "cyclic-order",
        "0: w px 1\n1: w px 2\n2: r px 1\n2: r px 2\n3: r px 2\n3: r px 1",
    ),
    weak(
        "level=weak-causal",
        "stale-read",
        "0: w px 1\n1: r px 1\n1: w px 2\n2: r px 2\n2: r px 1",
    ),
    weak("level=causal-memory", "cyclic-causality", "0: w px 1, r py 1\n1: w py 1, r px 1"),
    weak(
        "level=causal-memory",
        "stale-read",
        "0: w px 1\n1: r px 1\n1: w px 2\n2: r px 2\n2: r px 1",
    ),
    weak("level=causal-memory", "stale-initial-read", HIDDEN_INITIAL),
    weak("level=causal-memory", "cyclic-view", HIDDEN_CYCLE),
    weak("level=read-your-writes", "stale-initial-read", "0: w px 1\n0: r px nil"),
    weak("level=read-your-writes", "stale-read", "0: w px 1\n0: w px 2\n0: r px 1"),
    weak("level=monotonic-reads", "stale-initial-read", "0: w px 1\n1: r px 1\n1: r px nil"),
    weak("level=monotonic-reads", "stale-read", "0: w px 1\n0: w px 2\n1: r px 2\n1: r px 1"),
    weak(
        "level=monotonic-writes",
        "stale-initial-read",
        "0: w px 1\n0: w py 1\n1: r py 1, r px nil",
    ),
    weak(
        "level=writes-follow-reads",
        "stale-initial-read",
        "0: w px 1\n1: r px 1\n1: w py 1\n2: r py 1, r px nil",
    ),
    objects(
        "type=grow-set",
        "missing-element",
        "0: add px 1\n1: r px [1]\n1: add py 1\n2: r py [1]\n2: r px []",
    ),
    objects("type=grow-set", "duplicate-elements", "0: add px 1\n1: r px [1 1]"),
    objects("type=grow-set", "thin-air", "0: add px 1\n1: r px [1 2]"),
    objects("type=grow-set", "G1a", "0 fail: add px 1\n1: r px [1]"),
    objects("type=grow-set", "cyclic-causality", "0: add px 1, r py [1]\n1: add py 1, r px [1]"),
    objects("type=grow-set", "early-read", "0: r px [1]\n--\n1: add px 1"),
    objects(
        "type=pn-counter",
        "impossible-count",
        "0: increment px 5\n1: increment px 5\n2: r px 3",
    ),
    objects("type=lww-register", "stale-initial-read", "0: assign px 1\n0: r px nil"),
    objects("type=lww-register", "stale-read", "0: assign px 1\n0: assign px 2\n0: r px 1"),
    objects(
        "type=lww-register",
        "cyclic-order",
        "0: assign px 1\n1: assign px 2\n2: r px 1\n2: r px 2\n3: r px 2\n3: r px 1",
    ),
    objects(
        "type=mv-register",
        "overwritten-value",
        "0: assign px 1\n0: assign px 2\n1: r px [1 2]",
    ),
    objects("type=mv-register", "missing-value", "0: assign px 1\n0: r px []"),
    objects(
        "type=add-wins-set",
        "removed-element",
        "0: add px 1\n1: r px [1], remove px 1\n1: r px [1]",
    ),
    objects(
        "type=remove-wins-set",
        "removed-element",
        "0: add px 1\n-- 0\n1: r px [1]\n1: remove px 1\n1: r px [1]",
    ),
    objects(
        "type=add-wins-set",
        "unexplained",
        "0: add px 1, add py 1\n1: remove px 1\n2: r py [1], r px []\n2: r px [1]",
    ),
    objects("type=enable-wins-flag", "missing-element", "0: enable px\n0: r px false"),
    objects("type=disable-wins-flag", "unexpected-element", "0: disable px\n0: r px true"),
];

/// Puts a planted anomaly into a history at an event, by processes of its own.
pub fn plant(history: &History, at: usize, plant: &Plant) -> History {
    splice(history, at, &script(plant.script).expect("the scripts here are well-formed"))
}

/// Puts all events of `other` before event `at` of `history`, with processes that `history`
/// does not have; the times of the events before and after it are kept.
pub fn splice(history: &History, at: usize, other: &History) -> History {
    let mut merged = History::new(history.nodes().iter().cloned());
    let processes = (0..history.len()).map(|i| history.process(i)).filter(|p| p.is_client());
    let base = processes.map(|p| p.0 + 1).max().unwrap_or(0);
    let mut add = |event| merged.push(event).expect("both histories are well-formed");
    for i in 0..=history.len() {
        if i == at.min(history.len()) {
            for mut event in other.events() {
                event.process = Process(event.process.0 + base);
                if i > 0 {
                    event.time = history.time(i - 1);
                }
                add(event);
            }
        }
        if i < history.len() {
            add(history.event(i));
        }
    }
    debug_assert!((0..merged.len()).any(|i| merged.kind(i) == Kind::Invoke) || merged.is_empty());
    merged
}
