//! A small message that inflates to a huge one ends with 1009, and costs no more memory than a
//! message may have.
//!
//! Memory is that of the whole process, so it is measured in one that runs nothing else: the test
//! starts itself again.

use std::process::Command;
use std::{env, fs, thread};

use websocket_app::LimitError;

use super::{PLAIN, compressing, open};
use crate::failure::{Failure, unanswered};
use crate::frame::Frame;
use crate::peer::Peer;
use crate::running::run;
use crate::watchdog::Task;

/// Set in the process that measures.
const ALONE: &str = "WEBSOCKET_APP_BOMB";

const MIB: usize = 1 << 20;
/// The longest message, and what is read and inflated at once beside it, and some for threads that
/// begin and end.
const LIMIT: usize = 16 * MIB;
const BUFFERS: usize = 4 * MIB;

#[test]
fn a_bomb_costs_no_more_than_the_longest_message() {
    if env::var_os(ALONE).is_none() {
        let name = thread::current().name().expect("a test's thread has its name").to_owned();
        let alone = move || {
            Command::new(env::current_exe().unwrap())
                .args(["--exact", &name])
                .env(ALONE, "1")
                .output()
        };
        let output = Task::start("the process that measures", alone).join().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    // What the first connection needs, and code that was not in memory before, is not to count.
    explode(zeros(LIMIT / MIB + 1));
    // DEFLATE makes at most a thousand bytes of one: 1 MiB of it is 1 GiB, and 10 MiB are 10 GiB.
    for gibibytes in [1, 10] {
        let payload = zeros(gibibytes << 10);
        assert!(payload.len() < gibibytes * MIB * 11 / 10, "{} bytes", payload.len());
        let before = resident("VmRSS:");
        explode(payload);
        let cost = resident("VmHWM:").saturating_sub(before);
        println!("{gibibytes} GiB: {cost} bytes");
        assert!(cost < LIMIT + BUFFERS, "{cost} bytes for a message of {LIMIT} at most");
    }
}

/// Sends this in one frame, which must end the connection.
fn explode(payload: Vec<u8>) {
    let frame = Frame::binary([]).rsv(0b100);
    let peer = Peer::start(move |listener| {
        let (mut client, _) = open(listener, PLAIN);
        client.write(frame.head(payload.len() as u64));
        // The client hangs up before it has all of it.
        let _refused = client.try_write(payload);
        client.stay_silent();
    });
    let app = run(compressing(&peer).max_message_size(LIMIT));
    app.expect_open();
    app.expect_failure(Failure::Limit(LimitError::MessageSize { limit: LIMIT }));
    app.expect_close(unanswered());
    app.end_given_up();
}

/// So many MiB of zeros, compressed. A flush ends at a byte, and what follows on zeros can follow
/// on itself.
fn zeros(mebibytes: usize) -> Vec<u8> {
    let mut zlib = super::Zlib::new(PLAIN);
    let (mut all, next) = (zlib.compress(&vec![0; MIB]), zlib.compress(&vec![0; MIB]));
    for _ in 1..mebibytes {
        all.extend([0, 0, 0xff, 0xff]);
        all.extend(&next);
    }
    all
}

/// What Linux says of this process, in bytes.
fn resident(what: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    let kib = line.split_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() * 1024
}
