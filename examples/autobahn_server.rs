//! Echoes all that comes, compressed with clients that offer it: what the Autobahn testsuite's
//! fuzzing client talks to.
//!
//! ```text
//! cargo run --release --features server --example autobahn_server -- 127.0.0.1:9001
//! ```

use std::error::Error;

use websocket_app::Deflate;
use websocket_app::server::Server;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: autobahn_server ADDRESS")?;
    let server = Server::new(address)
        .max_message_size(64 << 20)
        .max_send_buffer(64 << 20)
        .compression(Deflate::default())
        .on_message(|client, message| client.send(message))
        .spawn()?;
    println!("listening");
    Ok(server.join()?)
}
