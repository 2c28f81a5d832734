//! Says what the server of a recording said, to each client that comes.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender as Channel, bounded, unbounded};
use websocket_app::OwnedMessage;
use websocket_app::server::{Client, Server};

use super::script::{Script, Stage};
use crate::failure::Failure;
use crate::seconds::FOREVER;
use crate::signals;
use crate::status::Status;

/// How long clients have to answer the Close frame.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// How many messages of a client may wait for their turn; then it is not read.
const AHEAD: usize = 1024;

/// As much as a recording holds.
const MAX_MESSAGE: usize = 1 << 30;

/// Where each client's messages go, by its number.
type Stages = Arc<Mutex<HashMap<u64, Channel<OwnedMessage>>>>;

pub(crate) fn run(address: &str, once: bool, script: Script) -> Result<Status, Failure> {
    let script = Arc::new(script);
    let stages = Stages::default();
    let (tell, ended) = unbounded();
    let server = Server::new(address)
        .max_message_size(MAX_MESSAGE)
        .send_timeout(FOREVER)
        .on_open({
            let (stages, script, tell) = (Arc::clone(&stages), Arc::clone(&script), tell.clone());
            move |client| {
                let (say, said) = bounded(AHEAD);
                lock(&stages).insert(client.id(), say);
                let (client, script, tell) = (client.clone(), Arc::clone(&script), tell.clone());
                thread::spawn(move || {
                    let played = perform(&client, &script, said);
                    let _ = tell.send(Ended::Client(client.id(), played));
                });
            }
        })
        .on_message({
            let stages = Arc::clone(&stages);
            move |client, message| {
                let stage = lock(&stages).get(&client.id()).cloned();
                // What it says once all has been said is of no matter.
                let _ = stage.map(|stage| stage.send(message.into_owned()));
            }
        })
        .on_close(move |client, _| drop(lock(&stages).remove(&client.id())));
    // Before anybody knows that it listens.
    signals::on_interrupt(move || drop(tell.send(Ended::Interrupt)))?;
    let server = server.spawn().map_err(|error| Failure::of(&error, address))?;
    if let Some(address) = server.local_addr() {
        let _ = writeln!(io::stderr(), "listening on ws://{address}/");
    }
    let status = loop {
        match ended.recv() {
            Ok(Ended::Client(_, played)) if once => break played.map(|()| Status::Done),
            Ok(Ended::Client(id, played)) => {
                let outcome = match played {
                    Ok(()) => "said what was recorded".into(),
                    Err(failure) => failure.to_string(),
                };
                let _ = writeln!(io::stderr(), "client {id}: {outcome}");
            }
            Ok(Ended::Interrupt) | Err(_) => break Ok(Status::Interrupted),
        }
    };
    // Whoever is left gets no more.
    let _ = server.shutdown(1001, "", SHUTDOWN);
    server.join().map_err(|error| Failure::of(&error, address))?;
    status
}

enum Ended {
    Client(u64, Result<(), Failure>),
    Interrupt,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Plays the script for a client, and closes.
fn perform(client: &Client, script: &Script, said: Receiver<OwnedMessage>) -> Result<(), Failure> {
    let mut stage = Visitor { client, said };
    let played = script.play(false, &mut stage);
    let _ = match &played {
        Ok(()) => client.close_with(1000, ""),
        Err(_) => client.close_with(1008, "not what was recorded"),
    };
    played
}

struct Visitor<'a> {
    client: &'a Client,
    said: Receiver<OwnedMessage>,
}

impl Stage for Visitor<'_> {
    fn send(&mut self, message: &OwnedMessage) -> Result<(), Failure> {
        let sent = self.client.send(message);
        sent.map_err(|error| Failure::unsent("a message of the recording", &error))
    }

    fn receive(&mut self, until: Instant) -> Result<OwnedMessage, String> {
        self.said.recv_deadline(until).map_err(|error| match error.is_timeout() {
            true => "nothing in time".into(),
            false => "the end of the connection".into(),
        })
    }
}
