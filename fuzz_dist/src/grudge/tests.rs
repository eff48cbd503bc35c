//! Every way to draw a partition keeps what its definition promises, for every size.

use super::*;
use crate::random::{Seed, Stream};

fn members(n: usize) -> Vec<Member> {
    (1..=n).map(|i| Member::new(format!("n{i}"))).collect()
}

fn names(n: usize) -> Vec<String> {
    (1..=n).map(|i| format!("n{i}")).collect()
}

fn draws(partition: &Partition, n: usize) -> Vec<Grudge> {
    let mut random: Stream = Seed(n as u64).stream("partition");
    (0..50).map(|_| partition.draw(&members(n), &mut random).unwrap()).collect()
}

#[test]
fn majority_and_minority_are_complete_and_of_their_sizes() {
    for n in 3..12 {
        for g in draws(&Partition::MajorityMinority, n) {
            let sizes: Vec<usize> = (0..n).map(|i| g.sees(i).len()).collect();
            assert_eq!(sizes.iter().filter(|s| **s == majority(n)).count(), majority(n));
            assert_eq!(sizes.iter().filter(|s| **s == minority(n)).count(), minority(n));
        }
    }
}

#[test]
fn rings_give_everybody_a_majority_of_their_own() {
    for n in 4..40 {
        for g in draws(&Partition::MajorityRing, n) {
            let exact = !(n % 2 == 1 && majority(n).is_multiple_of(2));
            let sees = majority(n) + usize::from(!exact);
            assert!((0..n).all(|i| g.sees(i).len() == sees), "{n}:\n{g}");
            assert!(g.is_symmetric() && g.views_differ() && g.majorities());
        }
    }
}

#[test]
fn a_ring_of_three_is_refused_and_bridge_proposed() {
    let error = Partition::MajorityRing.draw(&members(3), &mut Seed(1).stream("x")).unwrap_err();
    assert!(error.to_string().contains("bridge"), "{error}");
}

#[test]
fn a_bridge_has_one_node_that_sees_both_halves() {
    for n in 3..12 {
        for g in draws(&Partition::Bridge, n) {
            let middles = (0..n).filter(|i| g.sees(*i).len() == n).count();
            assert_eq!(middles, 1, "{n}:\n{g}");
        }
    }
    let g = bridge_of_five();
    assert_eq!(g.shape(&names(5)), "{n1 n2} - n3 - {n4 n5}");
}

fn bridge_of_five() -> Grudge {
    let pairs = [(0, 3), (0, 4), (1, 3), (1, 4)];
    pairs.into_iter().fold(Grudge::none(5), |g, (a, b)| g.cut_both(a, b))
}

#[test]
fn data_centres_are_isolated_whole() {
    let mut nodes = members(5);
    for (i, node) in nodes.iter_mut().enumerate() {
        node.group = Some(if i < 2 { "east".into() } else { "west".into() });
    }
    let g = Partition::IsolateGroup.draw(&nodes, &mut Seed(1).stream("x")).unwrap();
    assert_eq!(g.shape(&names(5)), "{n1 n2} | {n3 n4 n5}");
    for node in &mut nodes {
        node.group = Some("east".into());
    }
    let error = Partition::IsolateGroup.draw(&nodes, &mut Seed(1).stream("x")).unwrap_err();
    assert!(error.to_string().contains("one data centre"), "{error}");
    let g = Partition::IsolateGroup.draw(&members(3), &mut Seed(1).stream("x")).unwrap();
    assert_eq!((0..3).filter(|i| g.sees(*i).len() == 1).count(), 1, "without one, its own");
}

#[test]
fn one_way_cuts_one_direction_only() {
    for g in draws(&Partition::OneWay, 5) {
        assert!(!g.is_symmetric());
        assert_eq!(g.cuts().count(), 2);
        assert!(g.cuts().all(|(from, to)| !g.drops(from, to)));
    }
}

#[test]
fn primaries_are_apart_from_each_other() {
    let mut nodes = members(4);
    nodes[1].primary = true;
    nodes[3].primary = true;
    let g = Partition::Primaries.draw(&nodes, &mut Seed(1).stream("x")).unwrap();
    assert_eq!(g.shape(&names(4)), "{n1 n3} | {n2} | {n4}");
    assert!(Partition::Primaries.draw(&members(4), &mut Seed(1).stream("x")).is_err());
}

#[test]
fn custom_grudges_have_to_cut_something_of_this_cluster() {
    let draw = |g: Grudge| Partition::Custom(g).draw(&members(3), &mut Seed(1).stream("x"));
    assert!(matches!(draw(Grudge::none(3)), Err(PartitionError::CutsNothing { .. })));
    assert!(matches!(
        draw(Grudge::none(4).cut(0, 1)),
        Err(PartitionError::OtherSize { need: 3, have: 4 })
    ));
    assert_eq!(draw(Grudge::none(3).cut(0, 1)).unwrap().cuts().collect::<Vec<_>>(), [(0, 1)]);
}

#[test]
fn shapes_are_drawn_as_people_speak_of_them() {
    let n = names(3);
    assert_eq!(Grudge::none(3).shape(&n), "nothing is cut");
    assert_eq!(Grudge::none(3).cut_both(0, 2).shape(&n), "{n1} - n2 - {n3}");
    assert_eq!(Grudge::none(3).cut(0, 2).shape(&n), "n1 -/-> {n3}");
    assert_eq!(Grudge::none(4).cut_both(0, 2).shape(&names(4)), "n1 x n3");
    assert_eq!(Grudge::complete(3, &[]).shape(&n), "{n1} | {n2} | {n3}");
    assert_eq!(Grudge::none(2).cut(0, 1).to_string(), "..\nx.\n");
}

#[test]
fn overlapping_partitions_drop_what_either_drops() {
    let g = Grudge::none(3).cut(0, 1).union(&Grudge::none(3).cut(2, 1));
    assert_eq!(g.cuts().collect::<Vec<_>>(), [(0, 1), (2, 1)]);
}

#[test]
fn who_joined_later_is_cut_from_nobody() {
    let three = Grudge::none(3).cut_both(0, 2);
    for (a, b) in [(3, 0), (0, 3), (2, 3), (3, 4)] {
        assert!(three.linked(a, b), "{a} {b}");
    }
    let both = three.clone().union(&Grudge::none(5).cut(4, 0));
    assert_eq!(both, Grudge::none(5).cut(4, 0).union(&three));
    assert_eq!((both.nodes(), both.cuts().collect::<Vec<_>>()), (5, vec![(0, 2), (2, 0), (4, 0)]));
    let members = Grudge::complete(3, &[vec![0], vec![1, 2]]).among(&[0, 2, 4], 5);
    let cuts = [(0, 2), (0, 4), (2, 0), (4, 0)];
    assert_eq!(members.cuts().collect::<Vec<_>>(), cuts);
}

#[test]
fn grudges_are_stored_as_their_rows() {
    let grudge = Grudge::none(3).cut(0, 1).cut_both(1, 2);
    let text = serde_json::to_string(&grudge).unwrap();
    assert_eq!(text, r#"["...","x.x",".x."]"#);
    assert_eq!(serde_json::from_str::<Grudge>(&text).unwrap(), grudge);
    for odd in [r#"["x"]"#, r#"["..","."]"#, r#"[".y",".."]"#, r#"["..."]"#] {
        assert!(serde_json::from_str::<Grudge>(odd).is_err(), "{odd}");
    }
}
