//! What the client does when answers come late, in part, or not at all.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::peer::*;
use crate::proto;
use crate::{Client, Error, Update, Value};

#[tokio::test(start_paused = true)]
async fn a_time_out_costs_the_connection_and_the_next_request_has_a_new_one() {
    let peer = Peer::new([vec![Step::Hang], vec![answer(counter_resp(7, "t"))]]);
    let mut client = peer.client().timeout(Duration::from_secs(5));
    let error = client.update(&[(counter(), Update::Increment(1))]).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }) && !error.is_definite(), "{error:?}");
    assert!(!client.is_connected());
    assert_eq!(client.read(&[counter()]).await.unwrap(), [Value::Counter(7)]);
    let connections: Vec<usize> = peer.seen().iter().map(|(number, _)| *number).collect();
    assert_eq!(connections, [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_lost_is_definite() {
    let peer = Peer::new([vec![Step::Hang], vec![Step::SendAndClose(vec![])]]);
    let mut client = peer.client();
    let late = client.read(&[counter()]).await.unwrap_err();
    let lost = client.read(&[counter()]).await.unwrap_err();
    assert!(matches!(late, Error::Timeout { .. }) && late.is_definite(), "{late:?}");
    assert!(matches!(lost, Error::Broken { .. }) && lost.is_definite(), "{lost:?}");
}

#[tokio::test(start_paused = true)]
async fn half_an_answer_is_none() {
    let mut half = framed(&commit_resp("t"));
    half.pop();
    let peer = Peer::new([vec![Step::SendAndClose(half.clone())], vec![Step::Send(half)]]);
    let mut client = peer.client();
    let update = [(counter(), Update::Increment(1))];
    let closed = client.update(&update).await.unwrap_err();
    let stuck = client.update(&update).await.unwrap_err();
    assert!(matches!(closed, Error::Broken { .. }) && !closed.is_definite(), "{closed:?}");
    assert!(matches!(stuck, Error::Timeout { .. }) && !stuck.is_definite(), "{stuck:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_arrive_byte_by_byte() {
    let peer = Peer::new([vec![Step::Trickle(framed(&counter_resp(3, "t")))]]);
    assert_eq!(peer.client().read(&[counter()]).await.unwrap(), [Value::Counter(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_closed_while_idle_costs_no_request() {
    let peer = Peer::new([
        vec![Step::SendAndClose(framed(&commit_resp("t")))],
        vec![answer(commit_resp("t"))],
    ]);
    let mut client = peer.client();
    let update = [(counter(), Update::Increment(1))];
    client.update(&update).await.unwrap();
    tokio::task::yield_now().await;
    client.update(&update).await.unwrap();
    assert_eq!(peer.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_nobody_asked_for_are_not_taken_for_the_next_answer() {
    let mut two = framed(&counter_resp(1, "t"));
    two.extend(framed(&counter_resp(99, "t")));
    let peer = Peer::new([vec![Step::Send(two)], vec![answer(counter_resp(2, "t"))]]);
    let mut client = peer.client();
    assert_eq!(client.read(&[counter()]).await.unwrap(), [Value::Counter(1)]);
    assert_eq!(client.read(&[counter()]).await.unwrap(), [Value::Counter(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_dropped_in_the_middle_takes_its_connection_along() {
    let peer = Peer::new([vec![Step::Hang], vec![answer(counter_resp(2, "t"))]]);
    let mut client = peer.client();
    let objects = [counter()];
    let limit = Duration::from_millis(1);
    tokio::time::timeout(limit, client.read(&objects)).await.unwrap_err();
    assert!(!client.is_connected());
    assert_eq!(client.read(&[counter()]).await.unwrap(), [Value::Counter(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_or_endless_connect_is_definite() {
    let update = [(counter(), Update::Increment(1))];
    let refused = Peer::new([]).client().update(&update).await.unwrap_err();
    assert!(matches!(refused, Error::Connect { .. }) && refused.is_definite(), "{refused:?}");

    let mut endless = Client::new(std::future::pending::<std::io::Result<tokio::net::TcpStream>>);
    let error = endless.update(&update).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }) && error.is_definite(), "{error:?}");
    assert!(error.to_string().contains("no connection within 5000 ms"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_sent_when_asked_for_and_survives_a_lost_connection() {
    let peer = Peer::new([
        vec![answer(commit_resp("first")), Step::Hang],
        vec![answer(counter_resp(1, "second"))],
    ]);
    let mut client = peer.client().causal(true);
    let update = [(counter(), Update::Increment(1))];
    client.update(&update).await.unwrap();
    client.update(&update).await.unwrap_err();
    client.read(&[counter()]).await.unwrap();

    let token = |start: proto::StartTransaction| start.timestamp.map(String::from_utf8);
    let updates = [0, 1].map(|i| peer.request::<proto::StaticUpdateObjects>(i));
    let [first, second] = updates.map(|request| token(request.transaction));
    let third = token(peer.request::<proto::StaticReadObjects>(2).transaction);
    assert_eq!((first, second), (None, Some(Ok("first".to_string()))));
    assert_eq!(third, Some(Ok("first".to_string())));
    assert_eq!(client.token().unwrap().as_bytes(), b"second");
}

#[tokio::test(start_paused = true)]
async fn without_causality_no_token_is_sent() {
    let peer = Peer::new([vec![answer(commit_resp("first")), answer(counter_resp(1, "second"))]]);
    let mut client = peer.client();
    client.update(&[(counter(), Update::Increment(1))]).await.unwrap();
    client.read(&[counter()]).await.unwrap();
    assert_eq!(peer.request::<proto::StaticReadObjects>(1).transaction.timestamp, None);
    assert_eq!(client.token().unwrap().as_bytes(), b"second");
}

#[tokio::test]
async fn a_reset_is_a_broken_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = Client::tcp(listener.local_addr().unwrap());
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut some = [0; 8];
        stream.read_exact(&mut some).await.unwrap();
        // Closed with unread bytes: the kernel sends a reset.
    };
    let update = [(counter(), Update::Increment(1))];
    let (result, ()) = tokio::join!(client.update(&update), server);
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Broken { .. }) && !error.is_definite(), "{error:?}");
}

#[test]
fn requests_can_move_between_threads() {
    fn assert_send<T: Send>(_: &T) {}
    let mut client = Peer::new([]).client();
    let objects = [counter()];
    assert_send(&client);
    assert_send(&client.read(&objects));
}
