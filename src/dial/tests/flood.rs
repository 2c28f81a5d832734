//! A server that says, within TLS, endlessly what means nothing: it must not keep a thread to
//! itself. rustls is the server, which makes one flight of it all; as a client it refuses one of
//! that length.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use super::super::testing::tls::{Authority, Certified};
use super::super::testing::{LONG, Server, wait_for_end};
use super::super::{Cancel, Failure, Target, connect};
use super::tls::trusting;
use crate::reconnect::Attempt;
use crate::route::{ReadyMade, Route};
use crate::tls::TlsBackend;
use crate::transport::{Socket, Transport};

/// How much the client reads before it is to stop, and how much the server has to say at least.
const ENOUGH: usize = 1 << 20;
const TICKETS: usize = 60_000;

/// A server whose handshake ends with session tickets (RFC 8446 §4.6.1), each in a record of its
/// own.
fn flood(certified: &Certified) -> Server {
    let chain = vec![CertificateDer::from_pem_slice(certified.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).unwrap();
    let builder =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.send_tls13_tickets = TICKETS;
    let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
    tls.set_buffer_limit(None);
    Server::start(move |mut tcp| {
        while tls.is_handshaking() {
            while tls.wants_write() {
                tls.write_tls(&mut tcp).unwrap();
            }
            if tls.read_tls(&mut tcp).unwrap() == 0 || tls.process_new_packets().is_err() {
                return;
            }
        }
        let mut flood = Vec::new();
        tls.write_tls(&mut flood).unwrap();
        while tls.wants_write() {
            tls.write_tls(&mut flood).unwrap();
        }
        assert!(flood.len() > 4 * ENOUGH, "{}", flood.len());
        // The client may have gone.
        let _ = tcp.write_all(&flood);
        wait_for_end(&mut tcp);
    })
}

/// TCP with which there is always more to read: it waits for it. Cancels the connect when enough
/// has been.
struct AlwaysMore {
    tcp: TcpStream,
    read: Arc<AtomicUsize>,
    cancel: Cancel,
}

impl Transport for AlwaysMore {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let before = self.read.load(Ordering::SeqCst);
        // While the server waits for what we say, there is no more.
        self.tcp.set_nonblocking(before < ENOUGH / 16)?;
        let n = (&self.tcp).read(buf)?;
        if self.read.fetch_add(n, Ordering::SeqCst) + n >= ENOUGH {
            self.cancel.cancel();
        }
        Ok(n)
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        (&self.tcp).write(buf)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.tcp.shutdown(how)
    }
}

impl AsFd for AlwaysMore {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

#[test]
fn a_flood_of_records_with_nothing_in_them_lets_others_have_their_turn() {
    let authority = Authority::new();
    let server = flood(&authority.certify("localhost"));
    let tcp = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    tcp.set_read_timeout(Some(LONG)).unwrap();
    let (read, cancel) = (Arc::new(AtomicUsize::new(0)), Cancel::new());
    let transport = AlwaysMore { tcp, read: Arc::clone(&read), cancel: cancel.clone() };
    let mut config = trusting(&authority, TlsBackend::NativeTls);
    config.route =
        Route { socket: Some(ReadyMade::new(Socket::from(transport))), ..Route::default() };
    let target = Target::new(&format!("wss://localhost:{}/", server.port), &config).unwrap();
    let result = connect(&target, LONG, &cancel, &Attempt::new());
    assert!(matches!(result, Err(Failure::Cancelled)), "{:?}", result.map(drop));
    server.join(());
    let read = read.load(Ordering::SeqCst);
    assert!((ENOUGH..2 * ENOUGH).contains(&read), "{read}");
}
