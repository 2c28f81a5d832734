//! A handler for each client: made once for each that is accepted, dropped once, its state its own;
//! what panics as it is made or dropped hurts nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use websocket_app::server::{Answer, Client, Handler, Request, Server, ServerHandle};
use websocket_app::{CallbackError, Message};

use super::visitor::{Visitor, request};
use crate::watchdog::{PATIENCE, wait_until, within};

#[derive(Default)]
struct Counts {
    made: AtomicUsize,
    dropped: AtomicUsize,
}

impl Counts {
    fn now(&self) -> (usize, usize) {
        (self.made.load(Ordering::SeqCst), self.dropped.load(Ordering::SeqCst))
    }

    fn become_both(&self, count: usize) {
        wait_until("each that was made is dropped", || self.now().1 == count);
        assert_eq!(self.now(), (count, count));
    }
}

/// Counts its messages, and knows the path that it was made for.
struct Counter {
    path: String,
    messages: usize,
    counts: Arc<Counts>,
}

impl Handler for Counter {
    fn on_message(&mut self, client: &Client, _: Message<'_>) -> Result<(), CallbackError> {
        self.messages += 1;
        Ok(client.send(format!("{} {}", self.path, self.messages))?)
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.counts.dropped.fetch_add(1, Ordering::SeqCst);
        if self.path == "/panic-in-drop" {
            panic!("as asked");
        }
    }
}

/// A server that counts, and aborts when dropped.
struct Counting {
    handle: ServerHandle,
    counts: Arc<Counts>,
}

impl Counting {
    fn start(options: impl FnOnce(Server) -> Server) -> Self {
        let counts = Arc::<Counts>::default();
        let here = Arc::clone(&counts);
        let server = Server::with_handlers("127.0.0.1:0", move |request: &Request| {
            if request.path() == "/panic-in-make" {
                panic!("as asked");
            }
            here.made.fetch_add(1, Ordering::SeqCst);
            Counter { path: request.path().to_owned(), messages: 0, counts: Arc::clone(&here) }
        });
        Counting { handle: options(server).spawn().unwrap(), counts }
    }

    fn connect(&self) -> Visitor {
        Visitor::connect(self.handle.local_addr().expect("it is TCP"))
    }

    fn open(&self, path: &str) -> Visitor {
        let mut visitor = self.connect();
        visitor.upgrade(&request(path, ""));
        visitor
    }

    fn end(self) {
        self.handle.shutdown(1001, "", PATIENCE).unwrap();
        let handle = self.handle.clone();
        within("the server's end", move || handle.join()).unwrap();
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

#[test]
fn each_client_has_its_own_whose_state_is_kept() {
    for threads in [1, 2] {
        let counting = Counting::start(|server| server.threads(threads));
        let mut visitors: Vec<_> = (0..5).map(|i| (i, counting.open(&format!("/{i}")))).collect();
        for round in 1..=3 {
            for (i, visitor) in &mut visitors {
                visitor.text("a");
                visitor.expect_text(&format!("/{i} {round}"));
            }
        }
        assert_eq!(counting.counts.now(), (5, 0));
        visitors.into_iter().for_each(|(_, visitor)| visitor.close(1000, ""));
        counting.counts.become_both(5);
        counting.end();
    }
}

/// Also where the server ends with clients there: their handlers are dropped before `join` returns.
#[test]
fn join_returns_when_all_are_dropped() {
    let counting = Counting::start(|server| server);
    let _visitors: Vec<_> = (0..5).map(|i| counting.open(&format!("/{i}"))).collect();
    counting.handle.abort();
    let handle = counting.handle.clone();
    within("the server's end", move || handle.join()).unwrap();
    assert_eq!(counting.counts.now(), (5, 5));
}

/// None is made for who is not accepted.
#[test]
fn who_is_refused_has_none() {
    let counting = Counting::start(|server| {
        server.on_request(|request| match request.path() {
            "/no" => Answer::refuse(403),
            "/page" => Answer::http(200, "text/plain", "hello\n"),
            "/not-offered" => Answer::accept().subprotocol("not-offered"),
            "/wrong" => Answer::accept().header("Bad Name", ""),
            _ => Answer::accept(),
        })
    });
    for (path, status) in [("/no", 403), ("/page", 200), ("/not-offered", 500), ("/wrong", 500)] {
        assert_eq!(counting.connect().ask(request(path, "")).status, status, "{path}");
    }
    // No request for a WebSocket, and a wrong one.
    for (wrong, status) in [("Upgrade: websocket\r\n", 426), ("Sec-WebSocket-Version: 13\r\n", 400)]
    {
        let answer = counting.connect().ask(request("/", "").replace(wrong, ""));
        assert_eq!(answer.status, status);
    }
    assert_eq!(counting.counts.now(), (0, 0));
    counting.end();
}

#[test]
fn a_panic_in_make_is_500_for_that_client() {
    let counting = Counting::start(|server| server);
    let mut other = counting.open("/");
    let answer = counting.connect().ask(request("/panic-in-make", ""));
    assert_eq!(answer.status, 500);
    assert!(!answer.body.contains("as asked"), "it is nobody's business: {answer:?}");
    other.text("a");
    other.expect_text("/ 1");
    other.close(1000, "");
    counting.counts.become_both(1);
    counting.end();
}

#[test]
fn a_panic_in_drop_hurts_nobody_else() {
    for threads in [1, 2] {
        let counting = Counting::start(|server| server.threads(threads));
        let mut other = counting.open("/");
        for _ in 0..4 {
            counting.open("/panic-in-drop").close(1000, "");
            counting.open("/panic-in-drop").reset();
        }
        counting.counts_reach(8);
        other.text("a");
        other.expect_text("/ 1");
        let mut late = counting.open("/late");
        late.text("a");
        late.expect_text("/late 1");
        late.close(1000, "");
        other.close(1000, "");
        counting.counts.become_both(10);
        counting.end();
    }
}

/// One that goes before it is told that it is accepted had a handler all the same, which is dropped;
/// what panics there hurts nobody.
#[test]
fn a_client_that_is_gone_before_its_answer_leaves_nothing() {
    let gate = crate::watchdog::Gate::new();
    let opens = gate.clone();
    let counting = Counting::start(move |server| {
        server.on_request(move |request| {
            if request.path() != "/" {
                opens.wait();
            }
            Answer::accept()
        })
    });
    for path in ["/gone", "/panic-in-drop"] {
        let mut visitor = counting.connect();
        visitor.write(request(path, ""));
        visitor.reset();
    }
    let mut other = counting.open("/");
    gate.open();
    wait_until("they are gone", || counting.counts.now() == (3, 2));
    other.text("a");
    other.expect_text("/ 1");
    other.close(1000, "");
    counting.counts.become_both(3);
    counting.end();
}

impl Counting {
    fn counts_reach(&self, dropped: usize) {
        wait_until("they are dropped", || self.counts.now().1 == dropped);
    }
}

/// Also which subprotocol was chosen.
#[test]
fn what_makes_it_sees_what_was_agreed_to() {
    struct Speaks(Option<String>);

    impl Handler for Speaks {
        fn on_open(&mut self, client: &Client) -> Result<(), CallbackError> {
            Ok(client.send(self.0.as_deref().unwrap_or("none"))?)
        }
    }

    let server = Server::with_handlers("127.0.0.1:0", |request: &Request| {
        Speaks(request.subprotocol().map(str::to_owned))
    });
    let handle = server.subprotocols(["v2.chat", "v1.chat"]).spawn().unwrap();
    let addr = handle.local_addr().expect("it is TCP");
    for (offer, chosen) in
        [("Sec-WebSocket-Protocol: v3.chat, v1.chat\r\n", "v1.chat"), ("", "none")]
    {
        let mut visitor = Visitor::connect(addr);
        visitor.upgrade(&request("/", offer));
        visitor.expect_text(chosen);
        visitor.close(1000, "");
    }
    handle.shutdown(1001, "", PATIENCE).unwrap();
    within("the server's end", move || handle.join()).unwrap();
}
