//! Durations near the boundaries at which distributed Erlang, its callers and TCP change their minds.
//!
//! A side takes its peer for dead at its own tick after net_ticktime without a byte, and ticks come
//! P = net_ticktime / net_tickintensity apart. After a cut, data flow again at the sender's next
//! retransmission only, about 0.21 s · 2^m after the first segment that was lost. So what a cut does
//! changes around these times, and that is where bugs are.

use std::time::Duration;

use super::{Nemesis, kill, majority_minority, pause};
use crate::random::Stream;
use crate::time::{millis, secs};

/// The time-out of `gen_server:call/2`.
const CALL_TIMEOUT: Duration = secs(5);
/// For so long at most `global` waits before it tries again to take a lock.
const GLOBAL_WAIT: Duration = secs(8);
/// Linux sends a lost segment again after this, and then twice as long after each time.
const RETRANSMISSION: Duration = millis(210);
/// How far around a retransmission durations are drawn.
const AROUND: Duration = millis(50);
/// A blip: too short for anything but the loss of a packet.
const BLIP_MAX: Duration = millis(50);

/// The times that the nodes' kernels are set to, as they have them now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundaries {
    /// After so long without a byte a peer is dead.
    pub net_ticktime: Duration,
    /// So many ticks in that time.
    pub net_tickintensity: u32,
    /// For so long a connection may be in the making.
    pub net_setuptime: Duration,
}

impl Boundaries {
    /// Erlang's defaults with this net_ticktime.
    pub fn with_ticktime(net_ticktime: Duration) -> Boundaries {
        Boundaries { net_ticktime, net_tickintensity: 4, net_setuptime: secs(7) }
    }

    /// The time between two ticks.
    pub fn tick(&self) -> Duration {
        self.net_ticktime / self.net_tickintensity.max(1)
    }
}

/// Durations that are drawn anew for every fault, near a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Near {
    /// Cuts of the network around net_ticktime: some below, most around it, some above it, some as
    /// long as until `global` and callers have given up.
    Tick,
    /// Pauses around net_ticktime: these have no blur, since the kernel goes on acknowledging.
    PausedTick,
    /// Around the time-out of a call.
    CallTimeout(Duration),
    /// Around the times at which TCP sends again what was lost.
    Retransmission,
}

/// A range of durations, and how often one of it is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Zone {
    /// Its name, as in histories and results.
    pub name: &'static str,
    /// Its share, in relation to the others.
    pub weight: f64,
    /// The shortest.
    pub from: Duration,
    /// The longest.
    pub to: Duration,
}

impl Near {
    /// The zones that durations come from.
    ///
    /// ```
    /// use fuzz_dist::nemesis::{Boundaries, Near};
    /// use fuzz_dist::time::secs;
    ///
    /// let zones = Near::Tick.zones(&Boundaries::with_ticktime(secs(8)));
    /// let tick = zones.iter().find(|zone| zone.name == "tick").unwrap();
    /// assert_eq!((tick.from, tick.to), (secs(6), secs(10)));
    /// ```
    pub fn zones(self, b: &Boundaries) -> Vec<Zone> {
        let zone = |name, weight, from, to| Zone { name, weight, from, to };
        let (ntt, p) = (b.net_ticktime, b.tick());
        match self {
            Near::Tick => {
                let given_up = ntt + GLOBAL_WAIT + CALL_TIMEOUT;
                let mut zones = vec![
                    zone("below_tick", 30.0, ntt * 2 / 5, ntt * 7 / 10),
                    zone("tick", 30.0, ntt.saturating_sub(p), ntt + p),
                    zone("after_tick", 15.0, ntt + p, ntt + p + 2 * b.net_setuptime),
                    zone("blip", 10.0, Duration::ZERO, BLIP_MAX),
                    zone("given_up", 5.0, given_up, given_up + p),
                ];
                zones.extend(retransmissions(10.0, ntt + p));
                zones
            }
            Near::PausedTick => {
                vec![zone("tick", 1.0, ntt.saturating_sub(p * 6 / 5), ntt + p * 6 / 5)]
            }
            Near::CallTimeout(t) => vec![zone("call_timeout", 1.0, t * 3 / 5, t * 11 / 10)],
            Near::Retransmission => retransmissions(1.0, ntt + p),
        }
    }

    /// How long a fault has to be able to last for this to mean anything.
    pub(super) fn needs(self, b: &Boundaries) -> Duration {
        let zones = self.zones(b);
        let named = |name| zones.iter().filter(|z| z.name == name).map(|z| z.to).min();
        let least = match self {
            Near::Tick | Near::PausedTick => named("tick"),
            Near::CallTimeout(_) => named("call_timeout"),
            Near::Retransmission => named("retransmission"),
        };
        least.unwrap_or_default()
    }

    /// A duration that is not longer than `room`, and the zone that it came from.
    pub(super) fn draw(
        self,
        b: &Boundaries,
        room: Duration,
        random: &mut Stream,
    ) -> Option<(Duration, &'static str)> {
        let zones: Vec<Zone> = self.zones(b).into_iter().filter(|z| z.to <= room).collect();
        let total: f64 = zones.iter().map(|z| z.weight).sum();
        let mut at = random.unit() * total;
        let chosen = zones.iter().find(|z| {
            at -= z.weight;
            at < 0.0
        });
        let zone = chosen.or(zones.last())?;
        Some((random.duration(zone.from, zone.to), zone.name))
    }
}

/// Around every retransmission that comes before `until`, the weight shared among them.
fn retransmissions(weight: f64, until: Duration) -> Vec<Zone> {
    let points = (0..16).map(|m| RETRANSMISSION * 2_u32.pow(m)).take_while(|at| *at <= until);
    let points: Vec<Duration> = points.collect();
    let zone = |at: &Duration| Zone {
        name: "retransmission",
        weight: weight / points.len() as f64,
        from: *at - AROUND,
        to: *at + AROUND,
    };
    points.iter().map(zone).collect()
}

/// A random majority apart from the minority, for times around net_ticktime: whether anybody is taken
/// for dead, and by whom, is different in every draw.
///
/// Needs nodes that speak distributed Erlang. Finds: one side that knows of a loss and one that does
/// not, and everything that was built on both knowing it. See [`Near::Tick`].
#[fuzz_dist::nemesis("near_tick")]
pub fn near_tick() -> Nemesis {
    majority_minority().lasting(Near::Tick)
}

/// Processes of a minority stopped for times around net_ticktime. See [`Near::PausedTick`].
///
/// Needs nodes that speak distributed Erlang. Finds what [`near_tick`] finds, and holders of locks
/// that wake up as somebody else takes them over.
#[fuzz_dist::nemesis("near_tick_pause")]
pub fn near_tick_pause() -> Nemesis {
    pause().lasting(Near::PausedTick)
}

/// [`near_call_timeout_of`] the 5 s after which `gen_server:call/2` gives up.
#[fuzz_dist::nemesis("near_call_timeout")]
pub fn near_call_timeout() -> Nemesis {
    near_call_timeout_of(CALL_TIMEOUT)
}

/// A random majority apart from the minority, for times around the time-out of a call: from 0.6 to
/// 1.1 of it.
///
/// Finds: calls that are executed although, or after, their caller has given up; retries of what was
/// done already. See [`Near::CallTimeout`].
pub fn near_call_timeout_of(timeout: Duration) -> Nemesis {
    majority_minority().lasting(Near::CallTimeout(timeout))
}

/// A random majority apart from the minority, for times around those at which TCP sends again what
/// was lost. See [`Near::Retransmission`].
///
/// Finds: what depends on whether a message arrives right after the network is whole, or as much later
/// as the cut was long.
#[fuzz_dist::nemesis("retransmission")]
pub fn retransmission() -> Nemesis {
    majority_minority().lasting(Near::Retransmission)
}

/// A random majority apart from the minority, and as soon as somebody takes somebody for dead, within
/// the time between two ticks, nodes are killed, while others know nothing yet.
///
/// See [`Nemesis::after_nodedown`]. Finds: recovery from one fault that does not survive another.
#[fuzz_dist::nemesis("after_nodedown")]
pub fn after_nodedown() -> Nemesis {
    majority_minority().after_nodedown(kill())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    fn nodes() -> Boundaries {
        Boundaries { net_setuptime: secs(2), ..Boundaries::with_ticktime(secs(4)) }
    }

    fn drawn(near: Near, room: Duration) -> Vec<(Duration, &'static str)> {
        let mut random = Seed(5).stream("near");
        (0..2000).filter_map(|_| near.draw(&nodes(), room, &mut random)).collect()
    }

    #[test]
    fn every_draw_is_in_its_zone_and_zones_come_by_their_weight() {
        let zones = Near::Tick.zones(&nodes());
        let draws = drawn(Near::Tick, secs(60));
        assert_eq!(draws.len(), 2000);
        for (lasts, name) in &draws {
            let within = |z: &Zone| z.name == *name && z.from <= *lasts && *lasts <= z.to;
            assert!(zones.iter().any(within), "{lasts:?} is not in {name}");
        }
        let share = |name| draws.iter().filter(|(_, n)| *n == name).count();
        assert!((500..700).contains(&share("tick")), "{}", share("tick"));
        assert!((500..700).contains(&share("below_tick")));
        assert!((50..150).contains(&share("given_up")));
        assert!((130..270).contains(&share("retransmission")));
    }

    #[test]
    fn what_does_not_fit_is_not_drawn() {
        let draws = drawn(Near::Tick, secs(5));
        assert!(draws.iter().all(|(lasts, _)| *lasts <= secs(5)));
        assert!(draws.iter().any(|(_, name)| *name == "tick"));
        assert!(draws.iter().all(|(_, name)| *name != "given_up" && *name != "after_tick"));
        assert!(drawn(Near::CallTimeout(secs(5)), secs(5)).is_empty());
    }

    #[test]
    fn retransmissions_double() {
        let zones = Near::Retransmission.zones(&nodes());
        let middles: Vec<u128> = zones.iter().map(|z| (z.from + AROUND).as_millis()).collect();
        assert_eq!(middles, [210, 420, 840, 1680, 3360]);
        assert_eq!(Near::Retransmission.needs(&nodes()), millis(260));
        assert_eq!(Near::Tick.needs(&nodes()), secs(5));
        assert_eq!(Near::PausedTick.needs(&nodes()), millis(5200));
    }
}
