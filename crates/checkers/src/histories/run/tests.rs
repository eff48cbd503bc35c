//! What decides a run. That checkers judge runs as they should is tried by `tests/planted.rs`.

use super::*;

#[test]
fn the_seed_and_the_sizes_decide() {
    let run = Run::new(Object::Queue).operations(100).outcomes(0.2, 0.2);
    assert!(run.history(Seed(3)).events().eq(run.history(Seed(3)).events()));
    assert!(!run.history(Seed(3)).events().eq(run.history(Seed(4)).events()));
    let history = run.clients(2).nodes(4).history(Seed(5));
    let main = history.events().filter(|e| {
        e.kind == fuzz_dist_history::op::Kind::Invoke
            && e.phase == fuzz_dist_history::op::Phase::Main
    });
    assert_eq!((main.count(), history.nodes().len()), (100, 4));
}

#[test]
#[should_panic(expected = "a run on a queue has no anomaly `stale`")]
fn an_anomaly_that_the_object_cannot_have_is_refused() {
    let _ = Run::new(Object::Queue).plant("stale");
}
