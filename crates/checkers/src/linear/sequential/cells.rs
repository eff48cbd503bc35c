//! Registers as numbers: a state that shares with the one before what did not change.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::super::Model;
use super::Work;
use super::reads::{Accesses, Numbered};
use fuzz_dist_history::hash::mix;
use fuzz_dist_history::op::Value;

/// Cells in a leaf, and nodes in a node.
const WIDTH: usize = 16;

/// Registers by number, all of which begin as nil. The objects that say of each operation what it
/// read and wrote ([`Model::access`]) are these, with a step that costs the same for many as for few.
pub(super) struct Cells {
    initial: State,
}

/// What all registers hold: the number of a value, 0 for nil.
#[derive(Clone, Debug)]
pub(super) struct State {
    root: Arc<Node>,
    /// Levels of nodes above the leaves.
    depth: u32,
    /// The sum of what each register that is not nil adds.
    hash: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Leaf([u32; WIDTH]),
    Inner([Arc<Node>; WIDTH]),
}

impl Cells {
    /// The registers of some operations, and what each does with them; `None` where one does
    /// something else.
    pub(super) fn of<O>(
        work: &[Work<O>],
        accesses: &Accesses,
    ) -> Option<(Cells, Vec<Work<Numbered>>)> {
        let numbered = work.iter().zip(&accesses.of).map(|(w, access)| {
            let Work { pure, session, invoked, completed, .. } = *w;
            Some(Work { op: (*access)?, pure, session, invoked, completed })
        });
        let numbered: Option<Vec<_>> = numbered.collect();
        Some((Cells { initial: State::new(accesses.keys) }, numbered?))
    }
}

impl Model for Cells {
    type State = State;
    type Op = Numbered;

    fn initial(&self) -> State {
        self.initial.clone()
    }

    /// Operations are numbered, not decoded.
    fn decode(&self, _: &str, _: &Value, _: Option<&Value>) -> Option<Numbered> {
        None
    }

    fn step(&self, state: &State, op: &Numbered) -> Option<State> {
        if op.read.is_some() && op.read != Some(state.get(op.key)) {
            return None;
        }
        Some(match op.write {
            None => state.clone(),
            Some(value) => state.with(op.key, value),
        })
    }

    /// What it does not share with the one before.
    fn bytes(&self, state: &State) -> usize {
        size_of::<State>() + (state.depth as usize + 1) * size_of::<Node>()
    }
}

impl State {
    fn new(registers: usize) -> State {
        let (mut root, mut depth, mut room) = (Arc::new(Node::Leaf([0; WIDTH])), 0, WIDTH);
        while room < registers {
            root = Arc::new(Node::Inner(std::array::from_fn(|_| root.clone())));
            (depth, room) = (depth + 1, room * WIDTH);
        }
        State { root, depth, hash: 0 }
    }

    /// The place of a register within its node of a level.
    fn place(register: usize, level: u32) -> usize {
        register / WIDTH.pow(level) % WIDTH
    }

    fn get(&self, register: usize) -> u32 {
        let (mut node, mut level) = (&*self.root, self.depth);
        loop {
            match node {
                Node::Leaf(values) => return values[State::place(register, 0)],
                Node::Inner(nodes) => node = &nodes[State::place(register, level)],
            }
            level -= 1;
        }
    }

    fn with(&self, register: usize, value: u32) -> State {
        let share = |value: u32| match value {
            0 => 0,
            value => mix(register as u64, value.into()),
        };
        let mut former = 0;
        let root = self.root.with(register, self.depth, value, &mut former);
        let hash = self.hash.wrapping_sub(share(former)).wrapping_add(share(value));
        State { root: Arc::new(root), depth: self.depth, hash }
    }
}

impl Node {
    fn with(&self, register: usize, level: u32, value: u32, former: &mut u32) -> Node {
        let mut changed = self.clone();
        match &mut changed {
            Node::Leaf(values) => {
                *former = std::mem::replace(&mut values[State::place(register, 0)], value);
            }
            Node::Inner(nodes) => {
                let node = &mut nodes[State::place(register, level)];
                *node = Arc::new(node.with(register, level - 1, value, former));
            }
        }
        changed
    }
}

impl PartialEq for State {
    fn eq(&self, other: &State) -> bool {
        self.hash == other.hash && self.root == other.root
    }
}

impl Eq for State {}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use fuzz_dist_random::Seed;

    #[test]
    fn a_state_is_what_was_written_last() {
        for seed in 0..200 {
            let mut s = Seed(seed).stream("cells");
            let most = [3, 20, 300, 5_000][s.index(4)];
            let registers = 1 + s.index(most);
            let (mut state, mut oracle) = (State::new(registers), vec![0; registers]);
            let (mut states, mut oracles) = (HashSet::new(), HashSet::new());
            for _ in 0..60 {
                let (register, value) = (s.index(registers.min(12)), s.below(3) as u32);
                let register = registers - 1 - register;
                let before = state.clone();
                state = state.with(register, value);
                assert_eq!(before.get(register), oracle[register], "the one before is unchanged");
                oracle[register] = value;
                assert!((0..registers).all(|r| state.get(r) == oracle[r]), "seed {seed}");
                states.insert(state.clone());
                oracles.insert(oracle.clone());
            }
            assert_eq!(states.len(), oracles.len(), "seed {seed}");
        }
    }
}
