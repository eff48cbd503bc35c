//! Operations as lanes: what is left to do of each is one number.

use std::collections::HashMap;

use super::Work;

/// A session is a lane, and so is each operation of unknown outcome, which may take effect at any
/// time after what its session did before, or never.
pub(super) struct Lanes {
    pub(super) lanes: Vec<Vec<usize>>,
    /// Per lane: where it forks off, if it is one operation of unknown outcome.
    pub(super) after: Vec<Option<(usize, u32)>>,
    /// Per operation: its lane, and its place there.
    pub(super) of: Vec<(usize, u32)>,
}

impl Lanes {
    pub(super) fn new<O>(work: &[Work<O>]) -> Lanes {
        let mut of_session: HashMap<u32, usize> = HashMap::new();
        let mut all = Lanes { lanes: Vec::new(), after: Vec::new(), of: Vec::new() };
        for (i, operation) in work.iter().enumerate() {
            let lane = *of_session.entry(operation.session).or_insert_with(|| {
                all.lanes.push(Vec::new());
                all.after.push(None);
                all.lanes.len() - 1
            });
            let place = all.lanes[lane].len() as u32;
            if operation.completed.is_some() {
                all.lanes[lane].push(i);
                all.of.push((lane, place));
            } else {
                all.of.push((all.lanes.len(), 0));
                all.lanes.push(vec![i]);
                all.after.push(Some((lane, place)));
            }
        }
        all
    }

    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// The operation that its session did right before.
    pub(super) fn previous(&self, i: usize) -> Option<usize> {
        let (lane, place) = self.of[i];
        let (lane, place) = self.after[lane].unwrap_or((lane, place));
        place.checked_sub(1).map(|place| self.lanes[lane][place as usize])
    }

    /// The operation that a lane would do next.
    pub(super) fn head(&self, places: &[u32], lane: usize) -> Option<usize> {
        let next = self.lanes[lane].get(places[lane] as usize)?;
        let free = self.after[lane].is_none_or(|(of, place)| places[of] >= place);
        free.then_some(*next)
    }

    pub(super) fn is_done(&self, places: &[u32]) -> bool {
        let done = |l: usize| self.after[l].is_some() || places[l] as usize == self.lanes[l].len();
        (0..self.lanes.len()).all(done)
    }
}
