//! Sockets made of any stream that reads and writes and has a descriptor.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use websocket_app::ClosedBy::Us;
use websocket_app::{Sender, Socket, WebSocketApp};

use super::transport::{NOWHERE, long_echo, long_messages_go_both_ways};
use super::{echo, talks};
use crate::connection::Connection;
use crate::failure::{Ending, clean, ending, unanswered};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::running::run;
use crate::watchdog::Gate;

/// A stream that has std's traits only, and wants to be alone with whoever uses it.
struct Plain {
    tcp: TcpStream,
    /// It takes so many bytes at a time at most.
    few: usize,
}

impl Plain {
    fn to(peer: SocketAddr) -> io::Result<Self> {
        Ok(Plain { tcp: TcpStream::connect(peer)?, few: 300 })
    }
}

impl Read for Plain {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.tcp.read(buf)
    }
}

impl Write for Plain {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.tcp.write(&buf[..buf.len().min(self.few)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

impl AsFd for Plain {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

#[test]
fn any_stream_that_reads_and_writes_is_made_one() {
    let peer = Peer::start(|listener| (0..2).for_each(|_| echo(listener)));
    let addr = peer.addr();
    talks(
        WebSocketApp::new(NOWHERE).socket(Socket::from_stream(Plain::to(addr).unwrap()).unwrap()),
    );
    talks(
        WebSocketApp::new(NOWHERE).connector(move |_, _, _| Socket::from_stream(Plain::to(addr)?)),
    );
}

/// While one thread reads, others send.
#[test]
fn long_messages_go_both_ways_over_one_that_is_made_so() {
    let peer = Peer::start(long_echo);
    long_messages_go_both_ways(
        peer.app().socket(Socket::from_stream(Plain::to(peer.addr()).unwrap()).unwrap()),
    );
}

/// The peer is told at once, although another number for the socket is still open.
#[test]
fn its_peer_sees_an_abort() {
    let ending = its_peer_sees(Connection::expect_end, |ws| ws.abort());
    assert_eq!(ending, unanswered());
}

#[test]
fn its_peer_sees_the_end_behind_a_close() {
    let answers = |mut client: Connection| {
        client.expect(Frame::close(1000, ""));
        client.send(Frame::close(1000, ""));
        client.expect_end();
    };
    let ending = its_peer_sees(answers, |ws| ws.close());
    assert_eq!(ending, clean(Us, 1000, ""));
}

/// Ends an app's connection in this way, and waits until the peer has seen it so.
fn its_peer_sees(
    script: impl FnOnce(Connection) + Send + 'static,
    end: impl FnOnce(&Sender),
) -> Ending {
    let seen = Gate::new();
    let peer = Peer::start({
        let seen = seen.clone();
        move |listener| {
            script(listener.open());
            seen.open();
        }
    });
    let stream = Plain::to(peer.addr()).unwrap();
    let another_number = stream.tcp.try_clone().unwrap();
    let app = run(peer.app().socket(Socket::from_stream(stream).unwrap()));
    app.expect_open();
    end(&app.sender);
    let ending = ending(&app.close());
    app.end_in_order();
    seen.wait();
    drop(another_number);
    ending
}
