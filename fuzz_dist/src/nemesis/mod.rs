//! Faults as values: targets, durations, evidence, undo.
