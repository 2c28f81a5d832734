//! A session of rustls, by its interface without buffers: it decrypts in place in ours, and
//! encrypts into ours.

use std::io;
use std::sync::Arc;

use ::rustls::CommonState;
use ::rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use ::rustls::pki_types::ServerName;
#[cfg(feature = "server")]
use ::rustls::server::{ServerConfig, ServerConnectionData, UnbufferedServerConnection};
use ::rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use ::rustls::{
    AlertDescription, CertificateError, CipherSuite, ClientConfig, Error as TlsError,
    ProtocolVersion,
};

use super::ciphertext_in::CiphertextIn;
use super::ciphertext_out::OVERHEAD;
use super::session::{self, Decrypted, HandshakeStep, TlsFailure};
use crate::protocol::handshake::Negotiated;

/// Either side, as the library has it.
pub(crate) trait Side: Send + 'static {
    type Data;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;

    fn state(&self) -> &CommonState;
}

impl Side for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn state(&self) -> &CommonState {
        self
    }
}

#[cfg(feature = "server")]
impl Side for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn state(&self) -> &CommonState {
        self
    }
}

/// The library, and what it said before anybody asked.
struct RustlsConnection<S> {
    tls: S,
    /// Whose certificate a client expects.
    server_name: Option<ServerName<'static>>,
    /// Decrypted and not handed out yet, from `given` on.
    plaintext: Vec<u8>,
    given: usize,
    /// The peer has said that nothing more will come.
    closed: bool,
    /// What went wrong. The library is not asked for anything after it and the alert: it would meet
    /// the same bytes again, and takes that for a mistake of ours.
    failed: Option<TlsError>,
}

/// What a connection can do next.
enum Turn {
    /// So many bytes were decrypted into the caller's buffer; what did not fit is kept.
    Received(usize),
    /// Nothing more to do: application data may be sent. Here it was, if there was any.
    Open,
    /// The peer has to say something first.
    Blocked,
    Closed,
}

impl<S: Side> RustlsConnection<S> {
    fn new(tls: S, server_name: Option<ServerName<'static>>) -> Self {
        RustlsConnection {
            tls,
            server_name,
            plaintext: Vec::new(),
            given: 0,
            closed: false,
            failed: None,
        }
    }

    /// Goes on until there is something to tell: decrypts into `buf`, and encrypts `bytes` as soon
    /// as it may. After an error there is the alert that tells the peer, once.
    ///
    /// `incoming` always is all that came and was not consumed, also where there is only something
    /// to send: the library remembers places in it, and panics if they are gone.
    fn turn(
        &mut self,
        incoming: &mut CiphertextIn,
        outgoing: &mut Vec<u8>,
        buf: &mut [u8],
        bytes: &[u8],
    ) -> Result<Turn, TlsError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let turn = self.next_turn(incoming, outgoing, buf, bytes);
        if let Err(error) = &turn {
            self.alert(incoming, outgoing);
            self.failed = Some(error.clone());
        }
        turn
    }

    fn next_turn(
        &mut self,
        incoming: &mut CiphertextIn,
        outgoing: &mut Vec<u8>,
        buf: &mut [u8],
        bytes: &[u8],
    ) -> Result<Turn, TlsError> {
        loop {
            let status = self.tls.process(incoming.waiting_mut());
            let mut consumed = status.discard;
            let turn = match status.state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    let mut filled = 0;
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        consumed += record.discard;
                        let (fits, kept) =
                            record.payload.split_at(record.payload.len().min(buf.len() - filled));
                        buf[filled..filled + fits.len()].copy_from_slice(fits);
                        filled += fits.len();
                        self.plaintext.extend_from_slice(kept);
                    }
                    Ok(Some(Turn::Received(filled)))
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(outgoing, 0, |room| data.encode(room))
                        .map_err(|error| TlsError::General(error.to_string()))?;
                    Ok(None)
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    Ok(None)
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    if !bytes.is_empty() {
                        append(outgoing, bytes.len() + OVERHEAD, |room| {
                            traffic.encrypt(bytes, room)
                        })
                        .map_err(|error| TlsError::General(error.to_string()))?;
                    }
                    Ok(Some(Turn::Open))
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.closed = true;
                    Ok(None)
                }
                Ok(ConnectionState::BlockedHandshake) => Ok(Some(Turn::Blocked)),
                Ok(ConnectionState::Closed) => Ok(Some(Turn::Closed)),
                Ok(_) => Err(TlsError::General("an unknown state".into())),
                Err(error) => Err(error),
            };
            incoming.consume(consumed);
            if let Some(turn) = turn? {
                return Ok(turn);
            }
        }
    }

    /// After an error, what is left to say is the alert that tells the peer.
    fn alert(&mut self, incoming: &mut CiphertextIn, outgoing: &mut Vec<u8>) {
        let status = self.tls.process(incoming.waiting_mut());
        let consumed = status.discard;
        if let Ok(ConnectionState::EncodeTlsData(mut data)) = status.state {
            // It is the last thing to be said, and the error is told by other means.
            let _ = append(outgoing, 0, |room| data.encode(room));
        }
        incoming.consume(consumed);
    }

    fn explain(&self, error: TlsError) -> TlsFailure {
        TlsFailure::new(is_lasting(&error), reason(&error, self.server_name.as_ref()), error)
    }
}

/// What the library says when it needs more room.
trait NeedsRoom {
    fn needs(&self) -> Option<usize>;
}

impl NeedsRoom for EncodeError {
    fn needs(&self) -> Option<usize> {
        match self {
            EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Some(*required_size)
            }
            EncodeError::AlreadyEncoded => None,
        }
    }
}

impl NeedsRoom for EncryptError {
    fn needs(&self) -> Option<usize> {
        match self {
            EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Some(*required_size)
            }
            EncryptError::EncryptExhausted => None,
        }
    }
}

/// Adds what `write` writes into the room that it is given: `room` bytes, or what it then says that
/// it needs.
fn append<E: NeedsRoom>(
    outgoing: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> Result<(), E> {
    let start = outgoing.len();
    let mut room = room;
    loop {
        outgoing.resize(start + room, 0);
        let written = write(&mut outgoing[start..]);
        outgoing.truncate(start + written.as_ref().map_or(0, |n| *n));
        match written {
            Ok(_) => return Ok(()),
            Err(error) => match error.needs() {
                Some(needed) if needed > room => room = needed,
                _ => return Err(error),
            },
        }
    }
}

pub(crate) struct RustlsAttempt<S>(RustlsConnection<S>);

impl RustlsAttempt<UnbufferedClientConnection> {
    pub(crate) fn new(
        config: Arc<ClientConfig>,
        server_name: ServerName<'static>,
    ) -> Result<Self, TlsFailure> {
        match UnbufferedClientConnection::new(config, server_name.clone()) {
            Ok(tls) => Ok(RustlsAttempt(RustlsConnection::new(tls, Some(server_name)))),
            Err(error) => Err(TlsFailure::new(true, error.to_string(), error)),
        }
    }
}

#[cfg(feature = "server")]
impl RustlsAttempt<UnbufferedServerConnection> {
    pub(crate) fn accept(config: Arc<ServerConfig>) -> Result<Self, TlsFailure> {
        match UnbufferedServerConnection::new(config) {
            Ok(tls) => Ok(RustlsAttempt(RustlsConnection::new(tls, None))),
            Err(error) => Err(TlsFailure::new(true, error.to_string(), error)),
        }
    }
}

impl<S: Side> session::TlsAttempt for RustlsAttempt<S> {
    fn step(
        mut self: Box<Self>,
        incoming: &mut CiphertextIn,
        outgoing: &mut Vec<u8>,
    ) -> Result<HandshakeStep, TlsFailure> {
        match self.0.turn(incoming, outgoing, &mut [], &[]) {
            Ok(Turn::Blocked) => Ok(HandshakeStep::Wants(self)),
            Ok(_) => Ok(HandshakeStep::Done(Box::new(RustlsSession(self.0)))),
            Err(error) => Err(self.0.explain(error)),
        }
    }
}

struct RustlsSession<S>(RustlsConnection<S>);

impl<S: Side> session::TlsSession for RustlsSession<S> {
    fn decrypt(
        &mut self,
        incoming: &mut CiphertextIn,
        outgoing: &mut Vec<u8>,
        buf: &mut [u8],
    ) -> Decrypted {
        let mut decrypted = Decrypted { length: self.give(buf), ..Decrypted::default() };
        while decrypted.length < buf.len() {
            match self.0.turn(incoming, outgoing, &mut buf[decrypted.length..], &[]) {
                Ok(Turn::Received(n)) => decrypted.length += n,
                Ok(Turn::Open | Turn::Blocked | Turn::Closed) => {
                    decrypted.closed = self.0.closed;
                    return decrypted;
                }
                Err(error) => {
                    decrypted.error = Some(io::Error::other(self.0.explain(error)));
                    return decrypted;
                }
            }
        }
        decrypted
    }

    fn encrypt(
        &mut self,
        bytes: &[u8],
        incoming: &mut CiphertextIn,
        outgoing: &mut Vec<u8>,
    ) -> io::Result<usize> {
        loop {
            match self.0.turn(incoming, outgoing, &mut [], bytes) {
                Ok(Turn::Open) => return Ok(bytes.len()),
                // The reader comes back for it: it has left whole records only where it had no room
                // for them.
                Ok(Turn::Received(_)) => {}
                Ok(Turn::Blocked | Turn::Closed) => return Err(io::ErrorKind::BrokenPipe.into()),
                Err(error) => return Err(io::Error::other(self.0.explain(error))),
            }
        }
    }

    fn close_notify(&mut self, incoming: &mut CiphertextIn, outgoing: &mut Vec<u8>) {
        while let Ok(Turn::Received(_)) = self.0.turn(incoming, outgoing, &mut [], &[]) {}
        if self.0.failed.is_some() {
            return;
        }
        let status = self.0.tls.process(incoming.waiting_mut());
        let consumed = status.discard;
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = status.state {
            // An error means that the keys are used up, and there is nothing to be said any more.
            let _ = append(outgoing, OVERHEAD, |room| traffic.queue_close_notify(room));
        }
        incoming.consume(consumed);
    }

    fn negotiated(&self) -> Negotiated {
        let tls = self.0.tls.state();
        let version = match tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => Some("TLSv1.2"),
            Some(ProtocolVersion::TLSv1_3) => Some("TLSv1.3"),
            _ => None,
        };
        // The library's name of a suite of TLS 1.3 says so; the registry's does not.
        let name = |suite: CipherSuite| Some(suite.as_str()?.replace("TLS13_", "TLS_"));
        Negotiated {
            version,
            cipher: tls.negotiated_cipher_suite().and_then(|suite| name(suite.suite())),
            certificate: tls
                .peer_certificates()
                .and_then(|chain| chain.first())
                .map(|certificate| certificate.to_vec()),
        }
    }
}

impl<S: Side> RustlsSession<S> {
    /// Hands out what there was no room for.
    fn give(&mut self, buf: &mut [u8]) -> usize {
        let RustlsConnection { plaintext, given, .. } = &mut self.0;
        let n = buf.len().min(plaintext.len() - *given);
        buf[..n].copy_from_slice(&plaintext[*given..*given + n]);
        *given += n;
        if *given == plaintext.len() {
            // An idle connection holds no buffer.
            (*plaintext, *given) = (Vec::new(), 0);
        }
        n
    }
}

/// Returns whether the next attempt will meet the same: a server that is restarting, or a proxy
/// before it, may say anything else.
fn is_lasting(error: &TlsError) -> bool {
    use AlertDescription as Alert;
    match error {
        TlsError::InvalidCertificate(_)
        | TlsError::NoCertificatesPresented
        | TlsError::PeerIncompatible(_) => true,
        TlsError::AlertReceived(alert) => matches!(
            alert,
            Alert::AccessDenied
                | Alert::BadCertificate
                | Alert::CertificateExpired
                | Alert::CertificateRequired
                | Alert::CertificateRevoked
                | Alert::CertificateUnknown
                | Alert::HandshakeFailure
                | Alert::InsufficientSecurity
                | Alert::ProtocolVersion
                | Alert::UnknownCA
                | Alert::UnrecognisedName
                | Alert::UnsupportedCertificate
        ),
        _ => false,
    }
}

/// Says first what is wrong, then what to do, in the words that OpenSSL has for it.
fn reason(error: &TlsError, server_name: Option<&ServerName<'_>>) -> String {
    match error {
        TlsError::NoCertificatesPresented => "it shows no certificate".into(),
        TlsError::InvalidCertificate(problem) => {
            let (what, advice) = certificate_reason(problem, server_name);
            format!("its certificate is not accepted: {what}{advice}")
        }
        TlsError::AlertReceived(AlertDescription::CertificateRequired) => {
            "it wants a client certificate: TlsConfig::identity_pem_files gives it one".into()
        }
        TlsError::AlertReceived(alert) => format!("it ended the session with the alert {alert:?}"),
        other => other.to_string(),
    }
}

fn certificate_reason(
    problem: &CertificateError,
    server_name: Option<&ServerName<'_>>,
) -> (String, String) {
    let Some(server_name) = server_name else { return (problem.to_string(), String::new()) };
    const TRUST: &str = ": TlsConfig::root_certificate_file can trust its root";
    const CLOCK: &str = ": is this machine's clock right?";
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("certificate has expired".into(), CLOCK.into())
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("certificate is not yet valid".into(), CLOCK.into())
        }
        CertificateError::UnknownIssuer => ("unknown issuer".into(), TRUST.into()),
        // No other name helps. A host in the subject alone does not count (RFC 9525).
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            ("name mismatch".into(), ": it names no host: it has no subjectAltName".into())
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let name = server_name.to_str();
            let advice =
                format!(": it is not for `{name}`; TlsConfig::server_name can expect another name");
            ("name mismatch".into(), advice)
        }
        // webpki's word for a server that shows the certificate of an authority, as self-signed
        // ones often are.
        other if other.to_string().contains("CaUsedAsEndEntity") => {
            ("self-signed certificate".into(), TRUST.into())
        }
        other => (other.to_string(), String::new()),
    }
}
