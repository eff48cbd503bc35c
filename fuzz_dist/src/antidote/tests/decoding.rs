//! Properties of decoding: what was framed is found again, and nothing makes it panic.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::antidote::frame::{Decoder, Frame, FrameError};
use crate::antidote::judge_answer;

use super::peer::{counter_resp, framed, started};

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let frame =
        (any::<u8>(), vec(any::<u8>(), 0..40)).prop_map(|(code, body)| Frame { code, body });
    vec(frame, 0..6)
}

proptest! {
    #[test]
    fn frames_survive_any_cut(frames in frames(), cuts in vec(1_usize..9, 1..20)) {
        let bytes: Vec<u8> = frames.iter().flat_map(|f| f.encode().unwrap()).collect();
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().cycle().take(bytes.len() + 1) {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            rest = after;
            decoder.push(piece);
            while let Some(frame) = decoder.next_frame().unwrap() {
                found.push(frame);
            }
        }
        prop_assert_eq!(found, frames);
        prop_assert!(decoder.is_empty());
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(pieces in vec(vec(any::<u8>(), 0..30), 0..10)) {
        let mut decoder = Decoder::with_limit(64);
        for piece in pieces {
            decoder.push(&piece);
            while let Ok(Some(_)) = decoder.next_frame() {}
        }
    }

    #[test]
    fn no_answer_makes_the_client_panic(code in 105_u8..140, body in vec(any::<u8>(), 0..200)) {
        judge_answer(&Frame { code, body });
    }

    #[test]
    fn no_damaged_answer_makes_the_client_panic(
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
        whole in prop_oneof![Just(framed(&counter_resp(5, "time"))), Just(framed(&started("d")))],
    ) {
        let mut body = whole[5..].to_vec();
        *at.get_mut(&mut body) = value;
        judge_answer(&Frame { code: whole[4], body });
    }
}

#[test]
fn a_frame_that_claims_too_much_is_refused_before_it_arrives() {
    let mut decoder = Decoder::with_limit(10);
    decoder.push(&[0, 0, 0, 11]);
    let refused = Err(FrameError::TooLong { bytes: 11, limit_bytes: 10 });
    assert_eq!(decoder.next_frame(), refused);
    assert_eq!(decoder.next_frame(), refused);
}

#[test]
fn maps_that_are_nested_without_end_are_refused() {
    // Each level: a map with one entry, whose value is the next level.
    let mut value: Vec<u8> = Vec::new();
    for _ in 0..2_000 {
        let mut entry = vec![0x0a, 0x04, 0x0a, 0x00, 0x10, 0x08, 0x12];
        prost::encoding::encode_varint(value.len() as u64, &mut entry);
        entry.extend(&value);
        let mut map = vec![0x0a];
        prost::encoding::encode_varint(entry.len() as u64, &mut map);
        map.extend(&entry);
        value = vec![0x32];
        prost::encoding::encode_varint(map.len() as u64, &mut value);
        value.extend(&map);
    }
    let mut body = vec![0x08, 0x01, 0x12];
    prost::encoding::encode_varint(value.len() as u64, &mut body);
    body.extend(&value);
    assert!(!judge_answer(&Frame { code: 126, body }), "so deep a map was taken");
}
