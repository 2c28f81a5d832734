//! What a poll waits for in place of a socket that is not the poll's own: where the two operating
//! systems differ.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Source;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use socket2::SockRef;

pub(crate) use system::Handle;
pub(super) use system::{AsFd, Borrowed, Owned, duplicate, set_nonblocking};

const WAKER: Token = Token(0);
const SOCKET: Token = Token(1);

/// Waits for one socket. Belongs to the thread that waits.
pub(crate) struct SocketPoll {
    poll: Poll,
    waker: Arc<SocketWaker>,
}

/// Ends such a wait, from any thread.
pub(crate) struct SocketWaker(Waker);

impl SocketPoll {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(SocketWaker(Waker::new(poll.registry(), WAKER)?));
        Ok(SocketPoll { poll, waker })
    }

    pub(crate) fn waker(&self) -> Arc<SocketWaker> {
        Arc::clone(&self.waker)
    }

    /// Waits until there is room to write, or something is wrong, or it is woken, or the time is
    /// over.
    pub(crate) fn wait_writable(
        &mut self,
        mut handle: Handle,
        timeout: Duration,
    ) -> io::Result<()> {
        self.poll.registry().register(&mut handle, SOCKET, Interest::WRITABLE)?;
        match self.poll.poll(&mut Events::with_capacity(2), Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }
}

impl SocketWaker {
    pub(crate) fn wake(&self) {
        // Where that fails, the wait ends with its time.
        let _ = self.0.wake();
    }
}

#[cfg(unix)]
mod system {
    pub(crate) use std::os::fd::AsFd;
    use std::os::fd::{AsRawFd, RawFd};
    pub(crate) use std::os::fd::{BorrowedFd as Borrowed, OwnedFd as Owned};

    use mio::unix::SourceFd;

    use super::{Interest, Registry, SockRef, Source, Token, io};

    /// The same open file under another number.
    pub(crate) fn duplicate(of: &impl AsFd) -> io::Result<Owned> {
        of.as_fd().try_clone_to_owned()
    }

    /// It holds for every other number of the open file too, whatever kind of file it is.
    pub(crate) fn set_nonblocking(of: &(impl AsFd + ?Sized)) -> io::Result<()> {
        SockRef::from(&of.as_fd()).set_nonblocking(true)
    }

    /// A descriptor, which its owner keeps open while this is registered.
    pub(crate) struct Handle(RawFd);

    impl Handle {
        pub(crate) fn of(socket: &(impl AsFd + ?Sized)) -> io::Result<Self> {
            Ok(Handle(socket.as_fd().as_raw_fd()))
        }

        /// Does something with what this stands for, so that the poll tells when it no longer would
        /// block.
        pub(crate) fn with<T>(&self, io: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
            io()
        }
    }

    impl Source for Handle {
        fn register(
            &mut self,
            registry: &Registry,
            token: Token,
            interest: Interest,
        ) -> io::Result<()> {
            SourceFd(&self.0).register(registry, token, interest)
        }

        fn reregister(
            &mut self,
            registry: &Registry,
            token: Token,
            interest: Interest,
        ) -> io::Result<()> {
            SourceFd(&self.0).reregister(registry, token, interest)
        }

        fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
            SourceFd(&self.0).deregister(registry)
        }
    }
}

#[cfg(windows)]
mod system {
    // By the name of its counterpart, so that what is public has one name for both.
    pub(crate) use std::os::windows::io::AsSocket as AsFd;
    pub(crate) use std::os::windows::io::{BorrowedSocket as Borrowed, OwnedSocket as Owned};

    use mio::net::TcpStream;

    use super::{Interest, Registry, SockRef, Source, Token, io};

    /// The same socket under another number.
    pub(crate) fn duplicate(of: &impl AsFd) -> io::Result<Owned> {
        of.as_socket().try_clone_to_owned()
    }

    /// It holds for every other number of the socket too.
    pub(crate) fn set_nonblocking(of: &(impl AsFd + ?Sized)) -> io::Result<()> {
        SockRef::from(&of.as_socket()).set_nonblocking(true)
    }

    /// A duplicate of the socket: a poll takes sockets of its own make only.
    pub(crate) struct Handle(TcpStream);

    impl Handle {
        pub(crate) fn of(socket: &(impl AsFd + ?Sized)) -> io::Result<Self> {
            Ok(Handle(TcpStream::from_std(socket.as_socket().try_clone_to_owned()?.into())))
        }

        /// Does something with what this stands for, so that the poll tells when it no longer would
        /// block: it waits again for no other socket than one that it has seen block.
        pub(crate) fn with<T>(&self, io: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
            self.0.try_io(io)
        }
    }

    impl Source for Handle {
        fn register(
            &mut self,
            registry: &Registry,
            token: Token,
            interest: Interest,
        ) -> io::Result<()> {
            self.0.register(registry, token, interest)
        }

        fn reregister(
            &mut self,
            registry: &Registry,
            token: Token,
            interest: Interest,
        ) -> io::Result<()> {
            self.0.reregister(registry, token, interest)
        }

        fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
            self.0.deregister(registry)
        }
    }
}
