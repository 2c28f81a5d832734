//! [`Verifier`]: whose certificates rustls accepts. The judgement is webpki's; what it lacks is
//! added here, so that the options mean the same as with the other library.

use std::sync::Arc;

use ::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use ::rustls::client::{WebPkiServerVerifier, verify_server_name};
use ::rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use ::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use ::rustls::server::ParsedCertificate;
use ::rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

#[derive(Debug)]
pub(super) struct Verifier {
    /// `None` accepts any certificate at all.
    pub(super) chains: Option<Arc<WebPkiServerVerifier>>,
    /// Roots that were handed in. A server may use one of them itself, as self-signed certificates
    /// are used.
    pub(super) handed_in: Vec<CertificateDer<'static>>,
    /// A trusted certificate may be for any name.
    pub(super) any_name: bool,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Returns whether a certificate is trusted for what it is, not for who signed it.
    fn is_handed_in(&self, certificate: &CertificateDer<'_>, error: &CertificateError) -> bool {
        // webpki wants no authority for a server, which self-signed certificates often are; the
        // certificate's dates have been checked when it says so.
        matches!(error, CertificateError::Other(other) if other.0.to_string() == "CaUsedAsEndEntity")
            && self.handed_in.iter().any(|root| root == certificate)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chains) = &self.chains else { return Ok(ServerCertVerified::assertion()) };
        match chains.verify_server_cert(certificate, intermediates, server_name, ocsp_response, now)
        {
            // The name is checked last, when the chain is known to be right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_name => Ok(ServerCertVerified::assertion()),
            Err(Error::InvalidCertificate(error)) if self.is_handed_in(certificate, &error) => {
                if !self.any_name {
                    verify_server_name(&ParsedCertificate::try_from(certificate)?, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
