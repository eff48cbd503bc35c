//! The rules of the pipeline; `pipeline::Stage` has their order.

pub(super) mod connections;
pub(super) mod cuts;
pub(super) mod latency;
pub(super) mod watch;
