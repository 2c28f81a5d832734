//! Unix sockets.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use std::{env, process};

use socket2::{Domain, SockAddr, Socket, Type};
use websocket_app::{
    Error, Message, Phase, Reconnect, SocketOptions, State, WebSocket, WebSocketApp,
};

use super::{FOREVER, echo, talks};
use crate::failure::{Failure, lost, unanswered};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::running::run;
use crate::watchdog::{PATIENCE, Task, wait_until, within};

#[test]
fn an_app_talks_through_one() {
    let peer = Peer::start(echo);
    let door = Door::to(peer.addr());
    talks(WebSocketApp::new(door.url("ws+unix", "/")));
}

#[cfg(feature = "__tls")]
#[test]
fn tls_goes_through_one_too() {
    crate::tls::on_each(|backend| {
        let peer = Peer::start_tls(backend, echo);
        let door = Door::to(peer.addr());
        talks(WebSocketApp::new(door.url("wss+unix", "/")).tls(peer.tls()));
    });
}

/// Both servers are asked for `localhost`.
#[cfg(feature = "cookies")]
#[test]
fn a_cookie_goes_to_no_other_socket() {
    use super::cookies::{answers_with, cookies};
    let peer = Peer::start(|listener| {
        for (sent, sets) in
            [(None, "Set-Cookie: a=1\r\n"), (None, "Set-Cookie: a=2\r\n"), (Some("a=1"), "")]
        {
            let mut client = listener.accept();
            assert_eq!(cookies(&mut client).as_deref(), sent);
            let answer = client.acceptance(sets);
            client.write(answer);
            client.close(1012, "again");
        }
        answers_with(listener, Some("a=2"));
    });
    let doors = [Door::to(peer.addr()), Door::to(peer.addr())];
    let urls = [0, 1, 0, 1].map(|door: usize| doors[door].url("ws+unix", "/"));
    let app = WebSocketApp::new(urls[0].clone()).keep_cookies(true);
    let mut urls = urls.into_iter();
    let app = app.url_with(move |_| urls.next().ok_or(io::Error::other("there is no fifth")));
    let app = run(app.reconnect(Reconnect::fixed(Duration::from_millis(1))));
    app.expect_open();
    for _ in 0..3 {
        app.close();
        app.expect_reconnect();
    }
    app.sender.close();
    app.close();
    app.end_in_order();
}

#[test]
fn the_blocking_client_talks_through_one() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect(Frame::binary(vec![1; 8 << 20]));
        client.send(Frame::text("all there"));
        client.answer_close();
    });
    let door = Door::to(peer.addr());
    let url = door.url("ws+unix", "/");
    within("the client", move || {
        let mut ws = WebSocket::connect(url).unwrap();
        assert_eq!((ws.handshake().local_addr(), ws.handshake().peer_addr()), (None, None));
        // More than fits into the socket: it is waited for.
        ws.send(vec![1; 8 << 20]).unwrap();
        assert_eq!(ws.recv().unwrap(), Message::Text("all there"));
        ws.close().unwrap();
    });
}

#[test]
fn the_uri_behind_the_path_is_asked_for() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        let request = client.read_request();
        assert_eq!(request.line, "GET /chat?room=1 HTTP/1.1");
        assert_eq!(request.header("Host"), Some("localhost"));
        let answer = client.acceptance("");
        client.write(answer);
        client.answer_close();
    });
    let door = Door::to(peer.addr());
    let url = door.url("ws+unix", "/chat?room=1");
    within("the client", move || WebSocket::connect(url).unwrap().close().unwrap());
}

#[test]
fn a_redirect_within_the_server_stays_at_the_socket() {
    let peer = Peer::start(|listener| {
        let mut client = listener.accept();
        assert_eq!(client.read_request().line, "GET /old HTTP/1.1");
        client.write(
            "HTTP/1.1 301 x\r\nLocation: http://localhost/new?a=b\r\nContent-Length: 0\r\n\r\n",
        );
        drop(client);
        let mut client = listener.accept();
        let request = client.read_request();
        assert_eq!(
            (request.line.as_str(), request.header("Host")),
            ("GET /new?a=b HTTP/1.1", Some("localhost"))
        );
        let answer = client.acceptance("");
        client.write(answer);
        client.answer_close();
    });
    let door = Door::to(peer.addr());
    let builder = WebSocket::builder(door.url("ws+unix", "/old")).max_redirects(1);
    within("the client", move || builder.connect().unwrap().close().unwrap());
}

/// By TCP, for which the options are.
#[test]
fn a_redirect_elsewhere_has_use_for_a_resolver_and_socket_options() {
    let second = Peer::start(|listener| {
        let mut client = listener.accept();
        assert_eq!(client.read_request().header("Host"), Some("second.invalid"));
        let answer = client.acceptance("");
        client.write(answer);
        client.answer_close();
    });
    let first = Peer::start(|listener| {
        let mut client = listener.accept();
        client.read_request();
        client
            .write("HTTP/1.1 302 x\r\nLocation: ws://second.invalid/\r\nContent-Length: 0\r\n\r\n");
    });
    let (door, addr) = (Door::to(first.addr()), second.addr());
    let builder = WebSocket::builder(door.url("ws+unix", "/")).max_redirects(1);
    let builder =
        builder.socket_options(SocketOptions::new().nodelay(false)).resolver(move |host, _, _| {
            assert_eq!(host, "second.invalid");
            Ok([addr])
        });
    within("the client", move || builder.connect().unwrap().close().unwrap());
}

#[test]
fn it_is_connected_again() {
    let peer = Peer::start(|listener| {
        listener.open().close(1012, "restart");
        echo(listener);
    });
    let door = Door::to(peer.addr());
    let app = WebSocketApp::new(door.url("ws+unix", "/"))
        .reconnect(Reconnect::fixed(Duration::from_millis(1)));
    let app = run(app);
    app.expect_open();
    app.close();
    app.expect_reconnect();
    app.sender.send("hello").unwrap();
    app.expect_text("hello");
    app.sender.close();
    app.close();
    app.end_in_order();
}

#[test]
fn a_path_where_nobody_listens() {
    let folder = Folder::new();
    let path = folder.path("server.sock");
    for (prepare, kind, hint) in [
        ((|_| ()) as fn(&Path), ErrorKind::NotFound, "is the path right"),
        // Bound and dropped: the file stays.
        (
            |path| drop(UnixListener::bind(path).unwrap()),
            ErrorKind::ConnectionRefused,
            "is the server running",
        ),
    ] {
        prepare(&path);
        let url = format!("ws+unix:{}:/chat?token=secret", path.display());
        let error = within("connect", move || WebSocket::connect(url)).unwrap_err();
        let Error::Network { phase: Phase::Connect, source, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(source.kind(), kind);
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("connecting to {}: ", path.display())) && text.contains(hint),
            "{text}"
        );
    }
}

/// Linux lets who connects wait for room, and tells of it nobody but who waits.
#[cfg(target_os = "linux")]
#[test]
fn a_full_backlog_is_waited_for_and_holds_up_neither_the_deadline_nor_close() {
    let full = FullBacklog::new();
    let timeout = Duration::from_millis(100);
    let app = run(WebSocketApp::new(full.url()).connect_timeout(timeout));
    app.expect_failure(Failure::Timeout(Phase::Connect, timeout));
    app.expect_close(lost());
    app.end_given_up();

    let app = run(WebSocketApp::new(full.url()).connect_timeout(FOREVER));
    wait_until("the app connects", || app.sender.state() == State::Connecting);
    app.sender.close();
    app.expect_close(unanswered());
    app.end_in_order();
}

/// A Unix socket that leads to a peer's TCP port, for any number of clients.
struct Door {
    folder: Folder,
    closing: Arc<AtomicBool>,
    _keeper: Task<()>,
}

impl Door {
    fn to(peer: SocketAddr) -> Self {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.path("server.sock")).unwrap();
        let closing = Arc::new(AtomicBool::new(false));
        let closed = Arc::clone(&closing);
        let keeper = Task::start("the door", move || {
            let mut guests = Vec::new();
            while let Ok((unix, _)) = listener.accept()
                && !closed.load(Ordering::SeqCst)
            {
                guests.push(Task::start("a client's way through the door", move || {
                    lead(&unix, peer)
                }));
            }
        });
        Door { folder, closing, _keeper: keeper }
    }

    fn url(&self, scheme: &str, uri: &str) -> String {
        format!("{scheme}:{}:{uri}", self.folder.path("server.sock").display())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // It wakes up for one more client.
        UnixStream::connect(self.folder.path("server.sock")).unwrap();
    }
}

/// Carries bytes both ways until both have ended.
fn lead(unix: &UnixStream, peer: SocketAddr) {
    let tcp = TcpStream::connect(peer).unwrap();
    unix.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _cut = io::copy(&mut &*unix, &mut &tcp);
            let _gone = tcp.shutdown(Shutdown::Write);
        });
        let _cut = io::copy(&mut &tcp, &mut &*unix);
        let _gone = unix.shutdown(Shutdown::Write);
    });
}

/// A listener on a Unix socket that has no room for another client.
struct FullBacklog {
    folder: Folder,
    _listener: Socket,
    _waiting: Vec<Socket>,
}

impl FullBacklog {
    fn new() -> Self {
        let folder = Folder::new();
        let addr = SockAddr::unix(folder.path("server.sock")).unwrap();
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        listener.bind(&addr).unwrap();
        listener.listen(0).unwrap();
        let mut waiting = Vec::new();
        loop {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            match socket.connect(&addr) {
                Ok(()) => waiting.push(socket),
                Err(full) if full.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        FullBacklog { folder, _listener: listener, _waiting: waiting }
    }

    fn url(&self) -> String {
        format!("ws+unix:{}", self.folder.path("server.sock").display())
    }
}

/// A folder of the test's own, short enough for the path of a socket in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("wsapp-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Folder(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone_already = fs::remove_dir_all(&self.0);
    }
}
