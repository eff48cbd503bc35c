//! Interactive transactions: what they send, how they end, and what is left of them.

use crate::peer::*;
use crate::proto;
use crate::{Ending, Error, Update, Value};

const ADD: Update = Update::Increment(1);

#[tokio::test(start_paused = true)]
async fn a_transaction_reads_writes_and_commits_under_its_descriptor() {
    let peer = Peer::new([vec![
        answer(started("d")),
        answer(operation_resp(true)),
        answer(counters_resp(&[1, 5])),
        answer(commit_resp("after")),
    ]]);
    let mut client = peer.client();
    let mut transaction = client.begin().await.unwrap();
    transaction.update(&[(counter(), ADD)]).await.unwrap();
    let values = transaction.read(&[counter(), counter()]).await.unwrap();
    assert_eq!(values, [Value::Counter(1), Value::Counter(5)]);
    transaction.commit().await.unwrap();

    assert_eq!(peer.codes(), [119, 118, 116, 121]);
    assert_eq!(peer.request::<proto::UpdateObjects>(1).descriptor, b"d");
    assert_eq!(peer.request::<proto::ReadObjects>(2).descriptor, b"d");
    assert_eq!(peer.request::<proto::CommitTransaction>(3).descriptor, b"d");
    assert_eq!(client.token().unwrap().as_bytes(), b"after");
}

#[tokio::test(start_paused = true)]
async fn a_transaction_cannot_be_used_after_its_commit() {
    let peer = Peer::new([vec![answer(started("d")), answer(commit_resp("after"))]]);
    let mut client = peer.client();
    let mut transaction = client.begin().await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(transaction.ending(), Some(Ending::Committed));
    let errors = [
        transaction.read(&[counter()]).await.unwrap_err(),
        transaction.update(&[(counter(), ADD)]).await.unwrap_err(),
        transaction.commit().await.unwrap_err(),
        transaction.abort().await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::TransactionOver { .. }), "{error:?}");
        assert!(error.to_string().ends_with("has been committed; start a new one"), "{error}");
        assert!(!error.is_definite(), "what was committed must not be completed as fail");
    }
    assert_eq!(peer.codes(), [119, 121]);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_transaction_that_is_over_is_refused_by_the_server() {
    let peer = Peer::new([vec![answer(error_resp("exit: noproc"))]]);
    let mut client = peer.client();
    let error = client.resume(b"d".to_vec()).commit().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }) && !error.is_definite(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_aborted_transaction_is_over() {
    let peer = Peer::new([vec![answer(started("d")), answer(operation_resp(true))]]);
    let mut client = peer.client();
    let mut transaction = client.begin().await.unwrap();
    transaction.abort().await.unwrap();
    let error = transaction.commit().await.unwrap_err();
    assert!(error.to_string().contains("has been aborted") && error.is_definite(), "{error}");
    assert_eq!(peer.codes(), [119, 120]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_certification_is_definite() {
    let peer = Peer::new([vec![answer(started("d")), answer(refused_commit(3))]]);
    let mut client = peer.client();
    let mut transaction = client.begin().await.unwrap();
    let error = transaction.commit().await.unwrap_err();
    assert!(error.is_definite() && error.kind() == "aborted", "{error}");
    assert_eq!(transaction.ending(), Some(Ending::Aborted));
}

#[tokio::test(start_paused = true)]
async fn before_the_commit_every_error_is_definite_and_ends_the_transaction() {
    for step in [
        answer(operation_resp(false)),
        answer(error_resp("bad")),
        answer(commit_resp("not asked for")),
        Step::Hang,
        Step::SendAndClose(vec![]),
    ] {
        let peer = Peer::new([vec![answer(started("d")), step.clone()], vec![]]);
        let mut client = peer.client();
        let mut transaction = client.begin().await.unwrap();
        let error = transaction.update(&[(counter(), ADD)]).await.unwrap_err();
        assert!(error.is_definite(), "{step:?}: {error}");
        let after = transaction.commit().await.unwrap_err();
        assert!(matches!(after, Error::TransactionOver { .. }) && after.is_definite(), "{after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_commit_may_have_happened() {
    for step in [answer(error_resp("bad")), Step::Hang, Step::SendAndClose(vec![])] {
        let peer = Peer::new([vec![answer(started("d")), step.clone()], vec![]]);
        let mut client = peer.client();
        let mut transaction = client.begin().await.unwrap();
        let error = transaction.commit().await.unwrap_err();
        assert!(!error.is_definite(), "{step:?}: {error}");
        assert_eq!(transaction.ending(), Some(Ending::Indeterminate));
        let after = transaction.abort().await.unwrap_err();
        assert!(!after.is_definite(), "{after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_transaction_can_still_be_aborted() {
    let peer = Peer::new([vec![
        answer(started("d")),
        answer(operation_resp(false)),
        answer(operation_resp(true)),
    ]]);
    let mut client = peer.client();
    let mut transaction = client.begin().await.unwrap();
    transaction.update(&[(counter(), ADD)]).await.unwrap_err();
    assert_eq!(transaction.ending(), Some(Ending::Failed));
    transaction.abort().await.unwrap();
    assert_eq!(peer.codes(), [119, 118, 120]);
}

#[tokio::test(start_paused = true)]
async fn a_mistake_that_was_not_sent_ends_no_transaction() {
    let peer = Peer::new([vec![answer(started("d")), answer(commit_resp("after"))]]);
    let mut client = peer.client();
    let mut transaction = client.begin().await.unwrap();
    transaction.update(&[(counter(), Update::add("x"))]).await.unwrap_err();
    transaction.read(&[]).await.unwrap_err();
    transaction.commit().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_transaction_outlives_its_connection() {
    let start = Step::SendAndClose(framed(&started("d")));
    let peer = Peer::new([vec![start], vec![answer(commit_resp("after"))]]);
    let mut client = peer.client();
    let mut transaction = client.begin().await.unwrap();
    tokio::task::yield_now().await;
    transaction.commit().await.unwrap();
    assert_eq!(peer.request::<proto::CommitTransaction>(1).descriptor, b"d");
}
