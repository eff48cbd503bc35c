//! The names of facts about a run that checkers read.

/// The fact whether a run came to its regular end: heal, quiesce and final reads as far as there were
/// any. False from its beginning on, so that a killed harness leaves a history that says so.
pub const COMPLETED: &str = "completed";
/// The fact why it did not.
pub const ENDED_EARLY: &str = "ended_early";

/// The fact that the machine was overloaded, in a sentence.
pub const OVERLOADED: &str = "overloaded";
/// The fact which nodes gave no final read.
pub const SILENT: &str = "silent_nodes";

/// The fact that what happened before what is unknown, beyond the order of each process: false.
pub const REAL_TIME: &str = "real_time";
/// The fact that it is unknown which operations were of one process: false.
pub const PROCESSES: &str = "processes";
