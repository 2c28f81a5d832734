//! A blocking, callback-style WebSocket client.
#![forbid(unsafe_code)]

mod app;
mod client;
mod close;
mod config;
mod connect;
mod connection;
mod deadline;
mod error;
mod event_loop;
mod message;
mod protocol;
mod reconnect;
mod tls;

pub use app::{AppHandle, CallbackResult, Callbacks, Event, EventLoop, WebSocketApp};
pub use client::{WebSocket, WebSocketBuilder};
pub use close::{Close, ClosedBy, close_code};
pub use connect::Handshake;
pub use connection::{Sender, State, Stats};
pub use error::{Error, Headers, InvalidInput, LimitError, Phase, ProtocolError, Rejection, SendError};
pub use event_loop::{CallbackError, Handler};
pub use message::{Fragment, Message, Outgoing, OwnedMessage};
pub use reconnect::{Cause, Reconnect};
pub use tls::TlsConfig;
