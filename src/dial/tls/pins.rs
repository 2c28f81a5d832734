//! [`Pins`]: which keys a server's certificate may have, whoever signed it.
//!
//! A pin is `sha256/` and the Base64 of the SHA-256 of the certificate's SubjectPublicKeyInfo, the
//! form of curl and of RFC 7469 (§2.4). It holds for the server's own certificate.

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::protocol::handshake::credentials::base64;
use crate::transport::tls::TlsFailure;

const PREFIX: &str = "sha256/";

/// None at all means that any key will do.
pub(super) struct Pins(Vec<String>);

impl Pins {
    pub(super) fn new(pins: &[String]) -> Result<Self, Error> {
        match pins.iter().find(|pin| !is_pin(pin)) {
            None => Ok(Pins(pins.to_vec())),
            Some(wrong) => Err(Error::invalid(
                format!("TlsConfig::pin({wrong:?})"),
                "must be `sha256/` and the 44 characters of a SHA-256 in Base64; `openssl x509 -in cert.pem -noout -pubkey | \
                 openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64` makes them",
            )),
        }
    }

    /// Judges the certificate that the server has shown.
    pub(super) fn check(&self, certificate: Option<&[u8]>) -> Result<(), TlsFailure> {
        if self.0.is_empty() {
            return Ok(());
        }
        let pin = certificate.and_then(public_key_info).map(pin);
        match &pin {
            Some(pin) if self.0.contains(pin) => Ok(()),
            Some(pin) => Err(refused(format!("its key is none of the pinned ones, it is {pin}"))),
            None => {
                Err(refused("its key cannot be read to compare it with the pinned ones".into()))
            }
        }
    }
}

fn refused(problem: String) -> TlsFailure {
    let text = format!("its certificate is not accepted: {problem}");
    TlsFailure::new(true, text.clone(), text)
}

fn is_pin(text: &str) -> bool {
    // 32 bytes are 43 characters, the last of which carries four bits, and one of padding.
    text.strip_prefix(PREFIX).and_then(|base64| base64.strip_suffix('=')).is_some_and(|base64| {
        base64.len() == 43
            && base64.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
            && base64.ends_with(|last| "AEIMQUYcgkosw048".contains(last))
    })
}

fn pin(public_key_info: &[u8]) -> String {
    PREFIX.to_owned() + &base64(&Sha256::digest(public_key_info))
}

/// Finds the SubjectPublicKeyInfo in a certificate (RFC 5280 §4.1), tag and length included.
fn public_key_info(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, mut rest, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    // serialNumber, signature, issuer, validity, subject.
    for _ in 0..5 {
        rest = element(rest)?.2;
    }
    let (tag, _, behind) = element(rest)?;
    (tag == SEQUENCE).then(|| &rest[..rest.len() - behind.len()])
}

/// Takes a DER element (X.690 §8.1, §10.1) apart: its tag, its content, what comes behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (
                bytes.iter().try_fold(0_usize, |length, &byte| {
                    length.checked_mul(256)?.checked_add(byte.into())
                })?,
                rest,
            )
        }
        _ => return None,
    };
    let (content, behind) = rest.split_at_checked(length)?;
    Some((tag, content, behind))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::tls::Authority;
    use super::*;

    fn pins(pins: &[&str]) -> Result<Pins, Error> {
        Pins::new(&pins.iter().map(|pin| (*pin).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_pin_is_of_the_key_and_not_of_the_certificate() {
        let authority = Authority::new();
        let info = public_key_info(&authority.der()).map(<[u8]>::to_vec).unwrap();
        assert_eq!(info, authority.public_key_info());
        let own = pin(&info);
        assert!(pins(&[&own]).unwrap().check(Some(&authority.der())).is_ok());
        assert!(pins(&[&pin(b"other"), &own]).unwrap().check(Some(&authority.der())).is_ok());
        assert!(pins(&[]).unwrap().check(None).is_ok());
        for certificate in [
            Some(Authority::new().der()),
            None,
            Some(authority.der()[..100].to_vec()),
            Some(vec![]),
        ] {
            assert!(pins(&[&own]).unwrap().check(certificate.as_deref()).is_err());
        }
    }

    #[test]
    fn the_digest_is_the_standards() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(pin(b"abc"), "sha256/ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    }

    #[test]
    fn what_is_no_pin_is_refused() {
        let right = pin(b"abc");
        assert!(pins(&[&right]).is_ok());
        for wrong in [
            "",
            "sha256/",
            &right[7..],
            &right.replace("256", "1"),
            &right[..50],
            &(right.clone() + "="),
            &right.replace("0=", "1="),
        ] {
            let error = pins(&[wrong]).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(
                error.contains("TlsConfig::pin") && error.contains("44 characters"),
                "{wrong}: {error}"
            );
        }
    }

    #[test]
    fn any_bytes_are_taken_apart_without_harm() {
        let der = Authority::new().der();
        for cut in 0..der.len() {
            let _ = public_key_info(&der[..cut]);
        }
        for broken in
            [&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff][..], &[0x30, 0x80], &[0x30, 0x82, 1], &[0x30]]
        {
            assert_eq!(public_key_info(broken), None);
        }
    }
}
