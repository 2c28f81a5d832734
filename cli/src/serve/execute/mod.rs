//! A command for each client: its standard input and output are the client's messages.
//!
//! ```text
//!   on_message ─► input (bounded) ─► a thread ─► standard input
//!   client.send ◄─────────────────── a thread ◄─ standard output
//!   on_close ─► the input ends, then, after a while each, SIGTERM and SIGKILL
//! ```

mod input;
mod process;

use std::collections::HashMap;
use std::io;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use websocket_app::server::Client;
use websocket_app::{Message, SendError};

use self::input::{Input, Taken};
use self::process::Process;
use super::tell;
use crate::talk::{Format, Pieces, Said};

/// The commands that run.
pub(crate) struct Sessions {
    command: Option<String>,
    format: Format,
    /// How long a command may go on without its client, before SIGTERM and again before SIGKILL.
    grace: Duration,
    /// How many commands there may be, those included whose clients have gone.
    most: usize,
    state: Arc<Mutex<State>>,
    /// How many callbacks wait for a command to read.
    waiting: Arc<AtomicUsize>,
}

/// What is held while a command is started, but for nothing that waits for anybody.
#[derive(Default)]
struct State {
    running: HashMap<u64, Session>,
    /// The server ends, and says so itself: none is started any more.
    ending: bool,
}

#[derive(Clone)]
struct Session {
    input: Arc<Input>,
    process: Arc<Process>,
}

/// How long commands may take after SIGTERM where the server itself ends.
const LAST_GRACE: Duration = Duration::from_millis(500);

impl Sessions {
    /// Without a command there are none.
    pub(crate) fn new(
        command: Option<String>,
        format: Format,
        grace: Duration,
        clients: usize,
    ) -> Self {
        Sessions {
            command,
            format,
            grace,
            most: clients.saturating_mul(2),
            state: Arc::default(),
            waiting: Arc::default(),
        }
    }

    /// Starts the command for a client.
    pub(crate) fn open(&self, client: &Client) {
        let Some(command) = &self.command else { return };
        let mut state = lock(&self.state);
        if state.ending {
            return;
        }
        let (problem, code, reason) = if state.running.len() >= self.most {
            let problem = format!("{} run already, many of clients that have gone", self.most);
            (problem, 1013, "too many commands run")
        } else {
            match self.start(command, client) {
                Ok(session) => {
                    state.running.insert(client.id(), session);
                    return;
                }
                Err(error) => (error.to_string(), 1011, "the command cannot be run"),
            }
        };
        // Standard error may be one that nobody reads.
        drop(state);
        // The reason is short enough.
        let _ = client.close_with(code, reason);
        tell(&format!("--exec {command}: {problem}"));
    }

    fn start(&self, command: &str, client: &Client) -> io::Result<Session> {
        let request = client.request();
        let mut shell = shell(command);
        shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .env("WSAPP_CLIENT", client.id().to_string())
            .env("WSAPP_ADDRESS", request.peer_addr().map(|a| a.to_string()).unwrap_or_default())
            .env("WSAPP_PATH", request.path())
            .env("WSAPP_QUERY", request.query().unwrap_or_default());
        let (process, stdin, stdout) = Process::start(&mut shell)?;
        let input = Arc::new(Input::new(Arc::clone(&self.waiting)));
        let session = Session { input, process: Arc::new(process) };
        self.connect(&session, client, stdin, stdout).inspect_err(|_| session.process.kill())?;
        Ok(session)
    }

    /// Has messages go to and from a command, on a thread each.
    fn connect(
        &self,
        session: &Session,
        client: &Client,
        stdin: ChildStdin,
        stdout: ChildStdout,
    ) -> io::Result<()> {
        let input = Arc::clone(&session.input);
        // Who closes its input may still have something to say.
        thread::Builder::new().spawn(move || input.write_to(stdin))?;
        let (client, format, process) = (client.clone(), self.format, Arc::clone(&session.process));
        let state = Arc::clone(&self.state);
        thread::Builder::new().spawn(move || {
            speak(&client, format, stdout);
            // It has closed its output: it ends, or has ended; or its client has gone.
            let _ = match process.wait() {
                _ if lock(&state).ending => Ok(()),
                true => client.close_with(1000, ""),
                false => client.close_with(1011, "the command failed"),
            };
        })?;
        Ok(())
    }

    /// Gives a client's message to its command. Waits while that reads slowly, as long as it reads at
    /// all.
    pub(crate) fn say(&self, client: &Client, message: Message<'_>) {
        let Some(session) = self.session(client.id()) else { return };
        let mut bytes = Vec::new();
        self.format.write(message, None, &mut bytes);
        if session.input.put(bytes) == Taken::Never {
            // The reason is short enough.
            let _ = client.close_with(1013, "the command does not read");
        }
    }

    fn session(&self, client: u64) -> Option<Session> {
        lock(&self.state).running.get(&client).cloned()
    }

    /// Ends the command of a client that has gone: its input ends. Many do then; who only writes
    /// notices with its next line, which nobody takes; the others are made to.
    pub(crate) fn close(&self, client: &Client) {
        let id = client.id();
        let Some(session) = self.session(id) else { return };
        session.input.end();
        let (state, grace) = (Arc::clone(&self.state), self.grace);
        let process = Arc::clone(&session.process);
        let ending = thread::Builder::new().spawn(move || {
            session.process.end(grace, grace);
            lock(&state).running.remove(&id);
        });
        if ending.is_err() {
            // There is nobody who could wait for it.
            process.kill();
            lock(&self.state).running.remove(&id);
        }
    }

    /// Starts no more, and lets go of all callbacks that wait for a command.
    pub(crate) fn interrupt(&self) {
        let mut state = lock(&self.state);
        state.ending = true;
        state.running.values().for_each(|session| session.input.abandon());
    }

    /// Brings about the end of all at once.
    pub(crate) fn kill(&self) {
        self.interrupt();
        lock(&self.state).running.values().for_each(|session| session.process.kill());
    }

    /// Ends all that are left, and waits for that. Meanwhile they may be killed.
    pub(crate) fn end(&self) {
        let running: Vec<Session> = lock(&self.state).running.values().cloned().collect();
        let ending = running.into_iter().filter_map(|session| {
            session.input.abandon();
            let process = Arc::clone(&session.process);
            let thread = thread::Builder::new()
                .spawn(move || session.process.end(Duration::ZERO, LAST_GRACE));
            // Without anybody who could wait for it, it ends at once.
            thread.inspect_err(|_| process.kill()).ok()
        });
        for thread in ending.collect::<Vec<_>>() {
            // It does not panic.
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends what a command writes, until its end, or until the client is gone: then it gets a broken
/// pipe.
fn speak(client: &Client, format: Format, stdout: impl io::Read) {
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
        match sent {
            Ok(()) => {}
            Err(error @ SendError::InvalidControl { .. }) => {
                tell(&format!("client {}: its command: {error}", client.id()));
            }
            Err(_) => return,
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
