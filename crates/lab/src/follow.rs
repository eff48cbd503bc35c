//! The lab as a [`Wire`]: its switch follows what the hosts send each other.

use super::pipeline::Hold;
use super::start::block_on;
use super::switch::Switch;
use super::{Hosts, lock};
use fuzz_dist_clock::Clock;
use fuzz_dist_env::wire::{Action, Armed, Connection, Trigger, Wire};
use fuzz_dist_env::{Error, HostId, LinkMatrix, threads};
use std::fmt;
use std::sync::{Arc, Mutex, Weak};

/// A lab's wire. It does not keep the lab alive; when that is gone, nothing happens any more.
#[derive(Clone)]
pub(super) struct LabWire {
    switch: Weak<Switch>,
    /// Those of the lab at the moment: hosts join and leave.
    hosts: Weak<Mutex<Hosts>>,
    clock: Clock,
}

impl fmt::Debug for LabWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LabWire({} hosts)", self.hosts().len())
    }
}

impl LabWire {
    pub(super) fn new(switch: &Arc<Switch>, hosts: &Arc<Mutex<Hosts>>, clock: Clock) -> LabWire {
        LabWire { switch: Arc::downgrade(switch), hosts: Arc::downgrade(hosts), clock }
    }

    fn hosts(&self) -> Vec<HostId> {
        let hosts = self.hosts.upgrade();
        hosts.map(|hosts| lock(&hosts).present.keys().copied().collect()).unwrap_or_default()
    }

    fn switch(&self) -> Result<Arc<Switch>, Error> {
        self.switch.upgrade().ok_or_else(|| Error::Gone("the lab".into()))
    }

    fn find(&self, name: &str) -> Option<HostId> {
        let hosts = self.hosts.upgrade()?;
        let hosts = lock(&hosts);
        hosts.present.iter().find(|(_, host)| host.spec.name == name).map(|(id, _)| *id)
    }
}

impl Wire for LabWire {
    fn follow(&self) -> Result<(), Error> {
        self.switch()?.follow()
    }

    fn arm(&self, trigger: &Trigger, action: &Action) -> Result<Armed, Error> {
        let switch = self.switch()?;
        let (hold, progress) = switch.arm(trigger, action, |name| self.find(name))?;
        if let Some(why) = switch.connections().in_vain(hold) {
            switch.release(hold);
            return Err(Error::Unsupported {
                environment: "local".into(),
                what: format!("see {trigger}: no connection there can be followed, since {why}"),
            });
        }
        if let Some(lasts) = action.lasts() {
            let (mut progress, switch) = (progress.clone(), self.switch.clone());
            let clock = self.clock.clone();
            let wait = move || {
                // The sender is gone when the rule was released before it fired.
                let fired = block_on(async {
                    progress.wait_for(|progress| progress.fired.is_some()).await.is_ok()
                });
                if fired {
                    clock.block(lasts);
                    if let Some(switch) = switch.upgrade() {
                        switch.release(hold);
                    }
                }
            };
            let timer = std::thread::Builder::new().name(format!("wire timer {}", hold.0));
            timer.spawn(wait).map_err(Error::io("start a timer")).map_err(threads::explained)?;
        }
        let wire = Arc::new(self.clone());
        Ok(Armed::new(hold.0, trigger.clone(), progress, wire, self.clock.clone()))
    }

    fn release(&self, armed: &Armed) {
        if let Ok(switch) = self.switch() {
            switch.release(Hold(armed.id));
        }
    }

    fn release_all(&self) {
        if let Ok(switch) = self.switch() {
            switch.release_all();
        }
    }

    fn before_operation(&self, host: HostId, f: &str) {
        if let Ok(switch) = self.switch()
            && switch.connections().is_armed()
        {
            switch.before_operation(host, f, &self.hosts());
        }
    }

    fn cuts(&self) -> LinkMatrix {
        let mut matrix = LinkMatrix::default();
        if let Ok(switch) = self.switch() {
            switch.connections().cuts().into_iter().for_each(|(from, to)| matrix.cut(from, to));
        }
        matrix
    }

    fn changes(&self) -> u64 {
        self.switch().map(|switch| switch.connections().changes()).unwrap_or_default()
    }

    fn connections(&self) -> Vec<Connection> {
        self.switch().map(|switch| switch.connections().connections()).unwrap_or_default()
    }
}
