//! How a connection ends: the closing handshake, what a close code says, and peers that say
//! nothing.
//!
//! [`Sender::close`] begins the closing handshake ([RFC 6455 §7.1.2]): what is queued goes out, then
//! a Close frame with code 1000, which the peer answers with its own. Messages that arrive before
//! that are still delivered; sends from now on are [`SendError::NotConnected`]. It returns at once,
//! from any thread, in any callback, at any time. [`close_with`](crate::Sender::close_with) sends
//! your code and reason, and [`abort`](crate::Sender::abort) drops the connection without a word.
//! When the peer begins, its Close frame is answered by itself.
//!
//! `on_close` comes within [`close_timeout`](crate::WebSocketApp::close_timeout) (10 s), however
//! dead the peer is. It is the server that ends TCP ([§7.1.1]): where it does not, a client does so a
//! second after the Close frames, and `on_close` comes that much later.
//!
//! # What `Close` tells
//!
//! | field | |
//! |---|---|
//! | [`code`](crate::Close::code) | that of the peer's Close frame; 1005 where it had none, 1006 where no Close frame came |
//! | [`reason`](crate::Close::reason) | the peer's words, often empty |
//! | [`clean`](crate::Close::clean) | whether a Close frame went each way |
//! | [`by`](crate::Close::by) | who began: `Us`, with `close()` or because the peer did something wrong; `Peer`; or `Lost`, nobody. Where there was no connection it is `Us` or `Lost`, and what is shown says "not connected" |
//! | [`reconnect_in`](crate::Close::reconnect_in), [`attempt`](crate::Close::attempt) | when the next attempt is, and its number |
//!
//! After a failure of the peer's (1002, 1007, 1008, 1009) or of a callback's (1011) we send that
//! code and do not wait for an answer: here `on_close` has 1006 by `Us`, and what was wrong is in
//! `on_error`. A `Close` printed with `our answer was not sent` means that the peer was gone before
//! it could be.
//!
//! # Codes
//!
//! | code | says | this library sends it | what to do |
//! |---|---|---|---|
//! | 1000 | done | by `close()`, `reconnect()`, and a [`WebSocket`] that is dropped | |
//! | 1001 | I am going away: a server shuts down, a page is left | by a server's `shutdown`, where you give it this code | connect again |
//! | 1002 | you broke the protocol | to a peer that did | find out which of the two is wrong: `on_error` of the side that sent it names the rule |
//! | 1003 | I do not take this kind of data | never | send text instead of binary, or the reverse |
//! | 1005 | nothing: the Close frame had no code | never | |
//! | 1006 | nothing: no Close frame came | never | `on_error` has told why, unless you had closed: then the peer has not answered |
//! | 1007 | your text is not UTF-8, or your compressed data is damaged | to a peer that sent such | send what is no text as binary |
//! | 1008 | you broke a rule of mine | for more fragments than `max_fragments` | ask who runs the server which rule |
//! | 1009 | your message is too long for me | for one beyond the receiver's [`max_message_size`](crate::WebSocketApp::max_message_size): 64 MiB for a client, 1 MiB for a server | send it in parts, or raise the *receiver's* limit |
//! | 1010 | I need an extension that you lack | never | |
//! | 1011 | something in me failed | after a panic in a callback, or where a `message_writer` was dropped; by a server that cannot go on | look at the log of the side that sent it |
//! | 1012 | I restart | never | connect again |
//! | 1013 | try again later | by a server, to a client that reads too slowly | connect again after a while, and read faster |
//! | 1014 | I am a gateway, and the server behind me gave no good answer | never | connect again after a while |
//! | 3000–4999 | what the two programs agree on; 3000–3999 are registered ones | | |
//!
//! 1000–1003, 1007–1014 and 3000–4999 may be sent, with a reason of up to 123 bytes ([§5.5],
//! [§7.4]); anything else is [`SendError::InvalidControl`], and nothing is closed. [`close_code`]
//! has names for those of the table up to 1013.
//!
//! # What is no error
//!
//! The peer's Close frame, whatever its code: `on_close` has it, and `run_forever` returns `Ok`. A
//! program for which 1009 or 4001 is a failure has to look at `close.code`. Nor is anything that the
//! peer does after our own `close()` an error: many servers drop the connection instead of
//! answering; then `clean` is false.
//!
//! # A peer that vanishes
//!
//! A cable that is pulled out sends no packet. So the library sends a ping every
//! [`ping_interval`](crate::WebSocketApp::ping_interval) (30 s), and gives the connection up
//! [`ping_timeout`](crate::WebSocketApp::ping_timeout) (10 s) later unless *any* byte came in
//! since, or went out where none could before: a slow download is no dead peer, nor a slow upload.
//! This is what the manual calls the keepalive; it is on by default. (That of [`SocketOptions`] is
//! TCP's own, and rarely needed beside it.) A server that answers pings and says nothing else is
//! given up by [`idle_timeout`](crate::WebSocketApp::idle_timeout), where that is set.
//! [`ping_wait`](crate::Sender::ping_wait) asks now.
//!
//! # What is on its way
//!
//! What was written before the end still goes out. For that, what the peer is still sending is read
//! and dropped: if it were left unread, TCP would answer with a reset, and a reset can cost the peer
//! what it has not read yet. That lasts a moment only: a peer that does not stop sending is reset
//! then.
//!
//! Dropping a [`WebSocket`] sends a Close frame and waits for nothing. To be sure that the peer has
//! everything, call [`close`](crate::WebSocket::close), which waits for its answer.
//!
//! # The end of a program
//!
//! [`AppHandle::join`] waits for the end of a run, [`EventLoop::close_all`] closes all apps of a
//! loop within a time, and `server::ServerHandle::shutdown` ends a server in order. Where `main`
//! returns without them, the process ends in the middle of whatever is going on; so it does at
//! Ctrl-C and SIGTERM, unless [they are caught](super::_24_questions#how-do-i-stop-on-ctrl-c).
//!
//! ---
//!
//! Next: [TLS](super::_10_tls). All pages: [the manual](super).
//!
//! [RFC 6455 §7.1.2]: https://www.rfc-editor.org/rfc/rfc6455#section-7.1.2
//! [`AppHandle::join`]: crate::AppHandle::join
//! [`EventLoop::close_all`]: crate::EventLoop::close_all
//! [`SendError::InvalidControl`]: crate::SendError::InvalidControl
//! [`SendError::NotConnected`]: crate::SendError::NotConnected
//! [`Sender::close`]: crate::Sender::close
//! [`SocketOptions`]: crate::SocketOptions
//! [`WebSocket`]: crate::WebSocket
//! [`close_code`]: crate::close_code
//! [§5.5]: https://www.rfc-editor.org/rfc/rfc6455#section-5.5
//! [§7.1.1]: https://www.rfc-editor.org/rfc/rfc6455#section-7.1.1
//! [§7.4]: https://www.rfc-editor.org/rfc/rfc6455#section-7.4
