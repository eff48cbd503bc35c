//! Any bytes as one direction of a connection between nodes, cut into two segments in either order:
//! what is followed and what is decoded agree on where messages begin.
#![no_main]

use fuzz_dist::beam::follow::{Follower, What};
use fuzz_dist::beam::frame;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The first byte says where, in which order, and whether the connection is joined.
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let (first, second) = bytes.split_at((usize::from(*choice) >> 2).min(bytes.len()));
    let mut follower = if choice & 1 == 0 { Follower::from_start(0) } else { Follower::joined() };
    let mut segments = [(0, first), (first.len() as u32, second)];
    if choice & 2 != 0 {
        segments.reverse();
    }
    let mut end = i64::MIN;
    for (sequence, segment) in segments {
        let _ = follower.feed(sequence, segment, |seen| {
            assert!(seen.end > seen.at && seen.at >= end);
            end = seen.end;
            let place = usize::try_from(seen.at).ok().filter(|_| choice & 1 == 0);
            let (Some(place), What::Tick | What::Message { .. }) = (place, &seen.what) else {
                return;
            };
            let length = (seen.end - seen.at - 4) as usize;
            if let Ok(Some((body, _))) = frame::split(&bytes[place..], usize::MAX) {
                assert_eq!(body.len(), length);
                let _ = frame::parse(body);
            }
        });
    }
});
