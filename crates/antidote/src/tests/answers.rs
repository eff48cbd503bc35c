//! What the client makes of answers that arrive whole: values, refusals, and nonsense.

use prost::Message;

use crate::peer::*;
use crate::proto::{self, Coded};
use crate::{DataType, Error, MapKey, Object, Refusal, RequestKind, Update};
use std::time::Duration;

/// Reads a counter from a peer that gives this answer first, and a good one on a new connection.
async fn read_after(first: Step) -> (Error, Peer) {
    let peer =
        Peer::new([vec![first, answer(counter_resp(1, "t"))], vec![answer(counter_resp(2, "t"))]]);
    let mut client = peer.client();
    let error = client.read(&[counter()]).await.unwrap_err();
    client.read(&[counter()]).await.unwrap();
    (error, peer)
}

#[tokio::test(start_paused = true)]
async fn an_error_message_is_a_refusal_and_keeps_the_connection() {
    let (error, peer) = read_after(answer(error_resp(" exit: noproc \n"))).await;
    let Error::Refused { request: RequestKind::StaticRead, reason, message } = error else {
        panic!("{error:?}")
    };
    assert_eq!((reason, message.as_str()), (Refusal::Unknown, "exit: noproc"));
    assert_eq!(peer.seen().last().unwrap().0, 0, "the second request went over a new connection");
}

#[tokio::test(start_paused = true)]
async fn long_words_of_the_server_are_cut() {
    let (error, _) = read_after(answer(error_resp(&"ä".repeat(10_000)))).await;
    assert!(error.to_string().len() < 1_000);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_fit_costs_the_connection() {
    let not_a_message = [0, 0, 0, 4, proto::StaticReadObjectsResp::CODE, 0xff, 0xff, 0xff];
    for (what, step) in [
        ("another request's answer", answer(operation_resp(true))),
        ("a frame without a code", Step::Send(vec![0, 0, 0, 0])),
        ("a frame longer than allowed", Step::Send(vec![0xff; 5])),
        ("a body that is no message", Step::Send(not_a_message.to_vec())),
    ] {
        let (error, peer) = read_after(step).await;
        assert!(matches!(error, Error::Malformed { .. }), "{what}: {error:?}");
        assert_eq!(peer.seen().last().unwrap().0, 1, "{what}: the connection was used again");
    }
}

#[tokio::test(start_paused = true)]
async fn values_have_to_fit_the_objects() {
    let set = Object::new(DataType::OrSet, "bucket", "set");
    let peer = Peer::new([vec![
        answer(counter_resp(1, "t")),
        answer(counter_resp(1, "t")),
        answer(proto::StaticReadObjectsResp::default()),
    ]]);
    let mut client = peer.client();
    let wrong_type = client.read(&[set]).await.unwrap_err();
    let too_few = client.read(&[counter(), counter()]).await.unwrap_err();
    let hollow = client.read(&[counter()]).await.unwrap_err();
    assert!(matches!(wrong_type, Error::Malformed { .. }), "{wrong_type:?}");
    assert!(matches!(too_few, Error::Malformed { .. }), "{too_few:?}");
    assert!(matches!(hollow, Error::Refused { .. }), "{hollow:?}");
    assert!(client.token().is_none(), "a failed read moved the token");
}

#[tokio::test(start_paused = true)]
async fn only_an_aborted_update_is_definite() {
    for (code, reason, definite) in [
        (0, Refusal::Unknown, false),
        (1, Refusal::Timeout, false),
        (2, Refusal::NoPermissions, false),
        (3, Refusal::Aborted, true),
        (99, Refusal::Other(99), false),
    ] {
        let peer = Peer::new([vec![answer(refused_commit(code))]]);
        let error = peer.client().update(&[(counter(), Update::Increment(1))]).await.unwrap_err();
        assert_eq!(error.is_definite(), definite, "{error}");
        let Error::Refused { reason: found, .. } = error else { panic!("{error:?}") };
        assert_eq!(found, reason);
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_leaves_out_its_time_is_not_taken_for_a_failure() {
    let silent = proto::CommitResp { success: true, commit_time: None, error_code: None };
    let peer = Peer::new([vec![answer(silent)]]);
    let error = peer.client().update(&[(counter(), Update::Increment(1))]).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }) && !error.is_definite(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_meant_is_not_sent() {
    let peer = Peer::new([]);
    let mut client = peer.client();
    let nested = Update::Map {
        updates: vec![(MapKey::new(DataType::Counter, "c"), Update::add("x"))],
        remove: vec![],
    };
    let removal = Update::Map { updates: vec![], remove: vec![MapKey::new(DataType::OrSet, "s")] };
    for (data_type, update) in [
        (DataType::OrSet, Update::Increment(1)),
        (DataType::OrSet, Update::Add(vec![])),
        (DataType::Counter, Update::Reset),
        (DataType::LwwRegister, Update::Flag(true)),
        (DataType::GrowMap, removal),
        (DataType::RemovableMap, nested),
    ] {
        let object = Object::new(data_type, "bucket", "key");
        let error = client.update(&[(object, update)]).await.unwrap_err();
        assert!(matches!(error, Error::Unfit { .. }) && error.is_definite(), "{error:?}");
    }
    let nothing_read = client.read(&[]).await.unwrap_err();
    let nothing_written = client.update(&[]).await.unwrap_err();
    assert!(matches!(nothing_read, Error::Empty { .. }));
    assert!(matches!(nothing_written, Error::Empty { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_formed_from_descriptors() {
    let descriptor = proto::GetConnectionDescriptorResp {
        success: true,
        descriptor: Some(b"descriptor".to_vec()),
        error_code: None,
    };
    let peer = Peer::new([vec![
        answer(proto::CreateDcResp { success: true, error_code: None }),
        answer(descriptor),
        answer(proto::ConnectToDcsResp { success: true, error_code: None }),
        answer(proto::ConnectToDcsResp { success: false, error_code: Some(3) }),
        answer(proto::GetConnectionDescriptorResp { success: true, ..Default::default() }),
    ]]);
    let mut client = peer.client();
    let limit = Duration::from_secs(30);
    client.create_dc(&["antidote@10.66.1.1"], limit).await.unwrap();
    let descriptor = client.connection_descriptor(limit).await.unwrap();
    client.connect_to_dcs(&[descriptor.clone(), descriptor.clone()], limit).await.unwrap();
    let failed = client.connect_to_dcs(&[descriptor], limit).await.unwrap_err();
    let missing = client.connection_descriptor(limit).await.unwrap_err();

    assert_eq!(peer.request::<proto::CreateDc>(0).nodes, ["antidote@10.66.1.1"]);
    let connected = peer.request::<proto::ConnectToDcs>(2);
    assert_eq!(connected.descriptors, [b"descriptor", b"descriptor"]);
    assert!(!failed.is_definite(), "some of the data centres may be connected");
    assert!(matches!(missing, Error::Malformed { .. }), "{missing:?}");
    assert_eq!(peer.codes(), [129, 133, 131, 131, 133]);
}

#[test]
fn a_set_update_says_which_of_its_lists_counts() {
    let update = Update::Remove(vec![b"x".to_vec()]).to_proto();
    assert_eq!(update.encode_to_vec(), [0x12, 5, 8, 2, 0x1a, 1, b'x']);
}
