//! Says what the client of a recording said.

use std::time::Instant;

use websocket_app::{Event, Events, OwnedMessage, WebSocketApp};

use super::script::{Script, Stage};
use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::signals;
use crate::status::Status;

/// How many messages may wait: what comes before its turn.
const AHEAD: usize = 1024;

pub(crate) fn run(
    url: &str,
    connection: &ConnectionArgs,
    script: &Script,
) -> Result<Status, Failure> {
    let app = connection.apply(WebSocketApp::new(url))?;
    let sender = app.sender();
    signals::on_interrupt(move || sender.close())?;
    let events = app.events(AHEAD);
    let mut client = Client { events, closed: false };
    loop {
        match client.events.recv() {
            Some(Event::Open) => break,
            Some(_) => {}
            None => return client.outcome(url, Ok(())),
        }
    }
    let played = script.play(true, &mut client);
    client.events.close();
    client.outcome(url, played)
}

struct Client {
    events: Events,
    closed: bool,
}

impl Client {
    fn outcome(self, url: &str, played: Result<(), Failure>) -> Result<Status, Failure> {
        let ended = self.events.join();
        match (played, ended) {
            // What is wrong with the connection is why.
            (Err(_), Err(error)) => Err(Failure::of(&error, url)),
            (Err(failure), Ok(_)) => Err(failure),
            (Ok(()), Err(error)) => Err(Failure::of(&error, url)),
            (Ok(()), Ok(_)) => Ok(Status::Done),
        }
    }
}

impl Stage for Client {
    fn send(&mut self, message: &OwnedMessage) -> Result<(), Failure> {
        let sent = self.events.sender().send(message);
        sent.map_err(|error| Failure::unsent("a message of the recording", &error))
    }

    fn receive(&mut self, until: Instant) -> Result<OwnedMessage, String> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Some(Event::Message(message)) => return Ok(message),
                Some(Event::Close(close)) => {
                    self.closed = true;
                    return Err(format!("the end of the connection ({close})"));
                }
                Some(_) => {}
                None if self.closed => return Err("the end of the connection".into()),
                None => return Err("nothing in time".into()),
            }
        }
    }
}
