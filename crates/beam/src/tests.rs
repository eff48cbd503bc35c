//! Terms, messages and handshakes without any node: identities, and bytes that nobody should trust.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::control::{Control, Process};
use super::decode::{DEPTH_MAX, DecodeError, Decoder};
use super::frame::{self, FrameError, Message};
use super::handshake::{self, Flags, HandshakeError};
use super::term::{Atom, Bits, Export, Float, Pid, Port, Reference};
use super::*;

fn names() -> impl Strategy<Value = Atom> {
    prop_oneof![
        Just(Atom::from_static("ok")),
        any::<String>().prop_map(|text| { Atom::from(text.chars().take(255).collect::<String>()) })
    ]
}

fn pids() -> impl Strategy<Value = Pid> {
    (names(), any::<(u32, u32, u32)>()).prop_map(|(node, (id, serial, creation))| Pid {
        node,
        id,
        serial,
        creation,
    })
}

fn references() -> impl Strategy<Value = Reference> {
    (names(), any::<u32>(), vec(any::<u32>(), 1..=5)).prop_map(|(node, creation, ids)| Reference {
        node,
        creation,
        ids,
    })
}

fn leaves() -> impl Strategy<Value = Term> {
    prop_oneof![
        any::<i64>().prop_map(Term::Int),
        (-300i64..300).prop_map(Term::Int),
        any::<i128>().prop_map(Term::from),
        (any::<bool>(), vec(any::<u8>(), 0..300))
            .prop_map(|(sign, bytes)| BigInt::new(sign, bytes).into_term()),
        prop::num::f64::NORMAL.prop_map(|number| Term::Float(Float(number))),
        names().prop_map(Term::Atom),
        pids().prop_map(Term::from),
        references().prop_map(Term::from),
        (names(), any::<u64>(), any::<u32>())
            .prop_map(|(node, id, creation)| Term::Port(Box::new(Port { node, id, creation }))),
        (names(), names(), any::<u8>()).prop_map(|(module, function, arity)| {
            Term::Export(Box::new(Export { module, function, arity }))
        }),
        vec(any::<u8>(), 0..40).prop_map(Term::Binary),
        (vec(any::<u8>(), 1..10), 1u8..8).prop_map(|(mut bytes, last_bits)| {
            if let Some(last) = bytes.last_mut() {
                *last &= 0xff << (8 - last_bits);
            }
            Term::Bits(Box::new(Bits { bytes, last_bits }))
        }),
        vec(any::<u8>(), 0..40).prop_map(Term::from),
        Just(Term::Fun([112, 0, 0, 0, 6, 1, 2].into())),
    ]
}

fn terms() -> impl Strategy<Value = Term> {
    leaves().prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Term::Tuple),
            vec(inner.clone(), 0..8).prop_map(Term::List),
            btree_map(inner.clone(), inner.clone(), 0..6).prop_map(Term::Map),
            (vec(inner.clone(), 1..5), inner)
                .prop_filter("a tail that is a list makes a longer list", |(_, tail)| {
                    !matches!(tail, Term::List(_) | Term::Improper(_))
                })
                .prop_map(|parts| Term::Improper(Box::new(parts))),
        ]
    })
}

fn encoded(term: &Term) -> Vec<u8> {
    let mut bytes = vec![131];
    encode(term, &mut bytes).unwrap();
    bytes
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(term in terms()) {
        prop_assert_eq!(decode_whole(&encoded(&term)), Ok(term));
    }

    #[test]
    fn no_part_of_a_term_is_a_term(term in terms(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(&term);
        let cut = cut.index(bytes.len());
        prop_assert!(decode_whole(&bytes[..cut]).is_err());
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..300)) {
        let _ = decode_whole(&bytes);
        let _ = Decoder::new(&bytes).term();
        let _ = frame::parse(&bytes);
        let _ = frame::split(&bytes, 1000);
        let _ = handshake::parse_challenge(&bytes);
        let _ = handshake::parse_status(&bytes);
        let _ = epmd::parse_answer(&bytes, "n");
    }

    #[test]
    fn bytes_that_are_nearly_a_term_do_no_harm(
        term in terms(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut bytes = encoded(&term);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // Whatever it is now, it prints, and survives a second journey.
        if let Ok(term) = decode_whole(&bytes) {
            let _ = term.to_string();
            prop_assert_eq!(decode_whole(&encoded(&term)), Ok(term));
        }
    }

    #[test]
    fn the_order_is_one(a in terms(), b in terms(), c in terms()) {
        use std::cmp::Ordering::{Equal, Greater};
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.cmp(&b) == Equal, a == b);
        let mut sorted = [a, b, c];
        sorted.sort();
        prop_assert_ne!(sorted[0].cmp(&sorted[2]), Greater);
    }

    #[test]
    fn control_messages_go_there_and_back(
        from in pids(), to in pids(), name in names(), reference in references(), reason in terms(),
    ) {
        let by_name = Process::Name(name.clone());
        let controls = [
            Control::Link { from: from.clone(), to: to.clone() },
            Control::Unlink { id: Term::Int(7), from: from.clone(), to: to.clone() },
            Control::UnlinkAck { id: Term::Int(7), from: from.clone(), to: to.clone() },
            Control::Send { from: None, to: Process::Pid(to.clone()) },
            Control::Send { from: Some(from.clone()), to: Process::Pid(to.clone()) },
            Control::Send { from: Some(from.clone()), to: by_name.clone() },
            Control::AliasSend { from: from.clone(), alias: reference.clone() },
            Control::Exit { from: from.clone(), to: to.clone(), reason: None },
            Control::Exit { from: from.clone(), to: to.clone(), reason: Some(reason.clone()) },
            Control::ExitSignal { from: from.clone(), to: to.clone(), reason: None },
            Control::ExitSignal { from: from.clone(), to: to.clone(), reason: Some(reason.clone()) },
            Control::Monitor { from: from.clone(), to: by_name.clone(), reference: reference.clone() },
            Control::Demonitor { from: from.clone(), to: by_name.clone(), reference: reference.clone() },
            Control::Down { from: by_name.clone(), to: to.clone(), reference: reference.clone(), reason: None },
            Control::Down { from: by_name, to: to.clone(), reference: reference.clone(), reason: Some(reason.clone()) },
            Control::SpawnRequest {
                request: reference.clone(),
                from: from.clone(),
                group_leader: to.clone(),
                function: (name.clone(), name, 3),
                options: vec![Atom::from_static("monitor")],
            },
            Control::SpawnReply { request: reference, to, result: reason.clone() },
        ];
        let mut stream = Vec::new();
        for control in &controls {
            control.clone().write(Some(&reason), &mut stream).unwrap();
            control.clone().write(None, &mut stream).unwrap();
        }
        stream.extend(frame::TICK);
        let mut rest = &stream[..];
        for control in controls {
            for payload in [Some(reason.clone()), None] {
                let (body, after) = frame::split(rest, 1 << 20).unwrap().unwrap();
                prop_assert_eq!(frame::parse(body), Ok(Message::Signal(control.clone(), payload)));
                rest = after;
            }
        }
        let (body, after) = frame::split(rest, 1 << 20).unwrap().unwrap();
        prop_assert_eq!(frame::parse(body), Ok(Message::Tick));
        prop_assert!(after.is_empty());
    }

    #[test]
    fn numbers_print_in_decimal(number in any::<u128>(), negative in any::<bool>()) {
        let big = BigInt::new(negative, number.to_le_bytes().to_vec());
        let sign = if negative && number > 0 { "-" } else { "" };
        prop_assert_eq!(big.to_string(), format!("{sign}{number}"));
    }

    #[test]
    fn numbers_convert_back(number in any::<i128>(), float in prop::num::f64::NORMAL) {
        prop_assert_eq!(i128::from_term(Term::from(number)), Ok(number));
        prop_assert_eq!(u64::from_term(Term::from(number)).ok(), u64::try_from(number).ok());
        prop_assert_eq!(i64::from_term(Term::from(number)).ok(), i64::try_from(number).ok());
        prop_assert_eq!(f64::from_term(Term::from(float)), Ok(float));
    }
}

#[test]
fn lengths_that_lie_are_not_believed() {
    let lies: [&[u8]; 5] = [
        &[131, 108, 255, 255, 255, 255, 106],
        &[131, 105, 255, 255, 255, 255, 106],
        &[131, 109, 255, 255, 255, 255, 1],
        &[131, 111, 255, 255, 255, 255, 0, 1],
        &[131, 116, 255, 255, 255, 255, 97, 1],
    ];
    for bytes in lies {
        assert_eq!(decode_whole(bytes), Err(DecodeError::CutShort));
    }
}

#[test]
fn nesting_has_a_limit() {
    let nested = |levels: usize| {
        let mut bytes = vec![131];
        bytes.extend([104, 1].repeat(levels));
        bytes.push(106);
        decode_whole(&bytes)
    };
    assert!(nested(DEPTH_MAX - 1).is_ok());
    assert_eq!(nested(DEPTH_MAX), Err(DecodeError::TooDeep));
    assert_eq!(nested(1_000_000), Err(DecodeError::TooDeep));
}

#[test]
fn old_and_odd_forms_are_understood() {
    let decoded = |bytes: &[u8]| Decoder::new(bytes).term();
    assert_eq!(decoded(&[100, 0, 1, 0xe9]), Ok(Term::Atom("é".into())));
    assert_eq!(decoded(&[115, 1, 0xe9]), Ok(Term::Atom("é".into())));
    let mut float = vec![99];
    float.extend(b"1.50000000000000000000e+00\0\0\0\0\0");
    assert_eq!(decoded(&float), Ok(Term::from(1.5)));
    // A small number in the form for large ones.
    assert_eq!(decoded(&[110, 3, 1, 5, 0, 0]), Ok(Term::Int(-5)));
    // A list whose tail is a string.
    assert_eq!(decoded(&[108, 0, 0, 0, 1, 97, 1, 107, 0, 1, 2]), Ok(Term::from(vec![1, 2])));
    // An atom of a message's table.
    let table = [Atom::from_static("zero"), Atom::from_static("one")];
    assert_eq!(Decoder::with_atoms(&[82, 1], &table).term(), Ok(atom("one")));
    assert!(Decoder::with_atoms(&[82, 2], &table).term().is_err());
    // Not a number, and a key that comes twice.
    assert!(decoded(&[70, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]).is_err());
    assert!(decoded(&[116, 0, 0, 0, 2, 97, 1, 106, 97, 1, 106]).is_err());
}

#[test]
fn what_erlang_cannot_have_is_not_encoded() {
    let mut out = Vec::new();
    assert!(matches!(encode(&Term::from(f64::NAN), &mut out), Err(EncodeError::NotFinite(_))));
    let long = Term::Atom("a".repeat(256).into());
    assert_eq!(encode(&long, &mut out), Err(EncodeError::AtomTooLong(256)));
    // A message that cannot be written leaves nothing behind.
    let to = Process::Name(Atom::from_static("rex"));
    let mut stream = frame::TICK.to_vec();
    assert!(Control::Send { from: None, to }.write(Some(&long), &mut stream).is_err());
    assert_eq!(stream, frame::TICK);
}

#[test]
fn traced_signals_are_understood() {
    let pid = |id| Pid { node: Atom::from_static("n"), id, serial: 0, creation: 1 };
    let token = atom("token");
    let parsed = |parts| Control::from_term(Term::Tuple(parts)).unwrap();
    let exit =
        parsed(vec![Term::Int(13), pid(1).into(), pid(2).into(), token.clone(), atom("boom")]);
    assert_eq!(exit, Control::Exit { from: pid(1), to: pid(2), reason: Some(atom("boom")) });
    let send = parsed(vec![Term::Int(16), pid(1).into(), atom(""), atom("name"), token]);
    assert_eq!(send, Control::Send { from: Some(pid(1)), to: Process::from("name") });
}

#[test]
fn messages_have_a_limit_and_may_come_in_parts() {
    assert_eq!(frame::split(&[0, 0, 0], 10), Ok(None));
    assert_eq!(frame::split(&[0, 0, 0, 2, 1], 10), Ok(None));
    assert_eq!(
        frame::split(&[0, 0, 0, 11], 10),
        Err(FrameError::TooLong { length: 11, limit: 10 })
    );
    assert_eq!(frame::parse(&[131, 68]), Err(FrameError::UnknownType(131)));
}

#[test]
fn a_handshake_is_checked() {
    assert_eq!(handshake::parse_status(b"sok"), Ok(handshake::Status::Ok));
    let refused = handshake::parse_status(b"snot_allowed").unwrap_err();
    assert_eq!(refused, HandshakeError::Refused("not_allowed".into()));
    let mut old = vec![b'N'];
    old.extend(0x1u64.to_be_bytes());
    old.extend([0; 8]);
    old.extend([0, 1, b'n']);
    assert_eq!(handshake::parse_challenge(&old), Err(HandshakeError::TooOld(Flags(1))));
    // Both sides prove that they know the cookie; the digest is the MD5 of cookie and challenge in decimal.
    let reply = handshake::reply_message("secret", 42, 7);
    assert_eq!(reply[..5], [b'r', 0, 0, 0, 7]);
    let mut ack = vec![b'a'];
    ack.extend(&reply[5..]);
    assert_eq!(handshake::check_ack(&ack, "secret", 42), Ok(()));
    assert_eq!(handshake::check_ack(&ack, "secret", 43), Err(HandshakeError::WrongCookie));
}

#[test]
fn values_are_read_as_they_are_asked_for() {
    use std::collections::{BTreeMap, BTreeSet, HashMap};
    let ok = |value: Term| Term::from((atom("ok"), value));
    assert_eq!(<Result<i64, Term>>::from_term(ok(Term::Int(1))), Ok(Ok(1)));
    let failed = Term::from((atom("error"), atom("full")));
    assert_eq!(<Result<i64, Term>>::from_term(failed.clone()), Ok(Err(atom("full"))));
    assert_eq!(<Result<(), Term>>::from_term(atom("ok")), Ok(Ok(())));
    assert_eq!(
        <Result<(), Term>>::from_term(Term::from((atom("aborted"), 7))),
        Ok(Err(Term::Int(7)))
    );
    assert_eq!(<()>::from_term(atom("ok")), Ok(()));
    assert_eq!(
        <()>::from_term(failed).unwrap_err().to_string(),
        "expected success, got {error,full}"
    );
    assert_eq!(Option::<bool>::from_term(atom("undefined")), Ok(None));
    assert_eq!(Option::<bool>::from_term(atom("nil")), Ok(None));
    assert_eq!(Option::<bool>::from_term(atom("true")), Ok(Some(true)));
    assert_eq!(String::from_term(charlist("hä")), Ok("hä".into()));
    assert_eq!(String::from_term(Term::from("hä")), Ok("hä".into()));
    assert_eq!(BTreeSet::from_term(Term::from(vec![3, 1, 2])), Ok(BTreeSet::from([1, 2, 3])));
    let map = BTreeMap::from([("a".to_owned(), vec![1.5])]);
    assert_eq!(BTreeMap::from_term(Term::from(map.clone())), Ok(map.clone()));
    let as_hash: HashMap<String, Vec<f64>> = HashMap::from_term(Term::from(map)).unwrap();
    assert_eq!(as_hash["a"], [1.5]);
    assert_eq!(
        <(u8, (i8, bool))>::from_term(Term::from((200, (-1, false)))),
        Ok((200, (-1, false)))
    );
    assert!(<(u8, u8)>::from_term(Term::from((1, 2, 3))).is_err());
    assert!(u8::from_term(Term::Int(256)).is_err());
    let long = Term::Binary(vec![b'x'; 10_000]);
    assert!(i64::from_term(long).unwrap_err().to_string().len() < 400);
}
