//! The segments that cuts have dropped, for heals that are to be prompt.

use crate::link::{Flow, Link};
use crate::tcp::Segment;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Flows and bytes that are remembered at most. What is beyond them TCP sends again.
const FLOWS_MAX: usize = 1 << 12;
const BYTES_MAX: usize = 64 << 20;

/// What was dropped of each flow, each segment once: whoever receives all of it needs no retransmission.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    flows: HashMap<Flow, Lost>,
    bytes: usize,
    /// Frames that were ever kept.
    count: u64,
}

/// What one flow has lost.
#[derive(Debug, Default)]
struct Lost {
    segments: Vec<One>,
    /// The last segment without data, where it says more than those with data.
    acknowledgement: Option<One>,
}

#[derive(Debug)]
struct One {
    number: u64,
    sequence: u32,
    length: u32,
    frame: Vec<u8>,
}

impl Kept {
    /// Remembers a frame that was dropped, where TCP would send it again, or an acknowledgement.
    pub(super) fn keep(&self, link: Link, frame: &[u8]) {
        let Some(segment) = Segment::of(frame) else { return };
        let flow = Flow { link, ports: segment.ports };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A reset is not sent again, and its sender has forgotten the connection. One that begins follows an older one.
        if segment.is_reset() || (segment.is_syn() && !state.has(flow, &segment)) {
            state.forget(flow);
        }
        let is_room = state.flows.contains_key(&flow) || state.flows.len() < FLOWS_MAX;
        if segment.is_reset() || !is_room || state.bytes + frame.len() > BYTES_MAX {
            return;
        }
        if !segment.is_empty() && state.has(flow, &segment) {
            return;
        }
        state.count += 1;
        let one = One {
            number: state.count,
            sequence: segment.sequence,
            length: segment.end().wrapping_sub(segment.sequence),
            frame: frame.to_vec(),
        };
        state.bytes += frame.len();
        let lost = state.flows.entry(flow).or_default();
        let former = if segment.is_empty() {
            lost.acknowledgement.replace(one)
        } else {
            lost.segments.push(one);
            lost.acknowledgement.take()
        };
        state.bytes -= former.map_or(0, |former| former.frame.len());
    }

    /// What was dropped on links that are open now, the segments of each flow in the order of its stream; it is forgotten.
    pub(super) fn take(&self, open: impl Fn(Link) -> bool) -> Vec<(Link, Vec<u8>)> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken: Vec<(Link, Vec<One>)> = state
            .flows
            .extract_if(|flow, _| open(flow.link))
            .map(|(flow, lost)| (flow.link, lost.in_order()))
            .collect();
        taken.sort_by_key(|(_, lost)| lost.iter().map(|one| one.number).min());
        let frames = taken
            .into_iter()
            .flat_map(|(link, lost)| lost.into_iter().map(move |one| (link, one.frame)));
        let frames: Vec<_> = frames.collect();
        state.bytes -= frames.iter().map(|(_, frame)| frame.len()).sum::<usize>();
        frames
    }
}

impl State {
    /// Whether one that is kept has all that this segment has: it is a retransmission.
    fn has(&self, flow: Flow, segment: &Segment<'_>) -> bool {
        let length = segment.end().wrapping_sub(segment.sequence);
        self.flows.get(&flow).is_some_and(|lost| {
            lost.segments.iter().any(|one| {
                let skipped = segment.sequence.wrapping_sub(one.sequence);
                skipped < one.length && length <= one.length - skipped
            })
        })
    }

    fn forget(&mut self, flow: Flow) {
        let lost = self.flows.remove(&flow).map(Lost::in_order).unwrap_or_default();
        self.bytes -= lost.iter().map(|one| one.frame.len()).sum::<usize>();
    }
}

impl Lost {
    fn in_order(mut self) -> Vec<One> {
        if let Some(base) = self.segments.first().map(|one| one.sequence) {
            // A segment that had waited was dropped after later ones. Numbers of a stream wrap.
            self.segments.sort_by_key(|one| one.sequence.wrapping_sub(base).cast_signed());
        }
        self.segments.extend(self.acknowledgement);
        self.segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::tests::frame;
    use fuzz_dist_env::HostId;

    const LINK: Link = (HostId::new(0), HostId::new(1));
    const OTHER: Link = (HostId::new(1), HostId::new(0));
    const FIN: u8 = 0x11;
    const SYN: u8 = 2;
    const RST: u8 = 4;
    const ACK: u8 = 0x10;

    /// Keeps frames of one flow of `LINK`, and takes what is left of them.
    fn taken(frames: &[(u32, u8, &[u8])]) -> Vec<(u32, Vec<u8>)> {
        let kept = Kept::default();
        for (sequence, flags, payload) in frames {
            kept.keep(LINK, &frame((7, 8), *sequence, *flags, payload));
        }
        assert!(kept.take(|link| link == OTHER).is_empty(), "its link is still cut");
        let taken = kept.take(|_| true);
        let state = kept.0.lock().unwrap();
        assert_eq!((state.bytes, state.flows.len()), (0, 0));
        let read = |(_, frame): &(Link, Vec<u8>)| {
            let segment = Segment::of(frame).unwrap();
            (segment.sequence, segment.payload.to_vec())
        };
        taken.iter().map(read).collect()
    }

    #[test]
    fn all_of_a_stream_is_given_once_and_in_its_order() {
        let near_the_end = u32::MAX - 1;
        let frames: &[(u32, u8, &[u8])] = &[
            (2, ACK, b"efgh"),
            // It had waited.
            (near_the_end, ACK, b"abcd"),
            // Retransmissions, whole and in part.
            (near_the_end, ACK, b"abcd"),
            (4, ACK, b"g"),
            (6, FIN, b"i"),
            (7, FIN, b""),
        ];
        let expected =
            [(near_the_end, b"abcd".to_vec()), (2, b"efgh".to_vec()), (6, b"i".to_vec())];
        assert_eq!(taken(frames), expected);
    }

    #[test]
    fn the_last_acknowledgement_is_kept_where_no_data_says_the_same() {
        assert_eq!(taken(&[(1, ACK, b""), (1, ACK, b"")]).len(), 1);
        assert_eq!(taken(&[(1, ACK, b""), (1, ACK, b"a")]), [(1, b"a".to_vec())]);
        let after = taken(&[(1, ACK, b"a"), (2, ACK, b"")]);
        assert_eq!(after, [(1, b"a".to_vec()), (2, vec![])]);
    }

    #[test]
    fn a_connection_that_is_reset_or_follows_another_on_its_ports_loses_the_older_data() {
        assert!(taken(&[(1, ACK, b"a"), (2, RST, b"")]).is_empty());
        assert_eq!(taken(&[(1, ACK, b"a"), (900, SYN, b"")]), [(900, vec![])]);
        let began = taken(&[(900, SYN, b""), (900, SYN, b""), (901, ACK, b"a")]);
        assert_eq!(began, [(900, vec![]), (901, b"a".to_vec())]);
    }

    #[test]
    fn what_is_no_segment_is_not_kept() {
        let kept = Kept::default();
        kept.keep(LINK, b"no packet");
        assert!(kept.take(|_| true).is_empty());
    }
}
