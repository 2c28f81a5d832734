//! How what is sent gets to a socket, in streams and in large messages, where no loop does anything
//! but what the tests do.

#[cfg(feature = "deflate")]
mod compressing;
mod flushing;
mod fragments;
mod gathering;
mod room;
mod serving;
mod streams;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{OnceLock, mpsc};
use std::thread;

use bytes::Bytes;
use mio::Token;

use super::inner::{FlushTarget, Flushed};
use super::*;
use crate::link::writer::{Chunk, Fragmented, Tail, Wire, Writer, Writing};
use crate::link::{Gather, LoopWaker, Place, Woken};
use crate::protocol::send::MAX_COPIED;
use crate::sync::{Poll, Waker};
use crate::transport::{Socket, Stream, Transport};

const US: Token = Token(7);

/// An open connection, what its reading thread would look at, and the peer's end.
struct Connection {
    shared: Arc<Shared>,
    wire: Arc<Wire>,
    waker: Arc<LoopWaker>,
    peer: TcpStream,
    _poll: Poll,
}

impl Connection {
    fn new(max_buffer: usize) -> Self {
        Connection::with(max_buffer, None, false)
    }

    /// One that has no loop.
    fn driven_by_caller(max_buffer: usize) -> Self {
        Connection::with(max_buffer, None, true)
    }

    /// One that compresses all that is sent.
    #[cfg(feature = "deflate")]
    fn compressing() -> Self {
        let agreed = crate::Deflate::default().agree("permessage-deflate").unwrap();
        let contexts = crate::link::supplies::contexts;
        let deflater = Deflater::new(agreed, Role::Client, contexts).map(|it| (it, 0));
        Connection::with(usize::MAX, deflater, false)
    }

    fn with(max_buffer: usize, compressor: Option<(Deflater, usize)>, by_caller: bool) -> Self {
        Connection::over(Role::Client, Socket::from, max_buffer, compressor, by_caller)
    }

    /// One of a server's client, on which other threads are at it, or will not be.
    fn serving(max_buffer: usize, writing: Writing) -> Self {
        let connection = Connection::over(Role::Server, Socket::from, max_buffer, None, false);
        connection.shared.lock().writer.as_mut().unwrap().writing = writing;
        connection
    }

    /// Sends so many bytes as the client's own callback does.
    fn answer(&self, bytes: usize) -> Result<(), SendError> {
        let (its_loop, of) = (self.waker.address(), Arc::as_ptr(&self.shared).addr());
        let _scope = CallbackScope::enter_callback(its_loop, of);
        self.shared.send(Outgoing::from(&vec![7; bytes][..]), Wait::Default)
    }

    fn over(
        role: Role,
        socket: impl FnOnce(TcpStream) -> Socket,
        max_buffer: usize,
        compressor: Option<(Deflater, usize)>,
        by_caller: bool,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        ours.set_nonblocking(true).unwrap();
        let (peer, _) = listener.accept().unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let poll = Poll::new().unwrap();
        let waker = Arc::new(LoopWaker::new(Waker::new(poll.registry(), Token(0)).unwrap()));
        let shared = Arc::new(Shared::new(role));
        shared.limit(max_buffer, Duration::from_secs(20));
        shared.attach(&Place { waker: Arc::clone(&waker), token: US });
        let wire = Arc::new(Wire::new(Stream::plain(socket(ours))));
        let mut guard = shared.lock();
        guard.writer = Some(Writer::new(role, Arc::clone(&wire), compressor, by_caller));
        guard.state = State::Open;
        drop(guard);
        Connection { shared, wire, waker, peer, _poll: poll }
    }

    /// Sends a message of 100 bytes, 106 on the wire, as if many had gone before it without a
    /// pause.
    fn send_in_a_stream(&self) -> Result<(), SendError> {
        self.shared.lock().writer.as_mut().unwrap().coalescer.make_stream();
        self.shared.send(Outgoing::from(&[7; 100][..]), Wait::Never)
    }

    fn who_rang(&self) -> Vec<Token> {
        let mut woken = Woken::default();
        self.waker.drain(&mut woken);
        woken.tokens
    }

    /// Reads a message of so many bytes, and what was sent behind it, which is nothing.
    fn read_message(&mut self, len: usize) -> Vec<u8> {
        let header_len = if self.shared.role == Role::Client { 14 } else { 10 };
        let mut header = vec![0; header_len];
        self.peer.read_exact(&mut header).unwrap();
        let mut message = vec![0; len];
        self.peer.read_exact(&mut message).unwrap();
        for (i, byte) in message.iter_mut().enumerate() {
            *byte ^= header[10..].get(i % 4).unwrap_or(&0);
        }
        self.is_read(0);
        message
    }

    fn is_read(&mut self, bytes: usize) {
        self.peer.read_exact(&mut vec![0; bytes]).unwrap();
        self.peer.set_nonblocking(true).unwrap();
        assert_eq!(self.peer.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        self.peer.set_nonblocking(false).unwrap();
    }
}

/// Sends, on a thread of its own, what there is no room for, where no loop does anything. Returns
/// where the result comes when that thread waits for the socket.
fn wait_for_the_socket(
    shared: &Arc<Shared>,
    message: Vec<u8>,
) -> mpsc::Receiver<Result<(), SendError>> {
    let (theirs, (tell, told)) = (Arc::clone(shared), mpsc::channel());
    std::thread::spawn(move || tell.send(theirs.send((&message[..]).into(), Wait::Default)));
    while !shared.lock().writer.as_ref().unwrap().is_room_awaited() {
        assert!(told.try_recv().is_err(), "it did not wait");
        std::thread::yield_now();
    }
    told
}

/// Sends what the socket takes, and not much more.
fn fill_the_socket(shared: &Arc<Shared>) {
    while !matches!(shared.lock().writer.as_ref().unwrap().writing, Writing::Full) {
        shared.send(Outgoing::from(&[7; 1000][..]), Wait::Never).unwrap();
    }
}

/// Sends, on a thread of its own, what has to wait for room. Returns where the result comes.
fn wait_for_room(shared: &Arc<Shared>, message: Vec<u8>) -> mpsc::Receiver<Result<(), SendError>> {
    let (theirs, (tell, told)) = (Arc::clone(shared), mpsc::channel());
    thread::spawn(move || tell.send(theirs.send((&message[..]).into(), Wait::Default)));
    while shared.lock().waiting_threads == 0 {
        assert!(told.try_recv().is_err(), "it did not wait");
        thread::yield_now();
    }
    told
}

/// Queues a frame that no thread writes. Returns what a flush would wait for then.
fn queue(guard: &mut Lock<'_>, head: Head, len: usize) -> FlushTarget {
    let payload = vec![7; len];
    guard.writer.as_mut().unwrap().queue(head, &Payload::Borrowed(&payload), None, 0, false);
    guard.flush_target()
}

/// Returns the first byte of the first frame's payload, and how long the frame is, once it is
/// there.
fn first_frame(bytes: &[u8]) -> Option<(u8, usize)> {
    let mut cursor = std::io::Cursor::new(bytes);
    let (header, len) = tungstenite::protocol::frame::FrameHeader::parse(&mut cursor).unwrap()?;
    let begin = cursor.position() as usize;
    let frame = bytes.get(..begin + len as usize)?;
    Some((frame[begin] ^ header.mask?[0], frame.len()))
}

/// Tries until it was so: a processor may be taken away at the wrong moment.
fn at_last(try_it: impl FnMut(i32) -> bool) {
    assert!((0..1000).any(try_it));
}

fn full(limit: usize) -> SendError {
    SendError::QueueFull { message: None, limit }
}
