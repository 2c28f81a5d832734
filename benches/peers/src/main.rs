//! An echo server of tokio-tungstenite's on one thread, over TLS: `peers tls=LIBRARY cert=PEM key=PEM`, with `rustls` or
//! `native-tls`. It prints its address, and serves until standard input ends.

use std::io::Read;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Its default of 128 KiB for each connection is not for messages as small as these.
const READ_BUFFER: usize = 8 << 10;

#[derive(Clone)]
enum Acceptor {
    Rustls(tokio_rustls::TlsAcceptor),
    NativeTls(tokio_native_tls::TlsAcceptor),
}

fn main() {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let value = options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("there is no option {name}")).to_owned()
    };
    let acceptor = acceptor(&option("tls"), &option("cert"), &option("key"));
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(accept(stream, acceptor.clone()));
        }
    });
}

fn acceptor(library: &str, cert: &str, key: &str) -> Acceptor {
    match library {
        "rustls" => {
            let cert = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            let config = ServerConfig::builder().with_no_client_auth();
            let config = config.with_single_cert(vec![cert], key).unwrap();
            Acceptor::Rustls(Arc::new(config).into())
        }
        "native-tls" => {
            let identity = native_tls(cert, key);
            let acceptor = tokio_native_tls::native_tls::TlsAcceptor::new(identity).unwrap();
            Acceptor::NativeTls(acceptor.into())
        }
        other => panic!("there is no library {other}"),
    }
}

fn native_tls(cert: &str, key: &str) -> tokio_native_tls::native_tls::Identity {
    tokio_native_tls::native_tls::Identity::from_pkcs8(cert.as_bytes(), key.as_bytes()).unwrap()
}

/// A client that goes wrong, or away, is no matter of the others.
async fn accept(stream: TcpStream, acceptor: Acceptor) {
    let _ = stream.set_nodelay(true);
    match acceptor {
        Acceptor::Rustls(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                echo(stream).await;
            }
        }
        Acceptor::NativeTls(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                echo(stream).await;
            }
        }
    }
}

async fn echo(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
    let Ok(mut ws) = accept_async_with_config(stream, Some(config)).await else { return };
    while let Some(Ok(message)) = ws.next().await {
        let is_data = message.is_text() || message.is_binary();
        if is_data && ws.send(message).await.is_err() {
            return;
        }
    }
}
