//! Socket.IO 5, over a WebSocket alone: joins the main namespace on each connection, emits events and
//! hears of their acknowledgements, acknowledges the server's, answers its pings and leaves one whose
//! pings stop. No other namespaces, no binary attachments. To read: `SocketIo::on_packet`.
//!
//! ```text
//! cargo run --example socket_io -- ws://localhost:5000 '["add", 20, 22]'    # then shows what comes, until Ctrl-C
//! ```
//!
//! Tested in `tests/integration/examples/socket_io.rs`, against Flask-SocketIO: a server to try it with is
//! `tests/python/socket_io.py`. On socket.io are Engine.IO 4, packets with a digit, and in them Socket.IO 5.

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use websocket_app::{CallbackError, Handler, Message, Reconnect, SendError, Sender, WebSocketApp};

type Done = Result<(), CallbackError>;
/// The array to acknowledge an event with.
type Answer = Result<Value, CallbackError>;

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
    let mut args = env::args().skip(1);
    let (url, event) = args.next().zip(args.next()).ok_or("say URL EVENT")?;
    let event: Value = event.parse().map_err(|error| format!("{event} is no JSON: {error}"))?;
    let mut is_acknowledged = false;
    let app = SocketIo::app(&url, json!({}), move |ws, heard| {
        println!("{heard:?}");
        match heard {
            // After a loss the server may get it twice: only its acknowledgement tells.
            Heard::Joined if !is_acknowledged => emit(ws, 1, &event)?,
            Heard::Acknowledged(1, _) => is_acknowledged = true,
            _ => {}
        }
        Ok(json!([]))
    });
    let ws = app.sender();
    ctrlc::set_handler(move || ws.close())?;
    println!("closed: {}", app.run_forever()?);
    Ok(())
}

/// Emits an array of name and values, from any thread. It is acknowledged with the id.
pub(crate) fn emit(ws: &Sender, id: u64, event: &Value) -> Result<(), SendError> {
    ws.send(format!("42{id}{event}"))
}

#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// Now, and again after a loss, events can be emitted.
    Joined,
    /// An array of its name and its values.
    Event(Value),
    Acknowledged(u64, Value),
}

/// Calls a closure with what is heard.
pub(crate) struct SocketIo<F> {
    auth: Value,
    hear: F,
    patience: Duration, // It says itself how long it may be silent.
    last_heard: Instant,
}

impl<F: FnMut(&Sender, Heard) -> Answer + Send + 'static> SocketIo<F> {
    pub(crate) fn app(url: &str, auth: Value, hear: F) -> WebSocketApp<Self> {
        let url = format!("{}/socket.io/?EIO=4&transport=websocket", url.trim_end_matches('/'));
        let (patience, last_heard) = (Duration::from_secs(20), Instant::now());
        WebSocketApp::with_handler(url, SocketIo { auth, hear, patience, last_heard })
            .reconnect(Reconnect::exponential(Duration::from_millis(100), Duration::from_secs(5)))
    }

    /// What Engine.IO calls a message is a packet of Socket.IO.
    fn on_packet(&mut self, ws: &Sender, packet: &str) -> Done {
        let (kind, rest) = packet.split_at_checked(1).ok_or("an empty packet")?;
        let (id, data) = rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
        match kind {
            "0" => _ = (self.hear)(ws, Heard::Joined)?,
            "1" => ws.close(),
            "2" => {
                let answer = (self.hear)(ws, Heard::Event(data.parse()?))?;
                if !id.is_empty() {
                    ws.send(format!("43{id}{answer}"))?;
                }
            }
            "3" => _ = (self.hear)(ws, Heard::Acknowledged(id.parse()?, data.parse()?))?,
            "4" => {
                ws.close(); // It gets no better.
                return Err(format!("the server refuses: {data}").into());
            }
            _ => return Err(format!("not understood here: {packet}").into()),
        }
        Ok(())
    }
}

impl<F: FnMut(&Sender, Heard) -> Answer + Send + 'static> Handler for SocketIo<F> {
    fn on_open(&mut self, _ws: &Sender) -> Done {
        self.last_heard = Instant::now();
        Ok(())
    }

    fn on_message(&mut self, ws: &Sender, message: Message<'_>) -> Done {
        self.last_heard = Instant::now();
        let packet = message.as_text().ok_or("binary attachments are not understood here")?;
        match packet.split_at_checked(1) {
            // The first one, on each connection.
            Some(("0", session)) => {
                let session: Value = serde_json::from_str(session)?;
                let milliseconds = |name: &str| session[name].as_u64().ok_or("no times for pings");
                let silence = milliseconds("pingInterval")? + milliseconds("pingTimeout")?;
                self.patience = Duration::from_millis(silence);
                Ok(ws.send(format!("40{}", self.auth))?)
            }
            Some(("2", payload)) => Ok(ws.send(format!("3{payload}"))?),
            Some(("4", packet)) => self.on_packet(ws, packet),
            Some(("1" | "6", _)) => Ok(()), // It closes, which reconnects; or says nothing.
            _ => Err(format!("not understood here: {packet}").into()),
        }
    }

    fn on_timer(&mut self, ws: &Sender) -> Done {
        if self.last_heard.elapsed() > self.patience {
            ws.reconnect();
        }
        Ok(())
    }

    fn every(&self) -> Option<Duration> {
        Some(Duration::from_millis(500))
    }

    fn on_error(&mut self, _ws: &Sender, error: &websocket_app::Error) -> Done {
        eprintln!("trouble: {error}");
        Ok(())
    }
}
