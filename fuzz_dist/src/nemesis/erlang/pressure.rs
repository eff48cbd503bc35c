//! Faults of a whole node that goes on: its schedulers, its memory, its garbage collector.

use super::super::Nemesis;
use super::kept::{Kept, KeptFault};
use crate::beam::Term;

/// What [`memory_pressure`] holds.
const MEBIBYTES: u32 = 256;

/// Blocks all schedulers of one random node for 250 ms out of every 275, as native functions do that
/// take too long: nothing runs, not even the answers to ticks, but the node never seems dead.
///
/// Needs an emulator with `erts_debug:set_internal_state/2`, as OTP 25 to 29 have. Finds:
/// time-outs that are too tight, leases and locks that expire while their holder believes in them.
#[fuzz_dist::nemesis("block_schedulers")]
pub fn block_schedulers() -> Nemesis {
    Nemesis::of(KeptFault(BlockSchedulersFault))
}

/// Holds 256 MiB of memory in one random node; see [`memory_pressure_of`].
#[fuzz_dist::nemesis("memory_pressure")]
pub fn memory_pressure() -> Nemesis {
    memory_pressure_of(MEBIBYTES)
}

/// Holds so many MiB of memory in one random node until the fault ends.
///
/// Needs that memory on this machine. Finds: alarms that stop writers for ever, caches that drop what
/// was acknowledged.
pub fn memory_pressure_of(mebibytes: u32) -> Nemesis {
    Nemesis::of(KeptFault(MemoryPressureFault { mebibytes }))
}

/// Has the garbage of all processes of one random node collected, again and again, on all its
/// schedulers.
///
/// Needs nothing. Finds: references to large binaries and resources that nobody holds any more, and
/// time-outs that are too tight.
#[fuzz_dist::nemesis("gc_pressure")]
pub fn gc_pressure() -> Nemesis {
    Nemesis::of(KeptFault(GcPressureFault))
}

/// See [`block_schedulers`].
#[derive(Clone, Copy, Debug)]
struct BlockSchedulersFault;

/// See [`memory_pressure_of`].
#[derive(Clone, Copy, Debug)]
struct MemoryPressureFault {
    /// How much it holds.
    pub mebibytes: u32,
}

/// See [`gc_pressure`].
#[derive(Clone, Copy, Debug)]
struct GcPressureFault;

impl Kept for BlockSchedulersFault {
    const NAME: &'static str = "block_schedulers";
}

impl Kept for MemoryPressureFault {
    const NAME: &'static str = "memory_pressure";

    fn what(&self) -> String {
        format!("{} MiB", self.mebibytes)
    }

    fn arguments(&self) -> Vec<Term> {
        vec![self.mebibytes.into()]
    }
}

impl Kept for GcPressureFault {
    const NAME: &'static str = "gc_pressure";
}
