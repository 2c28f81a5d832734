//! The server behind the proxy: it is fine itself. Says welcome, echoes text, takes binary, answers
//! pings and Close, as often as it is connected to; and, if told to, has the fault struck at a
//! moment of the first connection.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use websocket_app::TlsBackend;

use super::proxy::Order;
use crate::connection::Connection;
use crate::frame::{CLOSE, Frame, PING, PONG, TEXT};
use crate::peer::{Listener, Peer};

/// Where in a connection's life a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// The app has begun to talk: by TLS, or with its request.
    FirstByte,
    /// The server's answer by TLS is half there.
    MidHandshake,
    /// The request is read.
    Request,
    /// Half of the response head is there.
    MidResponse,
    /// The connection is open.
    Open,
    /// Half of a frame is there.
    MidFrame,
    /// One of two fragments is there.
    MidMessage,
    /// Half of the server's Close frame is there.
    MidClose,
    /// The app is in the middle of a long message.
    MidUpload,
    /// The app has closed.
    Closing,
    /// The app has closed and was answered.
    Closed,
}

impl Moment {
    pub(super) const ALL: [Moment; 11] = [
        Moment::FirstByte,
        Moment::MidHandshake,
        Moment::Request,
        Moment::MidResponse,
        Moment::Open,
        Moment::MidFrame,
        Moment::MidMessage,
        Moment::MidClose,
        Moment::MidUpload,
        Moment::Closing,
        Moment::Closed,
    ];
}

/// Whether the server is to speak TLS, and which library does it for the client.
pub(super) type Scheme = Option<TlsBackend>;

pub(super) const SCHEMES: &[Scheme] = &[
    None,
    #[cfg(feature = "native-tls")]
    Some(TlsBackend::NativeTls),
    #[cfg(feature = "rustls")]
    Some(TlsBackend::Rustls),
];

/// What the server says first.
pub(super) const WELCOME: &str = "welcome";

/// What the server says by itself in [`Moment::MidFrame`] and [`Moment::MidMessage`].
pub(super) const NEWS: &str = "something new";

/// Has the server close.
pub(super) const PLEASE_CLOSE: &str = "please close";

/// A longer text is echoed in fragments.
const WHOLE: usize = 1000;

pub(super) struct Server {
    pub(super) peer: Peer,
    met: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl Server {
    /// Starts a server that has the order carried out at this moment of its first connection.
    pub(super) fn start(scheme: Scheme, mut moment: Option<(Moment, Order)>) -> Self {
        let (met, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (has_met, ends) = (Arc::clone(&met), Arc::clone(&over));
        let script = move |listener: &Listener| {
            while !ends.load(Ordering::SeqCst) {
                // A client that goes away, whenever it does, is nothing to the server.
                let _gone = match moment.take() {
                    Some((moment, order)) => meet(listener, moment, &order, &has_met),
                    None => listener.try_open().and_then(|client| serve(client, |_| ())),
                };
            }
        };
        let peer = match scheme {
            None => Peer::start(script),
            Some(backend) => Peer::start_tls(backend, script),
        };
        Server { peer, met, over }
    }

    /// Whether the first connection came as far as to its moment. The port may have been another's
    /// before, whose client, in whatever process, comes back.
    pub(super) fn has_met(&self) -> bool {
        self.met.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // What it waits for.
        drop(TcpStream::connect(self.peer.addr()));
    }
}

/// Goes on from the moment as if nothing had happened. `None` when the client has gone.
fn meet(listener: &Listener, moment: Moment, order: &Order, met: &AtomicBool) -> Option<()> {
    if matches!(moment, Moment::Request | Moment::MidResponse) {
        let mut client = listener.try_accept()?;
        client.try_read_request().ok()?;
        met.store(true, Ordering::SeqCst);
        let answer = client.acceptance("").into_bytes();
        let half = if moment == Moment::Request { 0 } else { answer.len() / 2 };
        in_two(&mut client, &answer, half, order)?;
        return serve(client, |_| ());
    }
    let mut client = listener.try_open()?;
    met.store(true, Ordering::SeqCst);
    match moment {
        Moment::Open => order.strike(),
        Moment::MidFrame => in_two(&mut client, &Frame::text(NEWS).encode(), 5, order)?,
        Moment::MidMessage => {
            let first = Frame::text(&NEWS[..3]).unfinished().encode();
            let second = Frame::continuation(&NEWS[3..]).encode();
            in_two(&mut client, &[first.clone(), second].concat(), first.len(), order)?;
        }
        Moment::MidClose => in_two(&mut client, &Frame::close(1001, "restart").encode(), 3, order)?,
        Moment::Closing => {
            return serve(client, |before| {
                if before {
                    order.strike();
                }
            });
        }
        Moment::Closed => {
            return serve(client, |before| {
                if !before {
                    order.strike();
                }
            });
        }
        // The proxy's own; what is uploaded comes first, but for a ping on a busy machine.
        Moment::MidUpload => loop {
            match client.try_read_frame().ok()? {
                ping if ping.opcode == PING => {
                    client.try_write(Frame::pong(ping.payload).encode()).ok()?
                }
                _upload => break,
            }
        },
        Moment::FirstByte | Moment::MidHandshake | Moment::Request | Moment::MidResponse => {}
    }
    serve(client, |_| ())
}

/// Writes some bytes, with the fault after so many of them.
fn in_two(client: &mut Connection, bytes: &[u8], half: usize, order: &Order) -> Option<()> {
    client.try_write(&bytes[..half]).ok()?;
    order.strike();
    client.try_write(&bytes[half..]).ok()
}

/// Welcomes the client and answers everything. `closing` is called before the client's Close is
/// answered, with true, and after it.
fn serve(mut client: Connection, closing: impl Fn(bool)) -> Option<()> {
    client.try_write(Frame::text(WELCOME).encode()).ok()?;
    let mut has_closed = false;
    loop {
        let frame = client.try_read_frame().ok()?;
        match frame.opcode {
            PING => client.try_write(Frame::new(PONG, frame.payload).encode()).ok()?,
            TEXT if frame.payload == PLEASE_CLOSE.as_bytes() => {
                has_closed = true;
                client.try_write(Frame::close(1001, "as you please").encode()).ok()?;
            }
            TEXT if !has_closed => client.try_write(echo(frame.payload)).ok()?,
            CLOSE if has_closed => return Some(()),
            CLOSE => {
                closing(true);
                client.try_write(frame.encode()).ok()?;
                closing(false);
                return Some(());
            }
            _ => {}
        }
    }
}

/// A long text comes back in pieces, with a ping between them.
fn echo(text: Vec<u8>) -> Vec<u8> {
    if text.len() <= WHOLE {
        return Frame::text(text).encode();
    }
    let (first, rest) = text.split_at(text.len() / 3);
    let (second, third) = rest.split_at(rest.len() / 2);
    let frames = [
        Frame::text(first).unfinished(),
        Frame::ping("between"),
        Frame::continuation(second).unfinished(),
        Frame::continuation(third),
    ];
    frames.iter().flat_map(Frame::encode).collect()
}
