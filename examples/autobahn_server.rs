//! Echoes all that comes, compressed with clients that offer it: what the Autobahn testsuite's
//! fuzzing client talks to.
//!
//! ```text
//! cargo run --release --features server --example autobahn_server -- 127.0.0.1:9001 [CERT.pem KEY.pem]
//! ```
//!
//! Used by `tests/autobahn/run --server`.

use std::error::Error;

use websocket_app::Deflate;
use websocket_app::server::{Server, ServerTls};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("usage: autobahn_server ADDRESS [CERT.pem KEY.pem]")?;
    let tls = arguments.next().zip(arguments.next());
    let server = Server::new(address)
        .tls(tls.map(|(certificate, key)| ServerTls::from_pem_files(certificate, key)))
        .max_message_size(64 << 20)
        .max_fragments(1 << 17)
        .max_send_buffer(64 << 20)
        .compression(Deflate::default())
        .on_message(|client, message| client.send(message))
        .spawn()?;
    println!("listening on {}", server.local_addr().ok_or("it does not listen on TCP")?);
    Ok(server.join()?)
}
