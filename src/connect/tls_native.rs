//! The TLS handshake through `native-tls`: from a TCP socket to a [`Stream`], or to an error that says what is wrong with
//! the server or its certificate. Runs on the connecting thread; the connector was made before, in
//! [`native_options`].

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use native_tls::{HandshakeError, TlsConnector, TlsStream};
use url::Host;

use super::native_options;
use super::stream::Stream;
use super::waiter::{Failure, Waiter};
use crate::error::{Error, Phase};
use crate::tls::TlsConfig;

/// A TLS session over a socket.
pub(super) type Session = TlsStream<Transport>;

/// What to trust, who to be, and whose certificate to expect. Made once for all connects to a target: loading the
/// operating system's roots takes longer than a handshake.
pub(super) struct Connector {
    connector: TlsConnector,
    server_name: String,
}

impl Connector {
    /// Reads the files and parses the certificates that `config` names.
    pub(super) fn new(host: &Host<&str>, config: &TlsConfig) -> Result<Self, Error> {
        let server_name = native_options::server_name(host, config.server_name.as_deref())?;
        Ok(Connector { connector: native_options::connector(config)?, server_name })
    }

    /// Takes a connected stream that is registered with the waiter: a socket, or a TLS session with a proxy, in which this
    /// one then travels.
    pub(super) fn handshake(&self, below: Stream, waiter: &mut Waiter<'_>) -> Result<Stream, Failure> {
        let seen = Arc::new(Seen::default());
        let transport = Transport { below, seen: seen.clone() };
        let mut attempt = self.connector.connect(&self.server_name, transport);
        loop {
            match attempt {
                Ok(session) => return Ok(Stream::native_tls(session)),
                Err(HandshakeError::WouldBlock(halfway)) => {
                    waiter.wait(Phase::Tls, None)?;
                    attempt = halfway.handshake();
                }
                Err(HandshakeError::Failure(error)) => {
                    return Err(explain(error, &seen, &self.server_name, waiter.peer()).into());
                }
            }
        }
    }
}

/// What is below a TLS session; notes what the session's own errors do not tell.
pub(super) struct Transport {
    below: Stream,
    /// Shared with the connecting thread: a failed handshake drops the session and its transport.
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    ended: AtomicBool,
    /// The first byte from the server, once there is one.
    first_byte: OnceLock<u8>,
}

impl Transport {
    pub(super) fn below(&self) -> &Stream {
        &self.below
    }

    pub(super) fn below_mut(&mut self) -> &mut Stream {
        &mut self.below
    }

    /// Tells whether what is below has reached its end. Without a close_notify, TLS libraries call that an error of their own
    /// kind, each a different one.
    pub(super) fn ended(&self) -> bool {
        self.seen.ended.load(Ordering::Relaxed)
    }
}

impl Read for Transport {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.below.read(buf)?;
        if n == 0 && !buf.is_empty() {
            self.seen.ended.store(true, Ordering::Relaxed);
        } else if n > 0 {
            self.seen.first_byte.get_or_init(|| buf[0]);
        }
        Ok(n)
    }
}

impl Write for Transport {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.below.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        // Nothing below keeps what it has taken.
        Ok(())
    }
}

/// Sorts a failed handshake: a server without TLS, the network, or a certificate.
fn explain(error: native_tls::Error, seen: &Seen, server_name: &str, peer: &str) -> Error {
    // RFC 8446 §5.1: whatever TLS answers with has one of these content types.
    if seen.first_byte.get().is_some_and(|byte| !(20..=23).contains(byte)) {
        let text =
            "the server does not speak TLS on this port: is the URL's scheme meant to be ws:// (for a proxy, http://)?"
                .to_owned();
        return Error::Tls { peer: peer.into(), source: Arc::new(Explained { text, source: error.into() }) };
    }
    if let Some(io) = io_cause(&error) {
        let copy =
            io.raw_os_error().map_or_else(|| io::Error::new(io.kind(), io.to_string()), io::Error::from_raw_os_error);
        return Error::network(Phase::Tls, peer, copy);
    }
    if seen.ended.load(Ordering::Relaxed) {
        let text = match seen.first_byte.get() {
            None => "the server hung up without an answer (does it speak TLS on this port?)",
            Some(_) => "the server hung up half-way through",
        };
        return Error::network(Phase::Tls, peer, io::Error::new(io::ErrorKind::UnexpectedEof, text));
    }
    let text = reason(&error.to_string(), server_name);
    Error::Tls { peer: peer.into(), source: Arc::new(Explained { text, source: error.into() }) }
}

/// Makes an open session's error readable: TLS 1.3 tells only after the handshake that it wants a client certificate.
pub(super) fn explain_late(error: io::Error) -> io::Error {
    match error.get_ref().map(ToString::to_string) {
        Some(text) if error.kind() == io::ErrorKind::Other => {
            io::Error::other(Explained { text: reason(&text, ""), source: error.into() })
        }
        _ => error,
    }
}

fn io_cause(error: &native_tls::Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

/// Says first what is wrong, then what to do. OpenSSL's text is a path through its source, with the reason as its fifth
/// part and, for a certificate, in brackets at the end; the other libraries' texts are sentences already.
fn reason(text: &str, server_name: &str) -> String {
    let Some(openssl) = text.strip_prefix("error:") else { return text.to_owned() };
    let general = openssl.split(':').nth(3).unwrap_or(text);
    let bracketed = text.strip_suffix(')').and_then(|text| text.rsplit_once(" (")).map(|(_, reason)| reason);
    let Some(reason) = bracketed.filter(|_| general == "certificate verify failed") else {
        return match general.contains("certificate required") {
            true => {
                format!("the server wants a client certificate: TlsConfig::identity_pem_files gives it one ({general})")
            }
            false => general.to_owned(),
        };
    };
    let advice = if reason.contains("mismatch") {
        format!(": it is not for `{server_name}`; TlsConfig::server_name can expect another name")
    } else if ["self-signed", "self signed", "issuer"].iter().any(|word| reason.contains(word)) {
        ": TlsConfig::root_certificate_file can trust its root".to_owned()
    } else {
        String::new()
    };
    format!("the server's certificate is not accepted: {reason}{advice}")
}

/// A TLS error with a text for people; the library's own error is its source.
#[derive(Debug)]
struct Explained {
    text: String,
    source: Box<dyn StdError + Send + Sync>,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Explained {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.source.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_comes_first_and_advice_after_it() {
        let openssl = |reason: &str| {
            format!("error:0A000086:SSL routines:tls_post_process:certificate verify failed:x.c:1889: ({reason})")
        };
        for (reason_given, begins, contains) in [
            ("certificate has expired", "the server's certificate is not accepted: certificate has expired", ""),
            ("hostname mismatch", "the server's certificate is not accepted: hostname mismatch", "`localhost`"),
            (
                "self-signed certificate",
                "the server's certificate is not accepted: self-signed",
                "root_certificate_file",
            ),
            ("unable to get local issuer certificate", "the server's certificate", "root_certificate_file"),
        ] {
            let text = reason(&openssl(reason_given), "localhost");
            assert!(text.starts_with(begins) && text.contains(contains), "{text}");
        }
        let alert =
            "error:0A00042E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol version:rec.c:1584:SSL alert number 70";
        assert_eq!(reason(alert, "localhost"), "tlsv1 alert protocol version");
        let alert =
            "error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:rec.c:1601:SSL alert";
        let error = explain_late(io::Error::other(alert));
        assert!(error.to_string().contains("TlsConfig::identity_pem_files"), "{error}");
        assert_eq!(explain_late(io::ErrorKind::WouldBlock.into()).kind(), io::ErrorKind::WouldBlock);
        assert_eq!(reason("The certificate is not trusted.", "localhost"), "The certificate is not trusted.");
    }
}
