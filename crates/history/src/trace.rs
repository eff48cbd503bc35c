//! The ids of a run as an OpenTelemetry trace: what a span stands for is its number, so that history,
//! exported traces and what nodes are sent match without a table.

use super::History;
use crate::op::{NodeId, Value};

impl History {
    /// The span of a whole run.
    pub const RUN_SPAN: u64 = 1 << 62;

    /// The trace of this run, 32 hexadecimal digits: its seed and its start, which no two runs share.
    pub fn trace_id(&self) -> String {
        let number = |key: &str| {
            let value = self.meta(key).map(ToString::to_string).unwrap_or_default();
            let text = value.trim_matches('"');
            let hex = text.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok());
            hex.or_else(|| text.parse().ok()).unwrap_or(0_u64)
        };
        format!("{:016x}{:016x}", number("seed"), self.start_unix_ms().max(1))
    }

    /// When this run started, in milliseconds since 1970; 0 for a history that was loaded, which has no such
    /// time unless it is an old one.
    pub fn start_unix_ms(&self) -> u64 {
        let kept = || self.meta("start_unix_ms").and_then(Value::as_int).unwrap_or(0);
        let known = if self.start_unix_ms == 0 { kept() } else { self.start_unix_ms };
        u64::try_from(known).unwrap_or(0)
    }

    /// The span of a node.
    pub fn span_of_node(node: NodeId) -> u64 {
        (1 << 61) + u64::from(node.0)
    }

    /// The span of a fault, by its number.
    pub fn span_of_fault(id: i64) -> u64 {
        (1_u64 << 60).wrapping_add_signed(id)
    }

    /// The span of an operation, by the event of its invocation.
    pub fn span_of_invocation(event: usize) -> u64 {
        event as u64 + 1
    }

    /// The span of the operation that an event of a client belongs to.
    pub fn span_of_event(&self, event: usize) -> Option<u64> {
        let client = event < self.len() && self.process(event).is_client();
        client.then(|| History::span_of_invocation(self.invocation(event).unwrap_or(event)))
    }
}
