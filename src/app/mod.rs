//! What users of the callback style see: [`WebSocketApp`], its closures, its handle, its events,
//! and [`EventLoop`].
//!
//! DialTurns options and callbacks into a session on the event loop. Nothing here runs by itself.

mod callbacks;
mod callee;
mod event_loop;
mod events;
mod handle;
mod handler;
mod owner;
mod plan;
mod returned;
mod session;
mod turns;
mod websocket_app;

// Behind the others, so that rustdoc shows the options behind callbacks and ways to run.
mod options;

pub use callbacks::{Callbacks, RenewalResult};
pub use event_loop::EventLoop;
pub use events::{Event, EventOptions, Events};
pub use handle::AppHandle;
pub use handler::Handler;
pub use returned::ReturnedHandler;
pub use websocket_app::WebSocketApp;
