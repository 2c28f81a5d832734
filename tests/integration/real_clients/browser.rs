//! What browsers have in common: a process with a folder of its own, a WebSocket over which it is told
//! what to do, and pages in which functions of `tests/javascript/clients.js` run.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use websocket_app::{OwnedMessage, WebSocket};

use super::over_ws_and_wss;
use crate::program::skip;
use crate::watchdog::PATIENCE;

/// A running browser. Dropping it ends it, and removes its folder.
pub(super) struct Browser {
    process: Child,
    folder: PathBuf,
}

/// One browser for the tests that run at the same time. It ends with the last of them.
pub(super) struct Shared<T>(Mutex<Weak<T>>);

/// A connection to a browser, or to one page.
pub(super) struct Remote {
    socket: RefCell<WebSocket>,
    commands: Cell<u32>,
}

/// A page that is open.
pub(super) trait Page {
    /// Evaluates an expression, and waits for the promise that it may be. Fails where it throws.
    fn evaluate(&self, expression: &str);
}

/// Runs these functions of the script in a page, each with the server's URL.
pub(super) fn in_pages_over_http_and_https<P: Page>(open: impl Fn(&str) -> P, functions: &[&str]) {
    over_ws_and_wss(|served| {
        let page = open(&served.page("/"));
        for function in functions {
            page.evaluate(&format!("{function}({:?})", served.url("")));
        }
    });
}

impl Browser {
    /// Starts it with what is made for its folder. `None`, said on standard error, where there is
    /// none.
    pub(super) fn start(name: &str, command: impl FnOnce(&Path) -> Command) -> Option<Browser> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("{name}-{}-{number}", process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
        fs::create_dir_all(&folder).unwrap();
        let log = File::create(folder.join("log")).unwrap();
        let mut command = command(&folder);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        match command.spawn() {
            Ok(process) => Some(Browser { process, folder }),
            Err(error) => {
                fs::remove_dir_all(folder).unwrap();
                assert_eq!(error.kind(), io::ErrorKind::NotFound, "{name}: {error}");
                skip(&format!("needs {name}"));
                None
            }
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{}", fs::read_to_string(self.folder.join("log")).unwrap_or_default());
        }
        // Asked first, so that it ends its other processes.
        let _no_such_command = Command::new("kill").arg(self.process.id().to_string()).status();
        let deadline = Instant::now() + PATIENCE / 5;
        while self.process.try_wait().unwrap().is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        let _gone_already = self.process.kill();
        self.process.wait().unwrap();
        // They may be writing into it still.
        let deadline = Instant::now() + PATIENCE / 5;
        while fs::remove_dir_all(&self.folder).is_err() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl<T> Shared<T> {
    pub(super) const fn new() -> Self {
        Shared(Mutex::new(Weak::new()))
    }

    /// Gives the one that runs, or starts it.
    pub(super) fn running(&self, start: impl FnOnce() -> Option<T>) -> Option<Arc<T>> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Some(running);
        }
        let started = Arc::new(start()?);
        *shared = Arc::downgrade(&started);
        Some(started)
    }
}

impl Remote {
    pub(super) fn connect(url: &str) -> Self {
        let socket = WebSocket::builder(url).no_proxy().connect().unwrap();
        Remote { socket: RefCell::new(socket), commands: Cell::new(0) }
    }

    /// Gives what it answers, as JSON.
    pub(super) fn command(&self, method: &str, parameters: &str) -> String {
        let id = self.commands.replace(self.commands.get() + 1);
        let command = format!(r#"{{"id":{id},"method":{},"params":{parameters}}}"#, quoted(method));
        self.socket.borrow().send(command).unwrap();
        // Chromium's, and Firefox's.
        let answer = self.wait_for(&[
            &format!(r#"{{"id":{id},"#),
            &format!(r#"{{"type":"success","id":{id},"#),
            &format!(r#"{{"type":"error","id":{id},"#),
        ]);
        assert!(answer.contains(r#""result":"#), "{method}: {answer}");
        answer
    }

    /// Gives the next message with one of these beginnings.
    pub(super) fn wait_for(&self, beginnings: &[&str]) -> String {
        loop {
            // Longer than what is evaluated takes to give up.
            match self.socket.borrow_mut().recv_timeout(2 * PATIENCE).unwrap() {
                Some(OwnedMessage::Text(text))
                    if beginnings.iter().any(|beginning| text.starts_with(beginning)) =>
                {
                    return text;
                }
                Some(_) => {}
                None => panic!("no answer of the browser, {beginnings:?}"),
            }
        }
    }

    /// Evaluates with a command whose answer has `exceptionDetails` where the expression throws.
    pub(super) fn evaluate(&self, method: &str, expression: &str, more_parameters: &str) {
        println!("{expression:.200}");
        let parameters = format!(
            r#"{{"expression":{},"awaitPromise":true,{more_parameters}}}"#,
            quoted(expression)
        );
        let result = self.command(method, &parameters);
        assert!(!result.contains("exceptionDetails"), "{expression:.200}: {result}");
    }
}

/// Returns the value of a member that is a string without anything special in it.
pub(super) fn member(json: &str, name: &str) -> String {
    let value = json.split_once(&format!(r#""{name}":""#)).expect("it has this member").1;
    value.split('"').next().expect("there is a first").to_owned()
}

/// Returns a string as JSON.
pub(super) fn quoted(text: &str) -> String {
    let mut json = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c.is_control() => json += &format!("\\u{:04x}", u32::from(c)),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}
