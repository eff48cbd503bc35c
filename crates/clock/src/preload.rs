//! How other processes come to live in a clock's time.

use std::path::Path;

/// Gives a clock to other processes, by a library that is preloaded into them.
pub trait Preload: Send + Sync {
    /// The folder on this machine with what such a process needs. It must see the folder and be able to write to
    /// its files.
    fn folder(&self) -> &Path;

    /// What its environment must have where it sees the folder as `at`. Of those that wait for the same instant, the
    /// ones with the least `order` are woken first.
    fn environment(&self, at: &Path, order: u32) -> Vec<(String, String)>;

    /// Time also stands still while threads of this process work: it need not have the library.
    fn watch(&self, pid: i32);

    /// Waits until the process has registered, or has ended; its id is the one by which this process knows it. The
    /// clock should be [held](super::Clock::hold) from before its start.
    ///
    /// # Errors
    /// What kept it from registering, in words.
    fn registered(&self, pid: i32) -> Result<(), String>;

    /// Why time is no longer what was asked for, although it was: what was found from then on says nothing about the
    /// system under test.
    fn broken(&self) -> Option<String> {
        None
    }

    /// The date at which the clock reads 0, in nanoseconds since 1970.
    fn epoch_ns(&self) -> u64;
}
