//! A page about servers: it is there with the feature `server`, and on
//! [docs.rs](https://docs.rs/websocket-app/latest/websocket_app/manual/).
//!
//! ---
//!
//! All pages: [the manual](super).
