//! RFC 6455 from outside: what a server may send and may not, and what goes over the wire.

/// Ping, pong and Close.
mod control;
/// The limits on what is received.
mod limits;
/// Messages of every size, cut in every way, in both directions.
mod messages;
/// The opening request, and the handshake that a `Sender` tells of.
mod opening;
/// What a server must not do: each is answered with the close code that the RFC asks for.
mod violations;
