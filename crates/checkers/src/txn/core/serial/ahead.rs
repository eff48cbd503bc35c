//! Looks whether a moment that was just placed leaves an order for the others.

use super::placed::Placed;
use crate::txn::core::txns::NONE;

impl Placed<'_> {
    /// Can what waits for this moment come before what has to wait for it? The readers of what it wrote
    /// precede all other writers of the key: none of these may have to precede one of them. `None` where
    /// the steps are used up.
    pub(super) fn leads_on(&mut self, moment: u32, left: &mut u64) -> Option<bool> {
        let moments = self.moments;
        if moments.is_begin(moment) {
            let written = moments.all_touches(moment).iter().filter(|t| t.wrote != NONE);
            let keys: Vec<u32> = written.map(|t| t.key).collect();
            if keys.is_empty() {
                return Some(true);
            }
            // Its commit comes before the begin of any other one that writes its keys.
            let other = |p: &Self, m: u32| {
                let mut all = p.moments.all_touches(m).iter();
                p.moments.is_begin(m) && all.any(|t| t.wrote != NONE && keys.contains(&t.key))
            };
            return Some(!self.precedes(&[moment + 1], None, other, left)?);
        }
        for touch in moments.writes(moment) {
            if self.waiting[touch.wrote as usize] == 0 {
                continue;
            }
            let readers: Vec<u32> = self.unplaced_readers(touch.wrote).collect();
            let writes = |p: &Self, m: u32| p.moments.writes(m).any(|t| t.key == touch.key);
            if self.precedes(&readers, Some(touch.key), writes, left)? {
                return Some(false);
            }
        }
        Some(true)
    }

    fn unplaced_readers(&self, version: u32) -> impl Iterator<Item = u32> + '_ {
        let readers = self.moments.readers.of(version).iter();
        readers.copied().filter(|r| !self.is_done(*r))
    }

    /// Must one of these, of which those that write `key` are some, precede one of the sources?
    fn precedes(
        &mut self,
        sources: &[u32],
        key: Option<u32>,
        wanted: impl Fn(&Self, u32) -> bool,
        left: &mut u64,
    ) -> Option<bool> {
        self.looks += 1;
        self.queue.clear();
        // All that is over before this time precedes one of the sources.
        let mut time = 0;
        for source in sources {
            self.met[*source as usize] = self.looks;
            self.queue.push(*source);
            time = time.max(self.moments.earliest[*source as usize]);
        }
        let mut found = std::mem::take(&mut self.found);
        let must = self.met_before(&mut found, time, key, wanted, left);
        self.found = found;
        must
    }

    /// Does a search from what stands in the queue meet one that is wanted?
    fn met_before(
        &mut self,
        found: &mut Vec<u32>,
        mut time: u32,
        key: Option<u32>,
        wanted: impl Fn(&Self, u32) -> bool,
        left: &mut u64,
    ) -> Option<bool> {
        let moments = self.moments;
        let mut due_until = 0;
        loop {
            let first = key.and_then(|k| self.unwritten(k).next());
            if first.is_some_and(|(latest, _)| latest < time) {
                return Some(true);
            }
            // A key that holds something to be read, and is to be overwritten by then.
            found.clear();
            for (due, key) in self.due.range((due_until, 0)..(time, 0)) {
                *left = left.checked_sub(1)?;
                let mut writers = self.unwritten(*key);
                let writer = writers.next().map(|w| w.1);
                let alone = writers.next().is_none_or(|w| w.0 >= time);
                debug_assert!(*due < time);
                let readers = self.unplaced_readers(self.now[*key as usize]);
                found.extend(readers.filter(|r| !alone || Some(*r) != writer));
            }
            due_until = due_until.max(time);
            let Some(moment) = self.queue.pop() else {
                if found.is_empty() {
                    return Some(false);
                }
                if self.meets(found, &mut time, &wanted, left)? {
                    return Some(true);
                }
                continue;
            };
            for (_, from) in moments.former.successors(moment) {
                *left = left.checked_sub(1)?;
                if !self.is_done(from) {
                    found.push(from);
                }
            }
            for touch in moments.writes(moment) {
                let now = self.now[touch.key as usize];
                if self.waiting[now as usize] > 0 {
                    found.extend(self.unplaced_readers(now).filter(|r| *r != moment));
                }
            }
            if moments.is_begin(moment) {
                let written = moments.all_touches(moment).iter().filter(|t| t.wrote != NONE);
                let closed = written.map(|t| self.closed[t.key as usize]);
                found.extend(closed.filter(|c| *c != NONE && *c != moment + 1));
            }
            if self.meets(found, &mut time, &wanted, left)? {
                return Some(true);
            }
        }
    }

    /// Adds what was not met before to the queue, and says whether one of all is wanted.
    fn meets(
        &mut self,
        found: &[u32],
        time: &mut u32,
        wanted: impl Fn(&Self, u32) -> bool,
        left: &mut u64,
    ) -> Option<bool> {
        for moment in found {
            *left = left.checked_sub(1)?;
            if wanted(self, *moment) {
                return Some(true);
            }
            if std::mem::replace(&mut self.met[*moment as usize], self.looks) != self.looks {
                self.queue.push(*moment);
                *time = (*time).max(self.moments.earliest[*moment as usize]);
            }
        }
        Some(false)
    }
}
