//! [`Transport`], which a program implements, and what makes one fit for the event loop.

use std::io;
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mio::event::Source;
use mio::{Interest, Registry, Token};

use super::handle::{AsFd, Handle, set_nonblocking};

/// A connected byte stream of the program's own: what [`connector`](crate::WebSocketApp::connector)
/// may return, for whatever is neither TCP nor a Unix socket.
///
/// It has a descriptor that the operating system can wait for (`AsFd`; on Windows a socket,
/// `AsSocket`), which becomes non-blocking when it is used. What it does besides must not block
/// either: other apps on the same [`EventLoop`](crate::EventLoop) would wait with it. Reading and
/// writing happen on different threads at the same time, so both take `&self`: where they share
/// state, that needs a lock, which must not be held while waiting. For a stream of std's traits
/// there is [`Socket::from_stream`](crate::Socket::from_stream), which needs none of this.
///
/// ```
/// # #[cfg(unix)] mod counted {
/// use std::io::{self, Read, Write};
/// use std::net::{Shutdown, TcpStream};
/// use std::os::fd::{AsFd, BorrowedFd};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use websocket_app::{Transport, WebSocketApp};
///
/// /// Counts what is received.
/// struct Counted(TcpStream, Arc<AtomicUsize>);
///
/// impl Transport for Counted {
///     fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
///         let n = (&self.0).read(buf)?;
///         self.1.fetch_add(n, Ordering::Relaxed);
///         Ok(n)
///     }
///
///     fn write(&self, buf: &[u8]) -> io::Result<usize> {
///         (&self.0).write(buf)
///     }
///
///     fn shutdown(&self, how: Shutdown) -> io::Result<()> {
///         self.0.shutdown(how)
///     }
/// }
///
/// impl AsFd for Counted {
///     fn as_fd(&self) -> BorrowedFd<'_> {
///         self.0.as_fd()
///     }
/// }
///
/// pub fn app(received: Arc<AtomicUsize>) -> WebSocketApp {
///     WebSocketApp::new("ws://gateway.example/").connector(move |host, port, _| {
///         Ok(Counted(TcpStream::connect((host, port))?, received.clone()))
///     })
/// }
/// # }
/// ```
pub trait Transport: AsFd + Send + Sync + 'static {
    /// Reads what is there, into a buffer that is never empty. Zero is the end of the stream.
    ///
    /// # Errors
    ///
    /// Of kind [`WouldBlock`](io::ErrorKind::WouldBlock) when there is nothing: it is then read
    /// again once the descriptor has become readable. Any other ends the connection.
    fn read(&self, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes what there is room for, one byte at least.
    ///
    /// # Errors
    ///
    /// Of kind [`WouldBlock`](io::ErrorKind::WouldBlock) when there is no room: the same bytes are
    /// then written again once the descriptor has become writable. Any other ends the connection.
    fn write(&self, buf: &[u8]) -> io::Result<usize>;

    /// Ends one direction, or both: a thread that reads gets an end, and the peer is told. Must not
    /// wait.
    ///
    /// # Errors
    ///
    /// When the connection is gone already; that is no problem.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;
}

/// A transport and its place in a poll.
pub(super) struct Custom {
    transport: Program,
    registered: Option<Handle>,
    /// What the last read met behind the bytes that it gave, an end or an error: no event will tell
    /// of it, and the transport need not say it twice. Only the reader locks.
    behind: Mutex<Option<io::Result<usize>>>,
}

impl Custom {
    pub(super) fn new(transport: impl Transport) -> Self {
        Custom {
            transport: Program(Some(Box::new(transport))),
            registered: None,
            behind: Mutex::new(None),
        }
    }

    /// Reads until nothing is there: of what stayed behind no event would tell. What ends it behind
    /// some bytes shows at the next read.
    pub(super) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(met) = self.behind().take() {
            return met;
        }
        let mut filled = 0;
        while filled < buf.len() {
            match self.call(|transport| transport.read(&mut buf[filled..])) {
                Ok(n) if n > 0 => filled += n.min(buf.len() - filled),
                ended if filled == 0 => return ended,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                ended => {
                    *self.behind() = Some(ended);
                    break;
                }
            }
        }
        Ok(filled)
    }

    pub(super) fn has_more(&self) -> bool {
        self.behind().is_some()
    }

    fn behind(&self) -> MutexGuard<'_, Option<io::Result<usize>>> {
        // Nothing panics while it is held.
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self, buf: &[u8]) -> io::Result<usize> {
        match self.call(|transport| transport.write(buf)) {
            // Whoever writes would try for ever.
            Ok(0) if !buf.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            written => written.map(|n| n.min(buf.len())),
        }
    }

    fn call<T>(&self, io: impl FnOnce(&dyn Transport) -> io::Result<T>) -> io::Result<T> {
        let io = || guarded(|| io(self.transport.get()?));
        match &self.registered {
            Some(handle) => handle.with(io),
            None => io(),
        }
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        guarded(|| self.transport.get()?.shutdown(how))
    }

    /// Whoever reads and writes by the descriptor, as most do, never blocks then, whatever its
    /// program has left it at.
    pub(super) fn prepare(&self) -> io::Result<()> {
        guarded(|| set_nonblocking(self.transport.get()?))
    }

    pub(super) fn handle(&self) -> io::Result<Handle> {
        guarded(|| Handle::of(self.transport.get()?))
    }
}

/// The program's own stream. There until it is dropped.
struct Program(Option<Box<dyn Transport>>);

impl Program {
    fn get(&self) -> io::Result<&dyn Transport> {
        self.0.as_deref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let transport = self.0.take();
        if catch_unwind(AssertUnwindSafe(|| drop(transport))).is_err() {
            log::error!(target: "websocket_app", "a transport panicked while it was dropped");
        }
    }
}

/// A panic of the program's own code must not be that of the event loop, which may carry other
/// apps.
fn guarded<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(io::Error::other("the transport panicked")))
}

impl Source for Custom {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        let mut handle = self.handle()?;
        handle.register(registry, token, interest)?;
        self.registered = Some(handle);
        Ok(())
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match &mut self.registered {
            Some(handle) => handle.reregister(registry, token, interest),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.registered.take().map_or(Ok(()), |mut handle| handle.deregister(registry))
    }
}
