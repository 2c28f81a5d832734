//! What `send` does, when it waits, what it drops, and why small messages need no batching by hand.
//!
//! [`Sender::send`] takes anything that is text or binary by its type: `&str`, `String`, `&[u8]`,
//! `Vec<u8>`, `Bytes`, `Arc<[u8]>`, [`Message`], [`OwnedMessage`]. One thread's messages stay in
//! their order. `Ok` means that the message is written or queued, not that it has arrived;
//! [`flush`](crate::Sender::flush) waits until the operating system has all of it. Only an answer
//! of the server's says that it has read it.
//!
//! A lone message is written by the thread that sends it, at once, in one system call. Each is one
//! frame, however long; a large one is masked ([RFC 6455 §5.3]) and written 1 MiB at a time. What
//! the socket has no room for is written by the thread that reads.
//!
//! # Back-pressure
//!
//! The queue is bounded in bytes ([`max_send_buffer`](crate::WebSocketApp::max_send_buffer), 16
//! MiB). A message longer than that still goes when nothing else waits. Where the peer reads too
//! slowly:
//!
//! | call | waits for room | then |
//! |---|---|---|
//! | `send` | for [`send_timeout`](crate::WebSocketApp::send_timeout), 30 s | [`SendError::Timeout`] |
//! | `send_timeout(message, d)` | for `d` | [`SendError::Timeout`] |
//! | `try_send`; any send within a callback of this app, or of another on its loop | not for the peer; up to 10 ms for a thread that is just writing | [`SendError::QueueFull`] |
//!
//! Threads that wait get room in the order in which they came, whatever each has to send. While
//! they wait, later sends that find room may still go first: as many bytes, in all, as the queue
//! may hold. After that, later sends wait behind them too, or are `QueueFull` where they must not
//! wait, until the first of them has had its turn.
//! [`buffered_amount`](crate::Sender::buffered_amount) tells how many bytes wait.
//!
//! With another [`send_policy`](crate::WebSocketApp::send_policy) `send` does not wait:
//!
//! | [`SendPolicy`] | for | what is lost |
//! |---|---|---|
//! | `Wait`, the default | what must arrive: who sends too much is slowed down | nothing |
//! | `Fail` | programs that decide themselves | nothing unseen: `QueueFull` hands the message back |
//! | `DropOldest` | displays and meters, for whom the latest is what counts | the oldest that wait; [`Stats::messages_dropped`] counts them |
//!
//! # In a callback
//!
//! A callback of the app runs on the thread that would make room, or keeps it from doing so: its
//! sends never wait for the peer. Where it sends more than the queue holds, it gets `QueueFull` and
//! may go on later, from [`every`](crate::WebSocketApp::every) or from a thread. A server's
//! callbacks wait for none of its clients either: [how answers are not
//! lost](super::_25_questions_of_servers#how-do-i-answer-without-losing-anything).
//!
//! A callback waits for apps on *other* loops as an ordinary thread does, so that a bridge between
//! two servers loses nothing. (Each app of `run_forever`, `spawn` and `events` has a loop of its own,
//! each [`EventLoop`] is one, and a [`WebSocket`] has none.) Its own app is called back no
//! further meanwhile; the connections of its loop live on, for another thread stands in, one for
//! each callback that waits. Of two apps whose callbacks send to each other, where neither peer
//! reads, both wait until their time is over, and no longer. Where a callback itself calls
//! `run_forever`, sends in the callbacks of that app never wait: what they waited for could be of the
//! loop around it.
//!
//! # Batching
//!
//! There is nothing to do. Where a thread sends one message after the other with little more than a
//! microsecond between them, from the ninth on they are only appended, and written together. The
//! sender writes when a piece is full; a thread that the process has for it, `websocket-flusher`,
//! writes when the stream pauses. Its system calls make the batches; nothing waits for a timer. Where
//! messages come together often, what callbacks answer to them goes out together too: with the
//! answer to the last, or after some 50 µs; where the callback takes its time, within some
//! milliseconds. So a stream of 64 bytes is some hundred times as fast as with a system call each
//! ([Performance](super::_16_performance)), and a lone message is never held back.
//! [`flush`](crate::Sender::flush) has everything written at once.
//!
//! # Large messages
//!
//! A message that is not in memory is written into what
//! [`message_writer`](crate::Sender::message_writer) returns, an `io::Write`, and goes out in
//! fragments of 32 KiB ([RFC 6455 §5.4]). Control frames go between them, no other message does:
//! sends wait for its end as for room, and then are [`SendError::Busy`]. To receive one, there are
//! [`on_fragment`](crate::WebSocketApp::on_fragment), with which nothing is put together, and in
//! the blocking style [`recv_reader`](crate::WebSocket::recv_reader).
//!
//! # Compression
//!
//! [`compression`](crate::WebSocketApp::compression) offers permessage-deflate ([RFC 7692]); messages
//! from 1 KiB on are compressed where the server agrees. It costs processor time and, with the
//! defaults, some 370 KiB for a connection that sends and 47 KiB for one that receives ([`Deflate`]
//! says how to have less). It is off unless asked for, also since a compressed length tells about
//! what was compressed: [Security](super::_13_security#compression).
//!
//! # Without a connection
//!
//! A send is [`SendError::NotConnected`]:
//!
//! ```no_run
//! # fn send(ws: &websocket_app::Sender) {
//! use websocket_app::{SendError, State};
//!
//! match ws.send("price?") {
//!     Err(SendError::NotConnected { .. }) if ws.state() == State::Closed => println!("it is over"),
//!     Err(SendError::NotConnected { .. }) => println!("not now"),
//!     Err(error) => println!("{error}"),
//!     Ok(()) => {}
//! }
//! # }
//! ```
//!
//! The error hands a message back that was given away
//! ([`into_message`](crate::SendError::into_message)), and within a callback `?` passes it to
//! `on_error`. With [`queue_while_disconnected`](crate::WebSocketApp::queue_while_disconnected) it
//! waits for the next connection instead: [Reconnecting](super::_08_reconnecting).
//! [`wait_open`](crate::Sender::wait_open) waits until there is a connection.
//!
//! ---
//!
//! Next: [Connecting](super::_07_connecting). All pages: [the manual](super).
//!
//! [RFC 6455 §5.3]: https://www.rfc-editor.org/rfc/rfc6455#section-5.3
//! [RFC 6455 §5.4]: https://www.rfc-editor.org/rfc/rfc6455#section-5.4
//! [RFC 7692]: https://www.rfc-editor.org/rfc/rfc7692
//! [`Deflate`]: crate::Deflate
//! [`EventLoop`]: crate::EventLoop
//! [`Message`]: crate::Message
//! [`OwnedMessage`]: crate::OwnedMessage
//! [`SendError::Busy`]: crate::SendError::Busy
//! [`SendError::NotConnected`]: crate::SendError::NotConnected
//! [`SendError::QueueFull`]: crate::SendError::QueueFull
//! [`SendError::Timeout`]: crate::SendError::Timeout
//! [`SendPolicy`]: crate::SendPolicy
//! [`Sender::send`]: crate::Sender::send
//! [`Stats::messages_dropped`]: crate::Stats::messages_dropped
//! [`WebSocket`]: crate::WebSocket
