//! A real server as a child process: found or skipped, its output watched, killed at the end.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::program::{skip, system};
use crate::watchdog::{PATIENCE, Task};

/// Tells whether a program is there. If not, this test is skipped, which is noted.
pub(super) fn is_there(program: &str) -> bool {
    match system(program).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(_) => true,
        Err(why) => {
            skip(&format!("needs {program}: {why}"));
            false
        }
    }
}

pub(super) struct Program {
    child: Child,
    input: ChildStdin,
    output: Output,
    // Dropped after the child has ended, which ends them.
    _readers: [Task<()>; 2],
}

/// What it has written to its standard output and error, together.
type Output = Arc<(Mutex<Vec<u8>>, Condvar)>;

impl Program {
    pub(super) fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().expect("it is piped");
        let (stdout, stderr) =
            (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is piped"));
        let output = Output::default();
        let readers = [watch(stdout, &output), watch(stderr, &output)];
        Program { child, input, output, _readers: readers }
    }

    pub(super) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.input.write_all(bytes.as_ref()).unwrap();
        self.input.flush().unwrap();
    }

    /// Waits until its output has what is looked for.
    pub(super) fn find<T>(&self, what: &str, look: impl Fn(&[u8]) -> Option<T>) -> T {
        let mut output = self.output.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = look(&output) {
                return found;
            }
            let waited = self
                .output
                .1
                .wait_timeout(output, PATIENCE)
                .unwrap_or_else(PoisonError::into_inner);
            output = waited.0;
            assert!(!waited.1.timed_out(), "no {what} in:\n{}", String::from_utf8_lossy(&output));
        }
    }

    /// Waits until its output has this text so many times.
    pub(super) fn find_times(&self, text: &str, times: usize) {
        self.find(text, |output| {
            let found =
                output.windows(text.len()).filter(|window| *window == text.as_bytes()).count();
            (found >= times).then_some(())
        });
    }

    /// What follows this text on its line, once the line is whole.
    pub(super) fn find_behind(&self, text: &str) -> String {
        self.find(text, |output| {
            let output = String::from_utf8_lossy(output);
            let (_, behind) = output.split_once(text)?;
            Some(behind.split_once('\n')?.0.trim().to_owned())
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        self.child.wait().unwrap();
    }
}

fn watch(mut from: impl Read + Send + 'static, output: &Output) -> Task<()> {
    let output = Arc::clone(output);
    Task::start("the output of a program", move || {
        let mut buf = [0; 4096];
        while let Ok(n @ 1..) = from.read(&mut buf) {
            output.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buf[..n]);
            output.1.notify_all();
        }
    })
}
