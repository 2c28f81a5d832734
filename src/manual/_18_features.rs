//! What each feature brings and costs, and on which systems it all runs.
//!
//! | feature | default | what it brings | what it costs |
//! |---|---|---|---|
//! | `native-tls` | yes | `wss://` through the operating system's TLS (OpenSSL, Schannel, Security.framework), and `TlsConfig::native_tls` for a ready-made connector | on Linux OpenSSL's headers to build and its library to run |
//! | `native-tls-vendored` | no | the same with an OpenSSL of its own, built from source | minutes to build, with perl and make; its security updates are up to you |
//! | `rustls` | no | `wss://` through rustls, in Rust, the same everywhere, with the operating system's roots, and `TlsConfig::rustls` for a ready-made configuration | a C compiler to build (ring's cryptography), some 15 crates |
//! | `rustls-webpki-roots` | no | Mozilla's roots within the program, for [`TlsConfig::bundled_roots`] | roots as old as the build |
//! | `cookies` | no | [`keep_cookies`](crate::WebSocketApp::keep_cookies): cookies that the server sets go back to it with later connections | ten more dependencies |
//! | `server` | no | the module `server` | httparse, which is in the tree anyway |
//! | `deflate` | yes | compression of messages ([`Deflate`], [RFC 7692]), for apps that ask for it | zlib in Rust, two crates |
//!
//! Both TLS libraries may be compiled in: [TLS](super::_10_tls#which-library) says which is used.
//! Without a feature, a `wss://` URL, `.compression(…)` or `.keep_cookies(true)` is an
//! [`Error::Invalid`] that names it. A feature never changes what code that does not use it does,
//! but for the choice of the TLS library where [`TlsConfig::backend`] leaves it open.
//!
//! ```text
//! cargo add websocket-app                                                   # a client, with the system's TLS
//! cargo add websocket-app --features server                                 # and a server
//! cargo add websocket-app --no-default-features --features rustls,deflate   # no OpenSSL
//! cargo add websocket-app --no-default-features                             # ws:// alone, the fewest dependencies
//! ```
//!
//! # Systems
//!
//! Rust 1.88 or later (edition 2024). No unsafe code. Developed and tested on Linux. For Windows
//! and macOS every change is compiled; on Windows' interfaces (Wine) its tests have been run by
//! hand, on macOS none. Unix sockets are for Unix. It does not compile to WebAssembly: browsers
//! have a WebSocket of their own, and no threads that block.
//!
//! ---
//!
//! Next: [Coming from Python: websocket-client](super::_19_from_python). All pages: [the
//! manual](super).
//!
//! [RFC 7692]: https://www.rfc-editor.org/rfc/rfc7692
//! [`Deflate`]: crate::Deflate
//! [`Error::Invalid`]: crate::Error::Invalid
//! [`TlsConfig::backend`]: crate::TlsConfig::backend
//! [`TlsConfig::bundled_roots`]: crate::TlsConfig::bundled_roots
