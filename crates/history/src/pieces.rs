//! Lines in pieces, each of which some thread reads while others wait for theirs.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::parts::threads;

/// A reader of lines, of which other threads read parts.
pub(super) trait InParts {
    /// What others need to know to read a part.
    type Seed: Send + Sync;
    /// What others read; the default has nothing of a text.
    type Part: Default + Send;
    type Error;

    /// How long a line may be.
    fn line_max(&self) -> usize;
    /// The source cannot be read.
    fn refused(&self, error: io::Error) -> Self::Error;
    /// Takes whole lines.
    fn whole(&mut self, text: &[u8]) -> Result<(), Self::Error>;
    /// What is known so far, where others can read with that.
    fn seed(&self) -> Option<Self::Seed>;
    /// How much a seed knows: another one takes its place where that knows more. 0: too little.
    fn known(seed: &Self::Seed) -> usize;
    /// Reads lines as part `number`, from 1, as far as that is possible without those before.
    fn read_part(seed: &Self::Seed, number: usize, text: &[u8]) -> Self::Part;
    /// Takes lines of which another thread read what it could.
    fn part(&mut self, part: Self::Part, text: &[u8]) -> Result<(), Self::Error>;
}

/// How a source is divided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pieces {
    /// So many bytes are read in order, at least.
    pub(super) first: usize,
    /// So many are given to a thread at a time.
    pub(super) size: usize,
    /// How many threads there are, the one that asks included.
    pub(super) threads: usize,
}

/// So much is read before it is known what functions, nodes and texts there are.
const FIRST: usize = 1 << 18;
/// So much is read at a time for other threads.
const PIECE: usize = 1 << 21;

impl Pieces {
    pub(super) fn usual() -> Pieces {
        Pieces { first: FIRST, size: PIECE, threads: threads() }
    }

    /// Gives all whole lines to `reading`, in order, and returns what stands behind the last one.
    pub(super) fn read<R: InParts>(
        self,
        file: &mut dyn BufRead,
        reading: &mut R,
    ) -> Result<Vec<u8>, R::Error> {
        let mut source = Source { file, rest: Vec::new(), ended: false };
        let mut text = Vec::new();
        loop {
            let found = source.lines(&mut text, self.first, reading.line_max());
            if !found.map_err(|error| reading.refused(error))? {
                return Ok(source.rest);
            }
            reading.whole(&text)?;
            // The first piece may be a header alone.
            match reading.seed().filter(|_| self.threads > 1) {
                Some(seed) if R::known(&seed) > 0 => {
                    self.in_parallel(&mut source, reading, seed)?;
                    return Ok(source.rest);
                }
                _ => {}
            }
        }
    }

    fn in_parallel<R: InParts>(
        self,
        source: &mut Source<'_>,
        reading: &mut R,
        seed: R::Seed,
    ) -> Result<(), R::Error> {
        let shared = Shared::<R>::new(seed);
        std::thread::scope(|scope| {
            let end = End(&shared);
            for _ in 1..self.threads {
                scope.spawn(|| shared.work());
            }
            let result = self.lead(source, reading, &shared);
            drop(end);
            result
        })
    }

    /// Takes parts in order; while none is there, reads on, and then helps.
    fn lead<R: InParts>(
        self,
        source: &mut Source<'_>,
        reading: &mut R,
        shared: &Shared<R>,
    ) -> Result<(), R::Error> {
        let (mut read, mut taken) = (0, 0);
        let mut used: Vec<Vec<u8>> = Vec::new();
        loop {
            let mut state = shared.lock();
            if let Some((text, part)) = state.done.remove(&taken) {
                let known = R::known(&state.seed);
                drop(state);
                reading.part(part, &text)?;
                if let Some(seed) = reading.seed().filter(|seed| R::known(seed) > known) {
                    shared.lock().seed = Arc::new(seed);
                }
                used.push(text);
                taken += 1;
            } else if !source.ended && state.waiting.len() < self.threads {
                drop(state);
                let mut text = used.pop().unwrap_or_default();
                let found = source.lines(&mut text, self.size, reading.line_max());
                if found.map_err(|error| reading.refused(error))? {
                    shared.lock().waiting.push_back((read, text));
                    shared.changed.notify_all();
                    read += 1;
                }
            } else if let Some((number, text)) = state.waiting.pop_front() {
                let seed = Arc::clone(&state.seed);
                drop(state);
                let part = part_of::<R>(&seed, number, &text);
                shared.lock().done.insert(number, (text, part));
            } else if taken == read {
                return Ok(());
            } else {
                drop(shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

/// What the threads share.
struct Shared<R: InParts> {
    state: Mutex<State<R>>,
    changed: Condvar,
}

struct State<R: InParts> {
    seed: Arc<R::Seed>,
    waiting: VecDeque<(usize, Vec<u8>)>,
    done: BTreeMap<usize, (Vec<u8>, R::Part)>,
    ended: bool,
}

/// Ends the threads, also where the one that leads them panics.
struct End<'a, R: InParts>(&'a Shared<R>);

impl<R: InParts> Drop for End<'_, R> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
    }
}

impl<R: InParts> Shared<R> {
    fn new(seed: R::Seed) -> Shared<R> {
        let (waiting, done) = (VecDeque::new(), BTreeMap::new());
        let state = State { seed: Arc::new(seed), waiting, done, ended: false };
        Shared { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.lock();
        while !state.ended {
            let Some((number, text)) = state.waiting.pop_front() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let seed = Arc::clone(&state.seed);
            drop(state);
            let part = part_of::<R>(&seed, number, &text);
            state = self.lock();
            state.done.insert(number, (text, part));
            self.changed.notify_all();
        }
    }
}

/// The part of a piece; segment 0 is the one of the thread that leads.
fn part_of<R: InParts>(seed: &R::Seed, number: usize, text: &[u8]) -> R::Part {
    // A part that nothing was read of is read by whoever takes it.
    let read = || R::read_part(seed, number + 1, text);
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_default()
}

/// Lines that are read piece by piece.
struct Source<'a> {
    file: &'a mut dyn BufRead,
    /// What was read behind the last whole line.
    rest: Vec<u8>,
    ended: bool,
}

impl Source<'_> {
    /// Makes `text` the next whole lines, about `size` bytes of them; gives whether there are any.
    /// A line of `line_max` bytes, whole or not, is the end.
    fn lines(&mut self, text: &mut Vec<u8>, size: usize, line_max: usize) -> io::Result<bool> {
        let mut filled = self.rest.len();
        text.resize(text.len().max(size).max(filled), 0);
        text[..filled].copy_from_slice(&self.rest);
        self.rest.clear();
        loop {
            let from = filled;
            while filled < text.len() && !self.ended {
                match self.file.read(&mut text[filled..]) {
                    Ok(count) => {
                        filled += count;
                        self.ended = count == 0;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            let end = text[from..filled].iter().rposition(|b| *b == b'\n').map(|n| from + n + 1);
            if end.is_none() && filled < line_max && !self.ended {
                let more = text.len().max(1);
                text.resize(text.len() + more, 0);
                continue;
            }
            self.ended |= end.is_none();
            let end = end.unwrap_or(0);
            self.rest.extend_from_slice(&text[end..filled]);
            text.truncate(end);
            return Ok(end > 0);
        }
    }
}
