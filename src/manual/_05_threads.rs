//! Which thread does what, and what a callback that takes long costs: its own app's next message,
//! and nothing else.
//!
//! | | where callbacks run | who reads and answers pings |
//! |---|---|---|
//! | [`run_forever`](crate::WebSocketApp::run_forever) | on the caller's thread | the same, or a stand-in while a callback takes long |
//! | [`spawn`](crate::WebSocketApp::spawn) | on a thread of its own, `websocket-app` | the same |
//! | [`events`](crate::WebSocketApp::events) | there are none: events come through a channel | a thread of its own, `websocket-app` |
//! | [`EventLoop::add`] | on the loop's thread, `websocket-loop`, which may have many apps | the same |
//! | [`WebSocket`] | there are none | whoever is in [`recv`](crate::WebSocket::recv), and only then |
//! | `server::Server` | on as many threads as `threads` says: the caller's with `run_forever`, `websocket-server` with `spawn`, then `websocket-serve2` and so on | the same |
//!
//! Connecting (looking up, TCP, proxy, TLS, upgrade) is done on a short-lived thread beside it, so
//! that `close()` ends that too. A process makes 64 attempts at a time; the others wait for their
//! turn.
//!
//! Beside these, and those that [stand in for slow callbacks](#slow-callbacks)
//! (`websocket-stand-in`) or ask a resolver or connector (`websocket-ask`), the process has two
//! threads at most, whatever the number of apps. The `websocket-watchdog` notices callbacks that
//! take long, and sleeps while none runs. The `websocket-flusher` writes the end of a stream of
//! small messages, and what a callback has sent that then takes its time; it is there while there
//! are such, and a few seconds longer. An idle connection wakes up for its timers alone: nothing is
//! looked for again and again.
//!
//! # Senders
//!
//! A [`Sender`] is a handle to the connection: cheap to clone, `Send + Sync`, with methods that
//! take `&self`. Every callback gets one, and [`WebSocketApp::sender`] and [`AppHandle::sender`]
//! give it to any other thread. It works from before the run, when sending is
//! [`SendError::NotConnected`], to after its end. One thread may send while another waits in
//! `recv`, over TLS too.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use websocket_app::WebSocketApp;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = WebSocketApp::new("wss://echo.example/")
//!     .on_message(|_ws, message| println!("{message}"))
//!     .spawn()?;
//! let ws = app.sender();
//! let worker = std::thread::spawn(move || -> Result<(), websocket_app::SendError> {
//!     ws.wait_open(Duration::from_secs(10))?;
//!     (0..10).try_for_each(|i| ws.send(format!("message {i}")))
//! });
//! worker.join().expect("it does not panic")?;
//! app.close();
//! println!("{}", app.join()?);
//! # Ok(())
//! # }
//! ```
//!
//! # Slow callbacks
//!
//! A callback may sleep, wait for a database, or compute for a minute. The watchdog looks every 20
//! ms, and once it has found a callback busy twice, another thread takes over reading for the loop.
//! That answers pings within 100 ms, goes on with the keepalive, answers a Close frame, and serves
//! other apps on the same [`EventLoop`], their callbacks included. The busy app's own next callback
//! waits until the first has returned, since [they never run at the same
//! time](super::_04_promises). When it returns, its thread goes on where the stand-in is.
//!
//! Meanwhile messages wait in memory, up to
//! [`max_receive_buffer`](crate::WebSocketApp::max_receive_buffer) (16 MiB); then reading pauses,
//! TCP slows the peer down, and of what comes behind, pings too are seen only when the callback has
//! returned. Where callbacks are slow *on average*, hand messages to threads of your own, or take
//! [`events`](crate::WebSocketApp::events) with as many receivers as there is work: the channel is
//! crossbeam's, and its receivers may be cloned.
//!
//! A server has up to 64 callbacks of one of its threads at a time; those of more clients wait,
//! while reading goes on.
//!
//! Some code of the program's runs on the loop's thread without being a callback, and nobody stands
//! in for it: the closure of [`retry_if`](crate::Reconnect::retry_if), a logger, and what a ready-made
//! `rustls::ServerConfig` calls. It should not block.
//!
//! # Waiting within a callback
//!
//! Joining an app, or its event loop, within a callback of that app would wait for itself: it is
//! [`Error::Deadlock`], at once. Sends in a callback do not wait for the peer
//! ([Sending](super::_06_sending#in-a-callback)); [`wait_open`](crate::Sender::wait_open),
//! [`ping_wait`](crate::Sender::ping_wait) and [`flush`](crate::Sender::flush) over the same app do
//! not wait either, and are errors where they would have to.
//!
//! `process::exit` in a callback is allowed. What was sent just before may still be in a queue:
//! `flush` it first.
//!
//! # Forking
//!
//! No connection outlives a `fork`: threads do not come along, and the sockets are shared with the
//! parent. Fork first.
//!
//! ---
//!
//! Next: [Sending, back-pressure and batching](super::_06_sending). All pages: [the manual](super).
//!
//! [`AppHandle::sender`]: crate::AppHandle::sender
//! [`Error::Deadlock`]: crate::Error::Deadlock
//! [`EventLoop`]: crate::EventLoop
//! [`EventLoop::add`]: crate::EventLoop::add
//! [`SendError::NotConnected`]: crate::SendError::NotConnected
//! [`Sender`]: crate::Sender
//! [`WebSocket`]: crate::WebSocket
//! [`WebSocketApp::sender`]: crate::WebSocketApp::sender
