//! The hosts' devices, and the thread of each, which reads what its host sends.

use crate::link::Link;
use crate::packet::{self, FRAME_MAX, To};
use crate::pipeline::{Devices, Pipeline};
use fuzz_dist_env::HostId;
use fuzz_dist_sys::epoch::EpochReader;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A host's end of the network.
pub(super) struct Port {
    pub(super) tun: OwnedFd,
    /// Wakes the port's thread for its end.
    pub(super) stop: Arc<OwnedFd>,
}

/// The ports of all hosts, by their number.
#[derive(Default)]
pub(super) struct Ports(pub(super) Vec<Option<Arc<Port>>>);

impl Devices for Ports {
    fn write(&self, (_, to): Link, frame: &[u8]) -> bool {
        let port = self.0.get(to.index()).and_then(Option::as_ref);
        port.is_some_and(|port| rustix::io::write(&port.tun, frame).is_ok())
    }
}

/// Ends the ports' threads. Each closes its own device when it ends, in the background and all at
/// the same time, since most of the 30 ms that one takes are spent waiting.
pub(super) fn end(ports: impl IntoIterator<Item = Arc<Port>>) {
    // First all shares in the devices are given up, so that the threads have the last ones.
    let stops: Vec<_> = ports.into_iter().map(|port| Arc::clone(&port.stop)).collect();
    for stop in stops {
        let _ = rustix::io::write(&*stop, &1_u64.to_ne_bytes());
    }
}

/// The thread of one port.
pub(super) struct Worker {
    pub(super) from: HostId,
    pub(super) port: Arc<Port>,
    pub(super) reader: EpochReader<Pipeline<Ports>>,
}

impl Worker {
    pub(super) fn run(mut self) {
        let port = Arc::clone(&self.port);
        let mut frame = vec![0; FRAME_MAX];
        loop {
            match rustix::io::read(&port.tun, &mut frame) {
                Ok(length) => self.forward(&frame[..length]),
                Err(Errno::AGAIN) => {
                    let mut ends = [
                        PollFd::new(&port.tun, PollFlags::IN),
                        PollFd::new(&*port.stop, PollFlags::IN),
                    ];
                    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
                    let _ = poll(&mut ends, Some(&second));
                    if !ends[1].revents().is_empty() {
                        return;
                    }
                }
                Err(Errno::INTR) => {}
                // The device is gone or was switched off within the host.
                Err(_) => {
                    let mut ends = [PollFd::new(&*port.stop, PollFlags::IN)];
                    let pause = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
                    if poll(&mut ends, Some(&pause)).is_ok_and(|ready| ready > 0) {
                        return;
                    }
                }
            }
        }
    }

    fn forward(&mut self, frame: &[u8]) {
        let from = self.from;
        match packet::destination(packet::ip(frame)) {
            To::Host(to) => self.reader.with(|pipeline| pipeline.pass((from, host(to)), frame)),
            To::All => self.reader.with(|pipeline| {
                let ports = pipeline.devices().0.iter().enumerate();
                for (to, _) in ports.filter(|(to, port)| port.is_some() && *to != from.index()) {
                    pipeline.pass((from, host(to)), frame);
                }
            }),
            To::Nobody => {}
        }
    }
}

const fn host(index: usize) -> HostId {
    HostId::new(index as u16)
}
