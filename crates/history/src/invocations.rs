//! The invocations of clients, as the checkers walk them.

use super::{Column, History, Tag};
use crate::op::{Kind, Process};

/// A client's invocation.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct Invocation {
    pub event: usize,
    /// The place of its function in [`History::functions`].
    pub function: usize,
    pub process: Process,
    pub completion: Option<usize>,
}

/// So many events are looked at for [`History::gather`] at a time.
const BLOCK: usize = 1024;

/// Per function, which kinds of its events are wanted: a bit for each [`Kind`].
#[doc(hidden)]
pub type Wanted = Vec<u8>;

/// The bit of a kind in [`Wanted`].
#[doc(hidden)]
pub const fn kind_bit(kind: Kind) -> u8 {
    1 << kind as u8
}

impl History {
    /// The events of the nemesis, or of the runtime, in order.
    pub(super) fn of_process(&self, aside: Process) -> impl DoubleEndedIterator<Item = usize> + '_ {
        let events = self.aside.iter().map(|i| *i as usize);
        events.filter(move |i| self.process[*i] == aside.0)
    }

    /// Visits the wanted events of clients, in order, until one is refused.
    ///
    /// Functions and kinds alternate at random in most histories: a branch for each event would be
    /// mispredicted for every other one. So the places of a block's events are gathered without any.
    #[doc(hidden)]
    pub fn gather<E>(
        &self,
        wanted: &Wanted,
        mut visit: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut found = [0u32; BLOCK];
        let mut aside = self.aside.iter().peekable();
        for from in (0..self.len()).step_by(BLOCK) {
            let block = from..self.len().min(from + BLOCK);
            let tags = &self.tag[block.clone()];
            let end = block.end;
            let mut count = match &self.function {
                Column::Narrow(all) => gathered(from, tags, &all[block], wanted, &mut found),
                Column::Wide(all) => gathered(from, tags, &all[block], wanted, &mut found),
            };
            // Most blocks have events of clients only, so that nobody has to look whose they are.
            if aside.peek().is_some_and(|i| (**i as usize) < end) {
                while aside.next_if(|i| (**i as usize) < end).is_some() {}
                let all = std::mem::take(&mut count);
                for at in 0..all {
                    found[count] = found[at];
                    count += usize::from(self.process(found[at] as usize).is_client());
                }
            }
            found[..count].iter().try_for_each(|i| visit(*i as usize))?;
        }
        Ok(())
    }

    /// The invocations of clients, in order: for tight loops.
    #[inline]
    #[doc(hidden)]
    pub fn invocations(&self) -> impl Iterator<Item = Invocation> + '_ {
        let columns = self.tag.iter().zip(&self.process).enumerate();
        columns
            .filter(|(_, (tag, process))| {
                tag.kind() == Kind::Invoke && Process(**process).is_client()
            })
            .map(|(event, (_, process))| Invocation {
                event,
                function: self.function_index(event),
                process: Process(*process),
                completion: self.partner.distance(event).map(|distance| event + distance),
            })
    }
}

/// Writes the places of the wanted events of a block, whose first is event `from`; gives how many there are.
fn gathered<F: Copy + Into<usize>>(
    from: usize,
    tags: &[Tag],
    functions: &[F],
    wanted: &Wanted,
    found: &mut [u32; BLOCK],
) -> usize {
    let mut count = 0;
    for (event, (tag, function)) in (from as u32..).zip(tags.iter().zip(functions)) {
        found[count % BLOCK] = event;
        count += usize::from(wanted[(*function).into()] & kind_bit(tag.kind()) != 0);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{Event, NodeId, Phase, Value};
    use crate::time::Time;

    /// A history of several blocks, whose functions need the wide column where so asked.
    fn history(events: u32, functions: u32) -> History {
        let mut history = History::new(["n1"]);
        let mut push = |n: u32, process: Process, kind: Kind, f: String| {
            let event = Event {
                time: Time(n.into()),
                process,
                node: Some(NodeId(0)),
                kind,
                f: f.as_str().into(),
                value: Value::Nil,
                error: None,
                phase: Phase::Main,
            };
            history.push(event).unwrap();
        };
        for n in 0..events {
            let f = || format!("f{}", n * 7 % functions);
            let end = [Kind::Ok, Kind::Fail, Kind::Info][n as usize % 3];
            push(n, Process(n), Kind::Invoke, f());
            push(n, Process(n), end, f());
            // The last blocks have events of clients only.
            if n % 5 == 0 && n < events / 2 {
                push(n, [Process::NEMESIS, Process::RUNTIME][n as usize % 2], Kind::Info, f());
            }
        }
        history
    }

    #[test]
    fn wanted_events_are_those_that_a_plain_walk_finds() {
        for (events, functions) in [(0, 1), (465, 3), (466, 3), (3000, 5), (3000, 400)] {
            let history = history(events, functions);
            let wanted: Wanted = (0..history.functions().len())
                .map(|f| {
                    [0, kind_bit(Kind::Ok), kind_bit(Kind::Invoke) | kind_bit(Kind::Info)][f % 3]
                })
                .collect();
            let mut found = Vec::new();
            let result: Result<(), ()> = history.gather(&wanted, |i| {
                found.push(i);
                Ok(())
            });
            let plain = (0..history.len()).filter(|i| {
                let kinds = wanted[history.function_index(*i)];
                history.process(*i).is_client() && kinds & kind_bit(history.kind(*i)) != 0
            });
            assert_eq!((result, found), (Ok(()), plain.collect::<Vec<_>>()));
            for process in [Process::NEMESIS, Process::RUNTIME] {
                let plain = (0..history.len()).filter(|i| history.process(*i) == process);
                assert!(history.of_process(process).eq(plain), "{events} {functions}");
            }
        }
    }

    #[test]
    fn the_first_refusal_ends_the_walk() {
        let history = history(2000, 1);
        let mut visited = 0;
        let refused = history.gather(&vec![kind_bit(Kind::Invoke)], |i| {
            visited += 1;
            if i > 1500 { Err(i) } else { Ok(()) }
        });
        let is_visited =
            |i: &usize| history.kind(*i) == Kind::Invoke && history.process(*i).is_client();
        let refuses = (1501..history.len()).find(is_visited).unwrap();
        assert_eq!(refused, Err(refuses));
        assert_eq!(visited, (0..=refuses).filter(is_visited).count());
    }
}
