//! A server that runs with the callbacks of each client recorded.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use websocket_app::server::{Client, Handler, Server, ServerHandle};
use websocket_app::{CallbackError, Close, Error, Fragment, Message};

use super::visitor::Visitor;
use crate::failure::Failure;
use crate::recorder::{Call, Recorder, Tape, call_of, tape};
use crate::watchdog::{PATIENCE, Task, Watchdog, wait_until};

type Outcome = Result<(), CallbackError>;

/// What callbacks do after they are recorded. It may send, close, fail, panic, block.
pub(super) type Hook = Arc<dyn Fn(&Client, &Call) -> Outcome + Send + Sync>;

/// How a server is run, and its callbacks set: what is promised is promised of each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Style {
    /// `spawn()`, closures.
    Spawned,
    /// `run_forever()`, on a thread of the test.
    Forever,
    /// `spawn()`, a handler for each client.
    Handlers,
    /// `spawn()` with two loops.
    TwoThreads,
}

pub(super) const STYLES: [Style; 4] =
    [Style::Spawned, Style::Forever, Style::Handlers, Style::TwoThreads];

/// Dropping it aborts the server; [`Serving::end`] sees that it ends in order and that every call
/// was looked at.
pub(super) struct Serving {
    addr: SocketAddr,
    recorders: Receiver<Recorder>,
    running: Running,
    known: Known,
    _watchdog: Watchdog,
}

enum Running {
    Spawned(ServerHandle),
    Forever(Option<Task<Result<(), Failure>>>),
    Ended,
}

/// What a server's clients have told of its handle. Emptied at the end: callbacks that hold the handle
/// of their own server would keep each other alive.
#[derive(Clone, Default)]
struct Known(Arc<Mutex<Option<ServerHandle>>>);

impl Known {
    fn lock(&self) -> MutexGuard<'_, Option<ServerHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server on a port of its own that sends back what it gets.
pub(super) fn echo() -> Serving {
    serve(|server| server, echoes)
}

/// Sends a message back, and nothing else.
pub(super) fn echoes(client: &Client, call: &Call) -> Outcome {
    match call {
        Call::Message(message) => Ok(client.send(message.as_message())?),
        _ => Ok(()),
    }
}

/// A server with these options whose callbacks do this.
pub(super) fn serve(
    options: impl FnOnce(Server) -> Server,
    hook: impl Fn(&Client, &Call) -> Outcome + Send + Sync + 'static,
) -> Serving {
    serve_as(Style::Spawned, options, hook)
}

pub(super) fn serve_as(
    style: Style,
    options: impl FnOnce(Server) -> Server,
    hook: impl Fn(&Client, &Call) -> Outcome + Send + Sync + 'static,
) -> Serving {
    serve_with(style, false, options, hook)
}

/// The same with `on_fragment` set, so that messages come in pieces.
pub(super) fn serve_fragments(
    style: Style,
    hook: impl Fn(&Client, &Call) -> Outcome + Send + Sync + 'static,
) -> Serving {
    serve_with(style, true, |server| server, hook)
}

fn serve_with(
    style: Style,
    in_fragments: bool,
    options: impl FnOnce(Server) -> Server,
    hook: impl Fn(&Client, &Call) -> Outcome + Send + Sync + 'static,
) -> Serving {
    let watchdog = Watchdog::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, recorders) = unbounded();
    let known = Known::default();
    let here = known.clone();
    let hook: Hook = Arc::new(move |client, call| {
        here.lock().get_or_insert_with(|| client.server());
        hook(client, call)
    });
    let tapes = Tapes { hook, tapes: Mutex::default(), recorders: sender };
    let server = options(Server::with_listener(listener));
    let server = match style {
        Style::Handlers => server.handlers(move |_| Taped { tape: tapes.begin(), in_fragments }),
        _ => attach(server, tapes, in_fragments),
    };
    let running = match style {
        Style::Forever => {
            let run = move || server.run_forever().map_err(Failure::from);
            Running::Forever(Some(Task::start("the server", run)))
        }
        Style::TwoThreads => Running::Spawned(server.threads(2).spawn().unwrap()),
        Style::Spawned | Style::Handlers => Running::Spawned(server.spawn().unwrap()),
    };
    Serving { addr, recorders, running, known, _watchdog: watchdog }
}

impl Serving {
    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its handle; of one that runs for ever, once it has a client.
    pub(super) fn handle(&self) -> ServerHandle {
        match &self.running {
            Running::Spawned(handle) => handle.clone(),
            _ => {
                wait_until("there is a client", || self.known.lock().is_some());
                self.known.lock().clone().expect("it was waited for")
            }
        }
    }

    /// Connects and upgrades; the client's callbacks, of which none was looked at yet.
    pub(super) fn visit(&self) -> (Visitor, Recorder) {
        (Visitor::open(self.addr), self.next())
    }

    /// The same, and `on_open` was looked at.
    pub(super) fn open(&self) -> (Visitor, Recorder) {
        let (visitor, calls) = self.visit();
        calls.expect_open();
        (visitor, calls)
    }

    /// The callbacks of the next client.
    pub(super) fn next(&self) -> Recorder {
        self.recorders.recv_timeout(PATIENCE).expect("a client comes")
    }

    /// Fails unless another client is served, for which messages are echoed.
    pub(super) fn still_serves(&self) {
        let (mut visitor, calls) = self.open();
        visitor.echo("are you there?");
        calls.expect_text("are you there?");
        visitor.close(1000, "");
        calls.expect_close(crate::failure::clean(websocket_app::ClosedBy::Peer, 1000, ""));
        calls.finish();
    }

    /// Shuts the server down, of which all clients must be gone.
    pub(super) fn end(self) {
        if self.handle_if_known().is_none() {
            // Else nobody has a handle.
            self.still_serves();
        }
        self.handle().shutdown(1001, "", PATIENCE).unwrap();
        self.ends();
    }

    /// Waits until the server has ended, which was asked of it; nobody may have come whose callbacks
    /// nobody looked at.
    pub(super) fn ends(mut self) {
        assert_eq!(self.outcome(), Ok(()));
        self.running = Running::Ended;
        *self.known.lock() = None;
        match self.recorders.recv_timeout(PATIENCE) {
            Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => {
                panic!("the server has ended and its callbacks are not dropped")
            }
            Ok(_) => panic!("there was a client that nobody expected, or a call after on_close"),
        }
    }

    /// Waits until the server has ended, and gives with what.
    pub(super) fn outcome(&mut self) -> Result<(), Failure> {
        match &mut self.running {
            Running::Spawned(handle) => {
                let handle = handle.clone();
                let join = move || handle.join().map_err(Failure::from);
                Task::start("the server's end", join).join()
            }
            Running::Forever(run) => run.take().expect("it runs").join(),
            Running::Ended => panic!("it has ended before"),
        }
    }

    /// The callbacks of those that nobody has asked for, of a server that has ended.
    pub(super) fn rest(mut self) -> Vec<Recorder> {
        self.running = Running::Ended;
        *self.known.lock() = None;
        self.recorders.try_iter().collect()
    }

    fn handle_if_known(&self) -> Option<ServerHandle> {
        match &self.running {
            Running::Spawned(handle) => Some(handle.clone()),
            _ => self.known.lock().clone(),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Of a test that fails: its threads are not to go on, nor is anybody to wait for them.
        if let Some(handle) = self.handle_if_known() {
            handle.abort();
        }
    }
}

/// The closures of a server: each client has its own tape, from its first call to its last.
struct Tapes {
    hook: Hook,
    tapes: Mutex<HashMap<u64, Arc<Tape<Client>>>>,
    recorders: Sender<Recorder>,
}

impl Tapes {
    fn call(&self, client: &Client, call: Call) -> Outcome {
        let tape = {
            let mut tapes = self.tapes.lock().unwrap_or_else(PoisonError::into_inner);
            let tape = Arc::clone(tapes.entry(client.id()).or_insert_with(|| self.begin()));
            if matches!(call, Call::Close(_)) {
                // What comes after this is on another tape, which nobody expects.
                tapes.remove(&client.id());
            }
            tape
        };
        tape.call(client, call)
    }

    fn begin(&self) -> Arc<Tape<Client>> {
        let hook = Arc::clone(&self.hook);
        let (tape, recorder) = tape(Box::new(move |client, call| hook(client, call)));
        // The test may have failed already.
        let _not_looked_at = self.recorders.send(recorder);
        tape
    }
}

fn attach(server: Server, tapes: Tapes, in_fragments: bool) -> Server {
    let tapes = Arc::new(tapes);
    let [open, message, fragment, ping, pong, error, close] = [(); 7].map(|()| Arc::clone(&tapes));
    let server = server
        .on_open(move |client| open.call(client, Call::Open))
        .on_message(move |client, data| message.call(client, Call::Message(data.into_owned())))
        .on_ping(move |client, payload| ping.call(client, Call::Ping(payload.to_vec())))
        .on_pong(move |client, payload| pong.call(client, Call::Pong(payload.to_vec())))
        .on_error(move |client, what| error.call(client, Call::Error(what.into())))
        .on_close(move |client, how| close.call(client, Call::Close(how.clone())));
    match in_fragments {
        true => server.on_fragment(move |client, piece| fragment.call(client, call_of(piece))),
        false => server,
    }
}

/// The same for one client.
struct Taped {
    tape: Arc<Tape<Client>>,
    in_fragments: bool,
}

impl Handler for Taped {
    fn on_open(&mut self, client: &Client) -> Outcome {
        self.tape.call(client, Call::Open)
    }

    fn on_message(&mut self, client: &Client, message: Message<'_>) -> Outcome {
        self.tape.call(client, Call::Message(message.into_owned()))
    }

    fn on_fragment(&mut self, client: &Client, fragment: Fragment<'_>) -> Outcome {
        self.tape.call(client, call_of(fragment))
    }

    fn on_ping(&mut self, client: &Client, payload: &[u8]) -> Outcome {
        self.tape.call(client, Call::Ping(payload.to_vec()))
    }

    fn on_pong(&mut self, client: &Client, payload: &[u8]) -> Outcome {
        self.tape.call(client, Call::Pong(payload.to_vec()))
    }

    fn on_error(&mut self, client: &Client, error: &Error) -> Outcome {
        self.tape.call(client, Call::Error(error.into()))
    }

    fn on_close(&mut self, client: &Client, close: &Close) -> Outcome {
        self.tape.call(client, Call::Close(close.clone()))
    }

    fn wants_fragments(&self) -> bool {
        self.in_fragments
    }
}

/// How long a wait may be that is to come to nothing.
pub(super) const A_MOMENT: Duration = Duration::from_millis(50);
