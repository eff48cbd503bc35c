//! The fuzz targets of `fuzz/`, as they are, on a bounded number of inputs: so they compile with every
//! change, and what they promise holds for the same inputs on every machine.
//!
//! `cargo +nightly fuzz run NAME` looks further; see `fuzz/Cargo.toml`.

// What the targets use of the fuzzer is the macro below.
extern crate self as libfuzzer_sys;

use fuzz_dist::antidote::frame::Frame;
use fuzz_dist::beam::control::Control;
use fuzz_dist::beam::follow::{Follower, What};
use fuzz_dist::beam::handshake::{name_message, reply_message};
use fuzz_dist::beam::{Atom, Pid, Process, Reference, Term};
use fuzz_dist::history::Format;
use fuzz_dist::random::{Seed, Stream};

/// The fuzzer calls a target with one input after the other; here it is an ordinary function.
mod fuzzer {
    macro_rules! fuzz_target {
        (|$bytes:ident: &[u8]| $body:block) => {
            pub(crate) fn target($bytes: &[u8]) $body
        };
    }
    pub(crate) use fuzz_target;
}
pub(crate) use fuzzer::fuzz_target;

#[path = "../fuzz/fuzz_targets/antidote_answers.rs"]
#[allow(unused_attributes, reason = "`no_main` is for the fuzzer's own programs")]
mod antidote_answers;
#[path = "../fuzz/fuzz_targets/distribution.rs"]
#[allow(unused_attributes, reason = "`no_main` is for the fuzzer's own programs")]
mod distribution;
#[path = "../fuzz/fuzz_targets/histories.rs"]
#[allow(unused_attributes, reason = "`no_main` is for the fuzzer's own programs")]
mod histories;

/// One byte that says how, and an input that is as it should be; changed a little, again and again.
fn feed(target: fn(&[u8]), name: &str, inputs: &[Vec<u8>], rounds: usize) {
    let mut random = Seed(1).stream(name);
    for round in 0..rounds {
        let mut input = random.choose(inputs).expect("there are inputs").clone();
        input.insert(0, random.u64() as u8);
        for _ in 0..round % 4 {
            change(&mut input, inputs, &mut random);
        }
        target(&input);
    }
}

/// Another byte, a bit less, a bit twice, or a bit of another input.
fn change(input: &mut Vec<u8>, inputs: &[Vec<u8>], random: &mut Stream) {
    let at = random.index(input.len() + 1);
    let to = (at + random.index(12)).min(input.len());
    match random.index(5) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..to)),
        2 => drop(input.splice(at..at, input[at..to].to_vec())),
        3 => {
            let other = random.choose(inputs).expect("there are inputs");
            let from = random.index(other.len() + 1);
            input.extend(&other[from..]);
        }
        _ => match input.get_mut(at) {
            Some(byte) => {
                *byte = *random.choose(&[0, 1, 4, 127, 131, 255, *byte ^ 8]).expect("some")
            }
            None => input.push(0),
        },
    }
}

#[test]
fn whatever_nodes_send_is_followed_as_it_is_decoded() {
    let streams = [hidden(false), hidden(true), visible()];
    for stream in &streams {
        let mut seen = Vec::new();
        let mut follower = Follower::from_start(0);
        follower.feed(0, stream, |one| seen.push(one.what)).expect("a stream as nodes send it");
        let messages = seen.iter().filter(|what| matches!(what, What::Message { .. })).count();
        assert!(messages >= 2 && seen.contains(&What::Tick), "{seen:?}");
    }
    feed(distribution::target, "distribution", &streams, 60_000);
}

/// One side of a connection of a hidden node, as we are one.
fn hidden(accepts: bool) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut say = |message: &[u8]| {
        stream.extend((message.len() as u16).to_be_bytes());
        stream.extend(message);
    };
    if accepts {
        let mut challenge = name_message("b@n2", 2);
        challenge.splice(9..9, [0; 4]);
        say(b"sok");
        say(&challenge);
        say(&[&b"a"[..], &[7; 16]].concat());
    } else {
        say(&name_message("a@n1", 1));
        say(&reply_message("cookie", 1, 2));
    }
    let pid = Pid { node: Atom::from("a@n1"), id: 5, serial: 0, creation: 1 };
    let reference = Reference { node: Atom::from("a@n1"), creation: 1, ids: vec![1, 2, 3] };
    let payload = Term::from(vec![1, 2, 300]);
    let messages = [
        Control::Send { from: Some(pid.clone()), to: Process::Name(Atom::from("late")) },
        Control::Monitor { from: pid, to: Process::Name(Atom::from("late")), reference },
    ];
    for message in messages {
        let payload = matches!(message, Control::Send { .. }).then_some(&payload);
        message.write(payload, &mut stream).expect("small terms");
        stream.extend([0; 4]);
    }
    stream
}

/// The same of an ordinary node: with a table of atoms, and in fragments.
fn visible() -> Vec<u8> {
    let mut stream = hidden(false);
    let new = b"\x03\x88\x08\x00\x04a@n1\x01\x00\x02\x04late";
    let known = b"\x03\x00\x00\x00\x01\x02";
    let control = [&[104, 4, 97, 6, 88, 82, 0][..], &[0; 12], &[82, 1, 82, 2]].concat();
    let numbers = |n: u64| [5_u64.to_be_bytes(), n.to_be_bytes()].concat();
    for body in [
        [&[131, 68][..], new, &control, &[97, 9]].concat(),
        [&[131, 69][..], &numbers(2), known, &control, &[1; 40]].concat(),
        [&[131, 70][..], &numbers(1), &[2; 20]].concat(),
        Vec::new(),
    ] {
        stream.extend((body.len() as u32).to_be_bytes());
        stream.extend(body);
    }
    stream
}

#[test]
fn whatever_comes_is_a_history_or_an_error() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/checkers/tests/histories");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("kept histories")
        .map(|e| e.expect("a file").path())
        .collect();
    files.sort();
    let texts: Vec<Vec<u8>> = files.iter().map(|f| std::fs::read(f).expect("a file")).collect();
    let mut short: Vec<Vec<u8>> = texts.into_iter().filter(|text| text.len() < 3000).collect();
    assert!(short.len() > 20, "the kept histories were not found");
    let edn = |text: &Vec<u8>| {
        let loaded =
            fuzz_dist::history::History::import(&mut &text[..], folder.as_ref(), Format::Json);
        let mut edn = Vec::new();
        loaded.expect("a kept history").history.export(&mut edn, Format::Edn).expect("memory");
        edn
    };
    short.extend(short.clone().iter().map(edn));
    feed(histories::target, "histories", &short, 6_000);
}

#[test]
fn whatever_a_server_answers_is_judged() {
    // Codes and bodies of all kinds: an object with a counter, one with a set, a yes, a no.
    let bodies: [&[u8]; 4] = [
        b"\x08\x01\x12\x02\x0a\x00",
        b"\x0a\x06\x12\x04\x0a\x02ab",
        b"\x08\x01",
        b"\x08\x00\x10\x03",
    ];
    let answer = |(code, body): (u8, &&[u8])| {
        Frame { code, body: body.to_vec() }.encode().expect("a short frame")
    };
    let answers: Vec<Vec<u8>> = (0..=255)
        .flat_map(|code| bodies.iter().map(move |body| (code, body)))
        .map(answer)
        .collect();
    feed(antidote_answers::target, "antidote_answers", &answers, 60_000);
}
