//! A table with a place for each process.

use super::NONE;
use super::hash::FastMap;

/// Processes below this have a place in a table: most runs have no others.
const NEAR: u32 = 1 << 16;

/// A number for each process, such as the event of its open invocation.
#[derive(Clone, Debug, Default)]
#[doc(hidden)]
pub struct ByProcess {
    /// [`NONE`] where there is none.
    near: Vec<u32>,
    far: FastMap<u32, u32>,
}

impl ByProcess {
    #[inline]
    #[doc(hidden)]
    pub fn get(&self, process: u32) -> Option<u32> {
        let number = match process < NEAR {
            true => self.near.get(process as usize),
            false => self.far.get(&process),
        };
        number.copied().filter(|number| *number != NONE)
    }

    /// The number of a process from now on; [`NONE`] for none.
    #[doc(hidden)]
    pub fn set(&mut self, process: u32, number: u32) {
        if process >= NEAR {
            match number {
                NONE => drop(self.far.remove(&process)),
                _ => drop(self.far.insert(process, number)),
            }
            return;
        }
        let place = process as usize;
        if place >= self.near.len() {
            self.near.resize(place + 1, NONE);
        }
        self.near[place] = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far_processes_have_a_number_until_it_is_taken_from_them() {
        let mut table = ByProcess::default();
        for process in [0, 7, NEAR - 1, NEAR, u32::MAX - 2] {
            assert_eq!(table.get(process), None);
            table.set(process, process / 2);
            assert_eq!(table.get(process), Some(process / 2));
            table.set(process, NONE);
            assert_eq!(table.get(process), None);
        }
    }
}
