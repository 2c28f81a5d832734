//! On its way to the server an app meets a name that nobody knows, a port where nobody listens, and
//! one where nobody answers; each is told, and the server reached in the end.

use std::time::Duration;

use websocket_app::{ClosedBy, Phase, Reconnect, WebSocketApp};

use super::census;
use super::server::{SCHEMES, Scheme, Server, WELCOME};
use crate::failure::{Failure, clean};
use crate::peer::{FullBacklog, RefusedPort};
use crate::recorder::Call;
use crate::running::run;

/// Waited for once; an attempt that is to succeed gets another if it takes longer.
const TIMEOUT: Duration = Duration::from_secs(1);
const AGAIN_AFTER: Duration = Duration::from_millis(1);

/// A label of more than 63 characters: no resolver asks anyone for it.
pub(super) fn unknown_name() -> String {
    format!("ws://{}.example/", "x".repeat(64))
}

#[test]
fn nobody_knows_nobody_listens_nobody_answers() {
    census::alone("faults::way::nobody_knows_nobody_listens_nobody_answers", |census| {
        for &scheme in SCHEMES {
            one(scheme);
            census.nothing_is_left("a way to the server");
        }
    });
}

fn one(scheme: Scheme) {
    let (refused, silent) = (RefusedPort::new(), FullBacklog::new());
    let server = Server::start(scheme, None);
    let url = server.peer.url();
    let mut way = vec![unknown_name(), refused.url(), silent.url()].into_iter();
    let app = run(WebSocketApp::new(url.clone())
        .tls(server.peer.tls())
        .connect_timeout(TIMEOUT)
        .reconnect(Reconnect::fixed(AGAIN_AFTER))
        .url_with(move |_| way.next().unwrap_or_else(|| url.clone())));
    for (attempt, why) in [
        (1, Failure::Network(Phase::Resolve)),
        (2, Failure::Network(Phase::Connect)),
        (3, Failure::Timeout(Phase::Connect, TIMEOUT)),
    ] {
        assert_eq!(app.failed_attempt(attempt), (Some(AGAIN_AFTER), why));
    }
    loop {
        match app.next() {
            Call::Open => break,
            Call::Error(Failure::Attempt(_, Some(_), why))
                if matches!(*why, Failure::Timeout(..)) => {}
            call => panic!("{call:?}"),
        }
    }
    app.expect_text(WELCOME);
    app.sender.close();
    app.expect_close(clean(ClosedBy::Us, 1000, ""));
    app.end_in_order();
}
