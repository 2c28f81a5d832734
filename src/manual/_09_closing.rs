//! How a connection ends: the closing handshake, what a close code says, and peers that say
//! nothing.
//!
//! [`Sender::close`] begins the closing handshake (RFC 6455 §7.1.2) with code 1000,
//! [`close_with`](crate::Sender::close_with) with your code and reason; both return at once, from
//! any thread, in any callback, at any time. What is queued goes out first, then the Close frame.
//! Messages that arrive until the peer answers are still delivered. Sends from then on are
//! [`SendError::NotConnected`]. [`abort`](crate::Sender::abort) drops the connection without a
//! word. The peer's Close frame is answered by itself.
//!
//! `on_close` comes within [`close_timeout`](crate::WebSocketApp::close_timeout) (10 s), however
//! dead the peer is. A client waits up to a second for the server to end TCP first (RFC 6455
//! §7.1.1).
//!
//! # What `Close` tells
//!
//! | field | |
//! |---|---|
//! | [`code`](crate::Close::code) | that of the peer's Close frame; 1005 where it had none, 1006 where no Close frame came |
//! | [`reason`](crate::Close::reason) | the peer's words, often empty |
//! | [`clean`](crate::Close::clean) | whether a Close frame went each way |
//! | [`by`](crate::Close::by) | `Us`, `Peer`, or `Lost`: nobody |
//! | [`reconnect_in`](crate::Close::reconnect_in), [`attempt`](crate::Close::attempt) | when the next attempt is, and its number |
//!
//! | code | who | means |
//! |---|---|---|
//! | 1000 | either | done; what `close()` sends |
//! | 1001 | a server that shuts down, a page that is left | going away |
//! | 1002 | what we send to a peer that broke the protocol | |
//! | 1003 | either | a kind of data that it does not take |
//! | 1005, 1006 | never sent | no code; no Close frame |
//! | 1007 | what we send for text that is not UTF-8, or what cannot be inflated | |
//! | 1008 | either; what we send for too many fragments | a policy was broken |
//! | 1009 | what we send for a message beyond [`max_message_size`](crate::WebSocketApp::max_message_size) | |
//! | 1011 | what we send when a callback panicked, or a `message_writer` was dropped | |
//! | 1013 | what our server sends to a client that reads too slowly | try again later |
//! | 3000–4999 | applications | your own; 3000–3999 are registered ones |
//!
//! 1000–1003, 1007–1014 and 3000–4999 may be sent, with a reason of up to 123 bytes (§5.5, §7.4);
//! anything else is [`SendError::InvalidControl`], and nothing is closed. [`close_code`] has names
//! for them.
//!
//! # What is no error
//!
//! The peer's Close frame, with whatever code: look at `close.code` where it matters. And nothing
//! that the peer does after our own `close()`: many servers drop the connection instead of
//! answering; then `clean` is false, and `run_forever` returns `Ok`.
//!
//! # A peer that vanishes
//!
//! A cable that is pulled out sends no packet. The keepalive finds it: a ping every
//! [`ping_interval`](crate::WebSocketApp::ping_interval) (30 s), and the connection is given up
//! [`ping_timeout`](crate::WebSocketApp::ping_timeout) (10 s) later unless *any* byte came in
//! since, so a slow download is no dead peer. Both are on by default. A server that answers pings
//! and says nothing else is left with [`idle_timeout`](crate::WebSocketApp::idle_timeout).
//! [`ping_wait`](crate::Sender::ping_wait) asks now.
//!
//! # What is on its way
//!
//! When a connection is closed or left, what was written to it still goes out, and what the peer
//! has sent and nobody reads any more is read and thrown away, so that a reset does not overtake
//! our last words. A peer that goes on sending all the same is told by a reset, and may then not
//! have read all. Dropping a [`WebSocket`] sends a Close frame and waits for nothing; who has to
//! know that the peer has everything calls [`close`](crate::WebSocket::close), which waits for its
//! answer.
//!
//! # The end of a program
//!
//! [`AppHandle::join`] waits for the end of a run, [`EventLoop::close_all`] closes all apps of a
//! loop within a time, and `server::ServerHandle::shutdown` ends a server in order. Where `main`
//! returns without them, the process ends in the middle of whatever is going on.
//!
//! ---
//!
//! Next: [TLS](super::_10_tls). All pages: [the manual](super).
//!
//! [`AppHandle::join`]: crate::AppHandle::join
//! [`EventLoop::close_all`]: crate::EventLoop::close_all
//! [`SendError::InvalidControl`]: crate::SendError::InvalidControl
//! [`SendError::NotConnected`]: crate::SendError::NotConnected
//! [`Sender::close`]: crate::Sender::close
//! [`WebSocket`]: crate::WebSocket
//! [`close_code`]: crate::close_code
