//! Sends at a rate, whatever comes back: what a server is slow with then shows in the latencies.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::prober::Lane;

/// Sends until the end, over one connection after the other, on a thread of its own. One that has too
/// much under way is passed over; where all have, what is due waits, and its latency counts.
pub(crate) fn start(
    rate: f64,
    in_flight: u64,
    lanes: Vec<Arc<Lane>>,
    end: Instant,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let began = Instant::now();
        let mut next_lane = 0;
        for number in 0_u64.. {
            let Ok(after) = Duration::try_from_secs_f64(number as f64 / rate) else { return };
            let due = began + after;
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
                    thread::sleep(RETRY);
                } else {
                    thread::sleep((due - now).min(end - now));
                }
            }
        }
    })
}

/// How long to wait for any reply where everything is under way.
const RETRY: Duration = Duration::from_micros(50);
