//! [`Process`]: a command, with all that it starts, which a group of processes is.

use std::io;
use std::process::{Child, ChildStdin, ChildStdout, Command};
use std::sync::Arc;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) struct Process {
    shared: Arc<Shared>,
}

struct Shared {
    /// The number of the command's process, and its group's.
    id: u32,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Whether the command went well, once it has ended.
    success: Option<bool>,
    /// Nothing of its group is left, and its number may be given to another.
    gone: bool,
    /// What is left of its group gets no further signal.
    killed: bool,
}

/// How often it is looked whether anything is left of a group whose first process has ended; nothing else
/// tells. Far fewer processes are started meanwhile than there are numbers.
const TICK: Duration = Duration::from_millis(50);

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
        let (state, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { id: child.id(), state, changed });
        let its = Arc::clone(&shared);
        let watching = thread::Builder::new().spawn(move || its.watch(child));
        let process = Process { shared };
        if let Err(error) = watching {
            process.kill();
            return Err(error);
        }
        Ok((process, stdin, stdout))
    }

    /// Waits for the command's end. Returns whether it went well.
    pub(crate) fn wait(&self) -> bool {
        let mut state = self.shared.lock();
        loop {
            match state.success {
                Some(success) => return success,
                None => {
                    let waited = self.shared.changed.wait(state);
                    state = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Waits until nothing is left of it and of what it has started; after so long asks for that, and
    /// after so long again brings it about.
    pub(crate) fn end(&self, before_asking: Duration, before_killing: Duration) {
        if !self.is_gone_within(before_asking) {
            self.shared.signal(Signal::Terminate);
            if !self.is_gone_within(before_killing) {
                self.kill();
            }
        }
        // At once now.
        self.wait();
    }

    /// Brings its end about, and that of what it has started.
    pub(crate) fn kill(&self) {
        self.shared.signal(Signal::Kill);
        self.shared.lock().killed = true;
    }

    fn is_gone_within(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut state = self.shared.lock();
        while !state.gone {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the command's end, and then for that of what it has started.
    fn watch(&self, mut child: Child) {
        let success = child.wait().is_ok_and(|status| status.success());
        loop {
            let mut state = self.lock();
            state.success = Some(success);
            // What has been killed goes, also where nobody asks how it ended.
            state.gone = state.killed || !self.is_there();
            self.changed.notify_all();
            if state.gone {
                return;
            }
            drop(state);
            thread::sleep(TICK);
        }
    }

    #[cfg(unix)]
    fn group(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.id.cast_signed())
    }

    /// Returns whether anything is left of the group.
    #[cfg(unix)]
    fn is_there(&self) -> bool {
        use nix::errno::Errno;
        use nix::sys::signal::killpg;

        killpg(self.group(), None) != Err(Errno::ESRCH)
    }

    #[cfg(not(unix))]
    fn is_there(&self) -> bool {
        false
    }

    #[cfg(unix)]
    fn signal(&self, signal: Signal) {
        use nix::sys::signal::{self, killpg};

        let signal = match signal {
            Signal::Terminate => signal::Signal::SIGTERM,
            Signal::Kill => signal::Signal::SIGKILL,
        };
        let state = self.lock();
        // Its number is that of no other group while anything is left of this one.
        if !state.gone {
            // There may be nothing left of it.
            let _ = killpg(self.group(), signal);
        }
    }

    /// There are no signals: the system's own command ends it.
    #[cfg(not(unix))]
    fn signal(&self, signal: Signal) {
        if let (Signal::Kill, None) = (signal, self.lock().success) {
            let id = self.id.to_string();
            let _ = Command::new("taskkill").args(["/T", "/F", "/PID", &id]).output();
        }
    }
}
