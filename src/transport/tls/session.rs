//! [`Session`]: TLS as bytes in, bytes out, whichever library does it. Neither knows a socket: [`Layer`](super::Layer) moves
//! the bytes.
//!
//! ```text
//!    Attempt ── step ──► Step::Wants(Attempt)      the server has to answer first
//!                    └─► Step::Done(Session) ── decrypt, encrypt, close_notify
//! ```

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::ahead::Ahead;
#[cfg(feature = "native-tls")]
use super::native;
#[cfg(feature = "rustls")]
use super::rustls_session as rustls;
use crate::error::Error;

/// A handshake under way.
pub(crate) enum Attempt {
    #[cfg(feature = "native-tls")]
    Native(native::Attempt),
    #[cfg(feature = "rustls")]
    Rustls(Box<rustls::Attempt>),
}

pub(crate) enum Step {
    Wants(Attempt),
    Done(Session),
}

impl Attempt {
    /// Takes what has come from `incoming`, and adds to `outgoing` what is to be sent, an alert in case of an error too.
    pub(crate) fn step(self, incoming: &mut Ahead, outgoing: &mut Vec<u8>) -> Result<Step, Explained> {
        match self {
            #[cfg(feature = "native-tls")]
            Attempt::Native(attempt) => attempt.step(incoming, outgoing),
            #[cfg(feature = "rustls")]
            Attempt::Rustls(attempt) => attempt.step(incoming, outgoing),
        }
    }
}

/// An open session.
pub(crate) enum Session {
    #[cfg(feature = "native-tls")]
    Native(Box<native::Session>),
    #[cfg(feature = "rustls")]
    Rustls(Box<rustls::Session>),
}

impl Session {
    /// Decrypts into `buf` until it is full or no whole record is left: zero means that more must come first.
    pub(crate) fn decrypt(&mut self, incoming: &mut Ahead, outgoing: &mut Vec<u8>, buf: &mut [u8]) -> Decrypted {
        match self {
            #[cfg(feature = "native-tls")]
            Session::Native(session) => session.decrypt(incoming, outgoing, buf),
            #[cfg(feature = "rustls")]
            Session::Rustls(session) => session.decrypt(incoming, outgoing, buf),
        }
    }

    /// Encrypts the beginning of `bytes`, a record's worth at most, and tells how much that is. `WouldBlock` means that the
    /// peer has to say something first, which `decrypt` takes.
    pub(crate) fn encrypt(&mut self, bytes: &[u8], incoming: &mut Ahead, outgoing: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            #[cfg(feature = "native-tls")]
            Session::Native(session) => session.encrypt(bytes, incoming, outgoing),
            #[cfg(feature = "rustls")]
            Session::Rustls(session) => session.encrypt(bytes, incoming, outgoing),
        }
    }

    /// Says that nothing more will come (RFC 8446 §6.1), if that can be said.
    pub(crate) fn close_notify(&mut self, incoming: &mut Ahead, outgoing: &mut Vec<u8>) {
        match self {
            #[cfg(feature = "native-tls")]
            Session::Native(session) => session.close_notify(incoming, outgoing),
            #[cfg(feature = "rustls")]
            Session::Rustls(session) => session.close_notify(incoming, outgoing),
        }
    }

    /// Gives the server's own certificate in DER.
    pub(crate) fn peer_certificate(&self) -> Option<Vec<u8>> {
        match self {
            #[cfg(feature = "native-tls")]
            Session::Native(session) => session.peer_certificate(),
            #[cfg(feature = "rustls")]
            Session::Rustls(session) => session.peer_certificate(),
        }
    }
}

/// What a call of [`Session::decrypt`] came to.
#[derive(Debug, Default)]
pub(crate) struct Decrypted {
    pub(crate) length: usize,
    /// The peer has said, behind these bytes, that nothing more will come.
    pub(crate) closed: bool,
    /// What is wrong with what came behind these bytes.
    pub(crate) error: Option<io::Error>,
}

/// A TLS error with a text for people; the library's own error is its source.
#[derive(Debug)]
pub(crate) struct Explained {
    /// It will be so the next time too: a certificate that is not trusted, one that is wanted from us, no version in common.
    pub(crate) lasting: bool,
    pub(crate) text: String,
    pub(crate) source: Box<dyn StdError + Send + Sync>,
}

impl Explained {
    /// Names whom the session is with.
    pub(crate) fn of(self, peer: Box<str>) -> Error {
        Error::Tls { peer, temporary: !self.lasting, source: Arc::new(self) }
    }
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

/// Takes out what an open session has made itself, and names whom it is with; gives back what the socket below it has.
pub(crate) fn own_error(error: io::Error) -> Result<Error, io::Error> {
    let Broken { peer, source } = error.downcast()?;
    Ok(source.of(peer))
}

/// What went wrong in an open session, and with whom it is.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) peer: Box<str>,
    pub(crate) source: Explained,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS with {}: {}", self.peer, self.source)
    }
}

impl StdError for Broken {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.source)
    }
}
