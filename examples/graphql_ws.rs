//! GraphQL over a WebSocket, by the protocol `graphql-transport-ws`: queries, mutations and
//! subscriptions, all over one connection, until each is complete. After a loss they are asked for
//! again, but for mutations, which may have been done. To read: `GraphQl::on_message`.
//!
//! ```text
//! cargo run --example graphql_ws -- ws://localhost:4000/graphql 'subscription { greetings }' '{ hello }'
//! TOKEN=… cargo run --example graphql_ws -- wss://api.example/graphql '{ me { name } }'
//! ```
//!
//! Tested in `tests/integration/examples/graphql_ws.rs`, against npm's `graphql-ws`: a server to try it
//! with is `tests/javascript/graphql.js`. The protocol is described in that repository's PROTOCOL.md.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::mem;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use websocket_app::{CallbackError, Cause, Handler, Message, Reconnect, Sender, WebSocketApp};

const SUBPROTOCOL: &str = "graphql-transport-ws";

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
    let url = args.next().ok_or("say URL QUERY...")?;
    let graphql =
        GraphQl::new(env::var("TOKEN").ok(), args, |id, result| println!("{id}: {result}"));
    let (result, graphql) = graphql.app(&url).run_handler();
    let close = result?;
    // A server closes with its reason where it does not like the token, or what it is asked.
    if graphql.operations.is_empty() { Ok(()) } else { Err(close.to_string().into()) }
}

/// Asks for operations, and tells each result with its operation's number.
pub(crate) struct GraphQl<F> {
    token: Option<String>,
    /// Those that are not complete.
    pub(crate) operations: BTreeMap<String, Operation>,
    tell: F,
}

pub(crate) struct Operation {
    query: String,
    was_sent: bool,
}

impl<F: FnMut(&str, &Value) + Send + 'static> GraphQl<F> {
    pub(crate) fn new(
        token: Option<String>,
        queries: impl IntoIterator<Item = String>,
        tell: F,
    ) -> Self {
        let operation = |query| Operation { query, was_sent: false };
        let numbered = (1..).map(|id: u32| id.to_string()).zip(queries.into_iter().map(operation));
        GraphQl { token, operations: numbered.collect(), tell }
    }

    pub(crate) fn app(self, url: &str) -> WebSocketApp<Self> {
        let policy = Reconnect::exponential(Duration::from_millis(100), Duration::from_secs(30));
        WebSocketApp::with_handler(url, self)
            .subprotocols([SUBPROTOCOL])
            .reconnect(policy.retry_if(|cause| cause.is_temporary() && !is_final(cause)))
    }

    fn ask_for_all(&mut self, ws: &Sender) -> Done {
        let (lost, left): (BTreeMap<_, _>, _) = mem::take(&mut self.operations)
            .into_iter()
            .partition(|(_, it)| it.was_sent && it.query.trim_start().starts_with("mutation"));
        self.operations = left;
        for id in lost.keys() {
            (self.tell)(id, &json!({ "lost": "it may have been done, or not" }));
        }
        for (id, operation) in &mut self.operations {
            operation.was_sent = true;
            let payload = json!({ "query": operation.query });
            ws.send(json!({ "type": "subscribe", "id": id, "payload": payload }).to_string())?;
        }
        self.close_when_done(ws);
        Ok(())
    }

    fn close_when_done(&self, ws: &Sender) {
        if self.operations.is_empty() {
            ws.close();
        }
    }
}

/// Of the protocol's own close codes only one gets better by itself: that it took too long.
fn is_final(cause: Cause<'_>) -> bool {
    matches!(cause, Cause::Close(close) if (4400..4500).contains(&close.code) && close.code != 4408)
}

impl<F: FnMut(&str, &Value) + Send + 'static> Handler for GraphQl<F> {
    /// On each connection: `on_reconnect` does the same unless it is written too.
    fn on_open(&mut self, ws: &Sender) -> Done {
        let mut init = json!({ "type": "connection_init" });
        if let Some(token) = &self.token {
            init["payload"] = json!({ "token": token });
        }
        Ok(ws.send(init.to_string())?)
    }

    fn on_message(&mut self, ws: &Sender, message: Message<'_>) -> Done {
        let mut message: Value =
            serde_json::from_str(message.as_text().ok_or("a binary message")?)?;
        let id = message["id"].as_str().unwrap_or_default().to_owned();
        match message["type"].as_str() {
            Some("connection_ack") => self.ask_for_all(ws)?,
            Some("next") => (self.tell)(&id, &message["payload"]),
            Some(end @ ("complete" | "error")) => {
                // All of it failed. What fails in part is in the payload of `next`.
                if end == "error" {
                    (self.tell)(&id, &json!({ "errors": message["payload"] }));
                }
                self.operations.remove(&id);
                self.close_when_done(ws);
            }
            // Not the WebSocket's, which are answered anyway.
            Some("ping") => {
                message["type"] = json!("pong");
                ws.send(message.to_string())?;
            }
            Some("pong") => {}
            _ => return Err(format!("the server says {message}").into()),
        }
        Ok(())
    }

    fn on_error(&mut self, _ws: &Sender, error: &websocket_app::Error) -> Done {
        eprintln!("trouble: {error}");
        Ok(())
    }
}
