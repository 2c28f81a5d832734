//! The server: this program in a process of its own, one thread that sends every message back.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::process::{self, Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token, Waker};
use tungstenite::WebSocket;
use tungstenite::protocol::{Role, WebSocketConfig};

/// What this program is started with to be the server.
pub(crate) const ARGUMENT: &str = "--serve";

/// The other process.
pub(crate) struct Server {
    process: Child,
    url: String,
}

impl Server {
    pub(crate) fn start() -> Result<Self, Box<dyn Error>> {
        let program = env::current_exe()?;
        let mut command = Command::new(program);
        let mut process =
            command.arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        BufReader::new(process.stdout.take().ok_or("no output of the server")?)
            .read_line(&mut url)?;
        Ok(Server { process, url: url.trim().to_owned() })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
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
pub(crate) fn serve() -> Result<(), Box<dyn Error>> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("ws://{}/", listener.local_addr()?);
    thread::spawn(|| {
        let _however = io::stdin().read_to_end(&mut Vec::new());
        process::exit(0);
    });

    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    let (accepted, new) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that fails in the middle of this is no concern of the others.
            let opened = stream.map_err(Into::into).and_then(open);
            if opened.is_ok_and(|client| accepted.send(client).is_ok()) {
                let _on_its_way_already = waker.wake();
            }
        }
    });
    echo(poll, &new)
}

const WAKER: Token = Token(usize::MAX);

type Client = WebSocket<mio::net::TcpStream>;

/// Does the opening handshake.
fn open(stream: TcpStream) -> Result<Client, Box<dyn Error>> {
    // Small buffers: there are many.
    let config = WebSocketConfig::default().read_buffer_size(1 << 10).write_buffer_size(0);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let stream = tungstenite::accept_with_config(stream, Some(config))?.into_inner();
    stream.set_nonblocking(true)?;
    Ok(WebSocket::from_raw_socket(
        mio::net::TcpStream::from_std(stream),
        Role::Server,
        Some(config),
    ))
}

fn echo(mut poll: Poll, new: &Receiver<Client>) -> Result<(), Box<dyn Error>> {
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut events = Events::with_capacity(1024);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == WAKER {
                for mut client in new.try_iter() {
                    poll.registry().register(
                        client.get_mut(),
                        Token(clients.len()),
                        Interest::READABLE,
                    )?;
                    clients.push(Some(client));
                }
            } else if let Some(place) = clients.get_mut(event.token().0)
                && let Some(client) = place
                && send_back(client).is_err()
            {
                *place = None;
            }
        }
    }
}

/// Sends back what has come. An error is the end of the connection.
fn send_back(client: &mut Client) -> Result<(), tungstenite::Error> {
    loop {
        match client.read() {
            Ok(message) if message.is_text() || message.is_binary() => client.send(message)?,
            Ok(_) => {}
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
}
