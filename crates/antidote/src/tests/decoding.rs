//! Properties of decoding: what was framed is found again, and nothing makes it panic.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::answer::{parse_answer, read_values};
use crate::frame::{Decoder, Frame, FrameError};
use crate::{DataType, MapKey, Object, RequestKind, Value, judge_answer, proto};

use crate::peer::{framed, started};

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let frame =
        (any::<u8>(), vec(any::<u8>(), 0..40)).prop_map(|(code, body)| Frame { code, body });
    vec(frame, 0..6)
}

/// A value of any type, maps of maps among them.
fn typed_value() -> impl Strategy<Value = (DataType, Value)> {
    let bytes = || vec(any::<u8>(), 0..6);
    let leaf = prop_oneof![
        any::<i32>().prop_map(|n| (DataType::Counter, Value::Counter(n))),
        any::<i32>().prop_map(|n| (DataType::FatCounter, Value::Counter(n))),
        vec(bytes(), 0..4).prop_map(|all| (DataType::OrSet, Value::Set(all))),
        vec(bytes(), 0..4).prop_map(|all| (DataType::RwSet, Value::Set(all))),
        bytes().prop_map(|one| (DataType::LwwRegister, Value::Register(one))),
        vec(bytes(), 0..4).prop_map(|all| (DataType::MvRegister, Value::Registers(all))),
        any::<bool>().prop_map(|on| (DataType::EnableWinsFlag, Value::Flag(on))),
        any::<bool>().prop_map(|on| (DataType::DisableWinsFlag, Value::Flag(on))),
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        let entry = (bytes(), inner).prop_map(|(key, (t, value))| (MapKey::new(t, key), value));
        let map = prop_oneof![Just(DataType::GrowMap), Just(DataType::RemovableMap)];
        (map, vec(entry, 0..4)).prop_map(|(t, entries)| (t, Value::Map(entries)))
    })
}

/// The part of an answer that holds a value.
fn response(value: &Value) -> proto::ReadObjectResp {
    let mut part = proto::ReadObjectResp::default();
    match value.clone() {
        Value::Counter(value) => part.counter = Some(proto::CounterValue { value }),
        Value::Set(elements) => part.set = Some(proto::SetValue { elements }),
        Value::Register(value) => part.register = Some(proto::RegisterValue { value }),
        Value::Registers(values) => {
            part.multi_register = Some(proto::MultiRegisterValue { values });
        }
        Value::Flag(value) => part.flag = Some(proto::FlagValue { value }),
        Value::Map(entries) => {
            let entry = |(key, value): (MapKey, Value)| proto::MapEntry {
                value: response(&value),
                key: proto::MapKey { data_type: key.data_type.number(), key: key.key },
            };
            part.map = Some(proto::MapValue { entries: entries.into_iter().map(entry).collect() });
        }
    }
    part
}

/// The answer to a read of these, as it comes.
fn read_answer(values: &[(DataType, Value)]) -> Vec<u8> {
    let objects = values.iter().map(|(_, value)| response(value)).collect();
    framed(&proto::ReadObjectsResp { success: true, objects, error_code: None })
}

proptest! {
    #[test]
    fn values_of_every_type_are_found_again(values in vec(typed_value(), 1..4)) {
        let mut decoder = Decoder::default();
        decoder.push(&read_answer(&values));
        let frame = decoder.next_frame().unwrap().unwrap();
        let answer = parse_answer(RequestKind::Read, &frame).unwrap();
        let objects: Vec<Object> = values.iter().map(|(t, _)| Object::new(*t, "b", "k")).collect();
        let found = read_values(RequestKind::Read, &objects, answer).unwrap();
        let meant: Vec<Value> = values.into_iter().map(|(_, value)| value).collect();
        prop_assert_eq!(found, meant);
    }

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
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
        whole in prop_oneof![
            vec(typed_value(), 1..4).prop_map(|values| read_answer(&values)),
            Just(framed(&started("d"))),
        ],
    ) {
        let mut body = whole[5..].to_vec();
        for (at, value) in damage {
            *at.get_mut(&mut body) = value;
        }
        body.truncate(end.index(body.len() + 1));
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
