//! A server where one client does not read, and another does.

use std::cell::Cell;
use std::time::Duration;

use websocket_app::server::{Delivered, Server, ServerHandle, SlowClients};

use super::broadcast::{close_all, nothing};
use super::serving::{Serving, serve};
use super::visitor::{Visitor, request};
use crate::frame::{BINARY, Frame};
use crate::recorder::Recorder;
use crate::watchdog::wait_until;

/// The length of a message that fills up queues.
pub(super) const LARGE: usize = 16 << 10;

/// A server where one client does not read, and another does.
pub(super) struct Stalling {
    pub(super) serving: Serving,
    pub(super) stalled: (Visitor, Recorder),
    pub(super) good: (Visitor, Recorder),
    pub(super) handle: ServerHandle,
    /// The number of the next message.
    pub(super) next: usize,
}

impl Stalling {
    pub(super) fn start(policy: SlowClients) -> Self {
        Stalling::start_with(|server| {
            server
                .slow_clients(policy)
                .max_send_buffer(4 * LARGE)
                .close_timeout(Duration::from_millis(300))
        })
    }

    pub(super) fn start_with(options: impl FnOnce(Server) -> Server) -> Self {
        let serving = serve(options, nothing);
        let mut stalled = Visitor::connect_with_small_buffer(serving.addr());
        stalled.upgrade(&request("/", ""));
        let calls = serving.next();
        calls.expect_open();
        let good = serving.open();
        let handle = serving.handle();
        for client in handle.clients() {
            client.subscribe("all");
        }
        Stalling { serving, stalled: (stalled, calls), good, handle, next: 0 }
    }

    pub(super) fn message(number: usize) -> Vec<u8> {
        Self::message_of(number, LARGE)
    }

    pub(super) fn message_of(number: usize, length: usize) -> Vec<u8> {
        [&(number as u64).to_be_bytes()[..], &vec![7; length]].concat()
    }

    pub(super) fn number(frame: &Frame) -> usize {
        assert!(frame.opcode == BINARY && frame.payload[8..].iter().all(|byte| *byte == 7));
        u64::from_be_bytes(frame.payload[..8].try_into().unwrap()) as usize
    }

    /// Sends one to both, which the one that reads gets.
    pub(super) fn send(&mut self) -> Delivered {
        let delivered = self.handle.publish("all", Self::message(self.next));
        assert_eq!(Self::number(&self.good.0.read_frame()), self.next, "nobody is held up");
        self.next += 1;
        delivered
    }

    /// Sends until the one that does not read has no room. More than operating systems keep for a
    /// connection goes out at first.
    pub(super) fn fill(&mut self) -> Delivered {
        let stalled = self.handle.clients().remove(0);
        for _ in 0..2_000 {
            let delivered = self.send();
            if delivered.clients < 2 {
                return delivered;
            }
            // Else it may be that nobody has come to write it yet.
            let waits = Cell::new((stalled.buffered_amount(), 0));
            wait_until("what can be written is", || {
                let ((before, looks), now) = (waits.get(), stalled.buffered_amount());
                waits.set((now, if now == before { looks + 1 } else { 0 }));
                now == 0 || looks > 300
            });
        }
        panic!("{} messages have room", self.next);
    }

    /// The numbers of all messages that the one that did not read gets up to this one.
    pub(super) fn read_up_to(&mut self, last: usize) -> Vec<usize> {
        let mut numbers = Vec::new();
        while numbers.last() != Some(&last) {
            numbers.push(Self::number(&self.stalled.0.read_frame()));
        }
        numbers
    }

    pub(super) fn end(self) {
        let Stalling { serving, stalled, good, handle, .. } = self;
        drop(handle);
        close_all([stalled, good]);
        serving.end();
    }
}
