//! A command for each client: its standard input and output are the client's messages.

use std::collections::HashMap;
use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use websocket_app::Message;
use websocket_app::server::Client;

use super::tell;
use crate::talk::{Format, Pieces, Said};

pub(crate) struct Sessions {
    command: Option<String>,
    format: Format,
    running: Mutex<HashMap<u64, Session>>,
}

struct Session {
    /// Its thread writes to it without holding the map.
    stdin: Arc<Mutex<Option<ChildStdin>>>,
    child: Arc<Mutex<Child>>,
}

impl Sessions {
    /// Without a command there are none.
    pub(crate) fn new(command: Option<String>, format: Format) -> Self {
        Sessions { command, format, running: Mutex::default() }
    }

    /// Starts the command for a client.
    pub(crate) fn open(&self, client: &Client) {
        let Some(command) = &self.command else { return };
        match self.start(command, client) {
            Ok(session) => drop(lock(&self.running).insert(client.id(), session)),
            Err(error) => {
                tell(&format!("--exec {command}: {error}"));
                // The reason is short enough.
                let _ = client.close_with(1011, "the command cannot be run");
            }
        }
    }

    fn start(&self, command: &str, client: &Client) -> std::io::Result<Session> {
        let request = client.request();
        let mut child = shell(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .env("WSAPP_CLIENT", client.id().to_string())
            .env("WSAPP_ADDRESS", request.peer_addr().map(|a| a.to_string()).unwrap_or_default())
            .env("WSAPP_PATH", request.path())
            .env("WSAPP_QUERY", request.query().unwrap_or_default())
            .spawn()?;
        let stdin = Arc::new(Mutex::new(child.stdin.take()));
        let stdout = child.stdout.take();
        let child = Arc::new(Mutex::new(child));
        let (client, format, waited_for) = (client.clone(), self.format, Arc::clone(&child));
        thread::spawn(move || {
            if let Some(stdout) = stdout {
                speak(&client, format, stdout);
            }
            // It has closed its output: it ends, or has ended.
            let ended = lock(&waited_for).wait();
            let _ = match ended {
                Ok(status) if status.success() => client.close_with(1000, ""),
                _ => client.close_with(1011, "the command failed"),
            };
        });
        Ok(Session { stdin, child })
    }

    /// Gives a client's message to its command; waits while that reads slowly.
    pub(crate) fn say(&self, client: &Client, message: Message<'_>) {
        let Some(stdin) = lock(&self.running).get(&client.id()).map(|s| Arc::clone(&s.stdin))
        else {
            return;
        };
        let mut bytes = Vec::new();
        self.format.write(message, None, &mut bytes);
        let mut stdin = lock(&stdin);
        // One that does not read any more may still have something to say.
        if stdin.as_mut().is_some_and(|stdin| stdin.write_all(&bytes).is_err()) {
            *stdin = None;
        }
    }

    /// Ends the command of a client that has gone: its standard input ends. Many do then; who only
    /// writes notices with its next line, which nobody takes.
    pub(crate) fn close(&self, client: &Client) {
        if let Some(session) = lock(&self.running).remove(&client.id()) {
            *lock(&session.stdin) = None;
        }
    }

    /// Ends all that are left.
    pub(crate) fn end(&self) {
        for (_, session) in lock(&self.running).drain() {
            // Who holds this waits for its end, which the end of its input brings.
            if let Ok(mut child) = session.child.try_lock() {
                let _ = child.kill();
            }
        }
    }
}

/// Sends what a command writes, until its end, or until the client is gone: then it gets a broken
/// pipe.
fn speak(client: &Client, format: Format, stdout: impl std::io::Read) {
    let mut pieces = Pieces::of(stdout, format);
    while let Ok(Some(piece)) = pieces.next() {
        let sent = match format.read(piece) {
            Ok(Said::Text(text)) => client.send(&*text),
            Ok(Said::Binary(data)) => client.send(&*data),
            Ok(Said::Ping(payload)) => client.sender().ping(payload),
            Ok(Said::Pong(payload)) => client.sender().pong(payload),
            Ok(Said::Close(code, reason)) => client.close_with(code, &reason),
            Err(problem) => {
                tell(&format!("client {}: its command: {problem}", client.id()));
                Ok(())
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

#[cfg(unix)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]);
    shell
}

#[cfg(not(unix))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.args(["/C", command]);
    shell
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
