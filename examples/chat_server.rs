//! A room to talk in: whoever opens its page, or comes with any other WebSocket client, hears who
//! comes and goes, and is heard by all.
//!
//! ```text
//! cargo run --features server --example chat_server                   # then open http://127.0.0.1:9001/
//! cargo run --features server --example chat_server -- 0.0.0.0:80     # for everybody
//! ```
//!
//! Tested in `tests/integration/real_clients`: `chat.rs`, and with its page in Chromium `chromium.rs`.

use std::error::Error;
use std::time::Duration;

use websocket_app::server::{Answer, Server};
use websocket_app::{Message, close_code};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let server = room(address).spawn()?;
    if let Some(address) = server.local_addr() {
        println!("the room is open at http://{address}/ until Ctrl-C");
    }
    let room = server.clone();
    ctrlc::set_handler(move || {
        // What was said last is heard before.
        let closing =
            room.shutdown(close_code::GOING_AWAY, "the room is closed", Duration::from_secs(5));
        if let Err(error) = closing {
            eprintln!("error: {error}");
        }
    })?;
    Ok(server.join()?)
}

pub(crate) fn room(address: impl Into<String>) -> Server {
    Server::new(address)
        .on_request(|request| match (request.is_upgrade(), request.path()) {
            (true, _) => Answer::accept(),
            (false, "/") => Answer::http(200, "text/html; charset=utf-8", PAGE),
            (false, _) => Answer::http(404, "text/plain", "there is only the room, at /\n"),
        })
        .on_open(|client| {
            println!("{} is here", client.id());
            client.server().broadcast(format!("{} has joined", client.id()))
        })
        .on_message(|client, message| {
            let Message::Text(said) = message else { return Err("only text is heard here") };
            client.server().broadcast(format!("{}: {}", client.id(), cut(said)));
            Ok(())
        })
        .on_error(|client, error| eprintln!("{}: {error}", client.id()))
        .on_close(|client, close| {
            println!("{} is gone: {close}", client.id());
            client.server().broadcast(format!("{} has left", client.id()))
        })
}

/// Nobody may fill the others' screens.
fn cut(said: &str) -> String {
    match said.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None => said.to_owned(),
    }
}

/// Its WebSocket goes to where the page came from, so that no other site's page gets in.
const PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>The room</title>
<style>
  body { font: 1rem/1.5 sans-serif; max-width: 40em; margin: 1em auto; padding: 0 1em }
  input { font: inherit; width: 100%; box-sizing: border-box }
</style>
<form><input id="words" placeholder="Say something" autocomplete="off" autofocus></form>
<div id="heard" role="log"></div>
<script>
  const words = document.getElementById("words"), heard = document.getElementById("heard");
  const socket = new WebSocket(location.href.replace(/^http/, "ws"));
  function show(text) {
    const line = document.createElement("div");
    line.textContent = text;
    heard.prepend(line);
  }
  socket.onmessage = (event) => show(event.data);
  socket.onclose = (event) => show(`The connection is closed: ${event.reason || event.code}`);
  document.forms[0].onsubmit = (event) => {
    event.preventDefault();
    if (words.value) socket.send(words.value);
    words.value = "";
  };
</script>
</html>
"#;
