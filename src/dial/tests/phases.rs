use std::io::Write;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::super::testing::{
    DeadListener, LONG, Server, dial, read_request, switching, text, wait_for_end,
};
use super::super::{Cancel, Failure, Target, connect};
use crate::config::Config;
use crate::error::{Error, Phase};
use crate::reconnect::Attempt;

/// Long enough to get to the phase in question.
const SHORT: Duration = Duration::from_millis(300);

/// What "at once" may take on a busy machine; a tenth of what it would take to time out.
const AT_ONCE: Duration = Duration::from_secs(3);

fn phase_of_timeout(url: &str) -> Option<Phase> {
    phase_of_timeout_with(url, &Config::default())
}

pub(super) fn phase_of_timeout_with(url: &str, config: &Config) -> Option<Phase> {
    match dial(url, config, SHORT) {
        Err(Failure::Error(Error::Timeout { phase, after: SHORT, .. })) => Some(phase),
        _ => None,
    }
}

#[test]
fn a_silent_address_times_out_while_connecting() {
    let Some(dead) = DeadListener::new() else { return };
    assert_eq!(phase_of_timeout(&format!("ws://{}/", dead.address())), Some(Phase::Connect));
}

#[test]
#[cfg(feature = "__tls")]
fn a_silent_server_times_out_in_the_tls_handshake() {
    let server = Server::start(|mut stream| wait_for_end(&mut stream));
    let phase = phase_of_timeout(&format!("wss://127.0.0.1:{}/", server.port));
    assert_eq!(server.join(phase), Some(Phase::Tls));
}

#[test]
fn a_silent_server_times_out_in_the_upgrade() {
    let server = Server::start(|mut stream| wait_for_end(&mut stream));
    let phase = phase_of_timeout(&format!("ws://127.0.0.1:{}/", server.port));
    assert_eq!(server.join(phase), Some(Phase::Upgrade));
}

#[test]
fn a_server_that_drips_its_head_times_out_too() {
    let server = Server::start(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nX: ");
        // Slowly enough to stay below the limit of the head's length until the client gives up.
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
    });
    let phase = phase_of_timeout(&format!("ws://127.0.0.1:{}/", server.port));
    assert_eq!(server.join(phase), Some(Phase::Upgrade));
}

#[test]
fn a_timeout_names_phase_peer_and_limit() {
    let server = Server::start(|mut stream| wait_for_end(&mut stream));
    let (port, after) = (server.port, Duration::from_millis(50));
    let error = server.join(text(dial(
        &format!("ws://127.0.0.1:{port}/?token=secret"),
        &Config::default(),
        after,
    )));
    let told = format!(
        "WebSocket upgrade by 127.0.0.1:{port}: not done within the connect_timeout of 50ms (is this its"
    );
    assert!(error.starts_with(&told), "{error}");
}

#[test]
fn a_timeout_beyond_the_clock_is_none() {
    let server = Server::start(|mut stream| {
        let request = read_request(&mut stream);
        stream.write_all(switching(&request).as_bytes()).unwrap();
    });
    let result =
        dial(&format!("ws://127.0.0.1:{}/", server.port), &Config::default(), Duration::MAX);
    assert!(server.join(result).is_ok());
}

#[test]
fn a_cancel_before_connecting_opens_no_socket() {
    let cancel = Cancel::new();
    cancel.cancel();
    // Nobody listens on port 1, so that anything but `Cancelled` would show.
    let target = Target::new("ws://127.0.0.1:1/", &Config::default()).unwrap();
    assert!(matches!(connect(&target, LONG, &cancel, &Attempt::new()), Err(Failure::Cancelled)));
    assert!(
        matches!(connect(&target, LONG, &cancel, &Attempt::new()), Err(Failure::Cancelled)),
        "a cancel is for good"
    );
}

/// Connects and cancels as soon as `reached` hears something.
fn cancel_when(url: &str, reached: &mpsc::Receiver<()>) {
    cancel_with(url, &Config::default(), reached);
}

pub(super) fn cancel_with(url: &str, config: &Config, reached: &mpsc::Receiver<()>) {
    let target = Target::new(url, config).unwrap();
    let cancel = Cancel::new();
    thread::scope(|scope| {
        let connecting =
            scope.spawn(|| (connect(&target, LONG, &cancel, &Attempt::new()), Instant::now()));
        reached.recv_timeout(LONG).unwrap();
        let cancelled = Instant::now();
        cancel.cancel();
        let (result, returned) = connecting.join().unwrap();
        assert!(matches!(result, Err(Failure::Cancelled)), "{url}");
        assert!(returned.saturating_duration_since(cancelled) < AT_ONCE, "{url}");
    });
}

#[test]
fn a_cancel_ends_connecting_at_once() {
    let Some(dead) = DeadListener::new() else { return };
    let (reach, reached) = mpsc::channel();
    // Whether the thread waits already or not must make no difference.
    for _ in 0..20 {
        reach.send(()).unwrap();
        cancel_when(&format!("ws://{}/", dead.address()), &reached);
    }
}

#[test]
#[cfg(feature = "__tls")]
fn a_cancel_ends_the_tls_handshake_at_once() {
    use std::io::Read;

    let (reach, reached) = mpsc::channel();
    let server = Server::start(move |mut stream| {
        stream.read_exact(&mut [0; 5]).unwrap();
        reach.send(()).unwrap();
        wait_for_end(&mut stream);
    });
    cancel_when(&format!("wss://127.0.0.1:{}/", server.port), &reached);
    server.join(());
}

#[test]
fn a_cancel_ends_the_upgrade_at_once() {
    for beginning in
        ["", "HTTP/1.1 101 Swi", "HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nhal"]
    {
        let (reach, reached) = mpsc::channel();
        let server = Server::start(move |mut stream| {
            read_request(&mut stream);
            stream.write_all(beginning.as_bytes()).unwrap();
            reach.send(()).unwrap();
            wait_for_end(&mut stream);
        });
        cancel_when(&format!("ws://127.0.0.1:{}/", server.port), &reached);
        server.join(());
    }
}
