//! [`Server`]: an address, options and callbacks, chained, and the ways to run them: turned into a
//! [`Hub`] and loops. It belongs to whoever makes it, and is gone once it runs.

use std::sync::Arc;
use std::time::Duration;

use super::callbacks::{Callbacks, OnRequest, Source};
use super::driver::{ServerDriver, ServerStart};
use super::hub::{Hub, Options, Program, SlowClients};
use super::listener::{Listener, NewListener};
use super::origin::Origins;
use super::{Answer, Client, Handler, Request, ServerHandle, ServerTls};
use crate::calls::CallbackResult;
use crate::close::Close;
use crate::config::ConnectionOptions;
use crate::deflate::Deflate;
use crate::error::Error;
use crate::message::{Fragment, Message};
use crate::reactor::{NewLoop, Running};

/// A WebSocket server described by its address, options and callbacks.
///
/// Nothing happens before [`run_forever`](Self::run_forever), on the calling thread, or
/// [`spawn`](Self::spawn), on a thread of its own.
///
/// A callback gets the [`Client`] first and returns nothing or a `Result`, whose error goes to
/// `on_error`. Those of one client run one at a time and in order; of different clients they may run
/// at the same time, on different threads, so they are `Fn` and `Sync`.
/// [`with_handlers`](Self::with_handlers) gives each client state of its own instead.
///
/// ```no_run
/// use websocket_app::server::Server;
///
/// let server = Server::new("127.0.0.1:0")
///     .on_message(|client, message| client.send(message))
///     .spawn()?;
/// println!("listening on {:?}", server.local_addr());
/// server.join()?;
/// # Ok::<(), websocket_app::Error>(())
/// ```
#[must_use = "nothing happens before the server is run"]
pub struct Server {
    address: Address,
    callbacks: Callbacks,
    make_handler: Option<super::callbacks::MakeHandler>,
    on_request: Option<OnRequest>,
    origins: Origins,
    options: Options,
    tls: Option<ServerTls>,
    threads: usize,
}

enum Address {
    Named(String),
    Open(Listener),
}

impl Default for Options {
    fn default() -> Self {
        Options {
            live: ConnectionOptions {
                max_message_size: 1 << 20,
                max_fragments: 1 << 14,
                max_send_buffer: 1 << 20,
                max_receive_buffer: 1 << 20,
                ..ConnectionOptions::default()
            },
            handshake_timeout: Duration::from_secs(10),
            max_connections: 10_000,
            max_connections_per_address: None,
            subprotocols: Vec::new(),
            compression: None,
            slow_clients: SlowClients::default(),
        }
    }
}

impl Server {
    /// Describes a server at an address: `127.0.0.1:9001`, `localhost:9001`, `[::]:80`; with port 0
    /// the system chooses one, which [`ServerHandle::local_addr`] tells. On Unix also a socket's path:
    /// `unix:/run/app.sock`, whose file is replaced where nobody listens on it any more. Never fails:
    /// what is wrong is the error of the run.
    pub fn new(address: impl Into<String>) -> Self {
        Server::at(Address::Named(address.into()))
    }

    /// Describes a server on a listener that somebody else has opened.
    pub fn with_listener(listener: impl Into<Listener>) -> Self {
        Server::at(Address::Open(listener.into()))
    }

    /// Describes a server whose clients each have a [`Handler`] of their own, made from its request:
    /// state without locks.
    pub fn with_handlers<H: Handler>(
        address: impl Into<String>,
        make: impl Fn(&Request) -> H + Send + Sync + 'static,
    ) -> Self {
        Server::new(address).handlers(make)
    }

    fn at(address: Address) -> Self {
        Server {
            address,
            callbacks: Callbacks::default(),
            make_handler: None,
            on_request: None,
            origins: Origins::default(),
            options: Options::default(),
            tls: None,
            threads: 1,
        }
    }

    /// Gives each client a [`Handler`] of its own, as [`with_handlers`](Self::with_handlers) does.
    /// The closures of this server are not called then, but for `on_request`. Defaults to none.
    pub fn handlers<H: Handler>(
        mut self,
        make: impl Fn(&Request) -> H + Send + Sync + 'static,
    ) -> Self {
        self.make_handler = Some(Box::new(move |request| Box::new(make(request))));
        self
    }

    /// Sets what decides on each request: accept, refuse, or answer as HTTP. It is asked after
    /// what must hold of any request; a panic in it is status 500. Defaults to accepting every request
    /// for a WebSocket, on any path.
    ///
    /// ```no_run
    /// use websocket_app::server::{Answer, Server};
    ///
    /// Server::new("127.0.0.1:9001")
    ///     .on_request(|request| match request.path() {
    ///         "/chat" if request.cookie("session").is_some() => Answer::accept(),
    ///         "/chat" => Answer::refuse(401),
    ///         "/health" => Answer::http(200, "text/plain", "ok\n"),
    ///         _ => Answer::refuse(404),
    ///     })
    ///     .run_forever()?;
    /// # Ok::<(), websocket_app::Error>(())
    /// ```
    pub fn on_request(
        mut self,
        decide: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        self.on_request = Some(Box::new(decide));
        self
    }

    /// Sets what is called when a client is there. Messages can be sent to it from here on.
    pub fn on_open<R: CallbackResult>(
        mut self,
        callback: impl Fn(&Client) -> R + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.on_open = Some(Box::new(move |client| callback(client).into_result()));
        self
    }

    /// Sets what is called with each message. It is borrowed: [`Message::into_owned`] keeps it.
    pub fn on_message<R: CallbackResult>(
        mut self,
        callback: impl Fn(&Client, Message<'_>) -> R + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.on_message =
            Some(Box::new(move |client, message| callback(client, message).into_result()));
        self
    }

    /// Sets what is called with each piece of a message as it arrives; then none is put together, and
    /// none goes to `on_message`.
    pub fn on_fragment<R: CallbackResult>(
        mut self,
        callback: impl Fn(&Client, Fragment<'_>) -> R + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.on_fragment =
            Some(Box::new(move |client, fragment| callback(client, fragment).into_result()));
        self
    }

    /// Sets what is called with each ping's payload. The ping has been answered already.
    pub fn on_ping<R: CallbackResult>(
        mut self,
        callback: impl Fn(&Client, &[u8]) -> R + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.on_ping =
            Some(Box::new(move |client, payload| callback(client, payload).into_result()));
        self
    }

    /// Sets what is called with each pong's payload, those that answer the keepalive's pings
    /// included.
    pub fn on_pong<R: CallbackResult>(
        mut self,
        callback: impl Fn(&Client, &[u8]) -> R + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.on_pong =
            Some(Box::new(move |client, payload| callback(client, payload).into_result()));
        self
    }

    /// Sets what is called when something goes wrong with a client: a callback's error, a lost
    /// connection. A Close frame is no error. Defaults to a line in the log, at level debug.
    pub fn on_error<R: CallbackResult>(
        mut self,
        callback: impl Fn(&Client, &Error) -> R + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.on_error =
            Some(Box::new(move |client, error| callback(client, error).into_result()));
        self
    }

    /// Sets what is called when a client is gone: once for each that was opened.
    pub fn on_close<R: CallbackResult>(
        mut self,
        callback: impl Fn(&Client, &Close) -> R + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.on_close =
            Some(Box::new(move |client, close| callback(client, close).into_result()));
        self
    }

    /// Runs the server on the calling thread until it is [shut down](ServerHandle::shutdown).
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a bad option, or an address that cannot be listened on;
    /// [`Error::System`] where the operating system has no thread for it. Later, what one of its
    /// threads cannot go on with: an [`Error::System`], or the [`Error::Panicked`] of a logger. The
    /// server has then been [shut down](super#what-is-promised-to-callbacks).
    pub fn run_forever(self) -> Result<(), Error> {
        let Prepared { hub, first, .. } = self.prepare()?;
        if let Err(error) = first.run() {
            hub.loop_failed(&error);
        }
        hub.wait()
    }

    /// Runs the server on a thread of its own, named `websocket-server`. It listens once this has
    /// returned.
    ///
    /// # Errors
    ///
    /// As [`run_forever`](Self::run_forever), at once.
    pub fn spawn(self) -> Result<ServerHandle, Error> {
        let Prepared { hub, first, others } = self.prepare()?;
        match start(&hub, first, "websocket-server") {
            Ok(_) => Ok(ServerHandle::new(hub)),
            Err(error) => Err(undo(&hub, others, error)),
        }
    }

    fn prepare(self) -> Result<Prepared, Error> {
        self.check()?;
        let Server { address, callbacks, make_handler, on_request, origins, options, tls, threads } =
            self;
        let acceptor = tls.as_ref().map(ServerTls::acceptor).transpose()?;
        let listener = match address {
            Address::Open(listener) => listener,
            Address::Named(address) => Listener::bind(&address).map_err(|error| {
                Error::invalid(
                    format!("the address `{}`", address.escape_debug()),
                    cannot_listen(&address, &error),
                )
            })?,
        };
        let source = match make_handler {
            Some(make) => Source::Each(make),
            None => Source::Shared(Arc::new(callbacks)),
        };
        let program = Program { source, on_request };
        let hub = Hub::new(options, origins, program, listener.local_addr(), acceptor);
        let hub = Arc::new(hub);
        let first = NewLoop::new()?;
        let mut mailboxes = vec![Arc::clone(first.mailbox())];
        let mut to_start = Vec::new();
        for _ in 1..threads {
            let other = NewLoop::new()?;
            mailboxes.push(Arc::clone(other.mailbox()));
            to_start.push(other);
        }
        hub.set_loops(mailboxes);
        let mut others = Vec::new();
        for (i, other) in to_start.into_iter().enumerate() {
            match start(&hub, other, &format!("websocket-serve{}", i + 2)) {
                Ok(running) => others.push(running),
                Err(error) => return Err(undo(&hub, others, error)),
            }
        }
        let new = NewListener { hub: Arc::clone(&hub), listener };
        first.mailbox().add(ServerStart::Listener(new))?;
        Ok(Prepared { hub, first, others })
    }

    fn check(&self) -> Result<(), Error> {
        self.options.live.check()?;
        let options = &self.options;
        if options.handshake_timeout.is_zero() {
            return Err(Error::invalid("handshake_timeout(0s)", "must be longer than zero"));
        }
        for (name, limit) in [
            ("max_connections", options.max_connections),
            ("max_connections_per_address", options.max_connections_per_address.unwrap_or(1)),
            ("threads", self.threads),
        ] {
            if limit == 0 {
                return Err(Error::invalid(format!("{name}(0)"), "must be more than zero"));
            }
        }
        if let Some(Err((what, problem))) = options.compression.as_ref().map(Deflate::check) {
            return Err(Error::invalid(what, problem));
        }
        if let Err((what, problem)) = self.origins.check() {
            return Err(Error::invalid(what, problem));
        }
        let is_token = crate::protocol::handshake::opening::is_header_name;
        match options.subprotocols.iter().find(|name| !is_token(name)) {
            Some(name) => Err(Error::invalid(
                format!("subprotocols([{name:?}])"),
                "must be names of letters, digits and -._~ among others (RFC 7230 §3.2.6)",
            )),
            None => Ok(()),
        }
    }

    // Options.

    /// Sets how many threads serve clients, each with its share of them. Defaults to 1: a thread
    /// serves tens of thousands that are mostly idle.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Secures all connections with TLS: clients reach the server with `wss://`. Defaults to none.
    pub fn tls(mut self, tls: impl Into<Option<ServerTls>>) -> Self {
        self.tls = tls.into();
        self
    }

    /// Lists the subprotocols that are spoken here: of those that a client offers, the first that is
    /// in the list is chosen. Defaults to none.
    pub fn subprotocols<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.options.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Lets pages of these sites open WebSockets here, beside the server's own: `https://example.com`,
    /// or `https://*.example.com` for all names below one; `null` is what browsers send for pages
    /// without a site. Others are refused with status 403, as far as they are browsers' (RFC 6455
    /// §10.2). Defaults to none: the `Origin` has to be the host that was asked for, or to be missing.
    pub fn allow_origins<S: Into<String>>(mut self, origins: impl IntoIterator<Item = S>) -> Self {
        self.origins.allowed.extend(origins.into_iter().map(Into::into));
        self
    }

    /// Lets pages of any site open WebSockets here, with the cookies that their visitors have for
    /// it. Defaults to off.
    pub fn allow_any_origin(mut self) -> Self {
        self.origins.any = true;
        self
    }

    /// Lets clients ask for these hosts, where the server listens on a loopback address: there only
    /// names of this machine are answered otherwise, so that no page can reach the server by a name
    /// that its own DNS makes lead here. Defaults to none.
    pub fn allow_hosts<S: Into<String>>(mut self, hosts: impl IntoIterator<Item = S>) -> Self {
        self.origins.hosts.extend(hosts.into_iter().map(Into::into));
        self
    }

    /// Compresses messages with clients that offer it (RFC 7692). The windows and the threshold are
    /// those of this side. What is broadcast or published is compressed by itself, once for each size
    /// of window that clients have agreed to, however many they are, and takes no memory for each;
    /// what is sent to one client alone takes a context of up to 300 KB, which refers to what went
    /// before, back to the last one that was compressed for all. Defaults to off.
    pub fn compression(mut self, deflate: impl Into<Option<Deflate>>) -> Self {
        self.options.compression = deflate.into();
        self
    }

    /// Limits how many connections there are at a time, those that are still shaking hands included:
    /// more are answered with status 503, over TLS dropped. Defaults to 10,000.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.options.max_connections = connections;
        self
    }

    /// Limits how many connections there are from one IP address at a time, of IPv6 from one network
    /// of 2^64: more are answered with status 429, over TLS dropped. Defaults to `None`: behind a proxy
    /// all come from one.
    pub fn max_connections_per_address(mut self, connections: impl Into<Option<usize>>) -> Self {
        self.options.max_connections_per_address = connections.into();
        self
    }

    /// Limits the time from accepting a connection to the answer to its request, TLS included, but for
    /// the time that [`on_request`](Self::on_request) itself takes. Defaults to 10 s.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.options.handshake_timeout = timeout;
        self
    }

    /// Says what becomes of a client whose queue has no room for what is broadcast. Defaults to
    /// [`SlowClients::Close`].
    pub fn slow_clients(mut self, policy: SlowClients) -> Self {
        self.options.slow_clients = policy;
        self
    }

    /// Limits the bytes that wait to be sent to one client. Defaults to 1 MiB.
    ///
    /// What a callback sends to its own client has as much room for itself: [how answers are not
    /// lost](crate::manual::_25_questions_of_servers#how-do-i-answer-without-losing-anything).
    pub fn max_send_buffer(mut self, bytes: usize) -> Self {
        self.options.live.max_send_buffer = bytes;
        self
    }

    /// Limits the bytes of one client's messages that wait while a callback of its is busy, or until
    /// it has read what it was answered; then nothing more is read from it for now. Defaults to 1 MiB.
    pub fn max_receive_buffer(mut self, bytes: usize) -> Self {
        self.options.live.max_receive_buffer = bytes;
        self
    }

    /// Limits the size of a message, also after inflating. Longer ones end the connection with code
    /// 1009. Defaults to 1 MiB.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.options.live.max_message_size = bytes;
        self
    }

    /// Limits how many fragments a message may come in; more end the connection with code 1008.
    /// Defaults to 16,384.
    pub fn max_fragments(mut self, fragments: usize) -> Self {
        self.options.live.max_fragments = fragments;
        self
    }

    /// Limits how long a send on an ordinary thread waits for room. Defaults to 30 s.
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.options.live.send_timeout = timeout;
        self
    }

    /// Limits how long a closing handshake takes. Defaults to 10 s.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.options.live.close_timeout = timeout;
        self
    }

    /// Pings each client that often, or up to a tenth sooner, so that not all are pinged at once;
    /// `None` for not at all. Defaults to 30 s: below what most proxies on the way wait.
    pub fn ping_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.options.live.ping_interval = interval.into();
        self
    }

    /// Gives a client up when so long after a ping nothing was heard. Defaults to 10 s.
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.options.live.ping_timeout = timeout;
        self
    }

    /// Gives a client up when it has sent no message for so long. Defaults to `None`: never.
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.options.live.idle_timeout = timeout.into();
        self
    }
}

/// A server whose first loop is yet to be run.
struct Prepared {
    hub: Arc<Hub>,
    first: NewLoop<ServerDriver>,
    others: Vec<Running<ServerDriver>>,
}

/// Runs one of a server's loops on a thread of its own; if it fails, the server ends.
fn start(
    hub: &Arc<Hub>,
    new: NewLoop<ServerDriver>,
    thread_name: &str,
) -> Result<Running<ServerDriver>, Error> {
    let hub = Arc::clone(hub);
    new.start_then(thread_name, "a thread for the server", move |ended| {
        if let Err(error) = ended {
            hub.loop_failed(error);
        }
    })
}

/// There is no thread for a loop: those that run already are ended, and nothing is left of the
/// server.
fn undo(hub: &Hub, others: Vec<Running<ServerDriver>>, error: Error) -> Error {
    hub.finish(Err(error.clone()));
    for other in others {
        // It had nothing to run. If it has failed, it is over as well.
        drop(other.join());
    }
    error
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

/// Says what to do about an address that cannot be listened on.
fn cannot_listen(address: &str, error: &std::io::Error) -> String {
    const SUCH_AS: &str = ": it must be a host and a port, such as 127.0.0.1:9001, or on Unix such as unix:/run/app.sock";
    let advice = match error.kind() {
        std::io::ErrorKind::AddrInUse if address.starts_with("unix:") => {
            ": another program listens there, or it is no socket; end that one, or take another path"
        }
        std::io::ErrorKind::AddrInUse => {
            ": another program listens there; end that one, or take another port"
        }
        std::io::ErrorKind::PermissionDenied => {
            ": ports below 1024 are not for everybody; take another"
        }
        std::io::ErrorKind::AddrNotAvailable => {
            ": it is no address of this machine; 0.0.0.0 and [::] are all of them"
        }
        std::io::ErrorKind::InvalidInput => SUCH_AS,
        // As a client writes it; else the resolver says that it knows no such name.
        _ if address.contains("://") => SUCH_AS,
        _ => "",
    };
    format!("cannot be listened on: {error}{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual::checks::{compare, number, size, time, time_or_off, unset};

    #[test]
    fn every_default_is_in_the_manuals_table() {
        let server = Server::new("127.0.0.1:0");
        // All of them: who adds an option has to look here.
        let Options {
            live,
            handshake_timeout,
            max_connections,
            max_connections_per_address,
            subprotocols,
            compression,
            slow_clients,
        } = server.options;
        let Origins { any, allowed, hosts } = server.origins;
        let per_address = max_connections_per_address;
        let real = [
            ("handlers", unset("none", server.make_handler.is_none())),
            ("threads", server.threads.to_string()),
            ("tls", unset("none", server.tls.is_none())),
            ("subprotocols", unset("none", subprotocols.is_empty())),
            ("allow_origins", unset("none", allowed.is_empty())),
            ("allow_any_origin", unset("off", !any)),
            ("allow_hosts", unset("none", hosts.is_empty())),
            ("compression", unset("off", compression.is_none())),
            ("max_connections", number(max_connections)),
            ("max_connections_per_address", unset("off", per_address.is_none())),
            ("handshake_timeout", time(handshake_timeout)),
            ("slow_clients", format!("{slow_clients:?}")),
            ("max_send_buffer", size(live.max_send_buffer)),
            ("max_receive_buffer", size(live.max_receive_buffer)),
            ("max_message_size", size(live.max_message_size)),
            ("max_fragments", number(live.max_fragments)),
            ("send_timeout", time(live.send_timeout)),
            ("close_timeout", time(live.close_timeout)),
            ("ping_interval", time_or_off(live.ping_interval)),
            ("ping_timeout", time(live.ping_timeout)),
            ("idle_timeout", time_or_off(live.idle_timeout)),
        ];
        compare("`Server`", &real, &["on_request", "on_error"]);

        let tls = format!("{:?}", ServerTls::from_pem("", ""));
        let real = [
            ("min_version", crate::TlsVersion::default().to_string()),
            ("backend", unset("native-tls where it is there", tls.contains("backend: None"))),
            ("client_roots", unset("none", tls.contains("client_roots: 0"))),
        ];
        assert!(tls.contains("min_version: Tls12"), "{tls}");
        compare("`ServerTls`", &real, &["client_certificate_optional"]);
    }
}
