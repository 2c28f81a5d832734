//! [`Prober`]: a connection's callbacks, which measure how long each message takes there and back.
//! Its [`Lane`] is what sends, by whichever thread.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use hdrhistogram::Histogram;
use websocket_app::{CallbackError, Close, Error, Handler, Message, SendError, Sender};

/// What the connections of one thread measure together.
pub(crate) struct Measures {
    pub(crate) opened: AtomicU64,
    /// Could not connect.
    pub(crate) failed: AtomicU64,
    /// Were open, and ended before we closed them.
    pub(crate) lost: AtomicU64,
    pub(crate) received: AtomicU64,
    /// Came without having been sent.
    pub(crate) unexpected: AtomicU64,
    histograms: Mutex<Histograms>,
}

pub(crate) struct Histograms {
    pub(crate) latency: Histogram<u64>,
    pub(crate) connect: Histogram<u64>,
}

/// An hour, in nanoseconds.
const LONGEST: u64 = 3_600_000_000_000;

/// Returns an empty one, exact to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    // These bounds are ones that it takes.
    #[allow(clippy::expect_used)]
    Histogram::new_with_bounds(1, LONGEST, 3).expect("bounds of a histogram")
}

impl Measures {
    pub(crate) fn new() -> Self {
        let zero = AtomicU64::default;
        Measures {
            opened: zero(),
            failed: zero(),
            lost: zero(),
            received: zero(),
            unexpected: zero(),
            histograms: Mutex::new(Histograms { latency: histogram(), connect: histogram() }),
        }
    }

    pub(crate) fn histograms(&self) -> MutexGuard<'_, Histograms> {
        self.histograms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the connections that are over.
    pub(crate) fn ended(&self) -> u64 {
        self.failed.load(Ordering::Relaxed) + self.lost.load(Ordering::Relaxed)
    }
}

pub(crate) struct Prober {
    lane: Arc<Lane>,
    measures: Arc<Measures>,
    made: Instant,
    opened: bool,
    /// Its end is counted, where it counts.
    ended: bool,
}

/// What is sent on one connection.
pub(crate) struct Lane {
    message: Arc<Vec<u8>>,
    binary: bool,
    sender: OnceLock<Sender>,
    /// When each message that is under way was sent, or due; in their order.
    under_way: Mutex<VecDeque<Instant>>,
    /// A message that comes back is followed by another.
    repeats: AtomicBool,
    sent: AtomicU64,
}

impl Prober {
    pub(crate) fn new(message: Arc<Vec<u8>>, binary: bool, measures: Arc<Measures>) -> Self {
        let lane = Lane {
            message,
            binary,
            sender: OnceLock::new(),
            under_way: Mutex::default(),
            repeats: AtomicBool::new(false),
            sent: AtomicU64::new(0),
        };
        Prober { lane: Arc::new(lane), measures, made: Instant::now(), opened: false, ended: false }
    }

    pub(crate) fn lane(&self) -> Arc<Lane> {
        Arc::clone(&self.lane)
    }
}

impl Lane {
    /// Sends the first messages; each is followed by another when it comes back.
    pub(crate) fn begin(&self, in_flight: u64, end: Instant) {
        self.repeats.store(true, Ordering::Relaxed);
        for _ in 0..in_flight {
            let now = Instant::now();
            if now >= end || self.send(now).is_err() {
                break;
            }
        }
    }

    pub(crate) fn stop(&self) {
        self.repeats.store(false, Ordering::Relaxed);
    }

    /// Sends a message that was due at this time.
    pub(crate) fn send(&self, due: Instant) -> Result<(), SendError> {
        // Not open: it failed, which is counted elsewhere.
        let Some(sender) = self.sender.get() else { return Ok(()) };
        self.lock().push_back(due);
        let sent = match (self.binary, std::str::from_utf8(&self.message)) {
            (false, Ok(text)) => sender.send_text(text),
            _ => sender.send(self.message.as_slice()),
        };
        match sent {
            Ok(()) => drop(self.sent.fetch_add(1, Ordering::Relaxed)),
            Err(_) => drop(self.lock().pop_back()),
        }
        sent
    }

    pub(crate) fn under_way(&self) -> u64 {
        self.lock().len() as u64
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.under_way() > 0
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Instant>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the system has no thread for it, a connection ends without a call.
impl Drop for Prober {
    fn drop(&mut self) {
        if !self.ended {
            let count = if self.opened { &self.measures.lost } else { &self.measures.failed };
            count.fetch_add(1, Ordering::Relaxed);
            self.lane.lock().clear();
        }
    }
}

impl Handler for Prober {
    fn on_open(&mut self, ws: &Sender) -> Result<(), CallbackError> {
        let nanos = nanos(self.made, Instant::now());
        self.measures.histograms().connect.saturating_record(nanos);
        let _ = self.lane.sender.set(ws.clone());
        self.opened = true;
        self.measures.opened.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn on_message(&mut self, _ws: &Sender, _message: Message<'_>) -> Result<(), CallbackError> {
        let now = Instant::now();
        let sent_at = self.lane.lock().pop_front();
        match sent_at {
            Some(sent_at) => {
                self.measures.histograms().latency.saturating_record(nanos(sent_at, now));
                self.measures.received.fetch_add(1, Ordering::Relaxed);
            }
            None => drop(self.measures.unexpected.fetch_add(1, Ordering::Relaxed)),
        }
        if sent_at.is_some() && self.lane.repeats.load(Ordering::Relaxed) {
            self.lane.send(now)?;
        }
        Ok(())
    }

    fn on_error(&mut self, _ws: &Sender, _error: &Error) -> Result<(), CallbackError> {
        Ok(())
    }

    fn on_close(&mut self, _ws: &Sender, close: &Close) -> Result<(), CallbackError> {
        self.ended = true;
        let count = match self.opened {
            false => &self.measures.failed,
            true if close.by == websocket_app::ClosedBy::Us => return Ok(()),
            true => &self.measures.lost,
        };
        count.fetch_add(1, Ordering::Relaxed);
        // What was under way does not come any more.
        self.lane.lock().clear();
        Ok(())
    }
}

fn nanos(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(LONGEST).max(1)
}
