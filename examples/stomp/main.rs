//! STOMP 1.2 over a WebSocket, as RabbitMQ, ActiveMQ and Spring speak it: subscribes on each
//! connection, sends and learns by a receipt that it was taken, beats its heart and leaves a broker
//! whose heart stops. To read: `Stomp::on_message`. Tested in `tests/integration/examples/stomp.rs`.
//!
//! ```text
//! cargo run --example stomp -- ws://localhost:15674/ws /queue/work            # shows what comes, until Ctrl-C
//! cargo run --example stomp -- ws://localhost:15674/ws /queue/work 'a task'   # and sends that first
//! LOGIN=guest PASSCODE=guest cargo run …
//! ```
//!
//! To try it with: RabbitMQ with its rabbitmq_web_stomp; `tests/javascript/stomp.js`. See stomp.github.io.

pub(crate) mod frame;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use websocket_app::{CallbackError, Handler, Message, Reconnect, Sender, WebSocketApp};

use self::frame::Frame;

type Done = Result<(), CallbackError>;

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
    let (url, destination) = args.next().zip(args.next()).ok_or("say URL DESTINATION [BODY]")?;
    let mut unsent = args.next();
    let login = env::var("LOGIN").ok().zip(env::var("PASSCODE").ok());
    let to = destination.clone();
    let beat = Duration::from_secs(10);
    let stomp = Stomp::new(login, vec![destination], beat, move |ws, frame| {
        println!("{frame:?}");
        match (&*frame.command, &unsent) {
            ("CONNECTED", Some(body)) => {
                let headers = [("destination", &*to), ("receipt", "taken")];
                ws.send(Frame::new("SEND", headers, body).encode())?;
            }
            ("RECEIPT", _) => unsent = None,
            _ => {}
        }
        Ok(())
    });
    let app = stomp.app(&url);
    let ws = app.sender();
    ctrlc::set_handler(move || ws.close())?;
    println!("closed: {}", app.run_forever()?);
    Ok(())
}

/// Subscribes to destinations, and calls a closure with each frame of the broker.
pub(crate) struct Stomp<F> {
    login: Option<(String, String)>,
    destinations: Vec<String>,
    /// How often we are ready to beat, and want the broker to.
    beat: Duration,
    hear: F,
    /// Whether the broker wants that; and how long it may be silent, if it beats.
    beats: bool,
    patience: Option<Duration>,
    last_heard: Instant,
}

impl<F: FnMut(&Sender, &Frame) -> Done + Send + 'static> Stomp<F> {
    pub(crate) fn new(
        login: Option<(String, String)>,
        destinations: Vec<String>,
        beat: Duration,
        hear: F,
    ) -> Self {
        let last_heard = Instant::now();
        Stomp { login, destinations, beat, hear, beats: false, patience: None, last_heard }
    }

    pub(crate) fn app(self, url: &str) -> WebSocketApp<Self> {
        let policy = Reconnect::exponential(Duration::from_millis(100), Duration::from_secs(30));
        let app = WebSocketApp::with_handler(url, self).reconnect(policy);
        app.subprotocols(["v12.stomp", "v11.stomp"])
    }

    fn on_connected(&mut self, ws: &Sender, frame: &Frame) -> Done {
        let (theirs, wanted) = frame.header("heart-beat").split_once(',').unwrap_or(("0", "0"));
        self.beats = wanted.trim() != "0";
        let theirs = Duration::from_millis(theirs.trim().parse()?);
        self.patience = (!theirs.is_zero()).then(|| 2 * theirs.max(self.beat));
        for (id, destination) in self.destinations.iter().enumerate() {
            let headers = [("id", &*id.to_string()), ("destination", destination), ("ack", "auto")];
            ws.send(Frame::new("SUBSCRIBE", headers, "").encode())?;
        }
        Ok(())
    }
}

impl<F: FnMut(&Sender, &Frame) -> Done + Send + 'static> Handler for Stomp<F> {
    /// On each connection: `on_reconnect` does the same unless it is written too.
    fn on_open(&mut self, ws: &Sender) -> Done {
        (self.last_heard, self.beats, self.patience) = (Instant::now(), false, None);
        let beats = format!("{0},{0}", self.beat.as_millis());
        let mut headers =
            vec![("accept-version", "1.1,1.2"), ("host", "/"), ("heart-beat", &*beats)];
        if let Some((login, passcode)) = &self.login {
            headers.extend([("login", &**login), ("passcode", passcode)]);
        }
        Ok(ws.send(Frame::new("CONNECT", headers, "").encode())?)
    }

    fn on_message(&mut self, ws: &Sender, message: Message<'_>) -> Done {
        self.last_heard = Instant::now();
        let Some(frame) = Frame::decode(str::from_utf8(message.as_bytes())?)? else {
            return Ok(());
        };
        match &*frame.command {
            "CONNECTED" => self.on_connected(ws, &frame)?,
            // Behind it the broker closes, which reconnects, ever later.
            "ERROR" => eprintln!("the broker says {}: {}", frame.header("message"), frame.body),
            _ => {}
        }
        (self.hear)(ws, &frame)
    }

    fn on_timer(&mut self, ws: &Sender) -> Done {
        if self.patience.is_some_and(|patience| self.last_heard.elapsed() > patience) {
            ws.reconnect();
        } else if self.beats {
            ws.send("\n")?;
        }
        Ok(())
    }

    fn every(&self) -> Option<Duration> {
        Some(self.beat / 2)
    }

    fn on_error(&mut self, _ws: &Sender, error: &websocket_app::Error) -> Done {
        eprintln!("trouble: {error}");
        Ok(())
    }
}
