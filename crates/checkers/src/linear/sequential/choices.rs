//! Where a search may come back to.

use super::super::Model;
use super::Work;

/// Where several operations may come next.
pub(super) struct Choice<S> {
    /// How many were done.
    pub(super) length: usize,
    /// Which was tried last.
    pub(super) tried: Option<usize>,
    /// The state, unless it is far back.
    state: Option<S>,
}

/// All choices that were made. States may be large, so that of those far back most are forgotten,
/// and found again from an earlier one when the search comes back to them.
pub(super) struct Choices<'a, M: Model> {
    model: &'a M,
    work: &'a [Work<M::Op>],
    all: Vec<Choice<M::State>>,
    /// What the states take that are remembered.
    states: usize,
}

/// So many of the latest states are remembered, and before them one in as many.
const NEAR: usize = 64;

impl<'a, M: Model> Choices<'a, M> {
    pub(super) fn new(model: &'a M, work: &'a [Work<M::Op>]) -> Choices<'a, M> {
        Choices { model, work, all: Vec::new(), states: 0 }
    }

    pub(super) fn bytes(&self) -> usize {
        self.all.capacity() * size_of::<Choice<M::State>>() + self.states
    }

    pub(super) fn push(&mut self, length: usize, state: M::State) {
        if let Some(far) = self.all.len().checked_sub(NEAR).filter(|far| far % NEAR > 0) {
            let forgotten = self.all[far].state.take();
            self.states -= forgotten.map_or(0, |state| self.model.bytes(&state));
        }
        self.states += self.model.bytes(&state);
        self.all.push(Choice { length, tried: None, state: Some(state) });
    }

    pub(super) fn pop(&mut self) {
        let state = self.all.pop().and_then(|choice| choice.state);
        self.states -= state.map_or(0, |state| self.model.bytes(&state));
    }

    pub(super) fn last(&mut self) -> Option<&mut Choice<M::State>> {
        self.all.last_mut()
    }

    /// The state at the last choice, where these operations were done.
    pub(super) fn state(&mut self, done: &[usize]) -> &M::State {
        let known = self.all.iter().rposition(|choice| choice.state.is_some());
        let known = known.expect("the first one is never forgotten");
        for at in known + 1..self.all.len() {
            let before = &self.all[at - 1];
            let mut state = before.state.clone().expect("it was just found");
            for i in &done[before.length..self.all[at].length] {
                state = self.model.step(&state, &self.work[*i].op).expect("it was possible before");
            }
            self.states += self.model.bytes(&state);
            self.all[at].state = Some(state);
        }
        self.all.last().and_then(|choice| choice.state.as_ref()).expect("there is a choice")
    }
}
