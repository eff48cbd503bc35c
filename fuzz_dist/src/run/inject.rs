//! Faults of scenarios: begun by hand, and ended by hand or by the test's heal.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::faults::{Begin, Begun, gone};
use super::live::Live;
use crate::error::{Error, ErrorKind};
use crate::history::{FaultStatus, History};
use crate::nemesis::{Nemesis, Slot};

impl Live {
    /// See [`Running::arm`](super::LiveCluster::arm).
    pub(super) async fn arm(self: &Arc<Self>, nemesis: Nemesis) -> Result<ArmedFault, Error> {
        let [_] = nemesis.lanes() else {
            return Err(Error::usage(format!(
                "`{}` is not one fault; arm one at a time",
                nemesis.name()
            )));
        };
        self.able.nemesis(&nemesis)?;
        let armed = self.faults.arm(begin(self, &nemesis, self.faults.next_call(), 0)).await?;
        Ok(ArmedFault { live: self.clone(), id: armed.id, begun: armed.begun })
    }

    /// See [`Running::inject`](super::LiveCluster::inject).
    pub(super) async fn inject(self: &Arc<Self>, nemesis: Nemesis) -> Result<RunningFault, Error> {
        self.able.nemesis(&nemesis)?;
        let call = self.faults.next_call();
        // Held until all of them act: an error, and a drop on the way, end them.
        let mut begun: Vec<Begun> = Vec::new();
        for i in 0..nemesis.lanes().len() {
            let error = match self.faults.begin(begin(self, &nemesis, call, i)).await {
                Ok(one) => {
                    let acts = one.status != FaultStatus::Ineffective && one.failed.is_none();
                    let id = one.held.id();
                    begun.push(one);
                    if acts {
                        continue;
                    }
                    never_acted(self, id)
                }
                Err(error) => error,
            };
            while let Some(one) = begun.pop() {
                self.faults.end(one.held.keep()).await;
            }
            return Err(error);
        }
        let ids = begun.into_iter().map(|one| one.held.keep()).collect();
        Ok(RunningFault { live: self.clone(), ids })
    }
}

/// The fault of one lane, for the scenario's call of this number.
fn begin(live: &Live, nemesis: &Nemesis, call: usize, index: usize) -> Begin {
    Begin {
        fault: nemesis.lanes()[index].fault.clone(),
        random: live.seed.stream(&format!("scenario/{call}/{index}")),
        zone: None,
        slot: Slot::Scenario { call, index },
    }
}

/// That a fault did not take effect, with what was observed instead.
fn never_acted(live: &Live, id: i64) -> Error {
    let spans = live.recorder.with(History::faults);
    let why = spans.into_iter().find(|span| span.id == id).map(|span| {
        let evidence: Vec<String> = span.evidence.iter().map(ToString::to_string).collect();
        format!("`{} {}` did not take effect: {}", span.name, span.shape, evidence.join("; "))
    });
    failed(why.unwrap_or_else(|| "a fault did not take effect".into()))
}

/// Nothing that a machine could lack, so that no setting makes the test be ignored for it.
fn failed(why: String) -> Error {
    Error::new(ErrorKind::Test, why)
}

/// A fault that waits for its moment, or acts already; see [`Running::arm`](super::LiveCluster::arm).
///
/// Dropped, it is left to the test's own heal.
#[must_use = "a fault acts until `heal` is called"]
pub struct ArmedFault {
    live: Arc<Live>,
    id: i64,
    begun: oneshot::Receiver<Result<Begun, Error>>,
}

impl ArmedFault {
    /// Waits until its effect is verified. Where the future is dropped before that, the fault is ended.
    ///
    /// # Errors
    ///
    /// When its trigger did not fire; the text and the history say what was observed instead. Then it is
    /// ended.
    pub async fn acts(self) -> Result<RunningFault, Error> {
        let held = self.live.faults.hold(self.id);
        let begun = self.begun.await.unwrap_or_else(|_| Err(gone()))?;
        // The reply holds the fault, too; one holder is enough.
        begun.held.keep();
        match begun.status {
            FaultStatus::Installed => Ok(RunningFault { live: self.live, ids: vec![held.keep()] }),
            _ => {
                let error = never_acted(&self.live, self.id);
                self.live.faults.end(held.keep()).await;
                Err(error)
            }
        }
    }
}

/// Faults that act until they are healed; the test's own heal ends them at the latest, also where
/// this handle is dropped.
#[must_use = "a fault acts until `heal` is called"]
pub struct RunningFault {
    live: Arc<Live>,
    ids: Vec<i64>,
}

impl RunningFault {
    /// Removes the faults, the last one first, and verifies that they are gone. Where the future is
    /// dropped, they are removed all the same.
    ///
    /// # Errors
    ///
    /// When one of them was not verified as removed; then the run is `unknown`.
    pub async fn heal(self) -> Result<(), Error> {
        let mut held: Vec<_> = self.ids.iter().map(|id| self.live.faults.hold(*id)).collect();
        let mut not_undone = Vec::new();
        while let Some(one) = held.pop() {
            let id = one.keep();
            if self.live.faults.end(id).await != Some(true) {
                not_undone.push(id);
            }
        }
        if not_undone.is_empty() {
            return Ok(());
        }
        let spans = self.live.recorder.with(History::faults);
        let left = spans.iter().filter(|span| not_undone.contains(&span.id));
        let left: Vec<String> = left.filter_map(|span| span.not_undone()).collect();
        Err(failed(left.join("; ")))
    }
}
