//! Says what the client of a recording said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender as Channel, unbounded};
use websocket_app::{
    CallbackError, Close, Error, Handler, Message, SendError, Sender, WebSocketApp,
};

use super::said::Said;
use super::script::{Script, Stage};
use crate::connection::ConnectionArgs;
use crate::failure::{Failure, shown_url};
use crate::signals;
use crate::status::Status;
use crate::threads;

/// How much longer than the peer may take to close a connection may be there.
const NOTICING: Duration = Duration::from_secs(2);

pub(crate) fn run(
    url: &str,
    connection: &ConnectionArgs,
    script: Script,
) -> Result<Status, Failure> {
    let said = Arc::new(script.said_by(false));
    let (tell, happenings) = unbounded();
    let listener = Listener { said: Arc::clone(&said), tell: tell.clone() };
    let app = connection.read()?.apply(WebSocketApp::with_handler(url, listener));
    let sender = app.sender();
    signals::on_interrupt({
        let tell = tell.clone();
        move || drop(tell.send(Happening::Interrupt))
    })?;
    let app = app.spawn().map_err(|error| Failure::of(&error, url))?;
    let mut script = Some(script);
    let mut played = Ok(());
    let mut over = false;
    loop {
        match happenings.recv() {
            Ok(Happening::Open) => {
                let Some(script) = script.take() else { continue };
                let (tell, sender, said) = (tell.clone(), sender.clone(), Arc::clone(&said));
                // It may wait for its time, or for room.
                let playing = threads::spawn(move || {
                    let mut stage = Client { sender, said };
                    let _ = tell.send(Happening::Played(script.play(true, &mut stage)));
                });
                if let Err(failure) = playing {
                    played = Err(failure);
                    break;
                }
            }
            Ok(Happening::Played(outcome)) => {
                played = outcome;
                break;
            }
            Ok(Happening::Over) => {
                over = true;
                // Who plays notices, where it has been open.
                if script.is_some() {
                    break;
                }
            }
            Ok(Happening::Interrupt) | Err(_) => {
                app.close();
                return Ok(Status::Interrupted);
            }
        }
    }
    app.close();
    let mut until = Instant::now() + connection.close_timeout + NOTICING;
    let mut aborted = false;
    while !over {
        match happenings.recv_deadline(until) {
            Ok(Happening::Interrupt) => return Ok(Status::Interrupted),
            Ok(Happening::Over) => over = true,
            Ok(_) => {}
            Err(_) if aborted => return Err(still_there(url, played)),
            Err(_) => {
                app.sender().abort();
                aborted = true;
                until = Instant::now() + NOTICING;
            }
        }
    }
    match (played, app.join()) {
        // What is wrong with the connection is why.
        (Err(failure), Err(error)) => Err(Failure::of(&error, url).and(failure)),
        (Ok(()), Err(error)) => Err(Failure::of(&error, url)),
        (Err(failure), Ok(_)) => Err(failure),
        (Ok(()), Ok(_)) => Ok(Status::Done),
    }
}

/// Says that a connection does not end.
fn still_there(url: &str, played: Result<(), Failure>) -> Failure {
    let what = format!("{}: the connection did not end", shown_url(url));
    let failure = Failure::new(Status::TimedOut, what);
    match played {
        Err(why) => failure.and(why),
        Ok(()) => failure,
    }
}

enum Happening {
    Open,
    Played(Result<(), Failure>),
    /// The connection is over, or the run.
    Over,
    Interrupt,
}

struct Listener {
    said: Arc<Said>,
    tell: Channel<Happening>,
}

/// Where the system has no thread for it, a run ends without a call.
impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.tell.send(Happening::Over);
    }
}

impl Handler for Listener {
    fn on_open(&mut self, _ws: &Sender) -> Result<(), CallbackError> {
        let _ = self.tell.send(Happening::Open);
        Ok(())
    }

    fn on_message(&mut self, _ws: &Sender, message: Message<'_>) -> Result<(), CallbackError> {
        self.said.push(message);
        Ok(())
    }

    fn on_error(&mut self, _ws: &Sender, _error: &Error) -> Result<(), CallbackError> {
        Ok(())
    }

    fn on_close(&mut self, _ws: &Sender, close: &Close) -> Result<(), CallbackError> {
        self.said.end(format!("the end of the connection ({close})"));
        let _ = self.tell.send(Happening::Over);
        Ok(())
    }
}

struct Client {
    sender: Sender,
    said: Arc<Said>,
}

impl Stage for Client {
    fn send(&mut self, message: Message<'_>, patience: Duration) -> Result<(), SendError> {
        self.sender.send_timeout(message, patience)
    }

    fn flush(&mut self, patience: Duration) -> Result<(), SendError> {
        self.sender.flush(patience)
    }

    fn said(&self) -> &Said {
        &self.said
    }
}
