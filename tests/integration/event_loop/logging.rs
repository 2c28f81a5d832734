//! A logger that sends over the app whose line it is: on the loop's thread, or that of a blocking
//! client's `recv`, which is the one that would make room, so that it must not wait for that.

use std::sync::OnceLock;
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};
use websocket_app::{Error, EventLoop, SendError, Sender, WebSocket};

use crate::faults::census;
use crate::frame::Frame;
use crate::many::add;
use crate::peer::Peer;
use crate::recorder::Recorder;
use crate::watchdog::{Gate, within};

const HOUR: Duration = Duration::from_secs(3600);
const FULL: usize = 1 << 16;

/// The close code at which the logger sends.
const TELLING: u16 = 4998;

/// Sends what it logs of that, and opens the gate when it was refused.
struct Sends(OnceLock<(Sender, Gate)>);

static LOGGER: Sends = Sends(OnceLock::new());

impl Log for Sends {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = record.args().to_string();
        if line.contains(&format!("received Close {TELLING}")) {
            let (ws, refused) = self.0.get().expect("the app has been opened");
            assert_eq!(
                ws.send(&[0; FULL][..]),
                Err(SendError::QueueFull { message: None, limit: FULL })
            );
            refused.open();
        }
    }

    fn flush(&self) {}
}

#[test]
fn a_logger_that_sends_does_not_wait_for_the_loop_it_is_on() {
    census::alone(
        "event_loop::logging::a_logger_that_sends_does_not_wait_for_the_loop_it_is_on",
        |census| {
            log::set_logger(&LOGGER).expect("there is no other logger");
            let event_loop = EventLoop::new().unwrap();
            let (full, refused) = (Gate::new(), Gate::new());
            let (is_full, was_refused) = (full.clone(), refused.clone());
            let peer = Peer::start(move |listener| {
                let mut client = listener.open_with_small_buffer();
                is_full.wait();
                client.send(Frame::close(TELLING, ""));
                // It reads nothing, so there is no room.
                was_refused.wait();
            });
            let app = add(&event_loop, peer.app().max_send_buffer(FULL).send_timeout(HOUR));
            app.expect_open();
            assert!(LOGGER.0.set((app.sender.clone(), refused)).is_ok());
            log::set_max_level(LevelFilter::Debug);
            while app.sender.try_send([0; FULL / 4]).is_ok() {}
            full.open();
            assert_eq!(Recorder::close(&app).code, TELLING);
            app.end().unwrap();
            within("the loop", || event_loop.join()).unwrap();
            drop(peer);
            census.nothing_is_left("the loop");
        },
    );
}

#[test]
fn a_logger_that_sends_does_not_wait_for_the_recv_it_is_in() {
    census::alone(
        "event_loop::logging::a_logger_that_sends_does_not_wait_for_the_recv_it_is_in",
        |census| {
            log::set_logger(&LOGGER).expect("there is no other logger");
            let (full, refused) = (Gate::new(), Gate::new());
            let (is_full, was_refused) = (full.clone(), refused.clone());
            let peer = Peer::start(move |listener| {
                let mut client = listener.open_with_small_buffer();
                is_full.wait();
                client.send(Frame::close(TELLING, ""));
                // It reads nothing, so there is no room.
                was_refused.wait();
            });
            let builder = WebSocket::builder(peer.url()).max_send_buffer(FULL).send_timeout(HOUR);
            within("the client", move || {
                let mut ws = builder.connect().unwrap();
                assert!(LOGGER.0.set((ws.sender(), refused)).is_ok());
                log::set_max_level(LevelFilter::Debug);
                while ws.sender().try_send([0; FULL / 4]).is_ok() {}
                full.open();
                let Err(Error::Closed(close)) = ws.recv() else { panic!("it is closed") };
                assert_eq!(close.code, TELLING);
            });
            drop(peer);
            census.nothing_is_left("the client");
        },
    );
}
