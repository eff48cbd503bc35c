//! The one place through which everybody records: interpreter, nemesis, nodes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::disk::Writer;
use super::{History, Malformed, json};
use crate::op::{Event, Name, Value};

/// A shared handle on the history that is being recorded.
///
/// Events stand in memory at once. Where there is a file, they are in it within 10 ms: a
/// harness that is killed leaves a history that loads up to its last complete record.
///
/// ```
/// # use fuzz_dist_history::Recorder;
/// # use fuzz_dist_history::op::*;
/// # use fuzz_dist_history::time::Time;
/// let recorder = Recorder::in_memory(["n1"]);
/// let index = recorder.record(Event {
///     time: Time(1), process: Process::NEMESIS, node: None, kind: Kind::Info,
///     f: "halves".into(), value: Value::Nil, error: None, phase: Phase::Main,
/// });
/// assert_eq!((index, recorder.len()), (Ok(0), 1));
/// ```
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    writer: Option<Writer>,
}

#[derive(Debug)]
struct State {
    /// Shared with those who have asked for it, once the run is over.
    history: Arc<History>,
    /// The line in the making.
    line: Vec<u8>,
}

/// The file of a history could not be written; the history in memory is whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the history could not be written to {path}: {why}; the file ends at what was written before, the history in memory is whole"
)]
#[non_exhaustive]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub why: String,
}

impl Recorder {
    /// Records in memory only.
    pub fn in_memory<N: Into<Name>>(nodes: impl IntoIterator<Item = N>) -> Recorder {
        Recorder::new(History::new(nodes), None)
    }

    /// Records in memory and in a new file, whose first line holds the nodes and the facts of
    /// `meta`.
    ///
    /// # Errors
    ///
    /// When there is such a file already, or it cannot be made.
    pub fn to_file<N: Into<Name>, K: Into<Name>>(
        path: &Path,
        nodes: impl IntoIterator<Item = N>,
        meta: impl IntoIterator<Item = (K, Value)>,
    ) -> Result<Recorder, WriteError> {
        let mut history = History::new(nodes);
        for (key, value) in meta {
            history.set_meta(key, value);
        }
        let mut header = Vec::new();
        json::write_header(&mut header, &history);
        let writer = Writer::create(path, &header)?;
        Ok(Recorder::new(history, Some(writer)))
    }

    #[cfg(test)]
    pub(super) fn with_writer(history: History, writer: Writer) -> Recorder {
        Recorder::new(history, Some(writer))
    }

    fn new(history: History, writer: Option<Writer>) -> Recorder {
        let state = Mutex::new(State { history: Arc::new(history), line: Vec::new() });
        Recorder(Arc::new(Shared { state, writer }))
    }

    /// Says when the run began. It is no part of the file.
    pub fn began(&self, start: SystemTime) {
        let since = start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut state = self.state();
        Arc::make_mut(&mut state.history).start_unix_ms = since.as_millis() as i64;
    }

    /// Records an event and gives its index.
    ///
    /// Where the disk does not keep up, this waits until it has caught up, or for so long that
    /// it counts as broken; see [`Recorder::error`].
    ///
    /// # Errors
    ///
    /// When a client's event does not fit to what it did before; nothing is recorded then.
    pub fn record(&self, event: Event) -> Result<usize, Malformed> {
        let mut state = self.state();
        let index = Arc::make_mut(&mut state.history).push(event)?;
        if let Some(writer) = self.0.writer.as_ref().filter(|w| w.is_working()) {
            let State { history, line } = &mut *state;
            line.clear();
            json::write_event(line, history, index);
            // Within the lock, so that lines stand in the order of their index.
            writer.append(line);
        }
        Ok(index)
    }

    /// Records a fact about the run, such as `net_ticktime_ms`.
    pub fn set_meta(&self, key: impl Into<Name>, value: impl Into<Value>) {
        let (key, value) = (key.into(), value.into());
        let mut state = self.state();
        if let Some(writer) = self.0.writer.as_ref().filter(|w| w.is_working()) {
            let mut line = Vec::new();
            json::write_meta(&mut line, &key, &value);
            writer.append(&line);
        }
        Arc::make_mut(&mut state.history).set_meta(key, value);
    }

    /// The number of events so far.
    pub fn len(&self) -> usize {
        self.state().history.len()
    }

    /// Is there no event yet?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Looks at the history so far. Nobody can record meanwhile, so `look` must be quick.
    pub fn with<R>(&self, look: impl FnOnce(&History) -> R) -> R {
        look(&self.state().history)
    }

    /// Waits until all that was recorded is in the file.
    ///
    /// # Errors
    ///
    /// As [`Recorder::error`].
    pub fn flush(&self) -> Result<(), WriteError> {
        self.0.writer.as_ref().map_or(Ok(()), Writer::flush)
    }

    /// What went wrong with the file, where something did: from then on nothing more is
    /// written to it, and the history goes on in memory.
    pub fn error(&self) -> Option<WriteError> {
        self.0.writer.as_ref().and_then(Writer::error)
    }

    /// Flushes, and gives the history as it stands; what others still record is in the file, but no
    /// longer in that. It is copied only if they do: histories are large.
    pub fn finish(&self) -> (Arc<History>, Result<(), WriteError>) {
        let written = self.flush();
        (self.state().history.clone(), written)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked within `with` changed nothing.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
