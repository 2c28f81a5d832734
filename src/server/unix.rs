//! Opening a Unix socket: the file of one that nobody listens on any more, as every server leaves it
//! behind, is replaced. Whoever starts a server, before it runs.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

/// How often nobody must be found listening, and how long after one another: a server may be about
/// to, and not all operating systems tell one that has no room for another connection from none.
const LOOKS: u32 = 5;
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub(super) fn bind(path: &Path) -> io::Result<UnixListener> {
    let taken = match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => error,
        opened => return opened,
    };
    let Some(left_over) = left_over(path) else { return Err(taken) };
    if !take_away(path, &left_over)? {
        return Err(taken);
    }
    UnixListener::bind(path)
}

/// Returns which file is there, if it is a socket's on which nobody listens.
fn left_over(path: &Path) -> Option<Metadata> {
    let file = fs::symlink_metadata(path).ok().filter(|file| file.file_type().is_socket())?;
    for look in 0..LOOKS {
        if look > 0 {
            thread::sleep(LOOK_EVERY);
        }
        if !is_refused(path) {
            return None;
        }
    }
    Some(file)
}

fn is_refused(path: &Path) -> bool {
    // Without waiting: one that has no room for another connection is alive.
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    connect().is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// Removes this file, and no other that has come in its place: another server may have done the same
/// and be alive by now. Returns whether it is gone.
fn take_away(path: &Path, file: &Metadata) -> io::Result<bool> {
    if fs::symlink_metadata(path).is_ok_and(|now| !is_same(&now, file)) {
        return Ok(false);
    }
    // What is taken is looked at once more: nobody else can take it.
    let aside = aside(path);
    match fs::rename(path, &aside) {
        Ok(()) => {}
        // Somebody was quicker.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    }
    let is_it = is_same(&fs::symlink_metadata(&aside)?, file);
    if !is_it {
        // Its place may have been taken again.
        let linked = fs::hard_link(&aside, path);
        if linked.is_err() && fs::symlink_metadata(path).is_err() {
            // Not every file system has links, nor lets everybody make them.
            fs::rename(&aside, path)?;
            return Ok(false);
        }
    }
    fs::remove_file(&aside)?;
    Ok(is_it)
}

/// A file's number is soon another's. When it was made tells them apart.
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    let identity = |file: &Metadata| (file.dev(), file.ino(), file.mtime(), file.mtime_nsec());
    identity(one) == identity(other)
}

/// Returns a name beside it that nobody else has.
fn aside(path: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // In containers that share a directory all may have the same number.
    path.with_extension(format!("left-{}-{count}-{:x}", process::id(), rand::random::<u32>()))
}
