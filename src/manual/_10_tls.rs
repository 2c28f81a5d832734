//! How `wss://` is secured: whom it trusts, which library does it, and what each option is for.
//!
//! By default a certificate must go back to one of the operating system's roots, be for the URL's
//! host, and be valid now; the version is TLS 1.2 or 1.3. [`tls`](crate::WebSocketApp::tls) takes a
//! [`TlsConfig`] that says otherwise. Nothing of it is read before the run begins: a file that is
//! missing, or a certificate that is none, is the error of the run, before any socket is opened.
//!
//! | to | there is |
//! |---|---|
//! | trust a company's own authority too | [`root_certificate_file`](crate::TlsConfig::root_certificate_file), [`root_certificate`](crate::TlsConfig::root_certificate) |
//! | trust nothing but that | [`only_these_roots`](crate::TlsConfig::only_these_roots) |
//! | trust Mozilla's roots, on systems that have none | [`bundled_roots`](crate::TlsConfig::bundled_roots), feature `rustls-webpki-roots` |
//! | accept one server's key and no other | [`pin`](crate::TlsConfig::pin) |
//! | show a certificate of one's own | [`identity_pem_files`](crate::TlsConfig::identity_pem_files), [`identity_pem`](crate::TlsConfig::identity_pem), [`identity_pkcs12`](crate::TlsConfig::identity_pkcs12) |
//! | reach a server by an address that its certificate does not name | [`server_name`](crate::TlsConfig::server_name) |
//! | refuse TLS 1.2 | [`min_version`](crate::TlsConfig::min_version) |
//! | read what was said with Wireshark | [`key_log_file`](crate::TlsConfig::key_log_file), rustls |
//! | test with a self-signed certificate | [its file as a root](#to-try-it); else [`danger_accept_invalid_certs`](crate::TlsConfig::danger_accept_invalid_certs) |
//! | decide everything oneself | `TlsConfig::native_tls` and `TlsConfig::rustls`, which take a ready-made connector or `ClientConfig` |
//!
//! ```no_run
//! use websocket_app::{TlsConfig, TlsVersion, WebSocketApp};
//!
//! # fn main() -> Result<(), websocket_app::Error> {
//! let tls = TlsConfig::new()
//!     .root_certificate_file("company-root.pem")
//!     .identity_pem_files("me.pem", "me-key.pem")
//!     .min_version(TlsVersion::Tls13);
//! WebSocketApp::new("wss://intranet.example/").tls(tls).run_forever()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Which library
//!
//! | feature | library | roots |
//! |---|---|---|
//! | `native-tls`, on by default | the operating system's: OpenSSL, Schannel, Security.framework | the operating system's |
//! | `rustls` | rustls with ring's cryptography, the same everywhere | the operating system's; Mozilla's with `rustls-webpki-roots` |
//! | neither | a `wss://` URL is an [`Error::Invalid`] that names the feature | |
//!
//! Both may be compiled in. [`backend`](crate::TlsConfig::backend) chooses; without it, it is that
//! of a ready-made configuration, else rustls for what only it has (`bundled_roots`,
//! `key_log_file`), else `native-tls` where that is there. So another crate's wish for rustls
//! changes nothing by itself. Every option means the same with both, but for two differences in what
//! certificates they take. OpenSSL does not trust an intermediate authority without its root. And
//! OpenSSL takes a certificate that names its host only as `CN`, without a `subjectAltName`, which
//! rustls refuses. Where one cannot do something, the error says so.
//!
//! # Errors
//!
//! [`Error::Tls`] has the library's own words, and `temporary`: whether it may go well the next
//! time. A certificate, a name or a version that is wrong is not, and is not tried again.
//! [`Sender::handshake`] tells the version, the cipher suite, and the server's certificate in its
//! binary form (DER).
//!
//! # To try it
//!
//! This makes a key and a self-signed certificate for this machine:
//!
//! ```text
//! openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 365 \
//!     -subj /CN=localhost -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1'
//! ```
//!
//! The server shows it, and the client trusts it alone, at `wss://localhost:9001/`:
//!
//! ```no_run
//! # #[cfg(feature = "server")]
//! # fn server() -> Result<(), websocket_app::Error> {
//! use websocket_app::server::{Server, ServerTls};
//!
//! Server::new("127.0.0.1:9001").tls(ServerTls::from_pem_files("cert.pem", "key.pem")).run_forever()?;
//! # Ok(())
//! # }
//! ```
//!
//! ```no_run
//! use websocket_app::{TlsConfig, WebSocketApp};
//!
//! # fn main() -> Result<(), websocket_app::Error> {
//! let tls = TlsConfig::new().root_certificate_file("cert.pem").only_these_roots(true);
//! WebSocketApp::new("wss://localhost:9001/").tls(tls).run_forever()?;
//! # Ok(())
//! # }
//! ```
//!
//! # A server's
//!
//! `server::ServerTls` takes the certificate with its chain and its key from PEM files or PKCS#12,
//! and asks clients for certificates where it is told to (rustls). While the server runs,
//! `ServerHandle::replace_tls` reads the files again, for a certificate that was renewed. Clients
//! resume their sessions, except where they are asked for certificates. With native-tls on OpenSSL
//! a server speaks TLS 1.2 only: for 1.3 choose rustls.
//!
//! ---
//!
//! Next: [Proxies](super::_11_proxies). All pages: [the manual](super).
//!
//! [`Error::Invalid`]: crate::Error::Invalid
//! [`Error::Tls`]: crate::Error::Tls
//! [`Sender::handshake`]: crate::Sender::handshake
//! [`TlsConfig`]: crate::TlsConfig
