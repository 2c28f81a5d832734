//! Every name of PyPI's `websocket-client` 1.9, and what to write here; "no" comes with the reason.
//!
//! What differs in behaviour:
//!
//! * A Close frame from the peer is not an error.
//! * There are timeouts and a keepalive without asking ([Defaults](super::_17_defaults)).
//! * No `Origin` header is sent unless you set one.
//! * `user:password@` in the URL becomes Basic authentication.
//! * A message is text or binary by its type, not by an opcode.
//!
//! And with `reconnect`:
//!
//! * Python tries again whatever went wrong. Here what cannot get better by itself ends the run: a
//!   401, 403 or 404, a certificate that is not trusted ([Whether](super::_08_reconnecting#whether)
//!   has the list). As in Python: `Reconnect::fixed(…).retry_if(|_| true)`.
//! * Python calls `on_close` once, when the run ends, and says nothing of connections that were lost
//!   before. Here it is called for each connection, and `on_error` for each loss and each failed
//!   attempt. The last `on_close` is the one whose `close.reconnect_in` is `None`.
//! * An `Err` of `on_error` or `on_close` ends the run. That of any other callback goes to
//!   `on_error`, as in Python.
//!
//! # `WebSocketApp(...)`
//!
//! | Python | here |
//! |---|---|
//! | `url` | `WebSocketApp::new(url)` |
//! | `header` as list or dict | `.header(name, value)`, once for each |
//! | `header` as a callable | `.headers_with(\|attempt\| …)`; `.url_with` and `.subprotocols_with` likewise |
//! | `on_open(ws)` | `.on_open(\|ws\| …)` |
//! | `on_reconnect(ws)` | `.on_reconnect(\|ws\| …)` |
//! | `on_message(ws, data)` | `.on_message(\|ws, message\| …)`, a `Message::Text(&str)` or `Message::Binary(&[u8])` |
//! | `on_data(ws, data, type, fin)` | `.on_message`: the `Message` tells the type |
//! | `on_cont_message(ws, data, fin)` | `.on_fragment(\|ws, fragment\| …)`, for every message, in pieces as they arrive |
//! | `on_error(ws, exception)` | `.on_error(\|ws, error\| …)` |
//! | `on_close(ws, code, reason)` | `.on_close(\|ws, close\| …)`: `close.code`, `close.reason`, `close.clean`, `close.by` |
//! | `on_ping(ws, data)`, `on_pong(ws, data)` | `.on_ping(\|ws, payload\| …)`, `.on_pong(\|ws, payload\| …)` |
//! | `keep_running` | no: obsolete in Python too; `ws.close()` ends a run, `ws.state()` tells |
//! | `get_mask_key` | no: masking keys must be unpredictable ([RFC 6455 §10.3]) |
//! | `cookie` | `.cookie("name=value")`; those that a server sets, which Python keeps for every connection of the process, go back to it with `.keep_cookies(true)`, feature `cookies` |
//! | `subprotocols` | `.subprotocols(["first", "second"])`; `ws.handshake()` tells which was picked |
//! | `socket` | `.socket(stream)`: a `TcpStream`, a `UnixStream`, any other with `Socket::from_stream`, or a `Transport` of your own; `.connector(\|host, port, attempt\| …)` for each connection anew |
//! | globals, and attributes set on `ws` | the fields of a `Handler`; with closures an `Arc`, cloned for each |
//! | an object with methods as callbacks | `WebSocketApp::with_handler(url, handler)` with the trait `Handler`: one `&mut self` for all |
//!
//! # `run_forever(...)`
//!
//! | Python | here |
//! |---|---|
//! | `run_forever()` | `.run_forever()`: `Ok(Close)` or `Err(Error)` instead of `True` for "has errored" |
//! | `threading.Thread(target=app.run_forever)` | `.spawn()` |
//! | `sockopt` | `.socket_options(SocketOptions::new()…)`, option by option: |
//! | – `TCP_NODELAY`, which Python sets too | `.nodelay(bool)` |
//! | – `SO_KEEPALIVE`, `TCP_KEEPIDLE`, `TCP_KEEPINTVL`, `TCP_KEEPCNT`, which Python sets | `.keepalive(d)`, `.keepalive_interval(d)`, `.keepalive_retries(n)`; not set by default, for `ping_interval` is |
//! | – `SO_SNDBUF`, `SO_RCVBUF` | `.send_buffer_size(bytes)`, `.receive_buffer_size(bytes)` |
//! | – `IP_TOS`, `SO_BINDTODEVICE` | `.tos(n)`, `.bind_interface(name)` |
//! | – any other | `.connector(\|host, port, attempt\| …)`, which returns a socket with whatever options |
//! | `sslopt` | `.tls(TlsConfig::new()…)`, key by key: |
//! | – `ca_certs`, `WEBSOCKET_CLIENT_CA_BUNDLE` | `.root_certificate_file(path)`, `.root_certificate(bytes)`, `.only_these_roots(true)` |
//! | – `ca_cert_path` | no: a call of `.root_certificate_file(path)` for each file |
//! | – `certfile`, `keyfile` | `.identity_pem_files(certificates, key)`, `.identity_pem(…)` |
//! | – `password` (of the key) | `.identity_pkcs12(archive, password)`: PEM keys are read unencrypted |
//! | – `cert_reqs: CERT_NONE` | `.danger_accept_invalid_certs(true)` |
//! | – `check_hostname: False` | `.danger_accept_invalid_hostnames(true)` |
//! | – `server_hostname` | `.server_name(name)` |
//! | – `ssl_version` | `.min_version(TlsVersion::Tls13)` |
//! | – `context`, `ciphers`, `cert_chain`, `ecdh_curve` | `.native_tls(connector)` or `.rustls(config)`, made with the crates of these names |
//! | – `do_handshake_on_connect`, `suppress_ragged_eofs` | no: always so |
//! | `ping_interval`, `ping_timeout` | `.ping_interval(d)`, `.ping_timeout(d)`; on by default, any byte counts as life; for 0, which is off, `.ping_interval(None)` |
//! | `ping_payload` | no: the app's own pings are its own; `ws.ping(payload)` sends yours |
//! | `http_proxy_host`, `http_proxy_port`, `proxy_type` | `.proxy("http://host:port")`: `http`, `https`, `socks4`, `socks4a`, `socks5`, `socks5h`; without it `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` of [the environment](super::_11_proxies#from-the-environment) |
//! | `http_proxy_auth` | `.proxy("http://user:password@host:port")` |
//! | `http_proxy_timeout` | `.connect_timeout(d)`, which has the proxy in it |
//! | `http_no_proxy` | no: an app has one URL, so it needs no list; `.no_proxy()` ignores the environment |
//! | `skip_utf8_validation` | no: text is a `&str` and so always valid; bad text fails as it arrives ([RFC 6455 §8.1]) |
//! | `host` | `.host(value)` |
//! | `origin` | `.origin(value)` |
//! | `connection` (of `create_connection`) | no: the handshake sets it itself, as it does `Sec-WebSocket-Key` and `Sec-WebSocket-Version` |
//! | `suppress_origin` | none is sent unless you set one |
//! | `suppress_host` | no: HTTP demands it ([RFC 6455 §4.1]) |
//! | `dispatcher` (rel, asyncio …) | no: the app has its own thread; `EventLoop` has one for many apps; `.events(capacity)` feeds a loop of your own |
//! | `reconnect=5` | `.reconnect(Reconnect::fixed(Duration::from_secs(5)))`, or `Reconnect::exponential(first, max)`; for 0 leave it out; what differs is said above |
//! | a thread that sends something every few seconds | `.every(period, \|ws\| …)`; or a thread with `app.sender()`, which is at its end when `ws.state()` is `State::Closed` |
//! | `KeyboardInterrupt`, `rel.signal(2, rel.abort)` | the crate `ctrlc`: `let ws = app.sender(); ctrlc::set_handler(move \|\| ws.close())`; `on_error` does not hear of it |
//!
//! # Methods and attributes of `WebSocketApp`
//!
//! `ws` is the `&Sender` that every callback gets, or `app.sender()`.
//!
//! | Python | here |
//! |---|---|
//! | `send(data)`, `send(data, opcode)` | `ws.send(data)`: text or binary by its type |
//! | `send_text(text)`, `send_bytes(data)` | `ws.send_text(text)`, `ws.send_binary(data)` |
//! | `close()` | `ws.close()`, from any thread at any time |
//! | `close(status=…, reason=…, timeout=…)` | `ws.close_with(code, reason)`; `.close_timeout(d)` |
//! | `ready()` | `ws.state() == State::Open` |
//! | `sock.ping(data)`, `sock.pong(data)` | `ws.ping(data)`, `ws.pong(data)` |
//! | `sock.subprotocol`, `sock.status`, `sock.headers` | `ws.handshake()`: `subprotocol()`, `status()`, `headers()` |
//! | `last_ping_tm`, `last_pong_tm` | `ws.stats().last_round_trip` |
//! | `has_errored` | the `Err` of `run_forever()` or `join()` |
//! | `create_dispatcher()` | no: see `dispatcher` |
//! | – | `ws.try_send`, `ws.send_timeout`, `ws.flush`, `ws.wait_open`, `ws.ping_wait`, `ws.buffered_amount`, `ws.abort`, `ws.reconnect`, `app.every(period, …)` |
//!
//! # `create_connection(...)` and `WebSocket`
//!
//! | Python | here |
//! |---|---|
//! | `create_connection(url)`, `WebSocket().connect(url)` | `WebSocket::connect(url)?` |
//! | – | `builder.canceller()`: another thread ends `connect()` at once |
//! | `create_connection(url, header=…, …)` | `WebSocket::builder(url).header(…)….connect()?`, the same options as above |
//! | `timeout`, `settimeout`, `gettimeout` | `.connect_timeout(d)`, `.send_timeout(d)`, and `recv_timeout(d)` for each `recv` |
//! | `class_` | no: wrap it in a type of your own |
//! | `redirect_limit` | `.max_redirects(3)`; without it a redirect is `Error::Rejected`, which has the `Location` |
//! | `enable_multithread` | always: `ws.sender()` for other threads |
//! | `fire_cont_frame` | `WebSocketApp::on_fragment` |
//! | `send`, `send_text`, `send_bytes`, `send_binary` | `send(data)?`; by name on `ws.sender()` |
//! | `ping`, `pong` | `ws.sender().ping(data)?`, `.pong(data)?` |
//! | `recv()`, `recv_data()` | `recv()?`: an `OwnedMessage`, text or binary |
//! | `recv_data_frame`, `recv_frame`, `send_frame`, `ABNF` | no: messages only; pings and pongs have callbacks |
//! | `for message in ws`, `next(ws)` | `for message in ws`, until the connection ends |
//! | `close(status, reason)`, `send_close(…)` | `close()?`, `close_with(code, reason)?`: gives the `Close` |
//! | `abort()`, `shutdown()` | `ws.sender().abort()`; dropping it closes as well |
//! | `connected` | `ws.sender().state()` |
//! | `getsubprotocol`, `getstatus`, `getheaders` | `ws.handshake()` |
//! | `is_ssl()` | by the URL's scheme |
//! | `fileno()` | no: `WebSocketApp::events` with `select!` |
//! | `set_mask_key()` | no: see `get_mask_key` |
//!
//! # The module
//!
//! | Python | here |
//! |---|---|
//! | `enableTrace(True)` | any logger of the `log` facade: with `env_logger`, `RUST_LOG=websocket_app::wire=trace` for the handshake and every frame, `RUST_LOG=websocket_app=debug` for the rest |
//! | `isEnabledForTrace` and the like, `dump` | the `log` crate's own |
//! | `setdefaulttimeout`, `getdefaulttimeout`, `set_reconnect` | no: nothing is global; see the options above |
//! | `frame_buffer`, `continuous_frame`, `recv_line`, `sock_opt` and what else is not documented | no: its insides |
//! | `STATUS_NORMAL` and the like | `close_code::NORMAL` and the like |
//! | `WebSocketException` | `Error` and `SendError` |
//! | `WebSocketConnectionClosedException` | `on_close`; `Error::Closed`, `Error::Network`; `SendError::NotConnected` |
//! | `WebSocketTimeoutException` | `Error::Timeout`; `Ok(None)` of `recv_timeout`; `SendError::Timeout` |
//! | `WebSocketBadStatusException` | `Error::Rejected`: status, headers, body |
//! | `WebSocketAddressException` | `Error::Network`, `phase: Phase::Resolve` |
//! | `WebSocketProtocolException`, `WebSocketPayloadException` | `Error::Protocol`, `Error::Upgrade` |
//! | `WebSocketProxyException` | `Error::Proxy`: the HTTP status or SOCKS reply, and what to try; `phase: Phase::Proxy` for what the network does |
//! | `ValueError` for a bad URL | `Error::Invalid` |
//! | `wsdump` | the command `wsapp`, in a package of its own, `cli` in the repository |
//!
//! What websocket-client does not have:
//!
//! * Unix sockets by URL: `ws+unix:/path/to.sock:/uri`
//! * the address to connect from: `SocketOptions::bind_address`
//! * a resolver of your own: `.resolver(|host, port, _| …)`
//! * compression: `.compression(Deflate::default())`
//! * messages kept while there is no connection: `.queue_while_disconnected(bytes, max_age)`
//! * old messages dropped for the latest where the server reads too slowly:
//!   `.send_policy(SendPolicy::DropOldest)`
//!
//! ---
//!
//! Next: [Coming from Python: servers](super::_20_from_python_servers). All pages: [the
//! manual](super).
//!
//! [RFC 6455 §10.3]: https://www.rfc-editor.org/rfc/rfc6455#section-10.3
//! [RFC 6455 §4.1]: https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//! [RFC 6455 §8.1]: https://www.rfc-editor.org/rfc/rfc6455#section-8.1
