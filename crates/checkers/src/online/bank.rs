//! Accounts while they are read: every read stands for itself.

use super::{Anomaly, Clients, Online};
use crate::Checker;
use crate::txn::Bank;
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Event, Kind};

/// [`bank`](crate::txn::bank): a read that cannot be of one moment.
pub(crate) struct OnlineBank {
    bank: Bank,
    nodes: History,
    clients: Clients,
    unreadable: bool,
}

impl OnlineBank {
    pub(crate) fn new(bank: &Bank, history: &History) -> OnlineBank {
        let nodes = History::new(history.nodes().iter().cloned());
        OnlineBank { bank: bank.clone(), nodes, clients: Clients::default(), unreadable: false }
    }
}

impl Online for OnlineBank {
    fn observe(&mut self, index: usize, event: &Event) -> Option<Anomaly> {
        if self.unreadable || !event.process.is_client() {
            return None;
        }
        self.unreadable = !matches!(&*event.f, "read" | "transfer");
        let begun = self.clients.step(index, event);
        if self.unreadable || &*event.f != "read" || event.kind != Kind::Ok {
            return None;
        }
        let begun = begun?;
        // The checker itself judges a history of this one read.
        let mut alone = self.nodes.clone();
        let invoked = Event { kind: Kind::Invoke, value: begun.value, ..event.clone() };
        alone.push(invoked).ok()?;
        alone.push(event.clone()).ok()?;
        let verdict = self.bank.check(&alone);
        self.unreadable = !verdict.is_valid() && !verdict.is_invalid();
        let mut anomaly = verdict.anomalies.into_iter().next()?;
        anomaly.subject = (index as i64).into();
        Some(anomaly.proved_by([begun.index, index]))
    }
}
