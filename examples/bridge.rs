//! A bridge between two servers: what comes from one is sent to the other, both ways, and so is the
//! code that one closes with. Where a server reads slowly, the other is read slowly; nothing is lost.
//!
//! ```text
//! cargo run --example bridge                                            # between two servers that it starts itself
//! cargo run --example bridge -- wss://one.example/ wss://other.example/
//! ```
//!
//! Tested in `tests/integration/examples.rs`, between two scripted peers.

mod local_echo;

use std::env;
use std::error::Error;
use std::io;
use std::net::TcpListener;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use tungstenite::Message as TestMessage;
use tungstenite::protocol::CloseFrame;
use websocket_app::{Close, Sender, WebSocketApp, close_code};

/// How long one server may take to be there when the other is.
const PATIENCE: Duration = Duration::from_secs(10);

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
    let mut urls = env::args().skip(1);
    let (left, right) = match (urls.next(), urls.next()) {
        (Some(left), Some(right)) => (left, right),
        _ => (asker()?, local_echo::url(None)?),
    };
    for (name, close) in ["left", "right"].into_iter().zip(bridge(&left, &right)?) {
        println!("{name}: {close}");
    }
    Ok(())
}

/// Connects both and passes on what comes, until both are closed.
pub(crate) fn bridge(left: &str, right: &str) -> Result<[Close; 2], websocket_app::Error> {
    let [left, right] = [left, right].map(WebSocketApp::new);
    let (to_left, to_right) = (left.sender(), right.sender());
    // Each on a thread of its own: a callback waits for room in another app's queue only where that
    // runs elsewhere.
    let left = passes_on(left, &to_right).spawn()?;
    let right = passes_on(right, &to_left).spawn()?;
    // Also where one was lost, the other has an end.
    let closes = [left.join(), right.join()];
    let [left, right] = closes;
    Ok([left?, right?])
}

fn passes_on(app: WebSocketApp, other: &Sender) -> WebSocketApp {
    let [is_there, messages, closing] = [(); 3].map(|()| other.clone());
    app
        // Messages wait until this has returned.
        .on_open(move |_ws| is_there.wait_open(PATIENCE))
        .on_message(move |_ws, message| messages.send(message))
        // What cannot be passed on ends both: nothing is lost in silence.
        .on_error(|ws, error| {
            eprintln!("on_error: {error}");
            ws.close_with(close_code::INTERNAL_ERROR, "the bridge is broken")
        })
        .on_close(move |_ws, close| pass_close_on(close, &closing))
}

/// Closes the other side with the same code and reason, behind what was passed on before. Does
/// nothing where that is closed already.
fn pass_close_on(close: &Close, other: &Sender) {
    if close.code == close_code::NO_STATUS {
        other.close();
    } else if other.close_with(close.code, &close.reason).is_err() {
        // One that is not to be sent: the connection was lost.
        let _allowed = other.close_with(close_code::GOING_AWAY, "the other side was lost");
    }
}

/// A server that asks three questions, and closes when it has the answers.
fn asker() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}/", listener.local_addr()?);
    println!("(no two URLs given: asking from a server started here, {url})");
    thread::spawn(move || -> Option<()> {
        let mut client = tungstenite::accept(listener.accept().ok()?.0).ok()?;
        for number in 1..=3 {
            client.send(TestMessage::text(format!("question {number}"))).ok()?;
            println!("came back: {}", client.read().ok()?);
        }
        let enough = CloseFrame { code: 4000.into(), reason: "I know enough".into() };
        client.close(Some(enough)).ok()?;
        while client.read().is_ok() {}
        Some(())
    });
    Ok(url)
}
