//! The invocations of clients, as the checkers walk them.

use super::History;
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

impl History {
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
