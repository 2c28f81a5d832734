//! Transports of the program's own, which take, give and fail as they like.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use websocket_app::ClosedBy::Us;
use websocket_app::{
    Close, Error, EventLoop, Message, Phase, Reconnect, State, Transport, WebSocket, WebSocketApp,
};

use super::{echo, talks};
use crate::failure::{Failure, clean, ending, lost};
use crate::frame::Frame;
use crate::peer::{Listener, Peer};
use crate::running::run;
use crate::watchdog::{Gate, Task, wait_until, within};

/// What a URL says when nobody is to look it up.
pub(super) const NOWHERE: &str = "ws://nowhere.invalid/";

/// TCP that takes and gives a few bytes at a time, as if they had to be unpacked. Some it cannot
/// stand.
struct Crumbs {
    tcp: TcpStream,
    few: usize,
}

impl Transport for Crumbs {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut next = [0; POISON.len()];
        let poison = matches!(self.tcp.peek(&mut next), Ok(n) if n == next.len()) && next == POISON;
        assert!(!poison, "on purpose");
        let few = buf.len().min(self.few);
        (&self.tcp).read(&mut buf[..few])
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        (&self.tcp).write(&buf[..buf.len().min(self.few)])
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.tcp.shutdown(how)
    }
}

/// A frame with a reserved opcode, long enough not to come about by chance within TLS.
const POISON: [u8; 10] = *b"\x8f\x08!poison!";

impl AsFd for Crumbs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

fn crumbs(peer: &Peer, few: usize) -> Crumbs {
    Crumbs { tcp: non_blocking(peer), few }
}

fn non_blocking(peer: &Peer) -> TcpStream {
    let tcp = TcpStream::connect(peer.addr()).unwrap();
    tcp.set_nonblocking(true).unwrap();
    tcp
}

#[test]
fn an_app_talks_over_one() {
    let peer = Peer::start(echo);
    talks(WebSocketApp::new(NOWHERE).socket(crumbs(&peer, 7)));
}

/// Fewer bytes than any message of TLS has.
#[cfg(feature = "__tls")]
#[test]
fn tls_goes_over_one_too() {
    crate::tls::on_each(|backend| {
        let peer = Peer::start_tls(backend, echo);
        talks(peer.app().socket(crumbs(&peer, 7)));
    });
}

/// As std's are, unless they are told otherwise: one that did would hold up every app of its loop,
/// for ever.
#[test]
fn one_whose_descriptor_blocks_is_made_not_to() {
    let (silent, other) =
        (Peer::start(|listener| listener.open().answer_close()), Peer::start(echo));
    let apps = EventLoop::new().unwrap();
    let blocking = Crumbs { tcp: TcpStream::connect(silent.addr()).unwrap(), few: 300 };
    let waits = apps.add(WebSocketApp::new(NOWHERE).socket(blocking)).unwrap();
    wait_until("it is open", || waits.sender().state() == State::Open);
    let goes_on = apps
        .add(other.app().on_open(|ws| ws.send("hello")).on_message(|ws, _| ws.close()))
        .unwrap();
    within("join", || goes_on.join()).unwrap();
    waits.sender().close();
    assert!(within("join", || waits.join()).unwrap().clean);
}

/// TCP into whose socket some bytes have come all at once: more than a socket of an operating
/// system's holds at its smallest, and than is read at a time.
struct Stuffed {
    tcp: TcpStream,
    bytes: Mutex<io::Cursor<Vec<u8>>>,
    /// They are there.
    there: Arc<AtomicBool>,
}

impl Transport for Stuffed {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let there = self.there.load(Ordering::SeqCst);
        match there.then(|| self.bytes.lock().unwrap().read(buf)) {
            Some(Ok(n)) if n > 0 => Ok(n),
            _ => (&self.tcp).read(buf),
        }
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        (&self.tcp).write(buf)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.tcp.shutdown(how)
    }
}

impl AsFd for Stuffed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

/// However long the program works off what came first.
#[test]
fn all_that_lies_in_the_socket_is_read_before_a_blocking_client_judges_a_deadline() {
    const COUNT: usize = 200;
    let timeout = Duration::from_millis(100);
    let peer = Peer::start(|listener| listener.open().skip_to_close());
    let messages = Frame::binary([7; 10_000]).encode().repeat(COUNT);
    let bytes = Mutex::new(io::Cursor::new([messages, Frame::close(1000, "").encode()].concat()));
    let there = Arc::new(AtomicBool::new(false));
    let stuffed = Stuffed { tcp: non_blocking(&peer), bytes, there: Arc::clone(&there) };
    let builder = WebSocket::builder(NOWHERE).socket(stuffed).close_timeout(timeout);
    within("the client", move || {
        let mut ws = builder.connect().unwrap();
        there.store(true, Ordering::SeqCst);
        ws.sender().close();
        for i in 0..COUNT {
            thread::sleep(timeout / 20);
            assert_eq!(ws.recv().unwrap(), Message::Binary(&[7; 10_000]), "message {i}");
        }
        let Err(Error::Closed(close)) = ws.recv() else { panic!("it is closed") };
        assert_eq!(ending(&close), clean(Us, 1000, ""));
    });
}

const LONG: usize = 3 << 20;

pub(super) fn long_echo(listener: &Listener) {
    let mut client = listener.open_with_small_buffer();
    client.expect(Frame::binary(vec![1; LONG]));
    client.send(Frame::binary(vec![2; LONG]));
    client.answer_close();
}

#[test]
fn the_blocking_clients_long_messages_go_both_ways() {
    long_messages(Peer::start(long_echo));
}

#[cfg(feature = "__tls")]
#[test]
fn the_blocking_clients_long_messages_go_both_ways_over_tls() {
    crate::tls::on_each(|backend| long_messages(Peer::start_tls(backend, long_echo)));
}

fn long_messages(peer: Peer) {
    let builder = WebSocket::builder(peer.url()).tls(peer.tls()).socket(crumbs(&peer, 300));
    within("the client", move || -> Close {
        let mut ws = builder.connect().unwrap();
        ws.send(vec![1; LONG]).unwrap();
        assert_eq!(ws.recv().unwrap(), Message::Binary(&vec![2; LONG]));
        ws.close().unwrap()
    });
}

#[test]
fn an_apps_long_messages_go_both_ways() {
    an_apps_long_messages(&Peer::start(long_echo));
}

#[cfg(feature = "__tls")]
#[test]
fn an_apps_long_messages_go_both_ways_over_tls() {
    crate::tls::on_each(|backend| an_apps_long_messages(&Peer::start_tls(backend, long_echo)));
}

fn an_apps_long_messages(peer: &Peer) {
    long_messages_go_both_ways(peer.app().socket(crumbs(peer, 300)));
}

/// The peer must be a [`long_echo`].
pub(super) fn long_messages_go_both_ways(app: WebSocketApp) {
    let app = run(app);
    app.expect_open();
    app.sender.send(vec![1; LONG]).unwrap();
    app.expect_binary(&vec![2; LONG]);
    app.sender.close();
    app.expect_close(clean(Us, 1000, ""));
    app.end_in_order();
}

#[test]
fn its_panic_costs_this_connection_and_no_other() {
    let poisons = Peer::start(|listener| {
        let mut client = listener.open();
        client.expect_text("hello");
        client.write(POISON);
    });
    let other = Peer::start(echo);
    let apps = EventLoop::new().unwrap();
    let goes_on = apps.add(other.app().on_message(|ws, _| ws.close())).unwrap();
    wait_until("it is open", || goes_on.sender().state() == State::Open);
    let app =
        WebSocketApp::new(NOWHERE).socket(crumbs(&poisons, 300)).on_open(|ws| ws.send("hello"));
    let app = apps.add(app).unwrap();
    let error = within("join", || app.join()).unwrap_err();
    assert!(error.to_string().contains("the transport panicked"), "{error}");
    goes_on.sender().send("hello").unwrap();
    within("join", || goes_on.join()).unwrap();
}

#[test]
fn its_sockets_end_is_seen() {
    let peer = Peer::start(|listener| {
        let mut client = listener.open();
        client.send(Frame::text("last words"));
    });
    let app = run(WebSocketApp::new(NOWHERE).socket(crumbs(&peer, 300)));
    app.expect_open();
    app.expect_text("last words");
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close(lost());
    app.end_given_up();
}

/// A stream that ends by what is said in it, as TLS does: the socket stays open, and tells nothing.
struct EndsWithin {
    tcp: TcpStream,
    /// What comes behind the last words, once.
    end: Mutex<Option<io::Result<usize>>>,
    ended: Mutex<bool>,
}

const LAST_WORDS: &[u8] = b"last words";

impl EndsWithin {
    fn new(peer: &Peer, end: io::Result<usize>) -> Self {
        EndsWithin { tcp: non_blocking(peer), end: Mutex::new(Some(end)), ended: Mutex::new(false) }
    }
}

impl Transport for EndsWithin {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut ended = self.ended.lock().unwrap();
        if *ended {
            return self.end.lock().unwrap().take().unwrap_or(Err(ErrorKind::WouldBlock.into()));
        }
        let n = (&self.tcp).read(buf)?;
        *ended = buf[..n].ends_with(LAST_WORDS);
        Ok(n)
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        (&self.tcp).write(buf)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.tcp.shutdown(how)
    }
}

impl AsFd for EndsWithin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

#[test]
fn an_end_or_an_error_right_behind_the_last_bytes_is_seen_at_once() {
    for (end, says) in [
        (Ok(0), "the peer ended the stream without a Close frame"),
        (Err(io::Error::other("the gateway hung up")), "the gateway hung up"),
    ] {
        let peer = Peer::start(|listener| {
            let mut client = listener.open();
            client.expect_text("go");
            client.send(Frame::text("last words"));
            client.stay_silent();
        });
        let app =
            WebSocketApp::new(NOWHERE).ping_interval(None).socket(EndsWithin::new(&peer, end));
        let app = app.on_open(|ws| ws.send("go"));
        let error = within("run_forever", || app.run_forever()).unwrap_err();
        assert!(matches!(error, Error::Network { phase: Phase::Open, .. }), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// A stream whose other end is known to be gone only to who writes: nothing comes, not even an end.
struct FailsToWrite {
    tcp: TcpStream,
    fails: Arc<AtomicBool>,
}

impl Transport for FailsToWrite {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.tcp).read(buf)
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        match self.fails.load(Ordering::SeqCst) {
            true => Err(io::Error::other("the tunnel has fallen in")),
            false => (&self.tcp).write(buf),
        }
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.tcp.shutdown(how)
    }
}

impl AsFd for FailsToWrite {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

#[test]
fn an_error_in_writing_ends_the_connection_where_nothing_comes() {
    let peer = Peer::start(|listener| listener.open().stay_silent());
    let fails = Arc::<AtomicBool>::default();
    let socket = FailsToWrite { tcp: non_blocking(&peer), fails: Arc::clone(&fails) };
    let app = WebSocketApp::new(NOWHERE).ping_interval(None).socket(socket).on_open(move |ws| {
        fails.store(true, Ordering::SeqCst);
        ws.send("hello")
    });
    let error = within("run_forever", || app.run_forever()).unwrap_err();
    assert!(matches!(error, Error::Network { phase: Phase::Open, .. }), "{error:?}");
    assert!(error.to_string().contains("the tunnel has fallen in"), "{error}");
}

/// One that shows another descriptor once the server has answered.
#[cfg(target_os = "linux")]
struct Unpollable {
    tcp: TcpStream,
    shown: std::os::fd::OwnedFd,
    is_open: AtomicBool,
}

#[cfg(target_os = "linux")]
impl Transport for Unpollable {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let n = (&self.tcp).read(buf)?;
        self.is_open.fetch_or(buf[..n].ends_with(b"\r\n\r\n"), Ordering::SeqCst);
        Ok(n)
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        (&self.tcp).write(buf)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.tcp.shutdown(how)
    }
}

#[cfg(target_os = "linux")]
impl AsFd for Unpollable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.is_open.load(Ordering::SeqCst) {
            true => self.shown.as_fd(),
            false => self.tcp.as_fd(),
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn one_that_gets_no_place_in_the_event_loop_is_a_failed_attempt() {
    let peer = Peer::start(|listener| {
        listener.open().stay_silent();
        echo(listener);
    });
    let (addr, calls) = (peer.addr(), AtomicU32::new(0));
    let app = WebSocketApp::new(NOWHERE).connector(move |_, _, _| {
        let tcp = TcpStream::connect(addr)?;
        tcp.set_nonblocking(true)?;
        let shown = match calls.fetch_add(1, Ordering::SeqCst) {
            // One that cannot be waited for.
            0 => std::os::fd::OwnedFd::from(std::fs::File::open(std::env::current_exe()?)?),
            _ => tcp.try_clone()?.into(),
        };
        Ok(Unpollable { tcp, shown, is_open: AtomicBool::new(false) })
    });
    let soon = Duration::from_millis(1);
    let app = run(app.reconnect(Reconnect::fixed(soon)));
    let Failure::Attempt(1, Some(_), why) = app.failure() else { panic!("an attempt failed") };
    let Failure::Other(why) = *why else { panic!("{why:?}") };
    assert!(why.contains("a place in the event loop"), "{why}");
    app.expect_open();
    app.sender.send("hello").unwrap();
    app.expect_text("hello");
    app.sender.close();
    app.close();
    app.end_in_order();
}

/// Whoever else makes errors without an operating system's code, TLS for one.
#[test]
fn its_own_error_is_the_networks_and_worth_another_attempt() {
    let peer = Peer::start(|listener| {
        drop(listener.accept());
        echo(listener);
    });
    let (addr, calls) = (peer.addr(), AtomicU32::new(0));
    let app = WebSocketApp::new(NOWHERE).connector(move |_, _, _| {
        let tcp = TcpStream::connect(addr)?;
        tcp.set_nonblocking(true)?;
        let fails = calls.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(Moody { tcp, fails })
    });
    let soon = Duration::from_millis(1);
    let app = run(app.reconnect(Reconnect::fixed(soon)));
    app.expect_failure(Failure::Attempt(1, Some(soon), Box::new(Failure::Network(Phase::Upgrade))));
    app.expect_open();
    app.sender.send("hello").unwrap();
    app.expect_text("hello");
    app.sender.close();
    app.close();
    app.end_in_order();
}

/// One that may be in no mood to read.
struct Moody {
    tcp: TcpStream,
    fails: bool,
}

impl Transport for Moody {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self.fails {
            true => Err(io::Error::other("the gateway is asleep")),
            false => (&self.tcp).read(buf),
        }
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        (&self.tcp).write(buf)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.tcp.shutdown(how)
    }
}

impl AsFd for Moody {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

#[test]
fn its_panic_as_it_is_dropped_costs_no_other_app() {
    let peer = Peer::start(|listener| listener.open().answer_close());
    let other = Peer::start(echo);
    let apps = EventLoop::new().unwrap();
    let goes_on = apps.add(other.app().on_message(|ws, _| ws.close())).unwrap();
    wait_until("it is open", || goes_on.sender().state() == State::Open);
    let app = WebSocketApp::new(NOWHERE).socket(Rude(non_blocking(&peer))).on_open(|ws| ws.close());
    let app = apps.add(app).unwrap();
    assert!(within("join", || app.join()).unwrap().clean);
    goes_on.sender().send("hello").unwrap();
    within("join", || goes_on.join()).unwrap();
}

/// One that does not go quietly.
struct Rude(TcpStream);

impl Transport for Rude {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buf)
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        (&self.0).write(buf)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }
}

impl AsFd for Rude {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Rude {
    fn drop(&mut self) {
        panic!("dropped on purpose");
    }
}

/// Over TLS too, where both work on the same session.
#[test]
fn what_comes_is_heard_while_another_thread_is_within_a_write() {
    heard_within_a_write(Peer::start);
    #[cfg(feature = "__tls")]
    crate::tls::on_each(|backend| heard_within_a_write(|script| Peer::start_tls(backend, script)));
}

fn heard_within_a_write(start: impl FnOnce(Box<dyn FnOnce(&Listener) + Send>) -> Peer) {
    let slow = Slow::default();
    let writing = slow.writing.clone();
    let peer = start(Box::new(move |listener| {
        let mut client = listener.open();
        writing.wait();
        client.send(Frame::text("news"));
        client.expect_text("hello");
        client.answer_close();
    }));
    let app = run(peer.app().socket(SlowSocket { tcp: non_blocking(&peer), slow: slow.clone() }));
    app.expect_open();
    slow.next.store(true, Ordering::SeqCst);
    let ws = app.sender.clone();
    let sends = Task::start("sender", move || ws.send("hello"));
    app.expect_text("news");
    slow.go_on.open();
    sends.join().unwrap();
    app.sender.close();
    app.expect_close(clean(Us, 1000, ""));
    app.end_in_order();
}

/// One whose next write takes as long as it is made to.
struct SlowSocket {
    tcp: TcpStream,
    slow: Slow,
}

#[derive(Clone, Default)]
struct Slow {
    next: Arc<AtomicBool>,
    writing: Gate,
    go_on: Gate,
}

impl Transport for SlowSocket {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.tcp).read(buf)
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        if self.slow.next.swap(false, Ordering::SeqCst) {
            self.slow.writing.open();
            self.slow.go_on.wait();
        }
        (&self.tcp).write(buf)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.tcp.shutdown(how)
    }
}

impl AsFd for SlowSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

/// TCP whose peer sends without end once the connection is over.
struct Floods {
    tcp: TcpStream,
    is_over: AtomicBool,
    /// Counts what is read then.
    reads: Arc<AtomicUsize>,
    /// Happens with the first of it.
    then: Box<dyn Fn() + Send + Sync>,
}

impl Transport for Floods {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.is_over.load(Ordering::SeqCst) {
            return (&self.tcp).read(buf);
        }
        if self.reads.fetch_add(1, Ordering::SeqCst) == 0 {
            (self.then)();
        }
        Ok(buf.len())
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        (&self.tcp).write(buf)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.is_over.store(true, Ordering::SeqCst);
        self.tcp.shutdown(how)
    }
}

impl AsFd for Floods {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

/// It is read away in turns with what they have to do, and not for ever.
#[test]
fn what_a_peer_sends_as_its_connection_ends_does_not_hold_others_up() {
    let [ends, sent] = [(); 2].map(|()| Gate::new());
    let (has_ended, was_sent) = (ends.clone(), sent.clone());
    let peer = Peer::start(|listener| listener.open().answer_close());
    let others = Peer::start(move |listener| {
        let mut client = listener.open();
        has_ended.wait();
        client.send(Frame::text("now"));
        sent.open();
        client.answer_close();
    });
    let reads = Arc::new(AtomicUsize::new(0));
    let (so_far, (tell, told)) = (Arc::clone(&reads), crossbeam_channel::bounded(1));
    let apps = EventLoop::new().unwrap();
    let other = others.app().on_message(move |ws, _| {
        tell.send(so_far.load(Ordering::SeqCst)).unwrap();
        ws.close();
    });
    let other = apps.add(other).unwrap();
    let then = move || {
        ends.open();
        was_sent.wait();
    };
    let floods = Floods {
        tcp: non_blocking(&peer),
        is_over: AtomicBool::new(false),
        reads: Arc::clone(&reads),
        then: Box::new(then),
    };
    let app = apps.add(WebSocketApp::new(NOWHERE).socket(floods)).unwrap();
    for ws in [other.sender(), app.sender()] {
        wait_until("it is open", || ws.state() == State::Open);
    }
    app.sender().close();
    within("join", || app.join()).unwrap();
    within("join", || other.join()).unwrap();
    let (first, all) = (told.recv().unwrap(), reads.load(Ordering::SeqCst));
    assert!(first * 10 < all, "{first} of {all} reads came before the other app's message");
}
