//! Which operation each process has invoked and not completed.

use super::NONE;
use super::hash::FastMap;

/// Processes below this have a place in a table: most runs have no others.
const NEAR: u32 = 1 << 16;

/// The open invocations, by process.
#[derive(Clone, Debug, Default)]
pub(super) struct Open {
    /// [`NONE`] where there is none.
    near: Vec<u32>,
    far: FastMap<u32, u32>,
}

impl Open {
    pub(super) fn get(&self, process: u32) -> Option<u32> {
        let event = match process < NEAR {
            true => self.near.get(process as usize),
            false => self.far.get(&process),
        };
        event.copied().filter(|event| *event != NONE)
    }

    /// The event of the open invocation, or [`NONE`].
    pub(super) fn set(&mut self, process: u32, event: u32) {
        if process >= NEAR {
            match event {
                NONE => drop(self.far.remove(&process)),
                _ => drop(self.far.insert(process, event)),
            }
            return;
        }
        let place = process as usize;
        if place >= self.near.len() {
            self.near.resize(place + 1, NONE);
        }
        self.near[place] = event;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far_processes_have_at_most_one_open_operation() {
        let mut open = Open::default();
        for process in [0, 7, NEAR - 1, NEAR, u32::MAX - 2] {
            assert_eq!(open.get(process), None);
            open.set(process, process / 2);
            assert_eq!(open.get(process), Some(process / 2));
            open.set(process, NONE);
            assert_eq!(open.get(process), None);
        }
    }
}
