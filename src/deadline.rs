//! Deadlines that any duration may be made into: an option may be as long as it likes. A leaf.

use std::time::{Duration, Instant};

/// As good as never, and still a time that every platform can express.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Returns when this long has passed.
pub(crate) fn after(now: Instant, duration: Duration) -> Instant {
    now + duration.min(NEVER)
}
