//! Sends at a rate, whatever comes back: what a server is slow with then shows in the latencies.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::prober::Lane;
use crate::failure::Failure;
use crate::threads;

/// Sends until the end, over one connection after the other, on a thread of its own. One that has too
/// much under way is passed over; where all have, what is due waits, and its latency counts.
pub(crate) fn start(
    rate: f64,
    in_flight: u64,
    lanes: Vec<Arc<Lane>>,
    end: Instant,
) -> Result<Pace, Failure> {
    let (running, stopped) = bounded(0);
    let thread = threads::spawn(move || {
        let began = Instant::now();
        let mut next_lane = 0;
        for number in 0_u64.. {
            let Ok(after) = Duration::try_from_secs_f64(number as f64 / rate) else { return };
            let due = began + after;
            // One that is due at once is no reason to go on.
            if is_stopped(&stopped, Duration::ZERO) {
                return;
            }
            loop {
                let now = Instant::now();
                if now >= end {
                    return;
                }
                if due <= now {
                    let free = (0..lanes.len())
                        .map(|offset| (next_lane + offset) % lanes.len())
                        .find(|lane| lanes[*lane].under_way() < in_flight);
                    if let Some(lane) = free {
                        // A connection that is lost is counted elsewhere.
                        let _ = lanes[lane].send(due);
                        next_lane = lane + 1;
                        break;
                    }
                    if is_stopped(&stopped, RETRY) {
                        return;
                    }
                } else if is_stopped(&stopped, (due - now).min(end - now)) {
                    return;
                }
            }
        }
    })?;
    Ok(Pace { running, thread })
}

/// The thread that sends.
pub(crate) struct Pace {
    /// It stops when this is dropped.
    running: Sender<()>,
    thread: JoinHandle<()>,
}

impl Pace {
    /// Has it stop, and waits for that.
    pub(crate) fn stop(self) {
        drop(self.running);
        // It does not panic.
        let _ = self.thread.join();
    }
}

/// Waits for this long, or until it is to stop.
fn is_stopped(stopped: &Receiver<()>, time: Duration) -> bool {
    stopped.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
}

/// How long to wait for any reply where everything is under way.
const RETRY: Duration = Duration::from_micros(50);
