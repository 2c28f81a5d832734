//! Why it is as it is: the decisions that somebody may want to undo, each with its reason.
//!
//! | decision | reason | what it costs |
//! |---|---|---|
//! | Blocking, threads, no async | programs that are synchronous should stay so; one thread for each loop is enough for thousands of connections | who is async throughout is better off elsewhere |
//! | Callbacks run on the thread that reads | no queue and no switch of threads between the socket and the program | a slow one has to be noticed and stood in for |
//! | A stand-in instead of a thread for each callback | pings, closing and other apps must not wait for the program; threads are made only where one is slow | up to 40 ms until it is noticed |
//! | Sends in a callback never wait for the peer | the thread that would wait is the one that would make room: a deadlock | `QueueFull` where a callback sends more than the queue holds |
//! | Sends elsewhere wait, up to 30 s | back-pressure by itself: who sends too much is slowed down, nothing is lost, memory is bounded | a thread may stand still; `send_policy` and `try_send` are for who must not |
//! | Small messages are written together, without an option | a system call for each is most of the cost; who sends one alone pays nothing for it | one more thread while such a stream lasts |
//! | A Close frame is no error, and what comes after our `close()` is none either | most servers drop the connection; a program that has closed does not care | look at `clean` and `code` where it matters |
//! | `close()` is final | nothing is as hard to stop as a client that comes back | `Sender::reconnect` is another word |
//! | Deadlines and keepalive on by default | what hangs for ever is the bug that users of every such library report | a server that never answers pings needs `ping_interval(None)` |
//! | Any byte counts as life | a pong waits behind a large message on a slow line | a peer whose program hangs but whose library answers is alive: `idle_timeout` |
//! | Reconnecting off by default | a program that ends says so; one that comes back unasked hides faults, and doubles orders | one line |
//! | The time to the next attempt is random, from nothing to the back-off's ("full jitter") | a thousand clients of one server must not come back at once | the first attempt may come at once, or late |
//! | 4xx and bad certificates are not tried again | they do not get better, and servers lock such clients out | `retry_if` where a 401 is renewed |
//! | Nothing is kept while there is no connection | an order that arrives late can do harm | one line |
//! | Borrowed messages | most need no copy and no allocation | `into_owned` to keep one |
//! | No compression by default | it takes memory, time, and tells about secrets | one line |
//! | No redirects by default | they send a client where nobody asked for | one line |
//! | `native-tls` by default | the machine's administrator decides whom it trusts, and updates it | OpenSSL's headers on Linux; `rustls` is a feature |
//! | tungstenite's reading of frame headers, close codes and handshake parts | they are right, and tested by many | a dependency |
//! | Errors sorted by fault, one type | whoever tries again wants to know whose it was | |
//! | `#![forbid(unsafe_code)]` | what it reads comes from strangers | |
//! | A server on the same links and loops | one protocol, one set of tests, for both sides | behind a feature, so that clients do not build it |
//! | Origins are checked by default | a page of any site may open a WebSocket with its visitor's cookies ([RFC 6455 §10.2]) | one line for who serves several sites |
//! | A server hands out no message of a client that [reads its answers late](super::_25_questions_of_servers#how-do-i-answer-without-losing-anything) | what is answered is not lost, memory is bounded, and no thread waits | an app has no such thing: a feed is to be heard whether or not what is sent gets through |
//! | A client that does not read is closed by default | what it would have is a feed with a hole in it, unseen | `slow_clients` |
//! | No option for what can be found out | buffer sizes and batches fit themselves to what happens | |
//!
//! ---
//!
//! Next: [Non-goals](super::_28_non_goals). All pages: [the manual](super).
//!
//! [RFC 6455 §10.2]: https://www.rfc-editor.org/rfc/rfc6455#section-10.2
