//! What takes memory, what bounds each of it, and what is given back when.
//!
//! Nothing that a peer does makes memory grow without a bound, unless the program lets clients name
//! topics: it has to limit those. Once a connection has the buffers that its messages need, nothing
//! is allocated to receive or send one: `tests/memory.rs` counts.
//!
//! | what | how much at most | option |
//! |---|---|---|
//! | an idle connection on a shared [`EventLoop`] | less than 4 KiB of heap, which a test holds; the operating system's socket comes on top | |
//! | an app with a loop of its own (`run_forever`, `spawn`, `events`) | a thread, the operating system's poll, and one buffer of 256 KiB to read into; a [`WebSocket`] the same without the thread | |
//! | what messages are read into | one buffer of 256 KiB for a thread that reads, whatever the number of connections; a server's reads take up to 64 KiB at a time | |
//! | a message that comes in fragments, or is large | its length | [`max_message_size`](crate::WebSocketApp::max_message_size), 64 MiB; a server's 1 MiB |
//! | messages that wait while a callback is busy, or until a server's client has read what it was answered | bytes of messages | [`max_receive_buffer`](crate::WebSocketApp::max_receive_buffer), 16 MiB; a server's 1 MiB for each client |
//! | messages that wait to be sent | bytes with their headers; one longer message alone; [answers](super::_25_questions_of_servers#how-do-i-answer-without-losing-anything) of a server's callbacks to their own client have as much room again, and for one message more | [`max_send_buffer`](crate::WebSocketApp::max_send_buffer), 16 MiB; a server's 1 MiB for each client |
//! | messages that wait for a connection | bytes, with some 60 for each | [`queue_while_disconnected`](crate::WebSocketApp::queue_while_disconnected), off |
//! | compression | 370 KiB to send with the default window, 245 with the smallest; 47 KiB to receive; none of it before the first compressed message | [`Deflate`]; none with `no_context_takeover`, where up to four of the process serve all |
//! | a server's topics | some 200 bytes for each that a client subscribes to, without a limit | the program's |
//! | the head of a response | 64 KiB; of a request to a server 16 KiB, 8 KiB a line, 100 headers | |
//! | cookies that are kept | 200 of up to 4 KiB | [`keep_cookies`](crate::WebSocketApp::keep_cookies), off |
//! | an error's copy of a server's refusal | 64 KiB of its body | |
//!
//! # Large messages without the memory
//!
//! [`on_fragment`](crate::WebSocketApp::on_fragment) gives pieces as they arrive and puts nothing
//! together, [`recv_reader`](crate::WebSocket::recv_reader) is an `io::Read` of a message of any
//! length, and [`message_writer`](crate::Sender::message_writer) an `io::Write`. For these
//! `max_message_size` does not count.
//!
//! # What is given back
//!
//! What a large message made a buffer grow to is given back once it was not needed for a second.
//! Buffers to send from are taken when there is something to send and given back behind it: a
//! connection that is quiet has none. A thread keeps one of up to 144 KiB for its next send, and
//! the process a few more. A large message that is given away (`String`, `Vec<u8>`, `Bytes`) is not
//! copied where it has to wait; a borrowed one is.
//!
//! # Many connections
//!
//! On one [`EventLoop`] they share thread, poll and buffers. The example `many_connections` opens
//! 10,000 and tells what they cost on the machine at hand. Each takes a file descriptor: raise the
//! limit (`ulimit -n`).
//!
//! ---
//!
//! Next: [Security](super::_13_security). All pages: [the manual](super).
//!
//! [`Deflate`]: crate::Deflate
//! [`EventLoop`]: crate::EventLoop
//! [`WebSocket`]: crate::WebSocket
