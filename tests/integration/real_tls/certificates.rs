//! Certificates of every kind, in a folder that goes with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use websocket_app::TlsConfig;

/// A folder of its own, gone with all that is in it when the test is over.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("real-tls-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A program that was killed may leave something behind that cannot be removed at once.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a certificate is for, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Right,
    Expired,
    NotYetValid,
    OtherName,
    /// Not signed by the authority, but by itself; an authority too, as `openssl req -x509` makes
    /// them.
    SelfSigned,
    /// By an authority that nobody knows.
    Untrusted,
    /// By an intermediate authority that has expired.
    ExpiredIssuer,
}

/// A certificate with its chain, and its key, both in PEM.
pub(crate) struct Certified {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let params = authority(name);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Trusts this authority and no other.
    pub(crate) fn trusted(&self) -> TlsConfig {
        TlsConfig::new().root_certificate(self.pem()).only_these_roots(true)
    }

    /// A certificate for `localhost`, right or wrong.
    pub(crate) fn certify(&self, kind: Kind) -> Certified {
        let host = if kind == Kind::OtherName { "other.example" } else { "localhost" };
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.distinguished_name = common_name(host);
        let key = KeyPair::generate().unwrap();
        let chain = match kind {
            Kind::Untrusted => params
                .signed_by(&key, &Authority::new("an authority that nobody knows").0)
                .unwrap()
                .pem(),
            Kind::SelfSigned => {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.self_signed(&key).unwrap().pem()
            }
            Kind::ExpiredIssuer => {
                let mut issuer = authority("an authority of long ago");
                issuer.not_after = date_time_ymd(2020, 1, 1);
                let issuer =
                    CertifiedIssuer::signed_by(issuer, KeyPair::generate().unwrap(), &self.0)
                        .unwrap();
                params.signed_by(&key, &issuer).unwrap().pem() + &issuer.pem()
            }
            Kind::Right | Kind::Expired | Kind::NotYetValid | Kind::OtherName => {
                match kind {
                    Kind::Expired => params.not_after = date_time_ymd(2020, 1, 1),
                    Kind::NotYetValid => params.not_before = date_time_ymd(2500, 1, 1),
                    _ => {}
                }
                params.signed_by(&key, &self.0).unwrap().pem()
            }
        };
        Certified { chain, key: key.serialize_pem() }
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}
