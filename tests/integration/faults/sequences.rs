//! Random sequences of faults, each from a seed, which a failure tells. Set
//! `WEBSOCKET_APP_TEST_SEED` to run that one again, and `WEBSOCKET_APP_TEST_SEQUENCES` to run more
//! or fewer.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
#[cfg(feature = "__tls")]
use websocket_app::TlsBackend;
use websocket_app::{Close, EventLoop, OwnedMessage, Reconnect, Sender, WebSocketApp};

use super::census::{self, Census};
use super::course::Course;
use super::link::{Fault, When};
use super::proxy::{Plan, Proxy};
use super::server::{PLEASE_CLOSE, Scheme, Server, WELCOME};
use super::way::unknown_name;
use crate::failure::Failure;
use crate::peer::{FullBacklog, RefusedPort};
use crate::recorder::{Call, Hook, Recorder, record};
use crate::watchdog::{PATIENCE, Task};

/// How many sequences a test runs, where nothing else is asked for.
const SEQUENCES: u64 = 15;

/// After this part of them (one in so many), everything that takes memory once has happened.
const WARM: u64 = 3;

/// What happens to an attempt to connect.
#[derive(Clone, Debug)]
enum Step {
    UnknownName,
    Refused,
    Silent,
    /// It goes through the proxy, and has this fault there.
    Fault(Fault, When),
}

/// How the run is ended.
#[derive(Clone, Copy, Debug)]
enum End {
    /// By its own callback, when it has had so many whole conversations.
    Conversations(u32),
    /// From another thread, after so many calls.
    Close(usize),
    Abort(usize),
    /// By the policy.
    Attempts(u32),
}

#[test]
fn over_ws() {
    census::alone("faults::sequences::over_ws", |census| sequences(None, census));
}

#[cfg(feature = "native-tls")]
#[test]
fn over_wss() {
    let scheme = Some(TlsBackend::NativeTls);
    census::alone("faults::sequences::over_wss", |census| sequences(scheme, census));
}

#[cfg(feature = "rustls")]
#[test]
fn over_wss_by_rustls() {
    let scheme = Some(TlsBackend::Rustls);
    census::alone("faults::sequences::over_wss_by_rustls", |census| sequences(scheme, census));
}

fn sequences(scheme: Scheme, census: &mut Census) {
    let number = |name| env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let asked = number("WEBSOCKET_APP_TEST_SEED");
    let first = asked.unwrap_or_else(|| rand::rng().random_range(0..u64::from(u32::MAX)));
    let count = number("WEBSOCKET_APP_TEST_SEQUENCES").unwrap_or(if asked.is_some() {
        1
    } else {
        SEQUENCES
    });
    for seed in first..first + count {
        let (census, done) = (&mut *census, seed - first);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            one(scheme, seed);
            census.nothing_is_left("the sequence");
            if done == count / WARM {
                census.has_warmed_up();
            }
        }));
        if let Err(panic) = outcome {
            eprintln!(
                "\nin the sequence of seed {seed}: WEBSOCKET_APP_TEST_SEED={seed} runs it again"
            );
            resume_unwind(panic);
        }
    }
    census.memory_is_back(&format!("{count} sequences from seed {first}"));
}

fn one(scheme: Scheme, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let steps: Vec<Step> = (0..rng.random_range(1..=6)).map(|_| step(&mut rng)).collect();
    let end = match rng.random_range(0..8) {
        0 => End::Close(rng.random_range(1..40)),
        1 => End::Abort(rng.random_range(1..40)),
        2 => End::Attempts(rng.random_range(1..6)),
        _ => End::Conversations(rng.random_range(1..=3)),
    };
    eprintln!("seed {seed}: {steps:?}, {end:?}");

    let proxy = Proxy::start();
    let faults = steps.iter().filter_map(|step| match step {
        Step::Fault(fault, when) => Some(Some((*fault, when.clone()))),
        _ => None,
    });
    proxy.plan(faults.collect::<Plan>());
    let server = Server::start(scheme, None);
    proxy.lead_to(server.peer.addr());
    let (refused, silent) = (RefusedPort::new(), FullBacklog::new());

    let url = proxy.url(&server.peer);
    let mut way = steps
        .iter()
        .map(|step| match step {
            Step::UnknownName => unknown_name(),
            Step::Refused => refused.url(),
            Step::Silent => silent.url(),
            Step::Fault(..) => url.clone(),
        })
        .collect::<Vec<_>>()
        .into_iter();
    let mut policy = Reconnect::exponential(Duration::from_millis(1), Duration::from_millis(20));
    if let End::Attempts(attempts) = end {
        policy = policy.max_attempts(attempts);
    }
    let app = WebSocketApp::new(url.clone())
        .tls(server.peer.tls())
        .connect_timeout(Duration::from_millis(rng.random_range(200..400)))
        .close_timeout(Duration::from_millis(rng.random_range(50..200)))
        .ping_interval(Duration::from_millis(rng.random_range(50..100)))
        .ping_timeout(Duration::from_millis(rng.random_range(100..200)))
        .reconnect(policy)
        .url_with(move |_| way.next().unwrap_or_else(|| url.clone()));

    let wrong = Arc::new(Mutex::new(None));
    let conversations = if let End::Conversations(count) = end { count } else { u32::MAX };
    let (app, calls) = record(app, conversation(&mut rng, conversations, Arc::clone(&wrong)));
    let (sender, run) = start(app, &mut rng);
    let (course, close) = follow(&calls, &sender, end);
    course.ended(close, run.join());
    calls.finish();
    // The server may wait for what the proxy holds.
    drop(proxy);
    assert_eq!(*wrong.lock().unwrap(), None);
}

fn step(rng: &mut StdRng) -> Step {
    let fault = Fault::ALL[rng.random_range(0..Fault::ALL.len())];
    match rng.random_range(0..20) {
        0 => Step::UnknownName,
        1 => Step::Refused,
        2 => Step::Silent,
        // The opening of a connection, and what comes after it.
        3..8 => Step::Fault(fault, When::Up(rng.random_range(1..1_000))),
        8..12 => Step::Fault(fault, When::Down(rng.random_range(1..2_000))),
        12..16 => Step::Fault(fault, When::Up(rng.random_range(1_000..60_000))),
        _ => Step::Fault(fault, When::Down(rng.random_range(2_000..60_000))),
    }
}

/// Sends some texts after the server's welcome, each when the one before has come back, then ends
/// the connection in one way or another, and in the end the run. What comes back wrong is left for
/// the test.
fn conversation(rng: &mut StdRng, conversations: u32, wrong: Arc<Mutex<Option<String>>>) -> Hook {
    let mut rng = StdRng::seed_from_u64(rng.random_range(0..u64::MAX));
    let mut had = 0;
    let mut expected: Vec<String> = Vec::new();
    Box::new(move |ws, call| {
        let Call::Message(OwnedMessage::Text(text)) = call else { return Ok(()) };
        if text == WELCOME {
            expected = (0..rng.random_range(1..10))
                .map(|number| format!("{number} {}", "x".repeat(rng.random_range(0..20_000))))
                .collect();
            expected.reverse();
        } else if expected.pop().as_ref() != Some(text) {
            wrong.lock().unwrap().get_or_insert_with(|| text.chars().take(50).collect());
        }
        // The connection may be lost while its callback runs.
        let _lost = match expected.last() {
            Some(next) if rng.random_range(0..4) == 0 => {
                ws.send(vec![0; rng.random_range(0..100_000)]).and_then(|()| ws.send(next))
            }
            Some(next) => ws.send(next),
            None => {
                had += 1;
                match rng.random_range(0..3) {
                    _ if had >= conversations => ws.close(),
                    0 => ws.reconnect(),
                    _ => drop(ws.send(PLEASE_CLOSE)),
                }
                Ok(())
            }
        };
        Ok(())
    })
}

type Run = Task<Result<Close, Failure>>;

/// Runs the app in one of the ways there are.
fn start(app: WebSocketApp, rng: &mut StdRng) -> (Sender, Run) {
    let sender = app.sender();
    let run = match rng.random_range(0..3) {
        0 => Task::start("run_forever", move || app.run_forever().map_err(Failure::from)),
        1 => {
            let app = app.spawn().unwrap();
            Task::start("join", move || app.join().map_err(Failure::from))
        }
        _ => {
            let event_loop = EventLoop::new().unwrap();
            let app = event_loop.add(app).unwrap();
            Task::start("the event loop", move || {
                let result = app.join().map_err(Failure::from);
                event_loop.join().unwrap();
                result
            })
        }
    };
    (sender, run)
}

fn follow(calls: &Recorder, sender: &Sender, end: End) -> (Course, Close) {
    let mut course = Course::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(close) = course.next(calls) {
            return (course, close);
        }
        match end {
            End::Close(after) if course.len() == after => sender.close(),
            End::Abort(after) if course.len() == after => sender.abort(),
            // The machine is too slow for a whole conversation; what came of it has been checked.
            _ if Instant::now() > deadline => sender.close(),
            _ => {}
        }
    }
}
