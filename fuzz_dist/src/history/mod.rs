//! What happened: compact columns in memory, JSON lines on disk.
