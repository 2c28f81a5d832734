//! Phoenix channels, by version 2 of its serializer: joins topics on each connection, pushes events
//! and hears of their replies, joins again where a channel has crashed, sends the heartbeats without
//! which the server hangs up. To read: `Phoenix::on_message`.
//!
//! ```text
//! cargo run --example phoenix -- ws://localhost:4000/socket/websocket room:lobby     # shows what comes, until Ctrl-C
//! cargo run --example phoenix -- ws://localhost:4000/socket/websocket room:lobby new_msg '{"body":"hello"}'
//! ```
//!
//! Tested in `tests/integration/examples/phoenix.rs`, against a scripted peer that keeps to Phoenix's
//! "Writing a Channels Client", and not Phoenix itself, which comes from Elixir's registry hex.pm alone.

pub(crate) mod topics;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use websocket_app::{CallbackError, Handler, Message, Reconnect, Sender, WebSocketApp};

use self::topics::Topics;

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
    let (url, topic) = args.next().zip(args.next()).ok_or("say URL TOPIC [EVENT JSON]")?;
    let mut push = match args.next().zip(args.next()) {
        Some((event, payload)) => Some((event, payload.parse::<Value>()?)),
        None => None,
    };
    // A server hangs up after 60 s, unless it is told another time.
    let heartbeat = Duration::from_secs(30);
    let phoenix = Phoenix::new(vec![topic], heartbeat, move |to, ws, heard| {
        println!("{heard:?}");
        if let (Heard::Joined(topic, _), Some((event, payload))) = (heard, &push) {
            to.push(ws, &topic, event, payload)?;
            push = None;
        }
        Ok(())
    });
    let app = phoenix.app(&url);
    let ws = app.sender();
    ctrlc::set_handler(move || ws.close())?;
    println!("closed: {}", app.run_forever()?);
    Ok(())
}

#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// Topic and response. Now, and again after a loss, it can be pushed to.
    Joined(String, Value),
    /// Topic, event and payload.
    Event(String, String, Value),
    /// The number of a push, and its status and response.
    Reply(String, Value),
    /// Topic and reason: the server does not let us in, or has put us out.
    Left(String, Value),
}

/// Joins topics, and calls a closure with what is heard.
pub(crate) struct Phoenix<F> {
    topics: Topics,
    heartbeat: Duration,
    last_beat: Instant,
    /// The last heartbeat, until it is answered.
    unanswered: Option<String>,
    hear: F,
}

impl<F: FnMut(&mut Topics, &Sender, Heard) -> Done + Send + 'static> Phoenix<F> {
    pub(crate) fn new(topics: Vec<String>, heartbeat: Duration, hear: F) -> Self {
        let topics = Topics::new(topics);
        Phoenix { topics, heartbeat, last_beat: Instant::now(), unanswered: None, hear }
    }

    pub(crate) fn app(self, url: &str) -> WebSocketApp<Self> {
        let policy = Reconnect::exponential(Duration::from_millis(100), Duration::from_secs(30));
        WebSocketApp::with_handler(format!("{url}?vsn=2.0.0"), self).reconnect(policy)
    }
}

impl<F: FnMut(&mut Topics, &Sender, Heard) -> Done + Send + 'static> Handler for Phoenix<F> {
    /// On each connection: `on_reconnect` does the same unless it is written too.
    fn on_open(&mut self, ws: &Sender) -> Done {
        (self.last_beat, self.unanswered) = (Instant::now(), None);
        self.topics.joins.values_mut().for_each(|join| *join = None);
        Ok(self.topics.join_all(ws)?)
    }

    fn on_message(&mut self, ws: &Sender, message: Message<'_>) -> Done {
        type Parts = (Option<String>, Option<String>, String, String, Value);
        let text = message.as_text().ok_or("binary messages are not understood here")?;
        let (join, number, topic, event, mut payload): Parts = serde_json::from_str(text)?;
        let joined = self.topics.joins.get(&topic).cloned().flatten();
        let heard = match &*event {
            "phx_reply" if number == self.unanswered => return Ok(_ = self.unanswered.take()),
            // Of a join that is no more.
            _ if join.is_some() && join != joined => return Ok(()),
            "phx_reply" if number != joined => Heard::Reply(number.unwrap_or_default(), payload),
            "phx_reply" if payload["status"] == "ok" => {
                Heard::Joined(topic, payload["response"].take())
            }
            // Its process has crashed. It is joined again soon, and not at once.
            "phx_error" => return Ok(_ = self.topics.joins.insert(topic, None)),
            "phx_reply" | "phx_close" => {
                self.topics.joins.remove(&topic);
                Heard::Left(topic, payload)
            }
            _ => Heard::Event(topic, event, payload),
        };
        (self.hear)(&mut self.topics, ws, heard)
    }

    fn on_timer(&mut self, ws: &Sender) -> Done {
        self.topics.join_all(ws)?;
        if self.last_beat.elapsed() < self.heartbeat {
            return Ok(());
        }
        if self.unanswered.is_some() {
            ws.reconnect();
            return Ok(());
        }
        self.last_beat = Instant::now();
        self.unanswered = Some(self.topics.push(ws, "phoenix", "heartbeat", &json!({}))?);
        Ok(())
    }

    fn every(&self) -> Option<Duration> {
        Some(self.heartbeat.min(Duration::from_secs(1)))
    }

    fn on_error(&mut self, _ws: &Sender, error: &websocket_app::Error) -> Done {
        eprintln!("trouble: {error}");
        Ok(())
    }
}
