//! The operations of workloads, as transactions that a scripted peer sees.

use fuzz_dist_antidote::peer::*;
use fuzz_dist_antidote::proto;

use super::operations::over;
use crate::client::Client as _;
use crate::op::{Completion, Invocation, Value};

/// A read of the 8 sets of marks, of which the first ones hold these.
fn sets(marks: &[&str]) -> proto::ReadObjectsResp {
    let objects = (0..8).map(|i| {
        let elements = marks.get(i).iter().map(|m| m.as_bytes().to_vec()).collect();
        proto::ReadObjectResp { set: Some(proto::SetValue { elements }), ..Default::default() }
    });
    proto::ReadObjectsResp { success: true, objects: objects.collect(), error_code: None }
}

fn up_to_the_end(marks: &[&str]) -> Vec<Step> {
    vec![
        answer(started("d")),
        answer(operation_resp(true)),
        answer(operation_resp(true)),
        answer(sets(marks)),
    ]
}

fn marks(f: &str) -> Invocation {
    Invocation::new(f, Value::set([8, 9]))
}

#[tokio::test(start_paused = true)]
async fn a_write_is_two_updates_a_read_of_its_own_marks_and_a_commit() {
    let mut script = up_to_the_end(&["8", "5"]);
    script.push(answer(commit_resp("after")));
    let peer = Peer::new([script]);
    let mut session = over(peer.client(), "transactions").unwrap();
    let done = session.invoke(&marks("write")).await;
    assert_eq!(done, Completion::Ok(Value::set([8])), "9 was not read, and 5 is another's");
    assert_eq!(peer.codes(), [119, 118, 118, 116, 121]);
    let updated = [1, 2].map(|i| peer.request::<proto::UpdateObjects>(i).updates[0].object.clone());
    assert_ne!(updated[0].key, updated[1].key, "marks stand under different keys");
}

#[tokio::test(start_paused = true)]
async fn an_abort_never_asks_for_a_commit() {
    let mut script = up_to_the_end(&["8", "9"]);
    script.push(answer(operation_resp(true)));
    let peer = Peer::new([script]);
    let mut session = over(peer.client(), "transactions").unwrap();
    let done = session.invoke(&marks("abort")).await;
    assert_eq!(done, Completion::Ok(Value::set([8, 9])));
    assert_eq!(peer.codes(), [119, 118, 118, 116, 120]);
}

#[tokio::test(start_paused = true)]
async fn what_breaks_before_the_commit_fails_and_a_broken_commit_is_unknown() {
    let before = vec![answer(started("d")), Step::SendAndClose(vec![])];
    let mut commit = up_to_the_end(&[]);
    commit.push(Step::SendAndClose(vec![]));
    let peer = Peer::new([before, commit]);
    let mut session = over(peer.client(), "transactions").unwrap();
    let first = session.invoke(&marks("write")).await;
    assert!(matches!(&first, Completion::Fail(e) if &*e.kind == "disconnected"), "{first:?}");
    let second = session.invoke(&marks("write")).await;
    assert!(matches!(&second, Completion::Info(e) if &*e.kind == "disconnected"), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn a_causal_token_survives_a_new_connection() {
    let peer = Peer::new([vec![answer(commit_resp("one"))], vec![answer(commit_resp("two"))]]);
    let mut session = over(peer.client().causal(true), "g_set").unwrap();
    let add = |n: i64| Invocation::new("add", n);
    assert_eq!(session.invoke(&add(1)).await, Completion::Ok(Value::Int(1)));
    session.reopen().await.unwrap();
    assert_eq!(session.invoke(&add(2)).await, Completion::Ok(Value::Int(2)));
    let second = peer.request::<proto::StaticUpdateObjects>(1);
    assert_eq!(second.transaction.timestamp.as_deref(), Some(&b"one"[..]));
    assert_eq!(peer.seen()[1].0, 1, "on a connection of its own");
}

#[tokio::test(start_paused = true)]
async fn an_operation_of_another_workload_is_refused_and_nothing_is_sent() {
    let peer = Peer::new([]);
    let mut session = over(peer.client(), "g_set").unwrap();
    let refused = session.invoke(&Invocation::new("transfer", 5)).await;
    assert!(matches!(&refused, Completion::Fail(e) if &*e.kind == "unsupported"), "{refused:?}");
    let Completion::Fail(error) = &refused else { unreachable!() };
    assert!(error.text.contains("it has `add`, `remove` and `read`"), "{error}");
    let refused = session.invoke(&Invocation::new("add", "five")).await;
    assert!(matches!(&refused, Completion::Fail(e) if &*e.kind == "bad_argument"), "{refused:?}");
}
