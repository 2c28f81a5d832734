//! Plays every case of an Autobahn fuzzing server through `WebSocketApp`, echoing what comes, then
//! has it write its report. `tests/autobahn/run` starts such a server and this; by hand it is
//!
//! ```text
//! cargo run --release --example autobahn_client ws://127.0.0.1:9001 my-agent
//! ```

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc;

use websocket_app::{Deflate, TlsConfig, WebSocketApp};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, agent] = arguments.as_slice() else {
        eprintln!("usage: autobahn_client URL AGENT");
        return ExitCode::from(2);
    };
    match play_all(url.trim_end_matches('/'), agent) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autobahn_client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play_all(url: &str, agent: &str) -> Result<(), Box<dyn Error>> {
    for case in 1..=case_count(url)? {
        // How a case ends is for the server to judge: many consist in breaking the protocol, which
        // is an error here.
        match play(&format!("{url}/runCase?case={case}&agent={agent}")).run_forever() {
            Ok(close) => println!("case {case}: {close}"),
            Err(error) => println!("case {case}: {error}"),
        }
    }
    app(&format!("{url}/updateReports?agent={agent}")).run_forever()?;
    Ok(())
}

/// Asks how many cases there are.
fn case_count(url: &str) -> Result<u32, Box<dyn Error>> {
    let (count, received) = mpsc::channel();
    app(&format!("{url}/getCaseCount"))
        .on_message(move |_ws, message| count.send(message.to_string()))
        .run_forever()?;
    Ok(received
        .try_recv()
        .map_err(|_| "the server did not say how many cases there are")?
        .parse()?)
}

/// Sends every message back as it came, compressed where the case is about that.
fn play(url: &str) -> WebSocketApp {
    app(url).compression(Deflate::default().min_size(0)).on_message(|ws, message| ws.send(message))
}

/// Nothing of our own goes over the wire: no keepalive. Any certificate will do, this talks to a
/// test server.
fn app(url: &str) -> WebSocketApp {
    WebSocketApp::new(url)
        .tls(TlsConfig::new().danger_accept_invalid_certs(true))
        .ping_interval(None)
}
