//! Certificates and keys as they are handed in, bytes or files, PEM or DER: reads them, and says
//! what is wrong with them before a TLS library does, whose words are less helpful. The only file
//! that reads certificate files.

use std::borrow::Cow;
use std::fs;

use super::Material;
use crate::error::Error;

/// The option that takes bytes, and the one that takes the same as a file.
pub(crate) type Options = [&'static str; 2];

/// What was read, and what it is called in an error.
pub(crate) struct Named<'a> {
    pub(crate) what: String,
    pub(crate) bytes: Cow<'a, [u8]>,
}

impl Named<'_> {
    pub(crate) fn invalid(&self, problem: impl Into<String>) -> Error {
        Error::invalid(self.what.as_str(), problem.into())
    }

    pub(crate) fn is_pem(&self) -> bool {
        contains(&self.bytes, PEM)
    }
}

/// Reads a root: PEM with at least one certificate, or else what should be DER.
pub(crate) fn root<'a>(options: Options, root: &'a Material) -> Result<Named<'a>, Error> {
    let root = read(describe(options, root), root)?;
    if root.is_pem() && !contains(&root.bytes, PEM_CERTIFICATE) {
        return Err(root.invalid("is PEM, but without a CERTIFICATE block"));
    }
    Ok(root)
}

/// Reads a certificate with its chain, in PEM, for these options.
pub(crate) fn chain<'a>(options: Options, certificates: &'a Material) -> Result<Named<'a>, Error> {
    let chain = read(describe(options, certificates), certificates)?;
    if !contains(&chain.bytes, PEM_CERTIFICATE) {
        return Err(chain.invalid("the certificate must be PEM, with a CERTIFICATE block"));
    }
    Ok(chain)
}

/// Reads a private key in PEM, in PKCS#8 form: without what stands before it (OpenSSL writes
/// attributes there).
pub(crate) fn key<'a>(options: Options, key: &'a Material) -> Result<Named<'a>, Error> {
    let mut key = read(format!("{}, its key", describe(options, key)), key)?;
    let start = pkcs8_key(&key.bytes).map_err(|problem| key.invalid(problem))?;
    key.bytes = key.bytes[start..].to_vec().into();
    Ok(key)
}

pub(crate) fn archive<'a>(option: &'static str, archive: &'a Material) -> Result<Named<'a>, Error> {
    read(describe([option; 2], archive), archive)
}

/// Says why an archive cannot be opened, in words for people where they are OpenSSL's; the other
/// libraries' are that already. The option is the one that takes PEM files in its stead.
#[cfg(feature = "native-tls")]
pub(crate) fn not_opened(error: &native_tls::Error, pem_files: &str) -> String {
    let text = error.to_string();
    if text.contains("mac verify failure") {
        return "its password is another one".into();
    }
    // What archives were encrypted with for decades, OpenSSL 3 has only where its `legacy` provider
    // is loaded.
    if text.contains("unsupported") {
        return format!(
            "is encrypted in a way that the TLS library does not have, as old programs do (RC2): convert it with \
             `openssl pkcs12 -legacy -in old.p12 -nodes -out identity.pem`, then \
             `openssl pkcs12 -export -in identity.pem -out new.p12`; or give identity.pem, which holds the key unencrypted, to \
             {pem_files}, twice ({text})"
        );
    }
    format!("is no PKCS#12 archive that can be opened with this password: {text}")
}

/// Finds where the key begins, and says how to convert what is none.
fn pkcs8_key(pem: &[u8]) -> Result<usize, &'static str> {
    if let Some(start) = position(pem, PKCS8_KEY) {
        return Ok(start);
    }
    if contains(pem, b"-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        return Err(
            "is encrypted: decrypt it with `openssl pkcs8 -in key.pem -out plain.pem`, or use a PKCS#12 archive",
        );
    }
    if contains(pem, b"PRIVATE KEY-----") {
        return Err("is not in PKCS#8 form (`-----BEGIN PRIVATE KEY-----`): convert it with \
             `openssl pkcs8 -topk8 -nocrypt -in key.pem -out pkcs8.pem`");
    }
    Err("must be a private key in PEM, in PKCS#8 form (`-----BEGIN PRIVATE KEY-----`)")
}

const PEM: &[u8] = b"-----BEGIN ";
const PEM_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";
const PKCS8_KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----";

fn describe([of_bytes, of_file]: Options, material: &Material) -> String {
    match material {
        Material::Bytes(bytes) => format!("{of_bytes} ({} bytes)", bytes.len()),
        Material::File(path) => format!("{of_file}, file {}", path.display()),
    }
}

fn read(what: String, material: &Material) -> Result<Named<'_>, Error> {
    let bytes =
        match material {
            Material::Bytes(bytes) => Cow::Borrowed(bytes.as_slice()),
            Material::File(path) => Cow::Owned(fs::read(path).map_err(|error| {
                Error::invalid(what.as_str(), format!("cannot be read: {error}"))
            })?),
        };
    if bytes.is_empty() {
        return Err(Error::invalid(what, "is empty"));
    }
    Ok(Named { what, bytes })
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    position(bytes, part).is_some()
}

fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
