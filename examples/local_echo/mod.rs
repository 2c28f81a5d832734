//! A small echo server for the examples, so that each of them runs with no argument. Not part of
//! the library.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;

use tungstenite::Message;
use tungstenite::protocol::WebSocketConfig;

/// Gives the URL to talk to: the one that was asked for, or else that of an echo server started
/// here.
pub(crate) fn url(wanted: Option<String>) -> io::Result<String> {
    if let Some(url) = wanted {
        return Ok(url);
    }
    // Port 0: the operating system picks a free one. The server ends with the program.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}/", listener.local_addr()?);
    println!("(no URL given: talking to an echo server started here, {url})");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    Ok(url)
}

/// Greets the client with a ping, then sends every message back until the connection ends, in
/// whatever way.
fn serve(stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let no_limits = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    let mut client = tungstenite::accept_with_config(stream, Some(no_limits)).ok()?;
    client.send(Message::Ping("are you there?".into())).ok()?;
    loop {
        let message = client.read().ok()?;
        if message.is_text() || message.is_binary() {
            client.send(message).ok()?;
        }
    }
}
