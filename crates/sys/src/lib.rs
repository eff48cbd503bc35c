//! The only home of `unsafe`: small safe wrappers around kernel interfaces that no crate wraps.
#![allow(unsafe_code)]

pub mod copy;
pub mod device;
pub mod epoch;
pub mod exit;
pub mod fork;
pub mod namespace;
pub mod say;
pub mod signals;
pub mod supervised;
mod sync;

#[cfg(test)]
mod tests;

use std::io;

/// Turns the -1 of a C function into the error that it left behind.
fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
