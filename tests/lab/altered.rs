//! A lab whose network can be made to lie, and takes its time: what proofs and orders are tried on.

use fuzz_dist::env::{
    BoxFuture, Command, Environment, Error, Finished, HostId, HostSpec, LinkControl, LinkCounters,
    LinkMatrix, Process, ProcessInfo, Signal,
};
use fuzz_dist::lab::Lab;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

/// What becomes of a matrix before it is installed.
pub(crate) type Alter = fn(&LinkMatrix) -> LinkMatrix;

/// A lab that installs another matrix than the one it was given, after some yields to the runtime.
#[derive(Debug)]
pub(crate) struct Altered {
    lab: Lab,
    alter: Alter,
    /// So often it yields before and after it installs; each call counts on, so that a later one
    /// may overtake an earlier one.
    yields: u32,
    calls: AtomicU32,
    counted: bool,
}

impl Altered {
    pub(crate) fn new(lab: Lab, alter: Alter) -> Altered {
        Altered { lab, alter, yields: 0, calls: AtomicU32::new(0), counted: true }
    }

    /// One that installs what it is given, and lets others go first.
    pub(crate) fn slow(lab: Lab, yields: u32) -> Altered {
        Altered { yields, ..Altered::new(lab, LinkMatrix::clone) }
    }

    /// One that does not say what it dropped.
    pub(crate) fn uncounted(lab: Lab) -> Altered {
        Altered { counted: false, ..Altered::new(lab, LinkMatrix::clone) }
    }
}

impl Environment for Altered {
    fn end(&self) {
        self.lab.end();
    }

    fn name(&self) -> &str {
        "altered"
    }

    fn hosts(&self) -> Vec<(HostId, HostSpec)> {
        self.lab.hosts()
    }

    fn address(&self, host: HostId) -> Result<IpAddr, Error> {
        self.lab.address(host)
    }

    fn data_dir(&self, host: HostId) -> Result<PathBuf, Error> {
        self.lab.data_dir(host)
    }

    fn read_file(&self, host: HostId, path: PathBuf) -> BoxFuture<'_, Result<Vec<u8>, Error>> {
        self.lab.read_file(host, path)
    }

    fn write_file(
        &self,
        host: HostId,
        path: PathBuf,
        content: Vec<u8>,
    ) -> BoxFuture<'_, Result<(), Error>> {
        self.lab.write_file(host, path, content)
    }

    fn fetch_folder(
        &self,
        host: HostId,
        path: PathBuf,
        to: PathBuf,
    ) -> BoxFuture<'_, Result<(), Error>> {
        self.lab.fetch_folder(host, path, to)
    }

    fn logs(&self, host: HostId) -> String {
        self.lab.logs(host)
    }

    fn last_output(&self, host: HostId, bytes_max: usize) -> Vec<(String, String)> {
        self.lab.last_output(host, bytes_max)
    }

    fn links(&self) -> Option<&dyn LinkControl> {
        Some(self)
    }

    fn start(&self, host: HostId, command: Command) -> BoxFuture<'_, Result<Process, Error>> {
        self.lab.start(host, command)
    }

    fn run(
        &self,
        host: HostId,
        command: Command,
        limit: Duration,
    ) -> BoxFuture<'_, Result<Finished, Error>> {
        self.lab.run(host, command, limit)
    }

    fn signal_host(&self, host: HostId, signal: Signal) -> BoxFuture<'_, Result<(), Error>> {
        self.lab.signal_host(host, signal)
    }

    fn processes(&self, host: HostId) -> BoxFuture<'_, Result<Vec<ProcessInfo>, Error>> {
        self.lab.processes(host)
    }

    fn connect(
        &self,
        host: HostId,
        to: SocketAddr,
        limit: Duration,
    ) -> BoxFuture<'_, Result<tokio::net::TcpStream, Error>> {
        self.lab.connect(host, to, limit)
    }

    fn listen(
        &self,
        host: HostId,
        on: SocketAddr,
    ) -> BoxFuture<'_, Result<tokio::net::TcpListener, Error>> {
        self.lab.listen(host, on)
    }

    fn bind_udp(
        &self,
        host: HostId,
        on: SocketAddr,
    ) -> BoxFuture<'_, Result<tokio::net::UdpSocket, Error>> {
        self.lab.bind_udp(host, on)
    }
}

impl LinkControl for Altered {
    fn set_links(&self, links: &LinkMatrix) -> BoxFuture<'_, Result<(), Error>> {
        let links = (self.alter)(links);
        Box::pin(async move {
            if self.yields == 0 {
                return self.lab.set_links(&links).await;
            }
            let call = self.calls.fetch_add(1, SeqCst);
            for _ in 0..call * 7 % self.yields {
                tokio::task::yield_now().await;
            }
            let set = self.lab.set_links(&links).await;
            for _ in 0..call * 5 % self.yields {
                tokio::task::yield_now().await;
            }
            set
        })
    }

    fn matrix(&self) -> LinkMatrix {
        self.lab.matrix()
    }

    fn counters(&self) -> LinkCounters {
        self.lab.counters()
    }

    fn counts_drops(&self) -> bool {
        self.counted
    }
}
