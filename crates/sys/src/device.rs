//! The TUN device and the few interface settings that a host needs, by ioctl.

use super::checked;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Length of the virtio header before every packet of a device made here.
pub const VNET_HEADER_LEN: usize = 10;

/// `struct ifreq` of linux/if.h: a name and a union of at most 24 bytes.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    value: [u8; 24],
}

impl InterfaceRequest {
    fn new(name: &str) -> io::Result<Self> {
        let mut request = InterfaceRequest { name: [0; libc::IFNAMSIZ], value: [0; 24] };
        if name.len() >= libc::IFNAMSIZ {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        request.name[..name.len()].copy_from_slice(name.as_bytes());
        Ok(request)
    }

    fn send(&mut self, to: BorrowedFd<'_>, code: u64) -> io::Result<()> {
        // SAFETY: all codes used in this file take a pointer to a `struct ifreq`, which this is.
        checked(unsafe { libc::ioctl(to.as_raw_fd(), code as _, &raw mut *self) }).map(drop)
    }
}

// linux/if_tun.h
const TUNSETIFF: u64 = 0x4004_54ca;
const TUNSETOFFLOAD: u64 = 0x4004_54d0;
const TUN_F_CSUM: libc::c_ulong = 1;
const TUN_F_TSO4: libc::c_ulong = 2;
const TUN_F_TSO6: libc::c_ulong = 4;

/// Makes a TUN device in this process's network namespace; its packets come and go through the
/// descriptor, each behind a virtio header, and TCP's as large as 64 KB (the measured difference
/// to packets of MTU size is fourfold).
pub fn make_tun(device: OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = (libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as u16;
    let mut request = InterfaceRequest::new(name)?;
    request.value[..2].copy_from_slice(&flags.to_ne_bytes());
    request.send(device.as_fd(), TUNSETIFF)?;
    let offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    // SAFETY: TUNSETOFFLOAD takes its flags by value.
    checked(unsafe { libc::ioctl(device.as_raw_fd(), TUNSETOFFLOAD as _, offload) })?;
    Ok(device)
}

/// Settings of this process's network interfaces, through one socket.
pub struct Interfaces(pub OwnedFd);

impl Interfaces {
    /// Gives the interface its address and network mask, which also makes the route to the network.
    pub fn set_address(&self, name: &str, ip: Ipv4Addr, mask: Ipv4Addr) -> io::Result<()> {
        for (code, ip) in [(libc::SIOCSIFADDR, ip), (libc::SIOCSIFNETMASK, mask)] {
            let mut request = InterfaceRequest::new(name)?;
            request.value[..16].copy_from_slice(&socket_address(ip));
            request.send(self.0.as_fd(), code as _)?;
        }
        Ok(())
    }

    /// Switches the interface on.
    pub fn up(&self, name: &str) -> io::Result<()> {
        let flags = (libc::IFF_UP | libc::IFF_RUNNING) as u16;
        let mut request = InterfaceRequest::new(name)?;
        request.value[..2].copy_from_slice(&flags.to_ne_bytes());
        request.send(self.0.as_fd(), libc::SIOCSIFFLAGS as _)
    }

    /// Sends a network's packets out of the interface.
    pub fn route(&self, name: &str, network: Ipv4Addr, mask: Ipv4Addr) -> io::Result<()> {
        let mut name: Vec<u8> = name.bytes().chain([0]).collect();
        let mut request = RouteRequest {
            destination: socket_address(network),
            mask: socket_address(mask),
            flags: libc::RTF_UP,
            device: name.as_mut_ptr().cast(),
            ..RouteRequest::default()
        };
        let fd = self.0.as_raw_fd();
        // SAFETY: SIOCADDRT takes a pointer to a `struct rtentry`, and the name outlives the call.
        checked(unsafe { libc::ioctl(fd, libc::SIOCADDRT as _, &raw mut request) }).map(drop)
    }
}

/// A `struct sockaddr_in` as bytes.
fn socket_address(ip: Ipv4Addr) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    bytes[4..8].copy_from_slice(&ip.octets());
    bytes
}

/// `struct rtentry` of linux/route.h.
#[repr(C)]
struct RouteRequest {
    pad1: libc::c_ulong,
    destination: [u8; 16],
    gateway: [u8; 16],
    mask: [u8; 16],
    flags: libc::c_ushort,
    pad2: libc::c_short,
    pad3: libc::c_ulong,
    pad4: usize,
    metric: libc::c_short,
    device: *mut libc::c_char,
    mtu: libc::c_ulong,
    window: libc::c_ulong,
    irtt: libc::c_ushort,
}

impl Default for RouteRequest {
    fn default() -> Self {
        // SAFETY: integers, bytes and a pointer that may be null.
        unsafe { std::mem::zeroed() }
    }
}
