//! `wss://`: from a connected [`Stream`] to one within TLS, or to an error that says what is wrong
//! with the server or its certificate. Runs on the connecting thread; the options were turned into
//! a [`Connector`] before any socket was opened.
//!
//! ```text
//!   TlsConfig ── native_options / rustls_options ──► Connector ── handshake ──► Layer, a Stream over a Stream
//!                (verify, pins)                                   (an TlsAttempt of transport::tls)
//! ```
//!
//! Only `native_options`, `rustls_options` and what they make know which library it is.
//!
//! Apart from the session that comes of it, which lives as long as the connection: what is here is
//! options, trust, and the waiting for the server's answers.

#[cfg(feature = "native-tls")]
mod native_options;
mod pins;
#[cfg(feature = "rustls")]
mod rustls_options;
#[cfg(test)]
mod tests;
#[cfg(feature = "rustls")]
mod verify;

use std::io;
use std::net::IpAddr;
#[cfg(feature = "rustls")]
use std::sync::Arc;

#[cfg(feature = "rustls")]
use ::rustls::pki_types::ServerName;
use url::Host;

use super::waiter::{Failure, Waiter};
use crate::error::{Error, Phase};
use crate::protocol::handshake::Negotiated;
use crate::tls::{TlsBackend, TlsConfig};
use crate::transport::Stream;
#[cfg(feature = "native-tls")]
use crate::transport::tls::native;
#[cfg(feature = "rustls")]
use crate::transport::tls::rustls_session;
use crate::transport::tls::{
    CiphertextIn, CiphertextOut, HandshakeStep, Layer, TlsAttempt, TlsFailure,
};
use pins::Pins;

/// What to trust, who to be, and whose certificate to expect. Made once for all connects to a
/// target: loading the operating system's roots takes longer than a handshake.
pub(super) struct Connector {
    begin: Begin,
    pins: Pins,
}

/// Begins a handshake with whatever library was chosen.
type Begin = Box<dyn Fn() -> Result<Box<dyn TlsAttempt>, TlsFailure> + Send + Sync>;

impl Connector {
    /// Reads the files and parses the certificates that `config` names.
    pub(super) fn new(host: &Host<&str>, config: &TlsConfig) -> Result<Self, Error> {
        let server_name = server_name(host, config.server_name.as_deref())?;
        let pins = Pins::new(&config.pins)?;
        Ok(Connector { begin: begin_with(config, server_name)?, pins })
    }

    /// Takes a connected stream that is registered with the waiter.
    pub(super) fn handshake(
        &self,
        below: Stream,
        waiter: &mut Waiter<'_>,
    ) -> Result<(Stream, Negotiated), Failure> {
        let refused = |error: TlsFailure, waiter: &Waiter<'_>| error.of(waiter.peer().into());
        let (mut incoming, mut outgoing) = (CiphertextIn::default(), CiphertextOut::default());
        incoming.borrow_buffer();
        let mut first_byte = None;
        let mut attempt = (self.begin)().map_err(|error| refused(error, waiter))?;
        let session = loop {
            let step = attempt.step(&mut incoming, outgoing.bytes());
            if step.is_err() {
                // The alert, as well as can be done without waiting: the error is the news.
                let _ = outgoing.flush(|bytes| below.write(bytes));
            }
            match step.map_err(|error| refused(judge(error, first_byte), waiter))? {
                HandshakeStep::Done(session) => break session,
                HandshakeStep::Wants(halfway) => attempt = halfway,
            }
            waiter.retry(Phase::Tls, || outgoing.flush(|bytes| below.write(bytes)))?;
            let n = waiter.retry(Phase::Tls, || below.read(incoming.room()?))?;
            if n == 0 {
                return Err(Error::network(Phase::Tls, waiter.peer(), hung_up(first_byte)).into());
            }
            incoming.filled(n);
            first_byte = first_byte.or(incoming.waiting().first().copied());
        };
        let negotiated = session.negotiated();
        let certificate = negotiated.certificate.as_deref();
        self.pins.check(certificate).map_err(|error| refused(error, waiter))?;
        waiter.retry(Phase::Tls, || outgoing.flush(|bytes| below.write(bytes)))?;
        let layer = Layer::new(below, waiter.peer(), session, incoming, outgoing);
        Ok((Stream::tls(layer), negotiated))
    }
}

fn begin_with(config: &TlsConfig, server_name: String) -> Result<Begin, Error> {
    match config.chosen_backend()? {
        #[cfg(feature = "native-tls")]
        TlsBackend::NativeTls => {
            let connector = native_options::connector(config)?;
            Ok(Box::new(move || {
                Ok(Box::new(native::NativeAttempt::new(connector.as_ref().clone(), &server_name)))
            }))
        }
        #[cfg(feature = "rustls")]
        TlsBackend::Rustls => {
            let name: ServerName<'static> =
                server_name.clone().try_into().map_err(|_| not_a_name(&server_name))?;
            let config = rustls_options::connector(config)?;
            Ok(Box::new(move || {
                Ok(Box::new(rustls_session::RustlsAttempt::new(Arc::clone(&config), name.clone())?))
            }))
        }
        #[allow(unreachable_patterns)]
        other => Err(Error::invalid(
            format!("TlsConfig::backend({other:?})"),
            format!(
                "this program was built without it: enable the feature `{}` of websocket-app",
                other.feature()
            ),
        )),
    }
}

/// Returns the name that the certificate must be for, as the TLS libraries want it.
fn server_name(host: &Host<&str>, chosen: Option<&str>) -> Result<String, Error> {
    let Some(name) = chosen else {
        return Ok(match host {
            // RFC 6066 §3: without the trailing dot of an absolute name.
            Host::Domain(name) => name.trim_end_matches('.').to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        });
    };
    if name.parse::<IpAddr>().is_ok() {
        return Ok(name.to_owned());
    }
    match Host::parse(name) {
        Ok(Host::Domain(name)) => Ok(name.trim_end_matches('.').to_owned()),
        _ => Err(not_a_name(name)),
    }
}

fn not_a_name(name: &str) -> Error {
    Error::invalid(
        format!("TlsConfig::server_name({name:?})"),
        "must be a host name or an IP address",
    )
}

/// Puts first what the libraries cannot know: that the server does not speak TLS at all.
fn judge(error: TlsFailure, first_byte: Option<u8>) -> TlsFailure {
    // RFC 8446 §5.1: whatever TLS answers with has one of these content types.
    if first_byte.is_some_and(|byte| !(20..=23).contains(&byte)) {
        let text = "it does not speak TLS on this port: is the URL's scheme meant to be ws:// (for a proxy, http://)?"
            .to_owned();
        return TlsFailure::new(false, text, error);
    }
    error
}

fn hung_up(first_byte: Option<u8>) -> io::Error {
    let text = match first_byte {
        None => "it hung up without an answer (does it speak TLS on this port?)",
        Some(_) => "it hung up half-way through",
    };
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}
