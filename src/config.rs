//! Every option in one place, with its default: plain data, checked when a run begins. The methods
//! that set them, and the reasons, are in `app/options.rs`, and in `client/options.rs` in short.

use std::time::Duration;

use crate::cookies::Cookies;
use crate::deflate::Deflate;
use crate::error::Error;
use crate::reconnect::Reconnect;
use crate::route::Route;
use crate::tls::TlsConfig;

/// Whether a program may wait this long for each thing; what it may take and hold.
/// No `Debug`: headers, cookie and TLS options may hold credentials.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) origin: Option<String>,
    pub(crate) cookie: Option<String>,
    /// Where those that servers set are to be kept.
    pub(crate) cookies: Option<Cookies>,
    pub(crate) host: Option<String>,
    pub(crate) route: Route,
    pub(crate) tls: TlsConfig,
    pub(crate) proxy: ProxyChoice,
    pub(crate) proxy_tls: TlsConfig,
    pub(crate) max_redirects: u32,
    pub(crate) connect_timeout: Duration,
    pub(crate) reconnect: Option<Reconnect>,
    pub(crate) compression: Option<Deflate>,
    pub(crate) live: ConnectionOptions,
}

/// Which proxy to go through, if any.
#[derive(Clone)]
pub(crate) enum ProxyChoice {
    /// What the environment's variables say for the URL.
    Environment,
    None,
    /// This one, which may hold credentials.
    Url(String),
}

/// What counts while a connection is open. Apart from the rest, which may be forgotten once it is
/// known how to connect.
#[derive(Clone, Copy)]
pub(crate) struct ConnectionOptions {
    pub(crate) close_timeout: Duration,
    pub(crate) send_timeout: Duration,
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) ping_timeout: Duration,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) max_message_size: usize,
    pub(crate) max_fragments: usize,
    pub(crate) max_send_buffer: usize,
    pub(crate) max_receive_buffer: usize,
    pub(crate) busy_poll: Duration,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        ConnectionOptions {
            close_timeout: Duration::from_secs(10),
            send_timeout: Duration::from_secs(30),
            ping_interval: Some(Duration::from_secs(30)),
            ping_timeout: Duration::from_secs(10),
            max_message_size: 64 << 20,
            max_fragments: 1 << 17,
            idle_timeout: None,
            max_send_buffer: 16 << 20,
            max_receive_buffer: 16 << 20,
            busy_poll: Duration::ZERO,
        }
    }
}

impl ConnectionOptions {
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (name, duration) in [
            ("close_timeout", Some(self.close_timeout)),
            ("ping_interval", self.ping_interval),
            ("ping_timeout", Some(self.ping_timeout)),
            ("idle_timeout", self.idle_timeout),
        ] {
            if duration.is_some_and(|d| d.is_zero()) {
                let problem = match name {
                    "close_timeout" | "ping_timeout" => "must be longer than zero",
                    _ => "must be longer than zero; `None` is for never",
                };
                return Err(Error::invalid(format!("{name}(0s)"), problem));
            }
        }
        for (name, limit) in [
            ("max_message_size", self.max_message_size),
            ("max_fragments", self.max_fragments),
            ("max_send_buffer", self.max_send_buffer),
            ("max_receive_buffer", self.max_receive_buffer),
        ] {
            if limit == 0 {
                return Err(Error::invalid(format!("{name}(0)"), "must be more than zero"));
            }
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            headers: Vec::new(),
            subprotocols: Vec::new(),
            origin: None,
            cookie: None,
            cookies: None,
            host: None,
            route: Route::default(),
            tls: TlsConfig::default(),
            proxy: ProxyChoice::Environment,
            proxy_tls: TlsConfig::default(),
            max_redirects: 0,
            connect_timeout: Duration::from_secs(10),
            reconnect: None,
            compression: None,
            live: ConnectionOptions::default(),
        }
    }
}

impl Config {
    /// Checks what no type can: called before any socket is opened. Headers, subprotocols and TLS
    /// are checked where they are turned into what goes over the wire.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.connect_timeout.is_zero() {
            return Err(Error::invalid("connect_timeout(0s)", "must be longer than zero"));
        }
        self.live.check()?;
        if let Some(Err((what, problem))) = self.compression.as_ref().map(Deflate::check) {
            return Err(Error::invalid(what, problem));
        }
        if self.cookies.is_some() {
            Cookies::check()?;
        }
        self.route.check(self.reconnect.is_some() || self.max_redirects > 0)?;
        self.reconnect.as_ref().map_or(Ok(()), Reconnect::check)
    }
}
