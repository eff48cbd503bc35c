//! Any bytes, as they would come from a server: framed, decoded, and taken for values.
#![no_main]

use fuzz_dist::antidote::frame::Decoder;
use fuzz_dist::antidote::judge_answer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The first byte says where the bytes are cut in two.
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let (first, second) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    let mut decoder = Decoder::with_limit(1 << 16);
    for piece in [first, second] {
        decoder.push(piece);
        while let Ok(Some(frame)) = decoder.next_frame() {
            judge_answer(&frame);
            assert_eq!(frame.encode().map(|whole| whole.len()), Ok(frame.body.len() + 5));
        }
    }
});
