//! The options that not every operating system has, or not under every name. What one lacks is
//! refused when a run begins, or, where that depends on the address, when a socket is to connect.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Socket, TcpKeepalive};

pub(super) const HAS_INTERFACE: bool = cfg!(any(target_os = "linux", target_os = "android"));

pub(super) const HAS_KEEPALIVE_DETAILS: bool = cfg!(any(
    windows,
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios",
    target_os = "freebsd",
    target_os = "netbsd"
));

#[cfg(any(
    windows,
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios",
    target_os = "freebsd",
    target_os = "netbsd"
))]
pub(super) fn with_details(
    mut keepalive: TcpKeepalive,
    interval: Option<Duration>,
    retries: Option<u32>,
) -> TcpKeepalive {
    if let Some(interval) = interval {
        keepalive = keepalive.with_interval(interval);
    }
    if let Some(retries) = retries {
        keepalive = keepalive.with_retries(retries);
    }
    keepalive
}

#[cfg(not(any(
    windows,
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios",
    target_os = "freebsd",
    target_os = "netbsd"
)))]
pub(super) fn with_details(
    keepalive: TcpKeepalive,
    _: Option<Duration>,
    _: Option<u32>,
) -> TcpKeepalive {
    keepalive
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn bind_interface(socket: &Socket, name: &str) -> io::Result<()> {
    socket.bind_device(Some(name.as_bytes()))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn bind_interface(_: &Socket, _: &str) -> io::Result<()> {
    Err(lacking())
}

#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
))]
pub(super) fn set_tos(socket: &Socket, tos: u8, peer: &SocketAddr) -> io::Result<()> {
    match peer {
        SocketAddr::V4(_) => socket.set_tos_v4(tos.into()),
        SocketAddr::V6(_) => socket.set_tclass_v6(tos.into()),
    }
}

#[cfg(any(windows, target_os = "ios"))]
pub(super) fn set_tos(socket: &Socket, tos: u8, peer: &SocketAddr) -> io::Result<()> {
    match peer {
        SocketAddr::V4(_) => socket.set_tos_v4(tos.into()),
        SocketAddr::V6(_) => Err(lacking()),
    }
}

#[cfg(not(any(
    windows,
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
pub(super) fn set_tos(_: &Socket, _: u8, _: &SocketAddr) -> io::Result<()> {
    Err(lacking())
}

// Not called where every option is there.
#[allow(dead_code)]
fn lacking() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "this operating system has no such option")
}
