//! Connects to a Unix socket. Runs on the connecting thread.

use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket as Raw, Type};

use super::hints::advise;
use super::offload::ask;
use super::waiter::{Failure, Waiter};
use crate::error::{Error, Phase};
use crate::route::Route;
use crate::transport::Socket;

/// Returns what is wrong with a path that can be no socket's.
pub(super) fn check(path: &Path) -> Result<(), String> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.contains(&0) {
        return Err("has a NUL character (%00) in the socket's path".into());
    }
    // The operating system takes about a hundred bytes.
    SockAddr::unix(path).map(drop).map_err(|_| {
        format!("names a socket with a path of {} bytes, too long for one", bytes.len())
    })
}

/// Where the listener's backlog is full, the operating system tells nobody of room in it but those
/// who wait in `connect`: so that is done elsewhere.
pub(super) fn connect(
    path: &Path,
    route: &Route,
    waiter: &mut Waiter<'_>,
) -> Result<Socket, Failure> {
    log::debug!(target: super::LOG, "trying {}", waiter.peer());
    let (path, left): (PathBuf, _) = (path.to_owned(), waiter.time_left());
    let connected =
        ask(waiter, Phase::Connect, &route.unanswered, move || connect_within(&path, left))?;
    connected
        .map(Socket::from)
        .map_err(|error| Error::network(Phase::Connect, waiter.peer(), explained(error)).into())
}

/// Returns some time after the deadline even if nobody waits for it any more.
fn connect_within(path: &Path, left: Option<Duration>) -> io::Result<UnixStream> {
    let socket = Raw::new(Domain::UNIX, Type::STREAM, None)?;
    // It is also the limit of `connect`; zero would be none.
    socket.set_write_timeout(left.map(|left| left.max(Duration::from_millis(1))))?;
    socket.connect(&SockAddr::unix(path)?)?;
    socket.set_write_timeout(None)?;
    Ok(socket.into())
}

fn explained(error: io::Error) -> io::Error {
    let hint = match error.kind() {
        ErrorKind::NotFound => "is the path right, and the server running?",
        ErrorKind::ConnectionRefused => "nobody listens on this socket: is the server running?",
        ErrorKind::PermissionDenied => {
            "may this user write to the socket, and pass the folders above it?"
        }
        _ => return error,
    };
    advise(error, hint)
}
