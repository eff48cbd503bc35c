//! Operations as lanes: of each, what comes before something is a beginning.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::Work;
use super::reads::Reads;

/// A session is a unit. An operation of unknown outcome may take effect at any time after what its
/// session did before, or never: it ends the unit, or is one by itself where the session goes on.
///
/// Every client that does not know an outcome goes on as a new session, so there are many short
/// units. One that seems to begin long after another one ended is put behind it in the same lane,
/// which is only *assumed*: an order that keeps the assumptions is an order, and where there is
/// none, fewer things are assumed.
pub(super) struct Lanes {
    pub(super) lanes: Vec<Vec<u32>>,
    /// Per operation: its lane, and its place there; none for those that were left out.
    of: Vec<(u32, u32)>,
    /// Per operation: does it begin a unit that was put behind another one?
    assumed: Vec<bool>,
    /// Units by themselves: what their session did before, and the operation.
    forks: Vec<(u32, u32)>,
}

const NONE: u32 = u32::MAX;

/// From when to when some operations that come one after the other seem to take effect.
struct Unit {
    ops: Vec<u32>,
    from: usize,
    to: usize,
}

impl Lanes {
    /// A unit comes behind another one where so much time lies between them. Times may be any:
    /// good ones make for assumptions that hold.
    pub(super) fn new<O>(work: &[Work<O>], reads: &Reads, times: &[usize], slack: usize) -> Lanes {
        let (mut units, forks) = units(work, reads, times);
        units.sort_by_key(|unit| unit.from);
        let mut all = Lanes {
            lanes: Vec::new(),
            of: vec![(NONE, 0); work.len()],
            assumed: vec![false; work.len()],
            forks,
        };
        // When lanes end, the first one first.
        let mut ends: BinaryHeap<Reverse<(usize, usize)>> = BinaryHeap::new();
        for unit in units {
            let ended = |Reverse((to, _)): &Reverse<(usize, usize)>| {
                to.saturating_add(slack).saturating_add(1) < unit.from
            };
            let lane = match ends.peek().is_some_and(ended) {
                true => ends.pop().map_or(0, |Reverse((_, lane))| lane),
                false => {
                    all.lanes.push(Vec::new());
                    all.lanes.len() - 1
                }
            };
            all.assumed[unit.ops[0] as usize] = !all.lanes[lane].is_empty();
            for i in unit.ops {
                all.of[i as usize] = (lane as u32, all.lanes[lane].len() as u32);
                all.lanes[lane].push(i);
            }
            ends.push(Reverse((unit.to, lane)));
        }
        all
    }

    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Is more assumed than that sessions keep their order?
    pub(super) fn assume(&self) -> bool {
        self.assumed.contains(&true)
    }

    /// All operations that were not left out.
    pub(super) fn operations(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.of.len()).filter(|i| self.of[*i].0 != NONE)
    }

    /// The lane of an operation that was not left out, and its place there.
    pub(super) fn of(&self, i: usize) -> (usize, u32) {
        let (lane, place) = self.of[i];
        (lane as usize, place)
    }

    /// The operation that comes right before it in its lane.
    pub(super) fn previous(&self, i: usize) -> Option<usize> {
        let (lane, place) = self.of(i);
        place.checked_sub(1).map(|place| self.lanes[lane][place as usize] as usize)
    }

    /// What comes right before what, and whether that is only assumed.
    pub(super) fn links(&self) -> impl Iterator<Item = (usize, usize, bool)> + '_ {
        let within =
            self.operations().filter_map(|i| Some((self.previous(i)?, i, self.assumed[i])));
        let forks = self.forks.iter().map(|(from, to)| (*from as usize, *to as usize, false));
        within.chain(forks)
    }
}

/// All units, and those by themselves with what their session did before.
fn units<O>(work: &[Work<O>], reads: &Reads, times: &[usize]) -> (Vec<Unit>, Vec<(u32, u32)>) {
    let chosen = || (0..work.len()).filter(|i| !reads.idle[*i]);
    let last: HashMap<u32, usize> = chosen().map(|i| (work[i].session, i)).collect();
    let mut of_session: HashMap<u32, usize> = HashMap::new();
    let (mut units, mut forks): (Vec<Unit>, Vec<(u32, u32)>) = (Vec::new(), Vec::new());
    for i in chosen() {
        let session = work[i].session;
        // Of unknown outcome: it may have taken effect as late as just before it was seen.
        let seen = || reads.readers(i).iter().map(|reader| times[*reader as usize]).min();
        let unknown = work[i].completed.is_none();
        let to = if unknown { seen().unwrap_or(times[i]).max(times[i]) } else { times[i] };
        if unknown && last[&session] != i {
            let before = of_session.get(&session).and_then(|unit| units[*unit].ops.last());
            forks.extend(before.map(|before| (*before, i as u32)));
            units.push(Unit { ops: vec![i as u32], from: times[i], to });
            continue;
        }
        let unit = *of_session.entry(session).or_insert_with(|| {
            units.push(Unit { ops: Vec::new(), from: times[i], to });
            units.len() - 1
        });
        units[unit].ops.push(i as u32);
        units[unit].to = units[unit].to.max(to);
    }
    (units, forks)
}
