//! The server: this program in a process of its own. It knows just enough of the protocol, and
//! takes as little time as it can:
//!
//! * `/echo` sends back what comes, as it comes. All of these are on one thread, for there may be a
//!   thousand.
//! * `/flood/COUNT/SIZE` waits for a message and then sends so many.
//! * `/sink/COUNT` sends one message when so many have come.

mod echo;
mod frames;

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{self, Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tungstenite::handshake::derive_accept_key;

use self::echo::Echoes;
use self::frames::Frames;

/// What this program is started with to be the server.
pub(crate) const ARGUMENT: &str = "--serve";

/// What is read or written at once.
const CHUNK: usize = 256 << 10;

/// The other process.
pub(crate) struct Server {
    process: Child,
    address: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        let mut process =
            command.arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Server { process, address: address.trim().to_owned() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends when its input does.
        drop(self.process.stdin.take());
        let _however = self.process.wait();
    }
}

/// Serves until standard input ends, which it does when the process that started this one ends, in
/// whatever way.
pub(crate) fn serve() {
    let _as_far_as_allowed = rlimit::increase_nofile_limit(u64::MAX);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    thread::spawn(|| {
        let _however = io::stdin().read_to_end(&mut Vec::new());
        process::exit(0);
    });
    let echoes = Echoes::start();
    for stream in listener.incoming() {
        let echoes = echoes.clone();
        // A client that fails in the middle is no concern of the others.
        thread::spawn(move || stream.and_then(|stream| client(stream, &echoes)));
    }
}

fn client(mut stream: TcpStream, echoes: &Echoes) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let path = upgrade(&mut stream)?;
    let number = |text: &str| text.parse().map_err(io::Error::other);
    match path.split('/').skip(1).collect::<Vec<_>>()[..] {
        ["echo"] => echoes.add(stream),
        ["flood", count, size] => flood(stream, number(count)?, number(size)?),
        ["sink", count] => sink(stream, number(count)?),
        _ => Err(io::Error::other(path)),
    }
}

/// Answers the opening handshake (RFC 6455 §4.2.2). Gives the path.
fn upgrade(stream: &mut TcpStream) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("Sec-WebSocket-Key").then(|| value.trim().to_owned())
    };
    let key = head.lines().find_map(header).ok_or_else(|| io::Error::other("no key"))?;
    let accept = derive_accept_key(key.as_bytes());
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
    stream.write_all(format!("{answer}{accept}\r\n\r\n").as_bytes())?;
    Ok(path)
}

fn flood(mut stream: TcpStream, count: usize, size: usize) -> io::Result<()> {
    let mut frame = frames::header(0x82, size);
    frame.resize(frame.len() + size, b'x');
    let at_once = (CHUNK / frame.len()).clamp(1, count);
    let frames = frame.repeat(at_once);
    receive(&mut stream, 1)?;
    for _ in 0..count / at_once {
        stream.write_all(&frames)?;
    }
    stream.write_all(&frames[..count % at_once * frame.len()])?;
    until_the_client_goes(stream)
}

fn sink(mut stream: TcpStream, count: usize) -> io::Result<()> {
    receive(&mut stream, count)?;
    stream.write_all(&frames::header(0x82, 0))?;
    until_the_client_goes(stream)
}

/// Waits for so many messages.
fn receive(stream: &mut TcpStream, count: usize) -> io::Result<()> {
    let (mut frames, mut buffer, mut messages) = (Frames::default(), vec![0; CHUNK], 0);
    while messages < count {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => messages += frames.skip(&buffer[..read]),
        }
    }
    Ok(())
}

fn until_the_client_goes(mut stream: TcpStream) -> io::Result<()> {
    stream.read_to_end(&mut Vec::new()).map(drop)
}
