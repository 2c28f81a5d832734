//! Waits for sockets: asleep, or, for a while before that, by asking again and again. Runs on the thread that reads, which
//! owns the poll. A leaf.

use std::hint;
use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll};

/// Polls, up to `timeout` long, the first `busy` of it without sleeping.
pub(crate) fn poll(
    poll: &mut Poll,
    events: &mut Events,
    mut timeout: Option<Duration>,
    busy: Duration,
) -> io::Result<()> {
    if !busy.is_zero() && timeout != Some(Duration::ZERO) {
        let began = Instant::now();
        let busy = timeout.map_or(busy, |timeout| timeout.min(busy));
        while began.elapsed() < busy {
            poll.poll(events, Some(Duration::ZERO))?;
            if !events.is_empty() {
                return Ok(());
            }
            hint::spin_loop();
        }
        timeout = timeout.map(|timeout| timeout.saturating_sub(began.elapsed()));
    }
    poll.poll(events, timeout)
}
