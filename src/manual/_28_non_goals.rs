//! What it is not for, and what to use instead.
//!
//! | not | why | instead |
//! |---|---|---|
//! | async, futures | blocking is what it is for; both at once would be two libraries | tokio-tungstenite, fastwebsockets |
//! | WebAssembly in browsers | they have a WebSocket of their own, and no threads that block | `web_sys::WebSocket`, ewebsock |
//! | HTTP/2 and HTTP/3 ([RFC 8441], [RFC 9220]) | they pay where many streams share a connection, which is an HTTP library's | an HTTP library that has them |
//! | an HTTP client or web server | `Answer::http` is for a page and a health check | ureq; any web server in front |
//! | Socket.IO, STOMP, MQTT, WAMP, GraphQL, RPC | protocols above messages | libraries of these names, over a `Sender` |
//! | serialisation | messages are text or bytes | serde and its formats |
//! | messages that survive the process | that is a queue with a disk | a message broker |
//! | exactly once | no library can without the application's word: [what may be lost](super::_08_reconnecting#what-may-be-lost) | numbers and answers in the application |
//! | clusters: broadcasts over several servers | that is a broker's | Redis, NATS; each server publishes what it hears |
//! | rate limits, authentication, sessions | the program's own; `on_request` and callbacks are the place | |
//! | PAC files, NTLM, Kerberos | large, and systems' own | a `connector` |
//! | other extensions than permessage-deflate | none is in use | |
//! | raw frames, unmasked clients, invalid text | [RFC 6455] forbids unmasked clients and invalid text; raw frames are a protocol library's | tungstenite |
//! | `no_std` | it is made of threads and sockets | embedded-websocket |
//!
//! What might still come is in the changelog once it is there, and not before.
//!
//! ---
//!
//! This was the last page: [the manual](super).
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455
//! [RFC 8441]: https://www.rfc-editor.org/rfc/rfc8441
//! [RFC 9220]: https://www.rfc-editor.org/rfc/rfc9220
