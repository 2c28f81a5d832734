//! The blocking style of `create_connection`: [`WebSocket`], whose calls connect, send and receive.
//!
//! There is no event loop: whoever calls `recv` reads the socket, answers pings and keeps the
//! deadlines meanwhile.

mod builder;
mod message_reader;
mod options;
mod websocket;

pub use builder::{Canceller, WebSocketBuilder};
pub use message_reader::MessageReader;
pub use websocket::WebSocket;
