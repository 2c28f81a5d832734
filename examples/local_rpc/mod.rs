//! A small JSON-RPC server for the examples, which can add. Not part of the library.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::field;

/// Gives the URL to talk to: the one that was asked for, or else that of a server started here.
pub(crate) fn url(wanted: Option<String>) -> io::Result<String> {
    if let Some(url) = wanted {
        return Ok(url);
    }
    // Port 0: the operating system picks a free one. The server ends with the program.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}/", listener.local_addr()?);
    println!("(no URL given: talking to a server started here, {url})");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    Ok(url)
}

/// Answers every call until the connection ends, in whatever way.
fn serve(stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut client = tungstenite::accept(stream).ok()?;
    loop {
        let message = client.read().ok()?;
        if message.is_text() {
            client.send(answer(message.to_text().ok()?)?.into()).ok()?;
        }
    }
}

fn answer(call: &str) -> Option<String> {
    let id = field(call, "id")?;
    let outcome = match field(call, "method")? {
        "\"add\"" => {
            let numbers = call.split_once('[')?.1.split_once(']')?.0;
            let sum: i64 = numbers.split(',').filter_map(|n| n.trim().parse::<i64>().ok()).sum();
            format!(r#""result":{sum}"#)
        }
        _ => r#""error":{"code":-32601,"message":"Method not found"}"#.to_owned(),
    };
    Some(format!(r#"{{"jsonrpc":"2.0","id":{id},{outcome}}}"#))
}
