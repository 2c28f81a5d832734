//! A small JSON-RPC server for the examples, which can add. Not part of the library.

use websocket_app::server::Server;
use websocket_app::{CallbackError, Error};

use super::field;

/// Gives the URL to talk to: the one that was asked for, or else that of a server started here.
pub(crate) fn url(wanted: Option<String>) -> Result<String, Error> {
    if let Some(url) = wanted {
        return Ok(url);
    }
    // Port 0: the operating system picks a free one. The server ends with the program.
    let server = Server::new("127.0.0.1:0")
        .on_message(|client, message| -> Result<(), CallbackError> {
            let call = message.as_text().ok_or("only text is understood here")?;
            Ok(client.send(answer(call).ok_or("this is no call")?)?)
        })
        .on_error(|client, error| eprintln!("client {}: {error}", client.id()))
        .spawn()?;
    let address = server.local_addr().expect("it is TCP");
    let url = format!("ws://{address}/");
    println!("(no URL given: talking to a server started here, {url})");
    Ok(url)
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
