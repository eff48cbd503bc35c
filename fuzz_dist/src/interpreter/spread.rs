//! Which node each thread speaks to, as nodes join and leave: as few threads move as can be.

use crate::op::NodeId;

/// The nodes of all threads, once these members take part. A thread whose node has left goes to the member
/// that has the fewest; then those with the most give some to those with the fewest, until no two differ by
/// more than one. Of members with as many, the first takes and the last gives.
pub(super) fn spread(bound: &[NodeId], members: &[NodeId]) -> Vec<NodeId> {
    let mut bound = bound.to_vec();
    if members.is_empty() {
        return bound;
    }
    let mut counts: Vec<usize> = members.iter().map(|m| count(&bound, *m)).collect();
    let fewest = |counts: &[usize]| (0..counts.len()).min_by_key(|m| counts[*m]).unwrap_or(0);
    for node in &mut bound {
        if !members.contains(node) {
            let to = fewest(&counts);
            (*node, counts[to]) = (members[to], counts[to] + 1);
        }
    }
    loop {
        let to = fewest(&counts);
        let from = (0..counts.len()).max_by_key(|m| counts[*m]).unwrap_or(0);
        if counts[from] <= counts[to] + 1 {
            return bound;
        }
        let last = bound.iter().rposition(|node| *node == members[from]).expect("it has some");
        bound[last] = members[to];
        (counts[from], counts[to]) = (counts[from] - 1, counts[to] + 1);
    }
}

fn count(bound: &[NodeId], member: NodeId) -> usize {
    bound.iter().filter(|node| **node == member).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    fn nodes(ids: &[u16]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn who_joins_takes_from_those_with_the_most_and_who_leaves_gives_to_those_with_the_fewest() {
        let three = nodes(&[0, 1, 2, 0, 1, 2]);
        assert_eq!(spread(&three, &nodes(&[0, 1, 2])), three);
        let four = spread(&three, &nodes(&[0, 1, 2, 3]));
        assert_eq!(four, nodes(&[0, 1, 2, 0, 1, 3]));
        assert_eq!(spread(&four, &nodes(&[0, 2, 3])), nodes(&[0, 2, 2, 0, 3, 3]));
        assert_eq!(spread(&four, &[]), four, "there is nobody to speak to");
    }

    #[test]
    fn threads_are_spread_evenly_and_no_more_move_than_need() {
        let mut random = Seed(1).stream("spread");
        for _ in 0..500 {
            let threads = 1 + random.index(40);
            let bound: Vec<NodeId> = (0..threads).map(|_| NodeId(random.below(6) as u16)).collect();
            let mut members: Vec<NodeId> = (0..9).map(NodeId).collect();
            random.shuffle(&mut members);
            members.truncate(1 + random.index(9));
            members.sort_unstable();
            let after = spread(&bound, &members);
            let counts: Vec<usize> = members.iter().map(|m| count(&after, *m)).collect();
            assert_eq!(counts.iter().sum::<usize>(), bound.len());
            let (most, least) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
            assert!(most - least <= 1, "{bound:?} {members:?} {after:?}");
            // Whoever stays with a member is one of at most its share.
            let kept = |m: &NodeId| count(&bound, *m).min(count(&after, *m));
            let stayed = bound.iter().zip(&after).filter(|(a, b)| a == b).count();
            assert_eq!(stayed, members.iter().map(kept).sum::<usize>(), "{bound:?} {members:?}");
        }
    }
}
