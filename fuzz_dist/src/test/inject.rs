//! Faults of scenarios: begun by hand, and ended by hand or by the test's heal.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::faults::{Begin, Begun};
use super::live::Live;
use super::scenario::LiveCluster;
use crate::error::Error;
use crate::history::{FaultStatus, History};
use crate::nemesis::{Nemesis, Slot};

impl LiveCluster {
    /// Arms a fault that waits for something on the wire (see [`at`](crate::nemesis::at)), and
    /// returns without waiting for it: what the scenario does next is what fires it.
    ///
    /// ```no_run
    /// # async fn example(cluster: fuzz_dist::test::LiveCluster) -> Result<(), fuzz_dist::Error> {
    /// use fuzz_dist::env::wire::{hold, message_to};
    /// use fuzz_dist::nemesis::at;
    /// use fuzz_dist::test::Add;
    ///
    /// let held = cluster.arm(at(message_to("set").to("n1"), hold())).await?;
    /// assert!(cluster.client("n2").invoke(Add(1)).await.is_err(), "its message does not arrive");
    /// held.acts().await?.heal().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// A usage error for a nemesis of several lanes, or of none.
    pub async fn arm(&self, nemesis: impl Into<Nemesis>) -> Result<ArmedFault, Error> {
        let nemesis = nemesis.into();
        let [_] = nemesis.lanes() else {
            return Err(Error::usage(format!(
                "`{}` is not one fault; arm one at a time",
                nemesis.name()
            )));
        };
        let begin = begin(self.live(), &nemesis, self.live().faults.next_call(), 0);
        let armed = self.live().faults.arm(begin).await?;
        Ok(ArmedFault { live: self.live().clone(), id: armed.id, begun: armed.begun })
    }

    /// Begins the faults of a nemesis now; their timing is up to the scenario.
    ///
    /// Where the future is dropped before it is ready, everything that it began is ended.
    ///
    /// # Errors
    ///
    /// Where there is nothing that they could hit, or one of them was not seen to act. Then all of
    /// them are ended.
    pub async fn inject(&self, nemesis: impl Into<Nemesis>) -> Result<RunningFault, Error> {
        let (live, nemesis) = (self.live(), nemesis.into());
        let call = live.faults.next_call();
        // Held until all of them act: an error, and a drop on the way, end them.
        let mut begun: Vec<Begun> = Vec::new();
        for i in 0..nemesis.lanes().len() {
            let error = match live.faults.begin(begin(live, &nemesis, call, i)).await {
                Ok(one) => {
                    let acts = one.status != FaultStatus::Ineffective && one.failed.is_none();
                    let id = one.held.id();
                    begun.push(one);
                    if acts {
                        continue;
                    }
                    never_acted(live, id)
                }
                Err(error) => error,
            };
            while let Some(one) = begun.pop() {
                live.faults.end(one.held.keep()).await;
            }
            return Err(error);
        }
        let ids = begun.into_iter().map(|one| one.held.keep()).collect();
        Ok(RunningFault { live: live.clone(), ids })
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

/// That a fault was not seen to act, with what was seen instead.
fn never_acted(live: &Live, id: i64) -> Error {
    let spans = live.recorder.with(History::faults);
    let told = spans.into_iter().find(|span| span.id == id).map(|span| {
        let evidence: Vec<String> = span.evidence.iter().map(ToString::to_string).collect();
        format!("`{} {}` was not seen to act: {}", span.name, span.shape, evidence.join("; "))
    });
    Error::environment(told.unwrap_or_else(|| "a fault was not seen to act".into()))
}

/// A fault that waits for its moment, or acts already; see [`LiveCluster::arm`].
///
/// Dropped, it is left to the test's own heal.
#[must_use = "a fault acts until `heal` is called"]
pub struct ArmedFault {
    live: Arc<Live>,
    id: i64,
    begun: oneshot::Receiver<Result<Begun, Error>>,
}

impl ArmedFault {
    /// Waits until it acts, and was seen to. Where the future is dropped before that, the fault is
    /// ended.
    ///
    /// # Errors
    ///
    /// When its moment did not come; the text says what was seen instead, and so does the history.
    /// Then it is ended.
    pub async fn acts(self) -> Result<RunningFault, Error> {
        let held = self.live.faults.hold(self.id);
        let begun = self.begun.await??;
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
    /// Undoes the faults, the last one first, and looks whether they are gone. Where the future is
    /// dropped, they are undone all the same.
    ///
    /// # Errors
    ///
    /// When one of them is not seen undone; then the run is `unknown`.
    pub async fn heal(self) -> Result<(), Error> {
        let mut held: Vec<_> = self.ids.iter().map(|id| self.live.faults.hold(*id)).collect();
        let mut not_undone = Vec::new();
        while let Some(one) = held.pop() {
            let id = one.keep();
            if self.live.faults.end(id).await != FaultStatus::Installed {
                not_undone.push(id);
            }
        }
        if not_undone.is_empty() {
            return Ok(());
        }
        let spans = self.live.recorder.with(History::faults);
        let told = spans.iter().filter(|span| not_undone.contains(&span.id));
        let told: Vec<String> = told.filter_map(|span| span.not_undone()).collect();
        Err(Error::environment(told.join("; ")))
    }
}
