//! The invocations of clients, as the checkers walk them.

use super::{History, NONE};
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
        let columns = self.tag.iter().zip(&self.process).zip(&self.function).zip(&self.partner);
        columns
            .enumerate()
            .filter(|(_, (((tag, process), _), _))| {
                tag.kind == Kind::Invoke && Process(**process).is_client()
            })
            .map(|(event, (((_, process), function), partner))| Invocation {
                event,
                function: usize::from(*function),
                process: Process(*process),
                completion: (*partner != NONE).then_some(*partner as usize),
            })
    }
}
