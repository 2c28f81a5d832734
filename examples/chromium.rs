//! Calls from several threads over one connection, to a browser: Chromium's debugging port speaks
//! JSON-RPC but for the member "jsonrpc". Each thread evaluates an expression in a tab of its own.
//! To read: `Browser::call`, and who answers it.
//!
//! ```text
//! chromium --headless --remote-debugging-port=9222    # says on which URL it listens
//! cargo run --example chromium -- ws://127.0.0.1:9222/devtools/browser/… 'navigator.userAgent' '6 * 7'
//! ```
//!
//! Tested in `tests/integration/real_clients/chromium.rs`, with Chromium.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender as Channel, bounded};
use serde_json::{Value, json};
use websocket_app::{AppHandle, CallbackError, Sender, WebSocketApp};

/// How long a connection, and a reply, is waited for: a page takes its time.
const PATIENCE: Duration = Duration::from_secs(30);

type AnyError = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), AnyError> {
    let mut args = env::args().skip(1);
    let url = args.next().ok_or("say URL EXPRESSION...")?;
    let (browser, app) = Browser::connect(&url)?;
    thread::scope(|scope| {
        for expression in args {
            let browser = browser.clone();
            scope.spawn(move || match browser.evaluate(&expression) {
                Ok(value) => println!("{expression} = {value}"),
                Err(error) => eprintln!("{expression}: {error}"),
            });
        }
    });
    app.close();
    println!("closed: {}", app.join()?);
    Ok(())
}

/// Calls methods of a browser, from any thread.
#[derive(Clone)]
pub(crate) struct Browser {
    ws: Sender,
    calls: Arc<Mutex<Calls>>,
}

/// Those that wait for their replies. Threads that call, and the connection's.
#[derive(Default)]
struct Calls {
    last_id: u64,
    replies: HashMap<u64, Channel<Value>>,
}

impl Browser {
    /// Connects, on a thread of the connection's own.
    pub(crate) fn connect(url: &str) -> Result<(Self, AppHandle), AnyError> {
        let calls = Arc::<Mutex<Calls>>::default();
        let (replies, lost) = (Arc::clone(&calls), Arc::clone(&calls));
        let app = WebSocketApp::new(url)
            // A page's source, or a picture of it, comes as one message.
            .max_message_size(256 << 20)
            .on_message(move |_ws, message| -> Result<(), CallbackError> {
                let reply: Value = serde_json::from_str(message.as_text().ok_or("binary")?)?;
                // What has no id is an event, which is nobody's reply.
                let waiting =
                    reply["id"].as_u64().and_then(|id| lock(&replies).replies.remove(&id));
                if let Some(give) = waiting {
                    // Who called may just have given up.
                    let _too_late = give.send(reply);
                }
                Ok(())
            })
            .on_error(|_ws, error| eprintln!("on_error: {error}"))
            // Nobody waits for a reply that cannot come any more.
            .on_close(move |_ws, _close| lock(&lost).replies.clear())
            .spawn()?;
        let ws = app.sender();
        ws.wait_open(PATIENCE)?;
        Ok((Browser { ws, calls }, app))
    }

    /// Calls a method, of a tab's session or of the browser, and waits for its result.
    pub(crate) fn call(
        &self,
        session: &Value,
        method: &str,
        params: Value,
    ) -> Result<Value, AnyError> {
        let (give, reply) = bounded(1);
        let id = {
            let mut calls = lock(&self.calls);
            calls.last_id += 1;
            let id = calls.last_id;
            calls.replies.insert(id, give);
            id
        };
        let mut call = json!({ "id": id, "method": method, "params": params });
        if !session.is_null() {
            call["sessionId"] = session.clone();
        }
        let sent = self.ws.send(call.to_string());
        let reply = sent.map(|()| reply.recv_timeout(PATIENCE));
        lock(&self.calls).replies.remove(&id);
        let mut reply = reply?.map_err(|error| format!("no reply came: {error}"))?;
        match reply.get("error") {
            Some(error) => Err(format!("{method}: {}", error["message"]).into()),
            None => Ok(reply["result"].take()),
        }
    }

    /// Evaluates an expression, and waits for the promise that it may be, in a tab that is closed
    /// behind it.
    pub(crate) fn evaluate(&self, expression: &str) -> Result<Value, AnyError> {
        let browser = Value::Null;
        let tab = self.call(&browser, "Target.createTarget", json!({ "url": "about:blank" }))?;
        let tab = json!({ "targetId": tab["targetId"], "flatten": true });
        let attached = self.call(&browser, "Target.attachToTarget", tab.clone())?;
        let params =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let evaluated = self.call(&attached["sessionId"], "Runtime.evaluate", params);
        self.call(&browser, "Target.closeTarget", json!({ "targetId": tab["targetId"] }))?;
        let mut evaluated = evaluated?;
        match evaluated.get("exceptionDetails") {
            Some(thrown) => Err(thrown["exception"]["description"].to_string().into()),
            None => Ok(evaluated["result"]["value"].take()),
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
