//! The opening request of a target: made of the options once, sent with the cookies that were set
//! up to then.
//!
//! Apart from the request itself, which is the protocol's: what is here knows the options, and the
//! app's cookies, which have a lock of their own.

use std::path::{Path, PathBuf};

use url::Url;

use crate::config::Config;
use crate::cookies::Cookies;
use crate::error::Error;
use crate::headers::Headers;
use crate::protocol::handshake::request::{self, Fields};
use crate::protocol::handshake::response::Offer;

pub(super) struct Request {
    request: request::Request,
    /// What the program set, and where the server's are kept.
    cookie: Option<String>,
    cookies: Option<KeptCookies>,
}

/// The app's cookies, and what decides which of them are for this server.
struct KeptCookies {
    cookies: Cookies,
    url: Url,
    socket: Option<PathBuf>,
}

impl Request {
    /// Checks the options. The server is behind a Unix socket if there is one.
    pub(super) fn new(url: &Url, socket: Option<&Path>, config: &Config) -> Result<Self, Error> {
        let fields = Fields {
            headers: &config.headers,
            host: config.host.as_deref(),
            origin: config.origin.as_deref(),
            cookie: config.cookie.as_deref(),
            keeps_cookies: config.cookies.is_some(),
            subprotocols: &config.subprotocols,
            compression: config.compression.as_ref(),
        };
        let request = request::Request::new(url, &fields)?;
        let socket = socket.map(Path::to_owned);
        let cookies =
            config.cookies.clone().map(|cookies| KeptCookies { cookies, url: url.clone(), socket });
        Ok(Request { request, cookie: config.cookie.clone(), cookies })
    }

    /// Returns what the server may choose from.
    pub(super) fn offer(&self) -> &Offer {
        &self.request.offer
    }

    /// Returns what goes over the wire, for one connection's key.
    pub(super) fn to_bytes(&self, key: &str) -> Vec<u8> {
        let header = |kept: &KeptCookies| {
            kept.cookies.header(&kept.url, kept.socket.as_deref(), self.cookie.as_deref())
        };
        self.request.to_bytes(key, self.cookies.as_ref().and_then(header).as_deref())
    }

    /// Keeps the cookies that a response to it sets, if they are wanted.
    pub(super) fn keep_cookies(&self, headers: &Headers) {
        if let Some(kept) = &self.cookies {
            kept.cookies.store(&kept.url, kept.socket.as_deref(), headers);
        }
    }
}
