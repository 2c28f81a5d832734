//! [`Acceptor`] and [`Securing`]: the TLS handshake as the server. Belongs to the thread that runs
//! the loop.

use std::io::{self, ErrorKind};
#[cfg(feature = "rustls")]
use std::sync::Arc;

use super::{ServerTls, Who};
use crate::error::Error;
use crate::protocol::handshake::Negotiated;
use crate::tls::Identity;
use crate::tls::TlsBackend;
#[cfg(feature = "rustls")]
use crate::tls::material::Named;
use crate::tls::material::{self, Options};
use crate::transport::Stream;
use crate::transport::tls::{
    CiphertextIn, CiphertextOut, HandshakeStep, Layer, TlsAttempt, TlsFailure, guarded,
};

/// Begins a handshake with whatever library was chosen.
pub(in crate::server) struct Acceptor(
    Box<dyn Fn() -> Result<Box<dyn TlsAttempt>, TlsFailure> + Send + Sync>,
);

const PEM: Options = ["ServerTls::from_pem", "ServerTls::from_pem_files"];
const PKCS12: &str = "ServerTls::from_pkcs12";

impl Acceptor {
    pub(super) fn new(tls: &ServerTls) -> Result<Self, Error> {
        match (&tls.identity, chosen(tls)?) {
            #[cfg(feature = "native-tls")]
            (_, TlsBackend::NativeTls) => native(tls),
            #[cfg(feature = "rustls")]
            (_, TlsBackend::Rustls) => rustls(tls),
            #[allow(unreachable_patterns)]
            (_, other) => Err(Error::invalid(
                format!("ServerTls::backend({other:?})"),
                format!(
                    "this program was built without it: enable the feature `{}` of websocket-app",
                    other.feature()
                ),
            )),
        }
    }
}

fn chosen(tls: &ServerTls) -> Result<TlsBackend, Error> {
    let ready_made = match &tls.identity {
        Who::Identity(_) => None,
        #[cfg(feature = "native-tls")]
        Who::Native(_) => Some(("ServerTls::native_tls", TlsBackend::NativeTls)),
        #[cfg(feature = "rustls")]
        Who::Rustls(_) => Some(("ServerTls::rustls", TlsBackend::Rustls)),
    };
    let Some((option, backend)) = ready_made else {
        let only_rustls_has_it = cfg!(feature = "rustls") && !tls.client_roots.is_empty();
        return Ok(tls.backend.unwrap_or(
            match cfg!(feature = "native-tls") && !only_rustls_has_it {
                true => TlsBackend::NativeTls,
                false => TlsBackend::Rustls,
            },
        ));
    };
    if tls.backend.is_some_and(|chosen| chosen != backend) {
        return Err(Error::invalid(
            option,
            "is for the other library than ServerTls::backend chooses",
        ));
    }
    if !tls.client_roots.is_empty() || tls.min_version != Default::default() {
        return Err(Error::invalid(
            option,
            "is ready-made, and decides versions and client certificates itself: set them when making it",
        ));
    }
    Ok(backend)
}

#[cfg(feature = "native-tls")]
fn native(tls: &ServerTls) -> Result<Acceptor, Error> {
    use native_tls::{Protocol, TlsAcceptor};

    use crate::tls::TlsVersion;

    if !tls.client_roots.is_empty() {
        return Err(Error::invalid(
            "ServerTls::client_roots",
            "cannot be had from native-tls, which asks clients for nothing: choose TlsBackend::Rustls (feature `rustls`)",
        ));
    }
    let acceptor = match &tls.identity {
        Who::Native(acceptor) => acceptor.clone(),
        Who::Identity(identity) => {
            let (what, identity) = match identity {
                Identity::Pkcs12 { archive, password } => {
                    let archive = material::archive(PKCS12, archive)?;
                    let identity = native_tls::Identity::from_pkcs12(&archive.bytes, password);
                    let identity = identity.map_err(|error| {
                        archive.invalid(material::not_opened(&error, "from_pem_files"))
                    })?;
                    (archive.what, identity)
                }
                Identity::Pem { certificates, key } => {
                    let (chain, key) =
                        (material::chain(PEM, certificates)?, material::key(PEM, key)?);
                    let identity = native_tls::Identity::from_pkcs8(&chain.bytes, &key.bytes);
                    let identity = identity.map_err(|error| {
                        chain.invalid(format!("cannot be used, or its key does not match: {error}"))
                    })?;
                    (chain.what, identity)
                }
            };
            let mut builder = TlsAcceptor::builder(identity);
            let mut make = |version| -> Result<TlsAcceptor, TlsFailure> {
                let acceptor = builder.min_protocol_version(Some(version)).build();
                let acceptor = acceptor.map_err(failed)?;
                try_out(&acceptor)?;
                Ok(acceptor)
            };
            let made = match tls.min_version {
                TlsVersion::Tls12 => make(Protocol::Tlsv12),
                TlsVersion::Tls13 => make(Protocol::Tlsv13),
            };
            made.map_err(|error| match tls.min_version {
                // Else it is not for the version.
                TlsVersion::Tls13 if make(Protocol::Tlsv12).is_ok() => Error::invalid(
                    "ServerTls::min_version(Tls13)",
                    format!(
                        "cannot be had from native-tls here, whose servers have TLS 1.2 at most: choose TlsBackend::Rustls \
                         (feature `rustls`) ({error})"
                    ),
                ),
                _ => Error::invalid(
                    what.as_str(),
                    format!("cannot be used, or its key does not match: {error}"),
                ),
            })?
        }
        #[cfg(feature = "rustls")]
        Who::Rustls(_) => unreachable!("its library is another"),
    };
    use crate::transport::tls::native::NativeAttempt;
    Ok(Acceptor(Box::new(move || Ok(Box::new(NativeAttempt::accept(acceptor.clone()))))))
}

#[cfg(feature = "native-tls")]
fn failed(error: native_tls::Error) -> TlsFailure {
    TlsFailure::new(true, error.to_string(), error)
}

/// Shakes hands with itself, in memory: the library takes a key that is another certificate's, and
/// only a client would be told.
#[cfg(feature = "native-tls")]
fn try_out(acceptor: &native_tls::TlsAcceptor) -> Result<(), TlsFailure> {
    use native_tls::TlsConnector;

    use crate::transport::tls::native::NativeAttempt;

    /// How often each side has its say, at most: TLS 1.2 takes two.
    const ROUNDS: usize = 8;
    let trusting = TlsConnector::builder()
        .danger_accept_invalid_certs(true)
        .danger_accept_invalid_hostnames(true)
        .disable_built_in_roots(true)
        .build();
    let mut client: Option<Box<dyn TlsAttempt>> =
        Some(Box::new(NativeAttempt::new(trusting.map_err(failed)?, "localhost")));
    let mut server: Box<dyn TlsAttempt> = Box::new(NativeAttempt::accept(acceptor.clone()));
    let (mut to_server, mut to_client) = (CiphertextIn::default(), CiphertextIn::default());
    for _ in 0..ROUNDS {
        let mut said = Vec::new();
        if let Some(attempt) = client.take()
            && let HandshakeStep::Wants(attempt) = attempt.step(&mut to_client, &mut said)?
        {
            client = Some(attempt);
        }
        hand_over(&mut said, &mut to_server)?;
        match server.step(&mut to_server, &mut said)? {
            HandshakeStep::Done(_) => return Ok(()),
            HandshakeStep::Wants(attempt) => server = attempt,
        }
        hand_over(&mut said, &mut to_client)?;
    }
    let no_end = io::Error::other("a handshake with itself has no end");
    Err(TlsFailure::new(true, no_end.to_string(), no_end))
}

/// What one side has said is what comes to the other.
#[cfg(feature = "native-tls")]
fn hand_over(said: &mut Vec<u8>, to: &mut CiphertextIn) -> Result<(), TlsFailure> {
    while !said.is_empty() {
        let room = to.room().map_err(|error| TlsFailure::new(true, error.to_string(), error))?;
        let length = room.len().min(said.len());
        room[..length].copy_from_slice(&said[..length]);
        to.filled(length);
        said.drain(..length);
    }
    Ok(())
}

#[cfg(feature = "rustls")]
fn rustls(tls: &ServerTls) -> Result<Acceptor, Error> {
    use ::rustls::crypto::ring;
    use ::rustls::pki_types::pem::PemObject;
    use ::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use ::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
    use ::rustls::{ServerConfig, SupportedProtocolVersion, version};

    use crate::tls::TlsVersion;
    use crate::transport::tls::rustls_session::RustlsAttempt;

    let config = match &tls.identity {
        Who::Rustls(config) => Arc::clone(config),
        Who::Identity(Identity::Pkcs12 { archive, .. }) => {
            return Err(material::archive(PKCS12, archive)?.invalid(
                "rustls reads no PKCS#12 archives: convert it with `openssl pkcs12 -in archive.p12 -nodes -out identity.pem` \
                 for from_pem_files, which takes the same file twice, or choose TlsBackend::NativeTls (feature `native-tls`)",
            ));
        }
        Who::Identity(Identity::Pem { certificates, key }) => {
            let (chain, key) = (material::chain(PEM, certificates)?, material::key(PEM, key)?);
            let unusable = |error: &dyn std::fmt::Display| {
                chain.invalid(format!("cannot be used, or its key does not match: {error}"))
            };
            let certificates = CertificateDer::pem_slice_iter(&chain.bytes)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| unusable(&error))?;
            let key =
                PrivateKeyDer::from_pem_slice(&key.bytes).map_err(|error| unusable(&error))?;
            let versions: &[&SupportedProtocolVersion] = match tls.min_version {
                TlsVersion::Tls12 => &[&version::TLS13, &version::TLS12],
                TlsVersion::Tls13 => &[&version::TLS13],
            };
            let provider = Arc::new(ring::default_provider());
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(versions)
                .map_err(|error| unusable(&error))?;
            let builder = if tls.client_roots.is_empty() {
                builder.with_no_client_auth()
            } else {
                let roots = Arc::new(client_roots(tls)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = match tls.clients_may_be_nobody {
                    true => verifier.allow_unauthenticated(),
                    false => verifier,
                };
                let verifier = verifier.build().map_err(|error| {
                    Error::invalid("ServerTls::client_roots", error.to_string())
                })?;
                builder.with_client_cert_verifier(verifier)
            };
            let config = builder.with_single_cert(certificates, key);
            let mut config = config.map_err(|error| unusable(&error))?;
            if tls.client_roots.is_empty() {
                // Clients that come back shake hands without certificates. They keep what is to be
                // known for that, enciphered: what the library keeps by itself is enough for 256.
                config.ticketer = ring::Ticketer::new().map_err(|error| unusable(&error))?;
            } else {
                // A session that is resumed has its client's certificate from the one before, and
                // nobody looks at that again: not whether it is still valid.
                config.send_tls13_tickets = 0;
                config.session_storage = Arc::new(NoServerSessionStorage {});
            }
            Arc::new(config)
        }
        #[cfg(feature = "native-tls")]
        Who::Native(_) => unreachable!("its library is another"),
    };
    Ok(Acceptor(Box::new(move || Ok(Box::new(RustlsAttempt::accept(Arc::clone(&config))?)))))
}

#[cfg(feature = "rustls")]
fn client_roots(tls: &ServerTls) -> Result<::rustls::RootCertStore, Error> {
    use ::rustls::RootCertStore;
    use ::rustls::pki_types::CertificateDer;
    use ::rustls::pki_types::pem::PemObject;

    let mut store = RootCertStore::empty();
    for root in &tls.client_roots {
        let root =
            material::root(["ServerTls::client_roots", "ServerTls::client_roots_file"], root)?;
        let damaged = |root: &Named<'_>, error: &dyn std::fmt::Display| {
            root.invalid(format!("has a certificate that cannot be read: {error}"))
        };
        let certificates = match root.is_pem() {
            false => vec![CertificateDer::from(root.bytes.to_vec())],
            true => CertificateDer::pem_slice_iter(&root.bytes)
                .collect::<Result<_, _>>()
                .map_err(|error| damaged(&root, &error))?,
        };
        for certificate in certificates {
            store.add(certificate).map_err(|error| damaged(&root, &error))?;
        }
    }
    Ok(store)
}

/// A handshake under way.
pub(in crate::server) struct Securing {
    below: Stream,
    attempt: Box<dyn TlsAttempt>,
    incoming: CiphertextIn,
    outgoing: CiphertextOut,
    /// Who the client is, in messages.
    peer: String,
}

/// How far a handshake has come.
pub(in crate::server) enum Secured {
    /// The client has to say something first, or to read.
    NotYet(Box<Securing>),
    Done(Stream, Negotiated),
    /// The client was told of it, as well as can be done without waiting; it may still be talking.
    Failed(Stream, Error),
}

impl Securing {
    pub(in crate::server) fn begin(
        acceptor: &Acceptor,
        below: Stream,
        peer: String,
    ) -> Result<Box<Self>, Error> {
        let attempt = guarded(&acceptor.0).unwrap_or_else(Err);
        let attempt = attempt.map_err(|error| error.of(peer.as_str().into()))?;
        let (incoming, outgoing) = (CiphertextIn::default(), CiphertextOut::default());
        Ok(Box::new(Securing { below, attempt, incoming, outgoing, peer }))
    }

    /// Goes on as far as that is possible without waiting. Fails where the connection is lost.
    pub(in crate::server) fn advance(self) -> Result<Secured, Error> {
        let Securing { below, mut attempt, mut incoming, mut outgoing, peer } = self;
        let lost = |error| Error::network(crate::error::Phase::Tls, &peer, error);
        incoming.borrow_buffer();
        loop {
            // What it has said goes first: the client waits for it.
            match outgoing.flush(|bytes| below.write(bytes)) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(lost(error)),
            }
            let step = guarded(|| attempt.step(&mut incoming, outgoing.bytes()));
            match step.unwrap_or_else(Err) {
                Err(error) => {
                    // The alert, as well as can be done without waiting.
                    let _ = outgoing.flush(|bytes| below.write(bytes));
                    return Ok(Secured::Failed(below, error.of(peer.into())));
                }
                Ok(HandshakeStep::Done(session)) => {
                    let negotiated = session.negotiated();
                    // What does not fit now goes before what comes after it.
                    let _ = outgoing.flush(|bytes| below.write(bytes));
                    let layer = Layer::new(below, &peer, session, incoming, outgoing);
                    return Ok(Secured::Done(Stream::tls(layer), negotiated));
                }
                Ok(HandshakeStep::Wants(halfway)) => attempt = halfway,
            }
            if !outgoing.bytes().is_empty() {
                continue;
            }
            match read(&below, &mut incoming) {
                Ok(0) => return Err(lost(ErrorKind::UnexpectedEof.into())),
                Ok(n) => incoming.filled(n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(lost(error)),
            }
        }
        incoming.return_buffer();
        Ok(Secured::NotYet(Box::new(Securing { below, attempt, incoming, outgoing, peer })))
    }
}

fn read(below: &Stream, incoming: &mut CiphertextIn) -> io::Result<usize> {
    below.read(incoming.room()?)
}
