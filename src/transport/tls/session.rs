//! [`TlsAttempt`] and [`TlsSession`]: TLS as bytes in, bytes out, whatever library does it: one
//! that is added implements these. It knows no socket: [`Layer`](super::Layer) moves the bytes, and
//! has the lock.
//!
//! ```text
//!    TlsAttempt ── step ──► HandshakeStep::Wants(TlsAttempt)      the server has to answer first
//!                    └─► HandshakeStep::Done(TlsSession) ── decrypt, encrypt, close_notify
//! ```

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::ciphertext_in::CiphertextIn;
use crate::error::Error;
use crate::panics;
use crate::protocol::handshake::Negotiated;

/// A handshake under way.
pub(crate) trait TlsAttempt: Send {
    /// Takes what has come from `incoming`, and adds to `outgoing` what is to be sent, an alert in
    /// case of an error too.
    fn step(
        self: Box<Self>,
        incoming: &mut CiphertextIn,
        outgoing: &mut Vec<u8>,
    ) -> Result<HandshakeStep, TlsFailure>;
}

pub(crate) enum HandshakeStep {
    /// The peer has to answer first.
    Wants(Box<dyn TlsAttempt>),
    Done(Box<dyn TlsSession>),
}

/// An open session.
///
/// What fails it, it remembers: from then on every call gives that error again, and the library,
/// which has said its alert, is asked for nothing more.
pub(crate) trait TlsSession: Send {
    /// Decrypts into `buf` until it is full or no whole record is left: zero means that more must
    /// come first.
    fn decrypt(
        &mut self,
        incoming: &mut CiphertextIn,
        outgoing: &mut Vec<u8>,
        buf: &mut [u8],
    ) -> Decrypted;

    /// Encrypts the beginning of `bytes`, a record's worth at most, and tells how much that is.
    /// `WouldBlock` means that the peer has to say something first, which `decrypt` takes.
    fn encrypt(
        &mut self,
        bytes: &[u8],
        incoming: &mut CiphertextIn,
        outgoing: &mut Vec<u8>,
    ) -> io::Result<usize>;

    /// Says that nothing more will come (RFC 8446 §6.1), if that can be said.
    fn close_notify(&mut self, incoming: &mut CiphertextIn, outgoing: &mut Vec<u8>);

    /// Returns what the handshake came to, as far as the library tells.
    fn negotiated(&self) -> Negotiated;
}

/// What a call of [`TlsSession::decrypt`] came to.
#[derive(Debug, Default)]
pub(crate) struct Decrypted {
    pub(crate) length: usize,
    /// The peer has said, behind these bytes, that nothing more will come.
    pub(crate) closed: bool,
    /// What is wrong with what came behind these bytes.
    pub(crate) error: Option<io::Error>,
}

/// A TLS error with a text for people; the library's own error is its source.
#[derive(Clone, Debug)]
pub(crate) struct TlsFailure {
    /// It will be so the next time too: a certificate that is not trusted, one that is wanted from
    /// us, no version in common.
    pub(crate) lasting: bool,
    pub(crate) text: String,
    pub(crate) source: Arc<dyn StdError + Send + Sync>,
}

impl TlsFailure {
    pub(crate) fn new(
        lasting: bool,
        text: String,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        TlsFailure { lasting, text, source: source.into().into() }
    }

    /// Names whom the session is with.
    pub(crate) fn of(self, peer: Box<str>) -> Error {
        Error::Tls { peer, temporary: !self.lasting, source: Arc::new(self) }
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for TlsFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.source.as_ref())
    }
}

/// Calls the TLS library, parts of which may be the program's own: who finds a certificate, who judges
/// one, a cipher. What panics there is the end of this session, not that of the thread, which may
/// carry others.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, TlsFailure> {
    panics::guarded(call).map_err(|error| {
        let text = match &error {
            Error::Panicked(message) => format!("the TLS library panicked: {message}"),
            other => other.to_string(),
        };
        TlsFailure::new(false, text, error)
    })
}

/// Takes out what an open session has made itself, and names whom it is with; gives back what the
/// socket below it has.
pub(crate) fn own_error(error: io::Error) -> Result<Error, io::Error> {
    let BrokenSession { peer, source } = error.downcast()?;
    Ok(source.of(peer))
}

/// What went wrong in an open session, and with whom it is.
#[derive(Debug)]
pub(crate) struct BrokenSession {
    pub(crate) peer: Box<str>,
    pub(crate) source: TlsFailure,
}

impl fmt::Display for BrokenSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS with {}: {}", self.peer, self.source)
    }
}

impl StdError for BrokenSession {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.source)
    }
}
