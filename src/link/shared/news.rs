//! What other threads wait for beside room and the socket: that the connection opens. Any thread;
//! they hear of it through `progress`.

use std::time::{Duration, Instant};

use super::{CallbackScope, Lock, Shared};
use crate::deadline::after;
use crate::error::SendError;
use crate::sync::now;

impl Shared {
    /// Waits until there is an open connection, unless there will be none.
    pub(crate) fn wait_open(&self, timeout: Duration) -> Result<(), SendError> {
        let deadline = after(now(), timeout);
        let mut guard = self.lock();
        while !guard.is_open() {
            if guard.opens_no_more() {
                return Err(SendError::NotConnected { message: None });
            }
            guard = self.wait_for_news(guard, "an open connection", deadline, timeout)?;
        }
        Ok(())
    }

    /// Waits until something has happened, up to the deadline. In a callback there is no waiting.
    fn wait_for_news<'a>(
        &'a self,
        guard: Lock<'a>,
        what: &'static str,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Lock<'a>, SendError> {
        if CallbackScope::is_entered() {
            return Err(SendError::NotInTime { what, after: Duration::ZERO });
        }
        let left = deadline.saturating_duration_since(now());
        if left.is_zero() {
            return Err(SendError::NotInTime { what, after: timeout });
        }
        Ok(self.wait_for_progress(guard, left))
    }
}
