//! Runs `wsapp` and waits for it, but not for ever.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longer than anything takes on a machine that does other things too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The command with these arguments, in an environment that has nothing to do with it.
pub(crate) fn command(args: &[&str]) -> Command {
    prepared(Command::new(env!("CARGO_BIN_EXE_wsapp")), args)
}

/// The same, which hears of SIGHUP also where whoever runs the tests has it ignored, as `nohup` does:
/// that is handed on to every process.
#[cfg(unix)]
pub(crate) fn command_that_hears_of_hangups(args: &[&str]) -> Command {
    if !cfg!(target_os = "linux") {
        return command(args);
    }
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_wsapp")]);
    prepared(command, args)
}

pub(crate) fn prepared(mut command: Command, args: &[&str]) -> Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let unwanted = ["WSAPP_AUTH", "WSAPP_HEADERS", "NO_COLOR"];
        if name.to_lowercase().ends_with("_proxy") || unwanted.contains(&&*name) {
            command.env_remove(&*name);
        }
    }
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// How a process ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn with(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn wrote(self, expected: impl AsRef<[u8]>) -> Self {
        let expected = expected.as_ref();
        assert!(
            self.stdout == expected,
            "{self:?} instead of {:?}",
            expected.escape_ascii().to_string()
        );
        self
    }

    /// Wrote nothing to standard error.
    #[track_caller]
    pub(crate) fn silently(self) -> Self {
        assert_eq!(self.stderr, "", "{self:?}");
        self
    }

    /// Wrote these to standard error, among other things.
    #[track_caller]
    pub(crate) fn said(self, words: &[&str]) -> Self {
        assert!(!words.is_empty(), "that says nothing: silently() does");
        for words in words {
            assert!(self.stderr.contains(words), "{words:?} is not in {}", self.stderr);
        }
        self
    }
}

/// A process that runs.
pub(crate) struct Running {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    /// What comes to standard error, piece by piece.
    told: Receiver<Vec<u8>>,
    /// Hears when both have ended.
    ended: Receiver<()>,
    /// What comes to standard output, piece by piece.
    written: Receiver<Vec<u8>>,
    pending: Vec<u8>,
}

/// Starts it with a pipe as standard input.
pub(crate) fn start(args: &[&str]) -> Running {
    let mut command = command(args);
    command.stdin(Stdio::piped());
    start_command(command)
}

pub(crate) fn start_command(mut command: Command) -> Running {
    let mut child = command.spawn().unwrap();
    let stdin = child.stdin.take();
    let (end, ended) = channel();
    let (write, written) = channel();
    let stdout = child.stdout.take().map(|pipe| drain(pipe, end.clone(), Some(write)));
    let (tell, told) = channel();
    let stderr = Some(drain(child.stderr.take().unwrap(), end, Some(tell)));
    Running { child, stdin, stdout, stderr, told, ended, written, pending: Vec::new() }
}

fn drain(
    mut pipe: impl Read + Send + 'static,
    end: std::sync::mpsc::Sender<()>,
    tell: Option<std::sync::mpsc::Sender<Vec<u8>>>,
) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = pipe.read(&mut buffer) {
            all.extend_from_slice(&buffer[..read]);
            if let Some(tell) = &tell {
                let _ = tell.send(buffer[..read].to_vec());
            }
        }
        drop(end);
        all
    })
}

/// A test that has failed leaves nothing behind.
impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input.
    #[track_caller]
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stdin.as_mut().unwrap().write_all(bytes.as_ref()).unwrap();
    }

    /// Waits for a line of standard output.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line = self.pending.drain(..=end).collect();
                return String::from_utf8(line).unwrap().trim_end().to_owned();
            }
            let more = self.written.recv_timeout(PATIENCE).expect("a line of standard output");
            self.pending.extend(more);
        }
    }

    /// Waits until it says on standard error where it listens, and returns that.
    #[track_caller]
    pub(crate) fn address(&self) -> String {
        let line = self.address_line();
        assert!(line.starts_with("ws"), "{line}");
        line
    }

    /// The same, whatever kind of address it is.
    #[track_caller]
    pub(crate) fn address_line(&self) -> String {
        self.try_address().expect("where it listens")
    }

    /// The same, where it may end instead.
    #[track_caller]
    pub(crate) fn try_address(&self) -> Option<String> {
        let mut said = String::new();
        loop {
            let more = match self.told.recv_timeout(PATIENCE) {
                Ok(more) => more,
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("it does not say where it listens"),
            };
            said += &String::from_utf8_lossy(&more);
            if let Some((_, rest)) = said.split_once("listening on ")
                && let Some((url, _)) = rest.split_once('\n')
            {
                return Some(url.to_owned());
            }
        }
    }

    /// Waits until it says this on standard error.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) {
        let mut said = String::new();
        while !said.contains(words) {
            let more = self.told.recv_timeout(PATIENCE);
            let more = more.unwrap_or_else(|_| panic!("{words:?} is not in {said}"));
            said += &String::from_utf8_lossy(&more);
        }
    }

    /// Sends a signal by name, `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end: longer where it goes on writing, but not for ever.
    #[track_caller]
    pub(crate) fn wait(self) -> Ended {
        self.wait_within(PATIENCE)
    }

    /// The same, where it has less time.
    #[track_caller]
    pub(crate) fn wait_within(mut self, patience: Duration) -> Ended {
        let mut end = self.ended.recv_timeout(patience);
        for _ in 1..5 {
            if end == Err(RecvTimeoutError::Timeout) && self.written.try_iter().count() > 0 {
                end = self.ended.recv_timeout(patience);
            }
        }
        let in_time = end == Err(RecvTimeoutError::Disconnected);
        let mut threads = String::new();
        if !in_time {
            threads = what_threads_do(self.id());
            self.child.kill().unwrap();
        }
        let status = self.child.wait().unwrap().code();
        let stdout = self.stdout.take().map(|thread| thread.join().unwrap()).unwrap_or_default();
        let stderr = self.stderr.take().map(|thread| thread.join().unwrap()).unwrap_or_default();
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        let ended = Ended { status, stdout, stderr };
        assert!(in_time, "it does not end within {patience:?}: {ended:?}\n{threads}");
        ended
    }
}

/// Returns what each thread of a process is called and waits for, as far as the system says so.
fn what_threads_do(process: u32) -> String {
    let threads = std::fs::read_dir(format!("/proc/{process}/task"));
    let threads = threads.into_iter().flatten().flatten().map(|thread| {
        let read = |name| std::fs::read_to_string(thread.path().join(name)).unwrap_or_default();
        let state = ["comm", "wchan", "syscall", "stat"].map(read);
        state.map(|text| text.trim().to_owned()).join(" | ")
    });
    threads.collect::<Vec<_>>().join("\n")
}

/// Runs it to its end with this standard input.
#[track_caller]
pub(crate) fn run(args: &[&str], input: impl AsRef<[u8]> + Debug) -> Ended {
    let mut running = start(args);
    let mut stdin = running.stdin.take().unwrap();
    let input = input.as_ref().to_vec();
    // It may end without reading all of it.
    let writing = thread::spawn(move || drop(stdin.write_all(&input)));
    let ended = running.wait();
    writing.join().unwrap();
    ended
}

/// Runs it to its end with nobody who reads what it writes.
#[track_caller]
pub(crate) fn run_without_reader(args: &[&str]) -> Ended {
    let mut command = command(args);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer);
    start_command(command).wait()
}

fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(sent.unwrap().success());
}

/// A process that runs, and whose standard output nobody reads but by hand.
pub(crate) struct Unread {
    child: Child,
    stdout: ChildStdout,
}

pub(crate) fn start_unread(mut command: Command) -> Unread {
    let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    Unread { child, stdout }
}

impl Unread {
    pub(crate) fn stdout(&mut self) -> &mut ChildStdout {
        &mut self.stdout
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// How many threads of the command itself there are.
    #[cfg(target_os = "linux")]
    pub(crate) fn threads(&self) -> usize {
        what_threads_do(self.child.id()).lines().filter(|line| line.starts_with("wsapp ")).count()
    }

    /// Waits for its end, and returns its exit status.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Option<i32> {
        wait_for(&mut self.child)
    }

    /// The same, with nobody who might read it any more.
    #[track_caller]
    pub(crate) fn wait_without_reader(self) -> Option<i32> {
        let Unread { mut child, stdout } = self;
        drop(stdout);
        wait_for(&mut child)
    }
}

#[track_caller]
fn wait_for(child: &mut Child) -> Option<i32> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() >= until {
            child.kill().unwrap();
            panic!("it does not end");
        }
        // Nothing tells of it while its standard output is open on our side.
        thread::sleep(Duration::from_millis(10));
    }
}
