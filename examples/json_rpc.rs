//! JSON-RPC 2.0 from several threads over one connection: each waits for the reply that has the id
//! of its call. A program of your own makes and takes JSON apart with serde_json; here it is text.
//!
//! ```text
//! cargo run --features server --example json_rpc                           # with a server that it starts itself
//! cargo run --features server --example json_rpc -- wss://rpc.example/     # which knows the method "add"
//! ```
//!
//! Tested in `tests/integration/examples/with_server.rs`.

pub(crate) mod local_rpc;

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender as Channel, bounded};
use websocket_app::{AppHandle, Sender, WebSocketApp};

/// How long a connection, and a reply, is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

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
    let url = local_rpc::url(env::args().nth(1))?;
    let (client, app) = Client::connect(&url)?;
    thread::scope(|scope| {
        for number in 1..=4 {
            let client = client.clone();
            scope.spawn(move || match client.call("add", &format!("[{number}, 100]")) {
                Ok(sum) => println!("{number} + 100 = {sum}"),
                Err(error) => eprintln!("{number} + 100: {error}"),
            });
        }
    });
    if let Err(error) = client.call("multiply", "[2, 3]") {
        println!("2 * 3: {error}");
    }
    app.close();
    println!("closed: {}", app.join()?);
    Ok(())
}

/// Calls methods of a server, from any thread.
#[derive(Clone)]
pub(crate) struct Client {
    ws: Sender,
    calls: Arc<Calls>,
}

impl Client {
    /// Connects, on a thread of the connection's own.
    pub(crate) fn connect(url: &str) -> Result<(Self, AppHandle), Box<dyn Error>> {
        let calls = Arc::<Calls>::default();
        let (replies, lost) = (Arc::clone(&calls), Arc::clone(&calls));
        let app = WebSocketApp::new(url)
            .on_message(move |_ws, message| replies.answer(message.as_text().unwrap_or_default()))
            .on_error(|_ws, error| eprintln!("on_error: {error}"))
            // Nobody waits for a reply that cannot come any more.
            .on_close(move |_ws, _close| lost.give_up())
            .spawn()?;
        let ws = app.sender();
        ws.wait_open(PATIENCE)?;
        Ok((Client { ws, calls }, app))
    }

    /// Calls a method and waits for its result. Not in a callback of this connection, which would
    /// wait for itself.
    pub(crate) fn call(&self, method: &str, params: &str) -> Result<String, Box<dyn Error>> {
        let (id, reply) = self.calls.begin();
        let call =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        let reply = match self.ws.send(call) {
            Ok(()) => reply.recv_timeout(PATIENCE).map_err(|e| format!("no reply came: {e}")),
            Err(error) => Err(error.to_string()),
        };
        self.calls.end(id);
        result_of(&reply?)
    }
}

/// The calls that wait for their replies. Threads that call, and the connection's.
#[derive(Default)]
struct Calls(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    last_id: u64,
    replies: HashMap<u64, Channel<String>>,
}

impl Calls {
    fn begin(&self) -> (u64, Receiver<String>) {
        let (give, reply) = bounded(1);
        let mut waiting = self.lock();
        waiting.last_id += 1;
        let id = waiting.last_id;
        waiting.replies.insert(id, give);
        (id, reply)
    }

    fn answer(&self, reply: &str) {
        let id = field(reply, "id").and_then(|id| id.parse().ok());
        let Some(give) = id.and_then(|id| self.lock().replies.remove(&id)) else {
            return println!("nobody waits for {reply}");
        };
        // Who called may just have given up.
        let _too_late = give.send(reply.to_owned());
    }

    fn end(&self, id: u64) {
        self.lock().replies.remove(&id);
    }

    /// Whoever waits is told that its channel is disconnected.
    fn give_up(&self) {
        self.lock().replies.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn result_of(reply: &str) -> Result<String, Box<dyn Error>> {
    match (field(reply, "result"), field(reply, "message")) {
        (Some(result), _) => Ok(result.to_owned()),
        (None, error) => Err(format!("the server says {}", error.unwrap_or(reply)).into()),
    }
}

/// Returns a number or a string, as far as it has no comma or brace in it.
pub(crate) fn field<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = object.split_once(&format!("\"{name}\":"))?;
    value.split([',', '}']).next().map(str::trim)
}
