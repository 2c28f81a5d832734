//! [`Process`]: a command, with all that it starts, which a group of processes is.

use std::io;
use std::process::{ChildStdin, ChildStdout, Command};
use std::sync::Arc;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) struct Process {
    /// Its number, and its group's.
    id: u32,
    ended: Arc<Ended>,
}

#[derive(Default)]
struct Ended {
    /// Whether it went well, and when, once it has ended.
    end: Mutex<Option<(bool, Instant)>>,
    changed: Condvar,
}

/// How long after a process' end its number is not given to another for certain: far fewer are started
/// meanwhile than there are numbers.
const SOON: Duration = Duration::from_secs(30);

/// What is sent to a group.
#[derive(Clone, Copy)]
enum Signal {
    Terminate,
    Kill,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> io::Result<(Self, ChildStdin, ChildStdout)> {
        // Its own group: Ctrl-C is for us, and what it starts ends with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut child = command.spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = pipes.ok_or_else(|| io::Error::other("no pipes were asked for"))?;
        let process = Process { id: child.id(), ended: Arc::default() };
        let ended = Arc::clone(&process.ended);
        thread::spawn(move || {
            let success = child.wait().is_ok_and(|status| status.success());
            *ended.lock() = Some((success, Instant::now()));
            ended.changed.notify_all();
        });
        Ok((process, stdin, stdout))
    }

    /// Waits for its end. Returns whether it went well.
    pub(crate) fn wait(&self) -> bool {
        let mut end = self.ended.lock();
        loop {
            match *end {
                Some((success, _)) => return success,
                None => {
                    let waited = self.ended.changed.wait(end);
                    end = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Waits for its end, and after so long asks for it, and after so long again brings it about. What
    /// it has started and left behind ends with it.
    pub(crate) fn end(&self, before_asking: Duration, before_killing: Duration) {
        if !self.ends_within(before_asking) {
            self.signal(Signal::Terminate);
            self.ends_within(before_killing);
        }
        // The number is that of no other group while anything is left of this one, nor soon after.
        if self.ended.lock().is_none_or(|(_, since)| since.elapsed() < SOON) {
            self.signal(Signal::Kill);
        }
        // At once now.
        self.wait();
    }

    fn ends_within(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut end = self.ended.lock();
        while end.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.ended.changed.wait_timeout(end, left);
            end = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    #[cfg(unix)]
    fn signal(&self, signal: Signal) {
        use nix::sys::signal::{self, killpg};
        use nix::unistd::Pid;

        let signal = match signal {
            Signal::Terminate => signal::Signal::SIGTERM,
            Signal::Kill => signal::Signal::SIGKILL,
        };
        if let Ok(id) = i32::try_from(self.id) {
            // There may be nothing left of it.
            let _ = killpg(Pid::from_raw(id), signal);
        }
    }

    /// There are no signals: the system's own command ends it.
    #[cfg(not(unix))]
    fn signal(&self, signal: Signal) {
        if let (Signal::Kill, None) = (signal, *self.ended.lock()) {
            let id = self.id.to_string();
            let _ = Command::new("taskkill").args(["/T", "/F", "/PID", &id]).output();
        }
    }
}

impl Ended {
    fn lock(&self) -> MutexGuard<'_, Option<(bool, Instant)>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
