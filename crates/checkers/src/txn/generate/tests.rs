//! Generated histories are what they claim to be.

use super::*;

#[test]
fn the_same_seed_gives_the_same_history() {
    for store in [Store::StrictSerializable, Store::Snapshot, Store::Causal { replicas: 3 }] {
        let load = Load::new(200).outcomes(0.1, 0.1).seed(5);
        let (a, b) = (load.history(Shape::Registers, store), load.history(Shape::Registers, store));
        assert!(a.events().eq(b.events()));
        assert_eq!((0..a.len()).filter(|i| a.kind(*i) == Kind::Invoke).count(), 200);
        let c = load.clone().seed(6).history(Shape::Registers, store);
        assert!(!a.events().eq(c.events()));
    }
}

#[test]
fn scripts_that_are_wrong_say_where() {
    assert!(script("\nx: r x 1").unwrap_err().starts_with("line 2"));
    assert!(script("0 maybe: r x 1").unwrap_err().contains("outcome"));
    assert!(script("0: r").unwrap_err().contains("key"));
}
