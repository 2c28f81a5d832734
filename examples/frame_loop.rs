//! A GUI's loop, without a GUI: sleeps until something is to be shown, draws a frame with all that
//! has come since the last, never waits for the network. The app's thread wakes it up, and the one
//! that reads what is typed. To read: `frames`. Tested in `tests/integration/examples/frame_loop.rs`.
//!
//! ```text
//! cargo run --example frame_loop                          # with an echo server that it starts itself; type lines
//! seq 1000 | cargo run --example frame_loop               # a thousand messages, in a few frames
//! cargo run --example frame_loop -- wss://echo.example/
//! ```

mod local_echo;

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;
use std::{iter, thread};

use crossbeam_channel::{Receiver, TryRecvError, bounded, unbounded};
use websocket_app::{Close, Event, EventOptions, Events, Reconnect, WebSocketApp};

/// As long as a screen shows a frame; what comes meanwhile is drawn in the next.
const FRAME: Duration = Duration::from_millis(16);
/// No more messages in one frame, so that a flood does not freeze the screen.
const PER_FRAME: usize = 1000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let app = WebSocketApp::new(local_echo::url(env::args().nth(1))?);
    let (give, typed) = unbounded();
    let read = move |repaint: Box<dyn Fn() + Send>| {
        thread::spawn(move || {
            for line in io::stdin().lines().map_while(Result::ok) {
                let _nobody_draws = give.send(line);
                repaint();
            }
            drop(give);
            repaint(); // That no more comes is to be seen too.
        });
    };
    let close = frames(app, &typed, read, |view| {
        let View { frame, status, messages, last, .. } = view;
        print!("\r\x1b[Kframe {frame}: {status}, {messages} messages, the last: {last:.40}");
        let _no_terminal = io::stdout().flush();
    })?;
    println!("\nclosed: {close}");
    Ok(())
}

/// What a frame shows.
#[derive(Clone, Default)]
pub(crate) struct View {
    pub(crate) frame: u64,
    pub(crate) status: String,
    pub(crate) messages: u64,
    pub(crate) last: String,
    is_open: bool,
    unsent: Option<String>,
    is_over: bool,
}

/// Draws frames until the run is over. Sends what is typed, and closes behind the last of it.
/// `begin` gets what asks for a frame, from any thread: a GUI library has something like it.
pub(crate) fn frames(
    app: WebSocketApp,
    typed: &Receiver<String>,
    begin: impl FnOnce(Box<dyn Fn() + Send>),
    mut draw: impl FnMut(&View),
) -> Result<Close, websocket_app::Error> {
    // Room for one: that a frame is wanted need not be said twice.
    let (wake, woken) = bounded(1);
    let repaint = move || _ = wake.try_send(());
    let options = EventOptions::new(256).wake_with(repaint.clone());
    let policy = Reconnect::exponential(Duration::from_millis(100), Duration::from_secs(30));
    let events = app.reconnect(policy).events(options);
    begin(Box::new(repaint.clone()));

    let mut view = View { status: "connecting".to_owned(), ..View::default() };
    loop {
        woken.recv().expect("this thread has the other end too");
        let heard = view.hear(&events);
        let said = if view.is_open { view.say(&events, typed) } else { 0 };
        if heard == PER_FRAME || said == PER_FRAME || (view.is_open && view.unsent.is_some()) {
            repaint();
        }
        if heard + said > 0 {
            view.frame += 1;
            draw(&view);
        }
        if view.is_over {
            return events.join();
        }
        thread::sleep(FRAME);
    }
}

impl View {
    /// Takes what has come. Gives how much that was.
    fn hear(&mut self, events: &Events) -> usize {
        let come = iter::from_fn(|| events.try_recv()).take(PER_FRAME);
        come.map(|event| self.on_event(event)).count()
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Open | Event::Reconnect => (self.is_open, self.status) = (true, "open".into()),
            Event::Message(message) => {
                self.messages += 1;
                self.last = message.to_string();
            }
            Event::Error(error) => self.status = error.to_string(),
            Event::Close(close) => {
                (self.is_open, self.status) = (false, format!("closed: {close}"));
                self.is_over = close.reconnect_in.is_none();
            }
            _ => {}
        }
    }

    /// Sends what was typed, as long as there is room for it; the rest has to wait.
    fn say(&mut self, events: &Events, typed: &Receiver<String>) -> usize {
        for said in 0..PER_FRAME {
            let line = match self.unsent.take().map_or_else(|| typed.try_recv(), Ok) {
                Ok(line) => line,
                Err(TryRecvError::Empty) => return said,
                Err(TryRecvError::Disconnected) => {
                    events.close();
                    return said;
                }
            };
            if let Err(error) = events.sender().try_send(&line) {
                self.unsent = Some(line);
                self.status = error.to_string();
                return said;
            }
        }
        PER_FRAME
    }
}
