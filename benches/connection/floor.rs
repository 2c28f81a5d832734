//! The least that many echoing connections on one thread can cost: the system calls, with frames
//! that are ready and nothing looked at. It tells what grows with their number anyway, in the
//! system and its caches.

use std::io::{self, Read, Write};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::clients;
use crate::compare::{Meter, Took};
use crate::server::Server;

/// Masked frames with a payload of this size; the key is zero, the payload as it is.
fn frame(bytes: usize) -> Vec<u8> {
    assert!((126..65536).contains(&bytes));
    [&[0x82, 0x80 | 126], &(bytes as u16).to_be_bytes()[..], &[0; 4], &vec![b'x'; bytes]].concat()
}

struct Connection {
    stream: TcpStream,
    /// How much of the current answer has come.
    come: usize,
    left: usize,
}

/// `each` messages there and back on each connection.
pub(crate) fn echo(server: &Server, connections: usize, each: usize, bytes: usize) -> Took {
    let (frame, answer) = (frame(bytes), bytes + 4);
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(256);
    let mut buffer = vec![0; 256 << 10];
    let mut open: Vec<Connection> = (0..connections)
        .map(|place| {
            let stream = clients::tungstenite(server, "/echo").get_ref().try_clone().unwrap();
            stream.set_nonblocking(true).unwrap();
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(place), Interest::READABLE | Interest::WRITABLE)
                .unwrap();
            Connection { stream, come: 0, left: each }
        })
        .collect();
    let meter = Meter::start();
    open.iter_mut().for_each(|connection| connection.stream.write_all(&frame).unwrap());
    let mut left = connections;
    while left > 0 {
        poll.poll(&mut events, None).unwrap();
        for event in &events {
            let connection = &mut open[event.token().0];
            match connection.stream.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                read => connection.come += read.unwrap(),
            }
            // A short read took all there was.
            if connection.come == answer {
                connection.come = 0;
                connection.left -= 1;
                if connection.left > 0 {
                    connection.stream.write_all(&frame).unwrap();
                } else {
                    left -= 1;
                }
            }
        }
    }
    meter.stop(connections * each)
}
