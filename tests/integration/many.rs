//! Many connections at a time: peers that serve several clients, and apps that share an
//! [`EventLoop`], recorded.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use websocket_app::{AppHandle, CallbackError, Close, EventLoop, Sender, WebSocketApp};

use crate::connection::Connection;
use crate::failure::Failure;
use crate::frame::{CLOSE, Frame, PING, PONG};
use crate::peer::{Listener, Peer};
use crate::recorder::{Call, Hook, Recorder, only_record, record, record_timer};
use crate::watchdog::{PATIENCE, Task, within};

/// Serves so many connections, each on a thread of its own that knows the path that was asked for,
/// without its slash.
pub(crate) fn serve(
    listener: &Listener,
    connections: usize,
    script: impl Fn(&str, Connection) + Sync,
) {
    thread::scope(|scope| {
        for _ in 0..connections {
            let mut client = listener.accept();
            let script = &script;
            scope.spawn(move || {
                let line = client.read_request().line.clone();
                let path = line.split(' ').nth(1).and_then(|path| path.strip_prefix('/'));
                let answer = client.acceptance("");
                client.write(answer);
                script(path.expect("a request line has a path"), client);
            });
        }
    });
}

/// A server that sends every message back, for so many connections.
pub(crate) fn echo_peer(connections: usize) -> Peer {
    Peer::start(move |listener| serve(listener, connections, |_, client| echo(client)))
}

/// Sends every message back and answers every ping, until the client closes.
pub(crate) fn echo(mut client: Connection) {
    loop {
        let frame = client.read_frame();
        let is_close = frame.opcode == CLOSE;
        match frame.opcode {
            PONG => continue,
            PING => client.send(Frame::pong(frame.payload)),
            _ => client.send(Frame { masked: false, ..frame }),
        }
        if is_close {
            return;
        }
    }
}

/// A server that sends every message back to any number of clients, however they come and go.
pub(crate) struct EchoServer {
    addr: SocketAddr,
    is_over: Arc<AtomicBool>,
    _accepting: Task<()>,
}

impl EchoServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (addr, is_over) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let stop = Arc::clone(&is_over);
        let accepting = Task::start("the echo server", move || {
            thread::scope(|scope| {
                while let Ok((client, _)) = listener.accept()
                    && !stop.load(Ordering::SeqCst)
                {
                    scope.spawn(|| echo_until_it_fails(client));
                }
            });
        });
        EchoServer { addr, is_over, _accepting: accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.addr)
    }

    pub(crate) fn app(&self) -> WebSocketApp {
        WebSocketApp::new(self.url())
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // One more client, so that it looks. Where there is none, joining the thread says so.
        let _one_more = TcpStream::connect(self.addr);
    }
}

/// Gives nothing: it ends when the client has gone, in whatever way.
fn echo_until_it_fails(client: TcpStream) -> Option<()> {
    client.set_nodelay(true).ok()?;
    client.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut client = tungstenite::accept(client).ok()?;
    loop {
        let message = client.read().ok()?;
        if message.is_text() || message.is_binary() {
            client.send(message).ok()?;
        }
    }
}

/// An app on an event loop. Derefs to its recorder.
pub(crate) struct Added {
    pub(crate) sender: Sender,
    handle: AppHandle,
    calls: Recorder,
}

/// Adds an app that asks this server for this path.
pub(crate) fn add(event_loop: &EventLoop, app: WebSocketApp) -> Added {
    add_recorded(event_loop, record(app, only_record()))
}

/// Adds an app with callbacks that do something.
pub(crate) fn add_with(
    event_loop: &EventLoop,
    app: WebSocketApp,
    hook: impl FnMut(&Sender, &Call) -> Result<(), CallbackError> + Send + 'static,
) -> Added {
    add_recorded(event_loop, record(app, Box::new(hook)))
}

/// Adds an app with a timer.
pub(crate) fn add_with_timer(
    event_loop: &EventLoop,
    app: WebSocketApp,
    period: Duration,
    hook: Hook,
) -> Added {
    add_recorded(event_loop, record_timer(app, period, hook))
}

fn add_recorded(event_loop: &EventLoop, (app, calls): (WebSocketApp, Recorder)) -> Added {
    let sender = app.sender();
    let handle = event_loop.add(app).expect("the URL is right");
    Added { sender, handle, calls }
}

impl Added {
    /// Sends a text and sees it come back as the next call.
    pub(crate) fn echoes(&self, text: &str) {
        self.sender.send(text).unwrap();
        self.calls.expect_text(text);
    }

    /// Waits for the end of the run, and fails if there is a call that nobody looked at.
    pub(crate) fn end(self) -> Result<Close, Failure> {
        let handle = self.handle;
        let result = within("the app's end", move || handle.join());
        self.calls.finish();
        result.map_err(Failure::from)
    }

    /// Closes an app of which all calls were looked at.
    pub(crate) fn close(self) {
        self.sender.close();
        assert!(
            matches!(self.calls.next(), Call::Close(close) if close.clean && close.code == 1000)
        );
        self.end().unwrap();
    }
}

impl Deref for Added {
    type Target = Recorder;

    fn deref(&self) -> &Recorder {
        &self.calls
    }
}

/// Waits for the end of the loop.
pub(crate) fn join(event_loop: EventLoop) {
    within("the event loop's end", move || event_loop.join()).unwrap();
}
