//! Bytes exchanged with a real server (0.2.2), for every type: what is sent, and what it means.

use crate::peer::{Peer, Step};
use crate::{DataType, MapKey, Object, Update, Value};

/// A commit time, as it stands behind the values in an answer to a static read.
const COMMIT: &str = "12a1010801129c018374000000036802640012616e7469646f74654031302e36362e312e31\
    6803620000070362000835df62000162e76e0700e31ab8490861066802640012616e7469646f74654031302e3636\
    2e312e326803620000070362000835df62000682126e0700a9769c490861066802640012616e7469646f74654031\
    302e36362e312e336803620000070362000835df620000f71e6e0700ad51a849086106";
/// The answer to a static update: the same, with a code of its own.
const COMMITTED: &str = "000000a27f0801129c018374000000036802640012616e7469646f74654031302e36362e\
    312e316803620000070362000835df62000162e76e0700e922b8490861066802640012616e7469646f7465403130\
    2e36362e312e326803620000070362000835df62000682126e0700a9769c490861066802640012616e7469646f74\
    654031302e36362e312e336803620000070362000835df620000f71e6e0700ad51a849086106";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// Updates and reads an object named after its type, with the bytes that a real server saw.
async fn check(data_type: DataType, update: Update, sent: &str, answered: &str, value: Value) {
    let answer = bytes(&format!("{answered}{COMMIT}"));
    let peer = Peer::new([vec![Step::Send(bytes(COMMITTED)), Step::Trickle(answer)]]);
    let mut client = peer.client();
    let object = Object::new(data_type, "b", name(data_type));

    client.update(&[(object.clone(), update)]).await.unwrap();
    let (_, request) = &peer.seen()[0];
    assert_eq!(request.encode().unwrap(), bytes(sent), "the update of a {data_type:?}");

    assert_eq!(client.read(&[object]).await.unwrap(), [value], "the value of a {data_type:?}");
    let token = client.token().unwrap().as_bytes();
    // The magic number of Erlang's external term format, and a map of three entries.
    assert_eq!(token[..6], [131, 116, 0, 0, 0, 3]);
    assert_eq!(peer.seen().len(), 2);
    assert!(client.is_connected());
}

/// The keys under which the recording was made.
fn name(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Counter => "Counter",
        DataType::FatCounter => "FatCounter",
        DataType::OrSet => "OrSet",
        DataType::RwSet => "RwSet",
        DataType::LwwRegister => "LwwRegister",
        DataType::MvRegister => "MvRegister",
        DataType::EnableWinsFlag => "EnableWinsFlag",
        DataType::DisableWinsFlag => "DisableWinsFlag",
        DataType::GrowMap => "GrowMap",
        DataType::RemovableMap => "RemovableMap",
    }
}

#[tokio::test(start_paused = true)]
async fn counters() {
    let sent = "0000001b7a0a0012160a0e0a07436f756e74657210031a016212040a02080a";
    let answered = "000000af800a08080112040a02080a";
    check(DataType::Counter, Update::Increment(5), sent, answered, Value::Counter(5)).await;

    let sent = "0000001e7a0a0012190a110a0a466174436f756e746572100c1a016212040a02080d";
    let answered = "000000af800a08080112040a02080d";
    check(DataType::FatCounter, Update::Increment(-7), sent, answered, Value::Counter(-7)).await;
}

#[tokio::test(start_paused = true)]
async fn sets() {
    let both = vec![b"a".to_vec(), b"b".to_vec()];
    let sent = "0000001f7a0a00121a0a0c0a054f7253657410041a0162120a12080801120161120162";
    let answered = "000000b3800a0c0801120812060a01610a0162";
    let value = Value::Set(both.clone());
    check(DataType::OrSet, Update::Add(both), sent, answered, value).await;

    let sent = "0000001c7a0a0012170a0c0a055277536574100a1a0162120712050801120178";
    let answered = "000000b0800a090801120512030a0178";
    let value = Value::Set(vec![b"x".to_vec()]);
    check(DataType::RwSet, Update::add("x"), sent, answered, value).await;
}

#[tokio::test(start_paused = true)]
async fn registers() {
    let sent = "000000207a0a00121b0a120a0b4c7777526567697374657210051a016212051a030a0176";
    let answered = "000000b0800a09080112051a030a0176";
    let value = Value::Register(b"v".to_vec());
    check(DataType::LwwRegister, Update::assign("v"), sent, answered, value).await;

    let sent = "0000001f7a0a00121a0a110a0a4d76526567697374657210061a016212051a030a0177";
    let answered = "000000b0800a090801120522030a0177";
    let value = Value::Registers(vec![b"w".to_vec()]);
    check(DataType::MvRegister, Update::assign("w"), sent, answered, value).await;
}

#[tokio::test(start_paused = true)]
async fn flags() {
    let answered = "000000af800a08080112043a020801";
    let sent = "000000227a0a00121d0a150a0e456e61626c6557696e73466c6167100d1a016212043a020801";
    let flag = Value::Flag(true);
    check(DataType::EnableWinsFlag, Update::Flag(true), sent, answered, flag.clone()).await;
    let sent = "000000237a0a00121e0a160a0f44697361626c6557696e73466c6167100e1a016212043a020801";
    check(DataType::DisableWinsFlag, Update::Flag(true), sent, answered, flag).await;
}

#[tokio::test(start_paused = true)]
async fn maps() {
    let key = |data_type, key: &str| MapKey::new(data_type, key);
    let (count, set) = (key(DataType::Counter, "c"), key(DataType::OrSet, "s"));
    let update = Update::Map {
        updates: vec![(count.clone(), Update::Increment(2)), (set.clone(), Update::add("e"))],
        remove: vec![],
    };
    let sent = "0000003a7a0a0012350a0e0a0747726f774d617010081a016212232a210a0d0a050a0163100312040a\
        0208040a100a050a01731004120712050801120165";
    let answered = "000000cc800a2508011221321f0a0d0a050a0163100312040a0208040a0e0a050a017310041205\
        12030a0165";
    let elements = Value::Set(vec![b"e".to_vec()]);
    let value = Value::Map(vec![(count, Value::Counter(2)), (set, elements)]);
    check(DataType::GrowMap, update, sent, answered, value).await;

    let (count, register) = (key(DataType::FatCounter, "c"), key(DataType::MvRegister, "r"));
    let update = Update::Map {
        updates: vec![
            (count.clone(), Update::Increment(2)),
            (register.clone(), Update::assign("z")),
        ],
        remove: vec![],
    };
    let sent = "0000003d7a0a0012380a130a0c52656d6f7661626c654d6170100b1a016212212a1f0a0d0a050a0163\
        100c12040a0208040a0e0a050a0172100612051a030a017a";
    let answered = "000000cc800a2508011221321f0a0d0a050a0163100c12040a0208040a0e0a050a017210061205\
        22030a017a";
    let values = Value::Registers(vec![b"z".to_vec()]);
    let value = Value::Map(vec![(count, Value::Counter(2)), (register, values)]);
    check(DataType::RemovableMap, update, sent, answered, value).await;
}
