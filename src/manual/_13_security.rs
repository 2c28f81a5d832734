//! What is safe by default, what a program has to see to itself, and what the library does not
//! defend against.
//!
//! # The client, by default
//!
//! * Certificates are checked ([TLS](super::_10_tls)); what switches that off has `danger` in its
//!   name, and no redirect takes it along.
//! * Masking keys are unpredictable ([RFC 6455] [§5.3], [§10.3]), from a generator seeded by the
//!   operating system.
//! * A redirect is not followed unless asked for, never from `wss://` to `ws://`, and another
//!   origin gets no credentials.
//! * What a server sends is bounded: messages, fragments, heads, bodies, cookies
//!   ([Memory](super::_12_memory)).
//! * Text is checked to be UTF-8 before a callback sees it ([§8.1]); reserved bits, opcodes and codes
//!   are refused ([§5.2], [§7.4]).
//! * No credential is in the log or in an error: no `Authorization`, no cookie, no user info, no
//!   query of a URL; where a server's refusal repeats one, that is left out
//!   ([Logging](super::_15_logging)). What messages say is logged at level trace only.
//! * `#![forbid(unsafe_code)]`, in this crate; the dependencies have theirs.
//!
//! # The server, by default
//!
//! * It listens where it is told to and nowhere else.
//! * Pages of other sites are refused: where there is an `Origin`, it has to be the `Host` that was
//!   asked for ([§10.2]). WebSockets know no CORS, so without this check any page could use its
//!   visitor's cookies. `allow_origins` lists others.
//! * On a loopback address only names of this machine are answered, so that no page can come in by
//!   a name whose DNS leads here (DNS rebinding). `allow_hosts` adds names.
//! * Handshakes have 10 s, heads 16 KiB, connections a number (10,000), messages 1 MiB, queues 1
//!   MiB for each client. A client that does not read is closed, or misses what has no room; no
//!   callback and no broadcast waits for it.
//! * Frames of clients must be masked ([§5.1]), keys must have 16 bytes, and requests that are wrong
//!   get a status and one line that says why.
//!
//! # What the program has to see to
//!
//! * **Who may come.** `Server::on_request` sees headers, cookies and the client's certificate
//!   before the connection is open: refuse there. `Origin` says which page it is, in browsers only;
//!   it is no proof of who.
//! * **What messages say.** They are input from outside, as any.
//! * **Tokens in URLs.** This library does not log queries; proxies and other servers do. A header
//!   is better, for programs: a page's script cannot set any. For pages take a cookie, or a token in
//!   the first message. [How to ask for a
//!   password](super::_25_questions_of_servers#how-do-i-ask-for-a-password) has the code.
//! * **Behind a reverse proxy** all clients come from its address: limit them there, or take the
//!   header that it sets, from it alone.
//! * **Topics that clients name** take some 200 bytes each: limit how many.
//!
//! # Compression
//!
//! Where secrets and what an attacker chooses are compressed together, the compressed length tells
//! about the secrets (CRIME, BREACH). Compression is off by default. Where it is on,
//! [`client_no_context_takeover`](crate::Deflate::client_no_context_takeover) keeps one message
//! from telling about another, and what is both secret and beside foreign text should not be in one
//! message. What a peer inflates to is bounded by `max_message_size`, as what comes plain is.
//!
//! # What the library does not defend against
//!
//! * A machine whose memory or environment somebody else controls: proxies and roots come from
//!   there.
//! * Servers that are trusted and lie.
//! * Somebody who floods the network itself.
//! * A program whose own callbacks never return: they cost their app, and with a server one of 64
//!   places.
//!
//! How to report a weakness is in `SECURITY.md` in the repository.
//!
//! ---
//!
//! Next: [Errors](super::_14_errors). All pages: [the manual](super).
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455
//! [§10.2]: https://www.rfc-editor.org/rfc/rfc6455#section-10.2
//! [§10.3]: https://www.rfc-editor.org/rfc/rfc6455#section-10.3
//! [§5.1]: https://www.rfc-editor.org/rfc/rfc6455#section-5.1
//! [§5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2
//! [§5.3]: https://www.rfc-editor.org/rfc/rfc6455#section-5.3
//! [§7.4]: https://www.rfc-editor.org/rfc/rfc6455#section-7.4
//! [§8.1]: https://www.rfc-editor.org/rfc/rfc6455#section-8.1
