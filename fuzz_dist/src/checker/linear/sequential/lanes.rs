//! Operations as lanes: of each, what comes before something is a beginning.

use std::collections::HashMap;

use super::Work;

/// A session is a lane. An operation of unknown outcome may take effect at any time after what its
/// session did before, or never: it ends the lane, or is one by itself where the session goes on.
pub(super) struct Lanes {
    pub(super) lanes: Vec<Vec<usize>>,
    /// Per lane: where it forks off, if it is one operation of a session that goes on.
    after: Vec<Option<(usize, u32)>>,
    /// Per operation: its lane, and its place there; `None` for those that were left out.
    of: Vec<Option<(usize, u32)>>,
}

impl Lanes {
    pub(super) fn new<O>(work: &[Work<O>], left_out: impl Fn(usize) -> bool) -> Lanes {
        let chosen = || (0..work.len()).filter(|i| !left_out(*i));
        let last: HashMap<u32, usize> = chosen().map(|i| (work[i].session, i)).collect();
        let mut of_session: HashMap<u32, usize> = HashMap::new();
        let mut all = Lanes { lanes: Vec::new(), after: Vec::new(), of: vec![None; work.len()] };
        for i in chosen() {
            let session = work[i].session;
            let lane = *of_session.entry(session).or_insert_with(|| all.open(None));
            if work[i].completed.is_some() || last[&session] == i {
                all.push(lane, i);
            } else {
                let fork = all.open(Some((lane, all.lanes[lane].len() as u32)));
                all.push(fork, i);
            }
        }
        all
    }

    fn open(&mut self, after: Option<(usize, u32)>) -> usize {
        self.lanes.push(Vec::new());
        self.after.push(after);
        self.lanes.len() - 1
    }

    fn push(&mut self, lane: usize, i: usize) {
        self.of[i] = Some((lane, self.lanes[lane].len() as u32));
        self.lanes[lane].push(i);
    }

    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// All operations that were not left out.
    pub(super) fn operations(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.of.len()).filter(|i| self.of[*i].is_some())
    }

    /// The lane of an operation that was not left out, and its place there.
    pub(super) fn of(&self, i: usize) -> (usize, u32) {
        self.of[i].expect("it was not left out")
    }

    /// The operation that its session did right before.
    pub(super) fn previous(&self, i: usize) -> Option<usize> {
        let (lane, place) = self.of(i);
        let (lane, place) = self.after[lane].unwrap_or((lane, place));
        place.checked_sub(1).map(|place| self.lanes[lane][place as usize])
    }
}
