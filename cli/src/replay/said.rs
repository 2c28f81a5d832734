//! [`Said`]: what the other side has said and whose turn has not come, which may be all of it: whoever
//! waits for room to say something has to be heard meanwhile.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use websocket_app::{Message, OwnedMessage};

/// How many bytes may wait, where a recording has fewer: messages that are not compared may be longer.
const ROOM: usize = 64 << 20;

pub(crate) struct Said {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    messages: VecDeque<OwnedMessage>,
    /// How many may still come: what is said when all has been said is of no matter.
    left: usize,
    /// How many bytes may.
    room: usize,
    over: Option<String>,
}

impl Said {
    /// So many messages are expected, of so many bytes together.
    pub(crate) fn new(messages: usize, bytes: usize) -> Self {
        let room = bytes.max(ROOM);
        let state = State { messages: VecDeque::new(), left: messages, room, over: None };
        Said { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Adds a message. Waits for nobody.
    pub(crate) fn push(&self, message: Message<'_>) {
        let mut state = self.lock();
        if state.left == 0 || state.over.is_some() {
            return;
        }
        let length = message.as_bytes().len();
        if length > state.room {
            state.over = Some("far more than was recorded".into());
        } else {
            state.left -= 1;
            state.room -= length;
            state.messages.push_back(message.into_owned());
        }
        self.changed.notify_all();
    }

    /// Nothing more comes, and why.
    pub(crate) fn end(&self, why: impl Into<String>) {
        self.lock().over.get_or_insert(why.into());
        self.changed.notify_all();
    }

    /// Waits for the next message until then. The error says what is there instead.
    pub(crate) fn next(&self, until: Instant) -> Result<OwnedMessage, String> {
        let mut state = self.lock();
        loop {
            if let Some(message) = state.messages.pop_front() {
                state.room += message.len();
                return Ok(message);
            }
            if let Some(why) = &state.over {
                return Err(why.clone());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err("nothing in time".into());
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the end until then. Returns why nothing more comes, where that is so.
    pub(crate) fn over(&self, until: Instant) -> Option<String> {
        let mut state = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.over.is_some() || left.is_zero() {
                return state.over.clone();
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
