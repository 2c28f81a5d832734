//! Every option with its default, and why; a test compares the tables with the code.
//!
//! # `WebSocketApp` and `WebSocket::builder`
//!
//! Each is a chained method of [`WebSocketApp`]. The builder of the blocking [`WebSocket`] has all
//! but those of callbacks, reconnecting and waiting messages.
//!
//! | option | default | what it is, and why |
//! |---|---|---|
//! | `header` | none | |
//! | `subprotocols` | none | |
//! | `origin` | none | only browsers must send one |
//! | `cookie` | none | |
//! | `keep_cookies` | false | a cookie may identify its user |
//! | `host` | the URL's | |
//! | `tls` | the operating system's roots | |
//! | `resolver` | the operating system's | |
//! | `connector` | none | |
//! | `socket` | none | |
//! | `socket_options` | those below | |
//! | `proxy` | the environment's | as other programs of the machine |
//! | `no_proxy` | the environment's | |
//! | `proxy_tls` | the operating system's roots | |
//! | `max_redirects` | 0 | a redirect is an error that has the `Location` |
//! | `connect_timeout` | 10 s | looking up, TCP, proxy, TLS and upgrade together; a server that is up answers within one |
//! | `close_timeout` | 10 s | the closing handshake |
//! | `send_timeout` | 30 s | how long a send waits for room in the queue; in a callback only for apps of other loops |
//! | `ping_interval` | 30 s | how often the peer is pinged: below the 60 s after which proxies commonly give up |
//! | `ping_timeout` | 10 s | how long after a ping the connection is given up, unless any byte came in |
//! | `idle_timeout` | off | how long nothing of a message may come before the connection counts as lost |
//! | `compression` | off | it costs memory and time, and tells about secrets |
//! | `max_message_size` | 64 MiB | a message, all fragments together |
//! | `max_fragments` | 131,072 | fragments of one message, against endless empty ones |
//! | `max_send_buffer` | 16 MiB | bytes that wait to be sent |
//! | `max_receive_buffer` | 16 MiB | bytes of messages that wait while a callback is busy; then reading pauses |
//! | `busy_poll` | zero | it sleeps at once, but for up to 50 µs in the middle of a flood |
//! | `on_reconnect` | what `on_open` does | |
//! | `on_error` | a line in the log | level error |
//! | `reconnect` | off | as in Python: the run ends with the connection |
//! | `queue_while_disconnected` | off | orders that arrive late can do harm |
//! | `send_policy` | Wait | nothing is lost, and who sends too much is slowed down |
//! | `url_with` | the URL | |
//! | `headers_with` | none | |
//! | `subprotocols_with` | those of `subprotocols` | |
//!
//! # `Reconnect`
//!
//! | option | default | what it is, and why |
//! |---|---|---|
//! | `max_attempts` | no limit | attempts in a row without a lasting connection |
//! | `reset_after` | 60 s | a connection of that length is lasting: a server that accepts and closes at once is not stormed |
//! | `retry_if` | `Cause::is_temporary` | what cannot get better is not tried again |
//!
//! # `Deflate`
//!
//! | option | default | what it is, and why |
//! |---|---|---|
//! | `server_no_context_takeover` | false | |
//! | `client_no_context_takeover` | false | |
//! | `server_max_window_bits` | any | up to 15 |
//! | `client_max_window_bits` | any | up to 15; the server may ask for less |
//! | `level` | 1 | most of the gain for a fraction of the time |
//! | `min_size` | 1 KiB | what is shorter fits into one packet anyway |
//!
//! # `TlsConfig`
//!
//! | option | default | what it is, and why |
//! |---|---|---|
//! | `root_certificate` | none | |
//! | `root_certificate_file` | none | |
//! | `only_these_roots` | false | the operating system's roots too |
//! | `identity_pkcs12` | none | |
//! | `identity_pem` | none | |
//! | `identity_pem_files` | none | |
//! | `server_name` | the URL's host | |
//! | `danger_accept_invalid_certs` | false | |
//! | `danger_accept_invalid_hostnames` | false | |
//! | `pin` | none | any trusted certificate will do |
//! | `min_version` | TLSv1.2 | those before it are retired ([RFC 8996]) |
//! | `bundled_roots` | false | an operating system takes roots back that prove bad, and a program does not |
//! | `key_log_file` | none | who has it can read what was said |
//! | `backend` | native-tls where it is there | else rustls; rustls for what only it has |
//! | `native_tls` | none | feature `native-tls` |
//! | `rustls` | none | feature `rustls` |
//!
//! # `SocketOptions`
//!
//! | option | default | what it is, and why |
//! |---|---|---|
//! | `nodelay` | true | messages are written whole, so waiting could only delay them |
//! | `keepalive` | off | `ping_interval` asks the server itself, through every proxy |
//! | `keepalive_interval` | the system's | |
//! | `keepalive_retries` | the system's | |
//! | `send_buffer_size` | the system's | most adapt to the connection |
//! | `receive_buffer_size` | the system's | most adapt to the connection |
//! | `bind_address` | any | |
//! | `bind_interface` | any | |
//! | `tos` | 0 | |
//!
//! # `EventOptions` and `EventLoop`
//!
//! | option | default | what it is, and why |
//! |---|---|---|
//! | `fragments` | false | messages come whole |
//! | `wake_with` | none | |
//! | `max_connecting` | 64 | attempts at a time, of all apps in the process that are on no loop with a limit of its own |
//!
//! # `Server`
//!
//! | option | default | what it is, and why |
//! |---|---|---|
//! | `handlers` | none | the closures are called |
//! | `on_request` | every request for a WebSocket is accepted | on any path |
//! | `on_error` | a line in the log | level debug: clients come and go as they please |
//! | `threads` | 1 | a thread serves tens of thousands that are mostly idle |
//! | `tls` | none | |
//! | `subprotocols` | none | |
//! | `allow_origins` | none | the `Origin` has to be the `Host`, or to be missing |
//! | `allow_any_origin` | off | |
//! | `allow_hosts` | none | on a loopback address, beside the names of this machine |
//! | `compression` | off | |
//! | `max_connections` | 10,000 | handshakes included; more are answered with 503, over TLS dropped |
//! | `max_connections_per_address` | off | behind a proxy all come from one |
//! | `handshake_timeout` | 10 s | from accepting to the answer, TLS included |
//! | `slow_clients` | Close | what a client has is never a feed with a hole in it |
//! | `max_send_buffer` | 1 MiB | for each client |
//! | `max_receive_buffer` | 1 MiB | for each client |
//! | `max_message_size` | 1 MiB | also after inflating |
//! | `max_fragments` | 16,384 | |
//! | `send_timeout` | 30 s | on an ordinary thread |
//! | `close_timeout` | 10 s | |
//! | `ping_interval` | 30 s | up to a tenth sooner, so that not all are pinged at once |
//! | `ping_timeout` | 10 s | |
//! | `idle_timeout` | off | |
//!
//! # `ServerTls`
//!
//! | option | default | what it is, and why |
//! |---|---|---|
//! | `min_version` | TLSv1.2 | |
//! | `backend` | native-tls where it is there | else rustls; rustls where clients are asked for certificates |
//! | `client_roots` | none | clients are asked for nothing |
//! | `client_certificate_optional` | false | |
//!
//! # Limits that are no options
//!
//! | what | limit |
//! |---|---|
//! | a URL | 8 KiB |
//! | the head of a response; its body, in an error | 64 KiB each |
//! | a request to a server | 16 KiB, 8 KiB a line, 100 headers |
//! | a `Retry-After` that is waited for | an hour |
//! | the payload of a ping or pong; the reason of a Close frame | 125 and 123 bytes ([RFC 6455 §5.5]) |
//! | resolvers and connectors of one app that hang | 8, then its attempts fail at once |
//! | callbacks of one of a server's threads at a time | 64 |
//!
//! ---
//!
//! Next: [Features and systems](super::_18_features). All pages: [the manual](super).
//!
//! [RFC 6455 §5.5]: https://www.rfc-editor.org/rfc/rfc6455#section-5.5
//! [RFC 8996]: https://www.rfc-editor.org/rfc/rfc8996
//! [`WebSocket`]: crate::WebSocket
//! [`WebSocketApp`]: crate::WebSocketApp
