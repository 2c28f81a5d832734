//! What a server without a loop is: tungstenite, and a thread for each connection that sends back
//! what comes, with the library's defaults.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::{process, thread};

use tungstenite::{Error, accept};

use super::Options;

pub(super) fn serve(options: &Options) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    thread::spawn(|| {
        super::commands().for_each(drop);
        process::exit(0);
    });
    let secure = secure(options);
    for stream in listener.incoming() {
        let secure = secure.clone();
        let stream = stream.unwrap();
        stream.set_nodelay(true).unwrap();
        // What goes wrong is seen by the load.
        thread::spawn(move || match secure {
            #[cfg(feature = "rustls")]
            Some(config) => {
                let tls = rustls::ServerConnection::new(config).unwrap();
                echo(rustls::StreamOwned::new(tls, stream))
            }
            _ => echo::<TcpStream>(stream),
        });
    }
}

fn echo<S: Read + Write>(stream: S) -> Result<(), Error> {
    let Ok(mut client) = accept(stream) else { return Ok(()) };
    loop {
        let message = client.read()?;
        if message.is_binary() || message.is_text() {
            client.send(message)?;
        }
    }
}

#[cfg(feature = "rustls")]
fn secure(options: &Options) -> Option<Arc<rustls::ServerConfig>> {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

    let pem = |name| options.value(name).map(str::as_bytes);
    let cert = CertificateDer::from_pem_slice(pem("cert")?).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pem("key")?).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap();
    Some(config.into())
}

#[cfg(not(feature = "rustls"))]
fn secure(_options: &Options) -> Option<Arc<std::convert::Infallible>> {
    None
}
