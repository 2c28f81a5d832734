//! [`EventLoop`]: many apps on one thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::handle::AppHandle;
use super::handler::Handler;
use super::session::Session;
use super::turns::DialTurns;
use super::websocket_app::WebSocketApp;
use crate::calls::is_inside;
use crate::close::Close;
use crate::deadline::after;
use crate::error::Error;
use crate::link::{Sender, Shared};
use crate::promise::Onlooker;
use crate::reactor::Running;

/// One thread that runs many apps, each with its own callbacks, timers and reconnects.
///
/// Apps are added and closed while it runs. Those with much to read take turns with the others. A
/// callback that takes long holds up its own app only: another thread stands in for the others
/// meanwhile ([Threads](crate::manual::_05_threads)). A panic in a callback ends its app only.
/// Dropping the `EventLoop` lets the apps that were added run on; the thread ends with the last.
///
/// ```no_run
/// use websocket_app::{EventLoop, WebSocketApp};
///
/// let event_loop = EventLoop::new()?;
/// let mut apps = Vec::new();
/// for market in ["btc", "eth"] {
///     let app = WebSocketApp::new(format!("wss://ticker.example/{market}"))
///         .on_message(move |_ws, message| println!("{market}: {message}"));
///     apps.push(event_loop.add(app)?);
/// }
/// for app in apps {
///     app.join()?;
/// }
/// # Ok::<(), websocket_app::Error>(())
/// ```
pub struct EventLoop {
    running: Option<Running<Session>>,
    /// `None` stands for those of the process.
    turns: Option<Arc<DialTurns>>,
    /// The apps that were added, those that are over up to a fraction. Locked for a look.
    apps: Mutex<Vec<AddedApp>>,
}

/// What the loop's owner has of an app: nothing that would keep it.
#[derive(Clone)]
struct AddedApp {
    shared: Weak<Shared>,
    result: Onlooker<Result<Close, Error>>,
}

impl EventLoop {
    /// Starts the thread, named `websocket-loop`. It sleeps until an app is added.
    ///
    /// # Errors
    ///
    /// [`Error::System`] when the operating system gives no thread, or nothing to wait on sockets
    /// with.
    pub fn new() -> Result<Self, Error> {
        let running = Some(Running::start("websocket-loop")?);
        Ok(EventLoop { running, turns: None, apps: Mutex::default() })
    }

    /// Limits how many of this loop's apps connect at a time, each of which takes a thread until it
    /// is connected: the others wait for their turn, first come, first served, and their
    /// [`connect_timeout`](WebSocketApp::connect_timeout) counts from when it comes. Zero is the
    /// error of [`add`](Self::add). As many more may be computing where to, with
    /// [`url_with`](WebSocketApp::url_with) and the like. Defaults to a limit of 64 for all apps of the process that are
    /// on no loop with a limit of its own.
    #[must_use]
    pub fn max_connecting(mut self, attempts: usize) -> Self {
        self.turns = Some(DialTurns::new(attempts));
        self
    }

    /// Runs an app on this loop's thread, from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a bad URL or option, before any socket is opened;
    /// [`Error::Panicked`] where [`Handler::wants_fragments`] panics; [`Error::System`] or
    /// [`Error::Panicked`] when the loop has failed. What goes wrong later is the result of
    /// [`AppHandle::join`].
    pub fn add<H: Handler>(&self, app: WebSocketApp<H>) -> Result<AppHandle, Error> {
        let sender = app.sender();
        let (mut start, result) = app.prepare()?;
        if let Some(turns) = &self.turns {
            if turns.limit() == 0 {
                return Err(Error::invalid("max_connecting(0)", "must be more than zero"));
            }
            start.turns = Arc::clone(turns);
        }
        if let Some(running) = &self.running {
            running.add(start)?;
        }
        self.note(AddedApp { shared: Arc::downgrade(sender.shared()), result: result.onlooker() });
        Ok(AppHandle::new(sender, result))
    }

    /// Keeps an app for [`close_all`](Self::close_all), and forgets those that are over once they
    /// may be many.
    fn note(&self, app: AddedApp) {
        let mut apps = self.apps();
        if apps.len() == apps.capacity() {
            let now = Instant::now();
            apps.retain(|app| !app.result.is_settled_by(now));
            let room = apps.len() / 4 + 8;
            apps.reserve_exact(room);
        }
        apps.push(app);
    }

    fn apps(&self) -> MutexGuard<'_, Vec<AddedApp>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes all apps as [`Sender::close`] does and waits until their runs are over, for this long
    /// at most; those that are left then are cut off, as by [`Sender::abort`]. Returns how many
    /// that were: zero where all ended by themselves.
    ///
    /// An app whose peer is dead ends by its [`close_timeout`](WebSocketApp::close_timeout); one
    /// that connects, waits for its turn to, or waits to connect again, at once. Which code and
    /// reason each was closed with, and whether its peer answered, is what its `on_close` and
    /// [`AppHandle::join`] tell. Of those that were cut off, `on_close` may be yet to come when this
    /// returns.
    ///
    /// Blocks the calling thread. The loop runs on, and takes other apps; those that are added
    /// meanwhile are not closed.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use websocket_app::{EventLoop, WebSocketApp};
    ///
    /// let event_loop = EventLoop::new()?;
    /// for market in ["btc", "eth"] {
    ///     // No handle is kept: the loop waits for all of them.
    ///     let _ = event_loop.add(WebSocketApp::new(format!("wss://ticker.example/{market}")))?;
    /// }
    /// // Ctrl-C, perhaps.
    /// let aborted = event_loop.close_all(Duration::from_secs(5))?;
    /// println!("all are over, {aborted} of them cut off");
    /// # Ok::<(), websocket_app::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Deadlock`], at once, within a callback of one of its apps; none is closed then.
    pub fn close_all(&self, timeout: Duration) -> Result<usize, Error> {
        if self.running.as_ref().is_some_and(|running| is_inside(running.address())) {
            return Err(Error::Deadlock { what: "the apps of the event loop that it runs on" });
        }
        let deadline = after(Instant::now(), timeout);
        let mut apps = self.apps().clone();
        apps.iter().filter_map(AddedApp::sender).for_each(|ws| ws.close());
        apps.retain(|app| !app.result.is_settled_by(deadline));
        apps.iter().filter_map(AddedApp::sender).for_each(|ws| ws.abort());
        Ok(apps.len())
    }

    /// Waits until the last app is over.
    ///
    /// # Errors
    ///
    /// [`Error::System`] when the operating system failed the loop, [`Error::Panicked`] when
    /// something else than a callback panicked on it, such as the program's logger. No callback is
    /// called any more then; joining an app gives the same, and its senders are
    /// [`NotConnected`](crate::SendError::NotConnected). [`Error::Deadlock`], at once, within a
    /// callback of one of its apps, which then run on as when it is dropped.
    pub fn join(mut self) -> Result<(), Error> {
        match self.running.take() {
            Some(running) => {
                running.close();
                if is_inside(running.address()) {
                    return Err(Error::Deadlock { what: "the event loop that it runs on" });
                }
                running.join()
            }
            None => Ok(()),
        }
    }
}

impl AddedApp {
    /// Returns its sender, unless nobody has one any more, its run included.
    fn sender(&self) -> Option<Sender> {
        self.shared.upgrade().map(Sender::new)
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.close();
        }
    }
}

impl std::fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLoop").finish_non_exhaustive()
    }
}
