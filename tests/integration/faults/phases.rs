//! Every fault at every moment of a connection, over ws and wss: what the app is told, that the
//! next connection is fine, and that nothing is left, memory included.

use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use websocket_app::{ClosedBy, OwnedMessage, Phase, Reconnect, WebSocketApp};

use super::census::{self, Census};
use super::link::{Fault, When};
use super::proxy::Proxy;
use super::server::{Moment, NEWS, SCHEMES, Scheme, Server, WELCOME};
use crate::failure::{Ending, Failure, clean, ending, lost, unanswered};
use crate::recorder::{Call, Recorder};
use crate::running::run_with;

/// How long the app waits where it has to find out by itself. Short, because it is waited for;
/// longer when the machine was too slow for that.
#[derive(Clone, Copy, Debug)]
struct Limits {
    connect: Duration,
    close: Duration,
    interval: Duration,
    pong: Duration,
}

impl Limits {
    fn times(factor: u32) -> Self {
        let [connect, close, interval, pong] =
            [400, 200, 100, 300].map(|millis| factor * Duration::from_millis(millis));
        Limits { connect, close, interval, pong }
    }
}

/// With the last, the app waits more than half as long as a test does.
const FACTORS: [u32; 6] = [1, 2, 4, 8, 16, 32];

const AGAIN_AFTER: Duration = Duration::from_millis(1);

/// What the server is to read to its end, and what is more than the kernel's buffers hold.
const SHORT_UPLOAD: usize = 32 << 10;
const LONG_UPLOAD: usize = 16 << 20;

#[test]
fn cut() {
    census::alone("faults::phases::cut", |census| every_moment(Fault::Cut, census));
}

#[test]
fn reset() {
    census::alone("faults::phases::reset", |census| every_moment(Fault::Reset, census));
}

#[test]
fn stall() {
    census::alone("faults::phases::stall", |census| every_moment(Fault::Stall, census));
}

#[test]
fn swallow_up() {
    census::alone("faults::phases::swallow_up", |census| every_moment(Fault::SwallowUp, census));
}

#[test]
fn swallow_down() {
    census::alone("faults::phases::swallow_down", |census| {
        every_moment(Fault::SwallowDown, census)
    });
}

#[test]
fn delay() {
    census::alone("faults::phases::delay", |census| every_moment(Fault::Delay, census));
}

#[test]
fn chop() {
    census::alone("faults::phases::chop", |census| every_moment(Fault::Chop, census));
}

fn every_moment(fault: Fault, census: &mut Census) {
    census.memory_settles(&format!("{fault:?} at every moment"), |census| {
        once_at_every_moment(fault, census)
    });
}

fn once_at_every_moment(fault: Fault, census: &Census) {
    let cases = SCHEMES
        .iter()
        .flat_map(|scheme| Moment::ALL.map(|moment| Case { scheme: *scheme, fault, moment }));
    let cases = cases.filter(|case| case.scheme.is_some() || case.moment != Moment::MidHandshake);
    if !fault.is_silent() {
        for case in cases {
            case.holds();
            census.nothing_is_left(&format!("{case:?}"));
        }
        return;
    }
    // Most of the time they wait, so they do it together.
    let running: Vec<_> = cases.map(|case| thread::spawn(move || case.holds())).collect();
    for case in running {
        case.join().unwrap_or_else(|panicked| resume_unwind(panicked));
    }
    census.nothing_is_left(&format!("{fault:?} at every moment"));
}

#[derive(Clone, Copy, Debug)]
struct Case {
    scheme: Scheme,
    fault: Fault,
    moment: Moment,
}

impl Case {
    fn holds(self) {
        for factor in FACTORS {
            let limits = Limits::times(factor);
            let ((told, met), expected) = (one(self, limits), expected(self, limits));
            let undisturbed =
                !told.iter().any(|told| matches!(told, Told::Error(_) | Told::Failed(..)));
            if told != expected && undisturbed && !met && FACTORS.last() != Some(&factor) {
                eprintln!("somebody else had the fault: {self:?}");
                continue;
            }
            let differs = told.iter().zip(&expected).find(|(told, expected)| told != expected);
            if differs.is_some_and(|(told, _)| told.is_timeout()) && FACTORS.last() != Some(&factor)
            {
                eprintln!("too slow for {limits:?}: {self:?}");
                continue;
            }
            assert_eq!(told, expected, "{self:?}, {limits:?}");
            return;
        }
    }
}

/// What an app is told, without the pongs, of which there are more or fewer.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Open,
    Reconnect,
    Text(String),
    Failed(u32, Failure),
    Error(Failure),
    /// And whether the app connects again.
    Close(Ending, bool),
}

impl Told {
    fn is_timeout(&self) -> bool {
        match self {
            Told::Failed(_, failure) | Told::Error(failure) => {
                matches!(failure, Failure::Timeout(..))
            }
            // Its answer may have come too late.
            Told::Close(ending, false) => *ending == unanswered(),
            _ => false,
        }
    }
}

/// Runs an app through it. Also tells whether the server met the app at the moment; of some faults
/// it does not hear.
fn one(Case { scheme, fault, moment }: Case, limits: Limits) -> (Vec<Told>, bool) {
    let proxy = Proxy::start();
    let order = proxy.order();
    let when = match moment {
        Moment::FirstByte => When::Up(1),
        Moment::MidHandshake => When::Down(100),
        Moment::MidUpload => When::Up(SHORT_UPLOAD as u64 / 2),
        _ => When::Told(order.clone()),
    };
    proxy.plan([Some((fault, when))].into());
    let server = Server::start(scheme, Some((moment, order)));
    proxy.lead_to(server.peer.addr());

    let mut app = WebSocketApp::new(proxy.url(&server.peer))
        .tls(server.peer.tls())
        .reconnect(Reconnect::fixed(AGAIN_AFTER));
    if fault.is_silent() {
        app = app
            .connect_timeout(limits.connect)
            .close_timeout(limits.close)
            .ping_interval(limits.interval)
            .ping_timeout(limits.pong);
    }
    let upload = match fault {
        // What is swallowed goes on; as long as it does, the app takes the peer for alive.
        Fault::Delay | Fault::Chop | Fault::SwallowUp | Fault::SwallowDown => SHORT_UPLOAD,
        Fault::Cut | Fault::Reset | Fault::Stall => LONG_UPLOAD,
    };
    let app = run_with(app, move |ws, call| {
        // The connection may be lost while its callback runs.
        let _lost = match call {
            Call::Open if moment == Moment::MidUpload => ws.send(vec![0; upload]),
            Call::Message(OwnedMessage::Text(text)) if text == WELCOME => ws.send("hello"),
            Call::Message(OwnedMessage::Text(text)) if text == "hello" => {
                ws.close();
                Ok(())
            }
            _ => Ok(()),
        };
        Ok(())
    });
    let told = until_the_end(&app);
    // The server may wait for what the proxy holds.
    drop(proxy);
    app.end_in_order();
    (told, server.has_met())
}

fn until_the_end(app: &Recorder) -> Vec<Told> {
    let mut told = Vec::new();
    loop {
        told.push(match app.next() {
            Call::Open => Told::Open,
            Call::Reconnect => Told::Reconnect,
            Call::Message(message) => Told::Text(message.to_string()),
            Call::Error(Failure::Attempt(number, Some(AGAIN_AFTER), why)) => {
                Told::Failed(number, *why)
            }
            Call::Error(failure) => Told::Error(failure),
            Call::Pong(_) => continue,
            Call::Close(close) if close.reconnect_in.is_none() => {
                told.push(Told::Close(ending(&close), false));
                return told;
            }
            Call::Close(close) => Told::Close(ending(&close), true),
            call => panic!("{call:?}"),
        });
    }
}

fn expected(case: Case, limits: Limits) -> Vec<Told> {
    let Case { fault, moment, .. } = case;
    let text = |text: &str| Told::Text(text.into());
    let opened = [text(WELCOME), text("hello"), Told::Close(clean(ClosedBy::Us, 1000, ""), false)];
    let again = || [vec![Told::Reconnect], opened.to_vec()].concat();
    let failure = failure(case, limits);
    if let Some(failure @ (Failure::Network(phase) | Failure::Timeout(phase, _))) = &failure
        && *phase != Phase::Open
    {
        return [vec![Told::Failed(1, failure.clone()), Told::Open], opened.to_vec()].concat();
    }
    let mut told = vec![Told::Open];
    // What the server sends after the fault still comes.
    let comes = failure.is_none() || fault == Fault::SwallowUp;
    if comes && matches!(moment, Moment::MidFrame | Moment::MidMessage) {
        told.push(text(NEWS));
    }
    match (moment, failure) {
        (Moment::MidClose, None) => {
            told.push(Told::Close(clean(ClosedBy::Peer, 1001, "restart"), true));
            told.extend(again());
        }
        // What becomes of the answer to its Close is no error.
        (Moment::Closing, None) if is_unanswered(fault) => {
            told.extend([text(WELCOME), text("hello"), Told::Close(unanswered(), false)]);
        }
        (_, None) => told.extend(opened),
        (_, Some(failure)) => {
            if comes && moment != Moment::MidUpload {
                told.push(text(WELCOME));
            }
            told.extend([Told::Error(failure), Told::Close(lost(), true)]);
            told.extend(again());
        }
    }
    told
}

/// Whether the server's answer to the app's Close does not come.
fn is_unanswered(fault: Fault) -> bool {
    !fault.is_harmless() && fault != Fault::SwallowUp
}

/// What the first connection fails with.
fn failure(Case { scheme, fault, moment }: Case, limits: Limits) -> Option<Failure> {
    let phase = match moment {
        _ if fault.is_harmless() => return None,
        // What was to come has come; what the app sends is not missed.
        Moment::Closing | Moment::Closed => return None,
        Moment::MidClose if fault == Fault::SwallowUp => return None,
        Moment::FirstByte if scheme.is_some() => Phase::Tls,
        // In TLS 1.2, which is what the server speaks, it takes another answer from the app.
        Moment::MidHandshake => Phase::Tls,
        // What the app has to send for it has passed already.
        Moment::Request | Moment::MidResponse if fault == Fault::SwallowUp => Phase::Open,
        Moment::FirstByte | Moment::Request | Moment::MidResponse => Phase::Upgrade,
        Moment::Open
        | Moment::MidFrame
        | Moment::MidMessage
        | Moment::MidClose
        | Moment::MidUpload => Phase::Open,
    };
    Some(match phase {
        _ if !fault.is_silent() => Failure::Network(phase),
        Phase::Open => Failure::Timeout(phase, limits.pong),
        _ => Failure::Timeout(phase, limits.connect),
    })
}
