//! What of a stream is held: from which place on, by which rules, and the frames themselves.

use crate::tcp::Segment;
use std::collections::VecDeque;

/// Bytes that are kept at most; beyond that frames are lost, and TCP sends them again.
const KEPT_MAX: usize = 16 << 20;

/// The part of a stream that waits.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Where each rule's hold begins.
    holds: Vec<(i64, u64)>,
    frames: VecDeque<Frame>,
    bytes: usize,
}

#[derive(Debug)]
struct Frame {
    at: i64,
    end: i64,
    frame: Vec<u8>,
}

impl Held {
    /// Nothing is held, and nothing will be.
    pub(super) fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// Does this rule hold something here?
    pub(super) fn has(&self, id: u64) -> bool {
        self.holds.iter().any(|(_, rule)| *rule == id)
    }

    /// From this place on everything waits.
    pub(super) fn limit(&self) -> i64 {
        self.holds.iter().map(|(place, _)| *place).min().unwrap_or(i64::MAX)
    }

    /// The place after what was kept: what lies before it is a retransmission.
    pub(super) fn next(&self) -> i64 {
        self.frames.back().map_or(i64::MIN, |frame| frame.end)
    }

    pub(super) fn hold(&mut self, place: i64, id: u64) {
        self.holds.push((place, id));
    }

    /// Keeps a frame; gives the rule for which it waits.
    pub(super) fn keep(&mut self, at: i64, frame: Vec<u8>, length: usize) -> Option<u64> {
        if self.bytes + frame.len() > KEPT_MAX {
            return None;
        }
        self.bytes += frame.len();
        self.frames.push_back(Frame { at, end: at + length as i64, frame });
        self.holds.iter().min().map(|(_, id)| *id)
    }

    /// Ends a rule's hold; gives the frames that wait for nobody else.
    pub(super) fn release(&mut self, id: u64) -> Vec<Vec<u8>> {
        self.holds.retain(|(_, rule)| *rule != id);
        let limit = self.limit();
        let mut released = Vec::new();
        while self.frames.front().is_some_and(|first| first.at < limit)
            && let Some(mut first) = self.frames.pop_front()
        {
            self.bytes -= first.frame.len();
            if first.end > limit
                && let Some(segment) = Segment::of(&first.frame)
            {
                let cut = (limit - first.at) as usize;
                let rest = segment.part(cut..segment.payload.len());
                self.bytes += rest.len();
                self.frames.push_front(Frame { at: limit, end: first.end, frame: rest });
                first.frame = segment.part(0..cut);
            }
            released.push(first.frame);
        }
        released
    }
}
