//! [`ReadWrite`]: makes a [`Transport`] of any stream of std's traits, which read and write by
//! turns.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::{Mutex, MutexGuard, PoisonError};

use socket2::SockRef;

use super::custom::Transport;
use super::handle::{AsFd, Borrowed, Owned, duplicate};

/// A stream that is used by one thread at a time. Its lock is held for a call, which does not
/// block.
pub(super) struct ReadWrite<S> {
    stream: Mutex<S>,
    /// The same descriptor under another number, so that it can be waited for, and shut down,
    /// without the lock.
    handle: Owned,
}

impl<S: Read + Write + AsFd> ReadWrite<S> {
    pub(super) fn new(stream: S) -> io::Result<Self> {
        let handle = duplicate(&stream)?;
        Ok(ReadWrite { stream: Mutex::new(stream), handle })
    }

    fn lock(&self) -> MutexGuard<'_, S> {
        // A panic of the stream's own is an error of this connection: whether it goes on is for the
        // stream to say.
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Read + Write + AsFd + Send + 'static> Transport for ReadWrite<S> {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buf)
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        self.lock().write(buf)
    }

    /// What is no socket cannot be shut down: it ends when it is dropped.
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        SockRef::from(&self.handle).shutdown(how)
    }
}

#[cfg(unix)]
impl<S> AsFd for ReadWrite<S> {
    fn as_fd(&self) -> Borrowed<'_> {
        self.handle.as_fd()
    }
}

#[cfg(windows)]
impl<S> AsFd for ReadWrite<S> {
    fn as_socket(&self) -> Borrowed<'_> {
        self.handle.as_socket()
    }
}
