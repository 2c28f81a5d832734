//! `/echo`: many connections on one thread. Nothing is put together: what has come is sent back, be
//! it half a message.

use std::io::{self, Read, Write};
use std::net;
use std::sync::{Arc, mpsc};
use std::thread;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use super::CHUNK;
use super::frames::Frames;

const WAKER: Token = Token(usize::MAX);

/// Where connections are handed to, from other threads.
#[derive(Clone)]
pub(crate) struct Echoes {
    new: mpsc::Sender<net::TcpStream>,
    waker: Arc<Waker>,
}

impl Echoes {
    pub(crate) fn start() -> Self {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).unwrap());
        let (new, added) = mpsc::channel();
        thread::spawn(move || run(poll, &added).unwrap());
        Echoes { new, waker }
    }

    pub(crate) fn add(&self, stream: net::TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        self.new.send(stream).map_err(io::Error::other)?;
        self.waker.wake()
    }
}

fn run(mut poll: Poll, added: &mpsc::Receiver<net::TcpStream>) -> io::Result<()> {
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; CHUNK];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            if event.token() == WAKER {
                for stream in added.try_iter() {
                    let mut stream = TcpStream::from_std(stream);
                    let place =
                        connections.iter().position(Option::is_none).unwrap_or(connections.len());
                    poll.registry().register(
                        &mut stream,
                        Token(place),
                        Interest::READABLE | Interest::WRITABLE,
                    )?;
                    connections.resize_with(connections.len().max(place + 1), || None);
                    connections[place] = Some(Connection::new(stream));
                }
            } else if let Some(place) = connections.get_mut(event.token().0)
                && let Some(connection) = place
                && connection.echo(&mut buffer).is_err()
            {
                *place = None;
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    frames: Frames,
    /// What is to be written, and how much of it is.
    out: Vec<u8>,
    written: usize,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Connection { stream, frames: Frames::default(), out: Vec::new(), written: 0 }
    }

    /// Reads until there is nothing, and writes what the client takes. The rest waits, however much
    /// it is: there are clients that read nothing before they have sent all. An error is the end.
    fn echo(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        loop {
            self.write()?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                read => self.frames.echo(&buffer[..read?], &mut self.out),
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                written => self.written += written?,
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }
}
