//! [`Input`]: what a client says and its command has not read yet.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many bytes may wait for a command, besides those in its pipe.
const ROOM: usize = 1 << 20;

/// How long a callback waits for a command that reads nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many may wait so long. There are only so many callbacks at a time, and others need them.
const PATIENT: usize = 16;

/// How long each other waits.
const LITTLE_PATIENCE: Duration = Duration::from_millis(500);

pub(crate) struct Input {
    /// How many callbacks wait, for whichever command.
    waiting: Arc<AtomicUsize>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Counts what the command has taken.
    taken: u64,
    /// Nothing more comes.
    over: bool,
    /// Nobody takes anything any more.
    closed: bool,
}

impl State {
    /// Returns whether nobody has to wait: there is room, or nothing more is taken.
    fn has_room(&self) -> bool {
        self.bytes < ROOM || self.over || self.closed
    }
}

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is in the command's hands, or will be.
    Yes,
    /// The command does not want it: it has closed its standard input, or ended.
    Unwanted,
    /// There is no room for it, and the command does not make any.
    Never,
}

impl Input {
    pub(crate) fn new(waiting: Arc<AtomicUsize>) -> Self {
        Input { waiting, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Puts a message behind those that wait; waits for room while there is hope.
    pub(crate) fn put(&self, message: Vec<u8>) -> Taken {
        let mut state = self.lock();
        if !state.has_room() {
            let patience = match self.waiting.fetch_add(1, Ordering::Relaxed) {
                ..PATIENT => PATIENCE,
                _ => LITTLE_PATIENCE,
            };
            state = self.wait_for_room(state, patience);
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            if !state.has_room() {
                state.over = true;
                return Taken::Never;
            }
        }
        if state.over || state.closed {
            return Taken::Unwanted;
        }
        state.bytes += message.len();
        state.waiting.push_back(message);
        self.changed.notify_all();
        Taken::Yes
    }

    /// Waits until there is room, or the command has taken nothing for so long.
    fn wait_for_room<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        patience: Duration,
    ) -> MutexGuard<'a, State> {
        let (mut taken, mut until) = (state.taken, Instant::now() + patience);
        while !state.has_room() {
            if state.taken != taken {
                (taken, until) = (state.taken, Instant::now() + patience);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    /// Nothing more comes; what waits is still written.
    pub(crate) fn end(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// Nothing more comes, and what waits is of no use.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
        state.bytes = 0;
        self.changed.notify_all();
    }

    /// Writes what comes until the end, or until nobody reads it.
    pub(crate) fn write_to(&self, mut stdin: impl Write) {
        while let Some(message) = self.next() {
            // In pieces, so that it shows that a long one is being read.
            for piece in message.chunks(PIECE) {
                if stdin.write_all(piece).is_err() {
                    return self.abandon();
                }
                self.lock().taken += 1;
                self.changed.notify_all();
            }
            let mut state = self.lock();
            // Nothing is counted any more where all that waits has been given up.
            if !state.closed {
                state.bytes -= message.len();
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(message) = state.waiting.pop_front() {
                return Some(message);
            }
            if state.over {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As much as a pipe takes for certain as soon as it has been read from.
const PIECE: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// A command that takes a message while all is given up.
    struct Abandoned<'a>(&'a Input);

    impl Write for Abandoned<'_> {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.0.abandon();
            Ok(data.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn it_is_given_up_while_a_message_is_being_written() {
        let input = Input::new(Arc::default());
        assert_eq!(input.put(b"message".to_vec()), Taken::Yes);
        input.write_to(Abandoned(&input));
        assert_eq!(input.put(b"more".to_vec()), Taken::Unwanted);
    }
}
