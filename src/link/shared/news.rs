//! What threads wait for beside room and the socket: that the connection opens, and the answer to a
//! ping. Any thread; they hear of it through `progress`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Lock, Shared, Wait};
use crate::deadline::after;
use crate::error::SendError;
use crate::link::pings::{PingAnswer, PingPayload};
use crate::protocol::frame::Head;
use crate::sync::now;

const PONG: &str = "the answer to a ping";

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

    /// Sends a ping and waits for its answer. Returns how long that took.
    pub(crate) fn ping_wait(self: &Arc<Self>, timeout: Duration) -> Result<Duration, SendError> {
        if self.lock().must_not_wait() {
            // This may be the very thread that would read it.
            return Err(SendError::NotInTime { what: PONG, after: Duration::ZERO });
        }
        let deadline = after(now(), timeout);
        let payload: PingPayload = rand::random();
        let mut answer = PingAnswer::default();
        let sent = self.queue_control(Head::PING, &payload, Wait::UpTo(timeout), |writer| {
            answer = writer.awaited_pongs.add(payload, now());
        });
        let answered = sent.and_then(|()| self.pong(&payload, &answer, deadline, timeout));
        let mut guard = self.lock();
        guard.writer.iter_mut().for_each(|writer| writer.awaited_pongs.remove(&payload));
        answered
    }

    /// Waits for the answer to a ping while the connection is there that it went over.
    fn pong(
        &self,
        payload: &PingPayload,
        answer: &PingAnswer,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Duration, SendError> {
        let mut guard = self.lock();
        loop {
            if let Some(round_trip) = answer.get() {
                return Ok(*round_trip);
            }
            let may_come = guard.writer.as_ref().is_some_and(|w| w.awaited_pongs.has(payload));
            if !may_come || self.is_aborted() || guard.has_failed_by_caller() {
                return Err(SendError::NotConnected { message: None });
            }
            guard = self.wait_for_news(guard, PONG, deadline, timeout)?;
        }
    }

    /// Waits until something has happened, up to the deadline. Who must not wait does not.
    fn wait_for_news<'a>(
        &'a self,
        guard: Lock<'a>,
        what: &'static str,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Lock<'a>, SendError> {
        if guard.must_not_wait() {
            return Err(SendError::NotInTime { what, after: Duration::ZERO });
        }
        let left = deadline.saturating_duration_since(now());
        if left.is_zero() {
            return Err(SendError::NotInTime { what, after: timeout });
        }
        Ok(self.wait_for_progress(guard, left))
    }
}
