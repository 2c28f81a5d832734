//! Says what the server of a recording said, to each client that comes.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::unbounded;
use websocket_app::server::{Client, Server};
use websocket_app::{Message, SendError};

use super::said::Said;
use super::script::{Script, Stage};
use crate::failure::Failure;
use crate::signals;
use crate::status::Status;
use crate::threads;

/// How long clients have to answer the Close frame.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// As much as a recording holds.
const MAX_MESSAGE: usize = 1 << 30;

/// Where each client's messages go, by its number.
type Stages = Arc<Mutex<HashMap<u64, Arc<Said>>>>;

pub(crate) fn run(address: &str, once: bool, script: Script) -> Result<Status, Failure> {
    let script = Arc::new(script);
    let stages = Stages::default();
    let (tell, ended) = unbounded();
    let server = Server::new(address)
        .max_message_size(MAX_MESSAGE)
        .on_open({
            let (stages, script, tell) = (Arc::clone(&stages), Arc::clone(&script), tell.clone());
            move |client| {
                let said = Arc::new(script.said_by(true));
                lock(&stages).insert(client.id(), Arc::clone(&said));
                let (client, script, tell) = (client.clone(), Arc::clone(&script), tell.clone());
                let (visitor, telling) = (client.clone(), tell.clone());
                let playing = threads::spawn(move || {
                    let played = perform(&visitor, &script, said);
                    let _ = telling.send(Ended::Client(visitor.id(), played));
                });
                if let Err(failure) = playing {
                    let _ = client.close_with(1011, "no thread to play on");
                    let _ = tell.send(Ended::Client(client.id(), Err(failure)));
                }
            }
        })
        .on_message({
            let stages = Arc::clone(&stages);
            move |client, message| {
                let said = lock(&stages).get(&client.id()).cloned();
                said.into_iter().for_each(|said| said.push(message));
            }
        })
        .on_close(move |client, _| {
            let said = lock(&stages).remove(&client.id());
            said.into_iter().for_each(|said| said.end("the end of the connection"));
        });
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
fn perform(client: &Client, script: &Script, said: Arc<Said>) -> Result<(), Failure> {
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
    said: Arc<Said>,
}

impl Stage for Visitor<'_> {
    fn send(&mut self, message: Message<'_>, patience: Duration) -> Result<(), SendError> {
        self.client.sender().send_timeout(message, patience)
    }

    fn flush(&mut self, patience: Duration) -> Result<(), SendError> {
        self.client.flush(patience)
    }

    fn said(&self) -> &Said {
        &self.said
    }
}
