//! The owner of the faults, against faults that hang, panic, block and refuse, and against callers
//! that go away.

mod dropped;
mod fake;
mod healed;
mod holds;
mod hostile;
mod lanes;
mod members;
mod replayed;
mod whole;
