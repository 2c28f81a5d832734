//! What the server's figures are taken with: it sends each message back on `/`, and on `/broadcast`
//! to all who are connected there.
//!
//! ```text
//! cargo run --release --features server --example bench_server -- ours 9001
//! ```

use std::error::Error;

use websocket_app::server::Server;

fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(2).ok_or("usage: bench_server ours PORT")?.parse()?;
    let server = Server::new(format!("127.0.0.1:{port}"))
        .max_connections(10_100)
        .on_open(|client| {
            if client.request().path() == "/broadcast" {
                client.subscribe("all");
            }
        })
        .on_message(|client, message| {
            if client.request().path() == "/broadcast" {
                client.server().publish("all", message);
                return Ok(());
            }
            client.send(message)
        })
        .spawn()?;
    println!("listening");
    Ok(server.join()?)
}
