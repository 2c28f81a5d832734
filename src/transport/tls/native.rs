//! A session of `native-tls`, over memory instead of a socket.

use std::io::{self, Read, Write};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "server")]
use native_tls::TlsAcceptor;
use native_tls::{HandshakeError, MidHandshakeTlsStream, TlsConnector, TlsStream};

use super::ciphertext_in::CiphertextIn;
use super::session::{self, Decrypted, HandshakeStep, TlsFailure};
use crate::protocol::handshake::Negotiated;

/// OpenSSL takes from its socket what the next record needs; the other libraries may take whole
/// records that they hold back.
const HOLDS_RECORDS_BACK: bool = cfg!(any(windows, target_vendor = "apple"));

/// What the TLS library takes for a socket. During a call, it has what came and what is to go.
#[derive(Default)]
struct Pipe {
    incoming: CiphertextIn,
    outgoing: Vec<u8>,
    last_words: LastWords,
}

/// A handshake that fails drops its pipe: the alert that says why is left here.
type LastWords = Arc<Mutex<Vec<u8>>>;

impl Pipe {
    fn new(last_words: &LastWords, incoming: &mut CiphertextIn, outgoing: &mut Vec<u8>) -> Self {
        let mut pipe = Pipe::default();
        pipe.last_words = Arc::clone(last_words);
        pipe.swap(incoming, outgoing);
        pipe
    }

    /// Lends both to the pipe, or takes both back.
    fn swap(&mut self, incoming: &mut CiphertextIn, outgoing: &mut Vec<u8>) {
        mem::swap(&mut self.incoming, incoming);
        mem::swap(&mut self.outgoing, outgoing);
    }
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.incoming.read(buf)? {
            0 if !buf.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        *self.last_words.lock().unwrap_or_else(PoisonError::into_inner) =
            mem::take(&mut self.outgoing);
    }
}

pub(crate) struct NativeAttempt {
    server_name: Box<str>,
    last_words: LastWords,
    progress: Progress,
}

enum Progress {
    Begins(TlsConnector),
    #[cfg(feature = "server")]
    Accepts(TlsAcceptor),
    Halfway(MidHandshakeTlsStream<Pipe>),
}

impl NativeAttempt {
    pub(crate) fn new(connector: TlsConnector, server_name: &str) -> Self {
        NativeAttempt {
            server_name: server_name.into(),
            last_words: LastWords::default(),
            progress: Progress::Begins(connector),
        }
    }

    #[cfg(feature = "server")]
    pub(crate) fn accept(acceptor: TlsAcceptor) -> Self {
        NativeAttempt {
            server_name: "".into(),
            last_words: LastWords::default(),
            progress: Progress::Accepts(acceptor),
        }
    }
}

impl session::TlsAttempt for NativeAttempt {
    fn step(
        self: Box<Self>,
        incoming: &mut CiphertextIn,
        outgoing: &mut Vec<u8>,
    ) -> Result<HandshakeStep, TlsFailure> {
        let NativeAttempt { server_name, last_words, progress } = *self;
        let attempt = match progress {
            Progress::Begins(connector) => {
                connector.connect(&server_name, Pipe::new(&last_words, incoming, outgoing))
            }
            #[cfg(feature = "server")]
            Progress::Accepts(acceptor) => {
                acceptor.accept(Pipe::new(&last_words, incoming, outgoing))
            }
            Progress::Halfway(mut halfway) => {
                halfway.get_mut().swap(incoming, outgoing);
                halfway.handshake()
            }
        };
        match attempt {
            Ok(mut stream) => {
                stream.get_mut().swap(incoming, outgoing);
                Ok(HandshakeStep::Done(Box::new(NativeSession { stream, failed: None })))
            }
            Err(HandshakeError::WouldBlock(mut halfway)) => {
                halfway.get_mut().swap(incoming, outgoing);
                let attempt =
                    NativeAttempt { server_name, last_words, progress: Progress::Halfway(halfway) };
                Ok(HandshakeStep::Wants(Box::new(attempt)))
            }
            Err(HandshakeError::Failure(error)) => {
                outgoing.append(&mut last_words.lock().unwrap_or_else(PoisonError::into_inner));
                let text = error.to_string();
                Err(TlsFailure::new(is_lasting(&text), reason(&text, &server_name), error))
            }
        }
    }
}

struct NativeSession {
    stream: TlsStream<Pipe>,
    /// What went wrong: OpenSSL must not be asked for anything after it (`SSL_get_error(3)`).
    failed: Option<TlsFailure>,
}

impl NativeSession {
    /// Does something with the session, unless it has failed.
    fn with<T>(
        &mut self,
        incoming: &mut CiphertextIn,
        outgoing: &mut Vec<u8>,
        work: impl FnOnce(&mut TlsStream<Pipe>) -> io::Result<T>,
    ) -> io::Result<T> {
        if let Some(failure) = &self.failed {
            return Err(io::Error::other(failure.clone()));
        }
        self.stream.get_mut().swap(incoming, outgoing);
        let done = work(&mut self.stream);
        self.stream.get_mut().swap(incoming, outgoing);
        done.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => error,
            // Of kind `Other` whatever the library says: it is not the socket's.
            _ => io::Error::other(self.failed.insert(explain(error)).clone()),
        })
    }
}

impl session::TlsSession for NativeSession {
    fn decrypt(
        &mut self,
        incoming: &mut CiphertextIn,
        outgoing: &mut Vec<u8>,
        buf: &mut [u8],
    ) -> Decrypted {
        let mut decrypted = Decrypted::default();
        let done = self.with(incoming, outgoing, |stream| {
            while decrypted.length < buf.len() {
                match stream.read(&mut buf[decrypted.length..]) {
                    Ok(0) => {
                        decrypted.closed = true;
                        break;
                    }
                    Ok(n) => {
                        decrypted.length += n;
                        // To be told that there is nothing would take as long as a short record.
                        if !HOLDS_RECORDS_BACK && stream.get_ref().incoming.waiting().is_empty() {
                            break;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        });
        decrypted.error = done.err();
        decrypted
    }

    fn encrypt(
        &mut self,
        bytes: &[u8],
        incoming: &mut CiphertextIn,
        outgoing: &mut Vec<u8>,
    ) -> io::Result<usize> {
        // That it would block means that the peer negotiates anew (RFC 5246 §7.4.1.1), which has to
        // be done before anything else is said.
        self.with(incoming, outgoing, |stream| match stream.write(bytes)? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            written => Ok(written),
        })
    }

    fn close_notify(&mut self, incoming: &mut CiphertextIn, outgoing: &mut Vec<u8>) {
        // An error means that the session is past saying anything.
        let _ = self.with(incoming, outgoing, TlsStream::shutdown);
    }

    /// The library says neither version nor cipher suite.
    fn negotiated(&self) -> Negotiated {
        let certificate = self.stream.peer_certificate().ok().flatten();
        let certificate = certificate.and_then(|certificate| certificate.to_der().ok());
        Negotiated { certificate, ..Negotiated::default() }
    }
}

/// Makes an open session's error readable: TLS 1.3 tells only after the handshake that it wants a
/// client certificate.
fn explain(error: io::Error) -> TlsFailure {
    let text = error.get_ref().map_or_else(|| error.to_string(), ToString::to_string);
    TlsFailure::new(is_lasting(&text), reason(&text, ""), error)
}

/// Returns whether the next attempt will meet the same, as far as the words of the libraries tell:
/// a server that is restarting, or a proxy before it, may say anything else.
fn is_lasting(text: &str) -> bool {
    const LASTING: [&str; 9] = [
        "access denied",
        "certificate",
        "handshake failure",
        "insufficient security",
        "protocol version",
        "trust",
        "unknown ca",
        "unrecognized name",
        "unsupported protocol",
    ];
    let text = text.to_lowercase();
    LASTING.iter().any(|words| text.contains(words))
}

/// Says first what is wrong, then what to do. OpenSSL's text is a path through its source, with the
/// reason as its fifth part and, for a certificate, in brackets at the end; the other libraries'
/// texts are sentences already.
fn reason(text: &str, server_name: &str) -> String {
    let Some(openssl) = text.strip_prefix("error:") else { return text.to_owned() };
    let general = openssl.split(':').nth(3).unwrap_or(text);
    let bracketed =
        text.strip_suffix(')').and_then(|text| text.rsplit_once(" (")).map(|(_, reason)| reason);
    let Some(reason) = bracketed.filter(|_| general == "certificate verify failed") else {
        return match general.contains("certificate required") {
            true => {
                format!(
                    "it wants a client certificate: TlsConfig::identity_pem_files gives it one ({general})"
                )
            }
            false => general.to_owned(),
        };
    };
    let advice = if reason.contains("mismatch") {
        format!(": it is not for `{server_name}`; TlsConfig::server_name can expect another name")
    } else if ["self-signed", "self signed", "issuer"].iter().any(|word| reason.contains(word)) {
        ": TlsConfig::root_certificate_file can trust its root".to_owned()
    } else if ["expired", "not yet valid"].iter().any(|word| reason.contains(word)) {
        ": is this machine's clock right?".to_owned()
    } else {
        String::new()
    };
    format!("its certificate is not accepted: {reason}{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_comes_first_and_advice_after_it() {
        let openssl = |reason: &str| {
            format!(
                "error:0A000086:SSL routines:tls_post_process:certificate verify failed:x.c:1889: ({reason})"
            )
        };
        for (reason_given, begins, contains) in [
            (
                "certificate has expired",
                "its certificate is not accepted: certificate has expired",
                "clock",
            ),
            (
                "hostname mismatch",
                "its certificate is not accepted: hostname mismatch",
                "`localhost`",
            ),
            (
                "self-signed certificate",
                "its certificate is not accepted: self-signed",
                "root_certificate_file",
            ),
            ("unable to get local issuer certificate", "its certificate", "root_certificate_file"),
        ] {
            let text = reason(&openssl(reason_given), "localhost");
            assert!(text.starts_with(begins) && text.contains(contains), "{text}");
        }
        let alert = "error:0A00042E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol version:rec.c:1584:SSL alert number 70";
        assert_eq!(reason(alert, "localhost"), "tlsv1 alert protocol version");
        let alert = "error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:rec.c:1601:SSL alert";
        let error = explain(io::Error::other(alert));
        assert!(error.to_string().contains("TlsConfig::identity_pem_files"), "{error}");
        assert_eq!(
            reason("The certificate is not trusted.", "localhost"),
            "The certificate is not trusted."
        );
    }
}
