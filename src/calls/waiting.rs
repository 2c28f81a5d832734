//! [`Calls`]: what the callbacks have yet to be told, in order, and of which connection.
//!
//! While a callback is busy its connection may go, and another come; what was to be told of the
//! first still is, before anything of the second.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Call, KeptBatch};
use crate::close::ClosedBy;
use crate::error::{Error, SendError};
use crate::link::{Kept, Reader};
use crate::message::OwnedMessage;
use crate::protocol::End;

#[derive(Default)]
pub(crate) struct Calls {
    /// Counts the connections, from 1.
    connection: u64,
    waiting: VecDeque<(u64, Call)>,
    /// Bytes of the messages that wait, and of what tells of failures and losses: attempts to
    /// connect go on while a callback is busy.
    size: usize,
    /// `on_error` is not to be called any more.
    is_mute: bool,
}

impl Calls {
    /// What is told from now on is of another connection.
    pub(crate) fn next_connection(&mut self) {
        self.connection += 1;
    }

    pub(crate) fn connection(&self) -> u64 {
        self.connection
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Bytes of what waits.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn push(&mut self, call: Call) {
        self.size += size_of_call(&call);
        if self.waiting.capacity() == 0 {
            // More than one waits only while a callback is busy.
            self.waiting.reserve_exact(1);
        }
        self.waiting.push_back((self.connection, call));
    }

    pub(crate) fn push_front(&mut self, call: Call) {
        self.size += size_of_call(&call);
        self.waiting.push_front((self.connection, call));
    }

    /// What the reader has filled its batch with, for a callback that is busy: a copy.
    pub(crate) fn push_copy(&mut self, reader: &mut Reader) {
        let mut batch = std::mem::take(&mut reader.batch);
        batch.shrink();
        self.push(Call::KeptBatch(KeptBatch::new(batch, &reader.buffer, 0)));
    }

    /// Puts what was not handed out of a batch before everything else.
    pub(crate) fn put_back(&mut self, connection: u64, rest: Box<KeptBatch>) {
        let call = Call::KeptBatch(rest);
        self.size += size_of_call(&call);
        self.waiting.push_front((connection, call));
    }

    /// Returns whether messages are next that have been kept.
    pub(crate) fn has_kept_next(&self) -> bool {
        matches!(self.waiting.front(), Some((_, Call::KeptBatch(_))))
    }

    /// Gives messages back that were not sent. Returns how many nobody can be told of.
    pub(crate) fn hand_back(
        &mut self,
        unsent: Vec<Kept>,
        why: impl Fn(Option<OwnedMessage>, Instant) -> SendError,
    ) -> usize {
        if self.is_mute {
            return unsent.len();
        }
        for Kept { is_text, payload, since } in unsent {
            let message = Some(OwnedMessage::from_parts(is_text, payload));
            self.push(Call::Error(Error::Send(why(message, since))));
        }
        0
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, Call)> {
        let (connection, call) = self.waiting.pop_front()?;
        self.size -= size_of_call(&call);
        Some((connection, call))
    }

    /// The end of a connection that the peer got wrong, if nothing before it is still to be handed
    /// out.
    pub(crate) fn take_end(&mut self) -> Option<(u64, End)> {
        let (_, Call::Fail(_)) = self.waiting.front()? else { return None };
        match self.waiting.pop_front()? {
            (connection, Call::Fail(end)) => Some((connection, end)),
            _ => None,
        }
    }

    /// Returns what the peer got wrong on this connection, if callbacks are still busy with what
    /// came before it.
    pub(crate) fn violation_to_come(&self) -> Option<Error> {
        self.waiting.iter().find_map(|(of, call)| match call {
            Call::Fail(end) if *of == self.connection => end.clone().into_error(),
            _ => None,
        })
    }

    /// Returns whether we have closed a connection whose `on_close` waits.
    pub(crate) fn is_closed_by_us(&self, of: u64) -> bool {
        self.waiting.iter().any(|(connection, call)| {
            *connection == of && matches!(call, Call::Close(close) if close.by == ClosedBy::Us)
        })
    }

    /// An error of a connection that may have gone meanwhile: told before its `on_close`.
    pub(crate) fn insert_before_close(&mut self, of: u64, error: Error) {
        let is_close =
            |(connection, call): &(u64, Call)| *connection == of && matches!(call, Call::Close(_));
        let at = self.waiting.iter().position(is_close).unwrap_or(0);
        let call = Call::Error(error);
        self.size += size_of_call(&call);
        self.waiting.insert(at, (of, call));
    }

    /// Forgets the messages of a connection.
    pub(crate) fn drop_messages(&mut self, of: u64) {
        self.retain(|connection, call| {
            connection != of || !matches!(call, Call::Batch | Call::KeptBatch(_))
        });
    }

    /// Forgets all but what is told after a callback has ended the run.
    pub(crate) fn keep_the_end(&mut self) {
        self.retain(|_, call| matches!(call, Call::Close(_)) || is_unsent(call));
    }

    /// `on_error` is not to be called any more. Returns how many messages it should have been
    /// handed back.
    pub(crate) fn mute(&mut self) -> usize {
        self.is_mute = true;
        let before = self.waiting.len();
        self.retain(|_, call| !is_unsent(call));
        before - self.waiting.len()
    }

    fn retain(&mut self, keep: impl Fn(u64, &Call) -> bool) {
        let size = &mut self.size;
        self.waiting.retain(|(connection, call)| {
            let keep = keep(*connection, call);
            if !keep {
                *size -= size_of_call(call);
            }
            keep
        });
    }
}

/// What is not counted is there once, or limited elsewhere.
fn size_of_call(call: &Call) -> usize {
    match call {
        Call::KeptBatch(backlog) => backlog.size,
        Call::Error(error) => size_of::<Call>() + error.heap_size(),
        Call::Close(close) => size_of::<Call>() + close.reason.len(),
        _ => 0,
    }
}

/// Returns whether it hands a message back that was not sent.
fn is_unsent(call: &Call) -> bool {
    matches!(call, Call::Error(Error::Send(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::close::Close;
    use crate::error::ProtocolError;
    use crate::protocol::Batch;

    fn messages() -> Call {
        Call::KeptBatch(KeptBatch::new(Batch::default(), &[], 0))
    }

    fn close(by: ClosedBy) -> Call {
        let mut close = Close::without_frame(by);
        close.reason = "gone".to_owned();
        Call::Close(close)
    }

    /// Gives back so many messages that were not sent.
    fn hand_back(calls: &mut Calls, count: usize) -> usize {
        let kept = Kept { is_text: true, payload: "unsent".into(), since: Instant::now() };
        calls.hand_back(vec![kept; count], |message, _| SendError::NotConnected { message })
    }

    /// Takes out all that waits: of which connection, and what.
    fn told(calls: &mut Calls) -> Vec<(u64, &'static str)> {
        std::iter::from_fn(|| calls.pop())
            .map(|(of, call)| match call {
                Call::KeptBatch(_) => (of, "messages"),
                Call::Error(Error::Send(_)) => (of, "unsent"),
                Call::Error(_) => (of, "error"),
                Call::Close(_) => (of, "close"),
                _ => (of, "open"),
            })
            .collect()
    }

    /// Two connections, one after the other, while a callback is busy.
    fn two_connections() -> Calls {
        let mut calls = Calls::default();
        calls.next_connection();
        calls.push(messages());
        calls.push(messages());
        calls.push(close(ClosedBy::Lost));
        calls.next_connection();
        calls.push(Call::Reopen);
        calls.push(messages());
        calls.push(close(ClosedBy::Us));
        calls
    }

    #[test]
    fn what_a_connection_that_has_gone_got_wrong_is_told_before_its_end() {
        let all = [
            [(1, "error"), (1, "close"), (2, "open"), (2, "messages"), (2, "close")].as_slice(),
            &[
                (1, "messages"),
                (1, "messages"),
                (1, "close"),
                (2, "open"),
                (2, "error"),
                (2, "close"),
            ],
        ];
        for (of, expected) in (1..).zip(all) {
            let mut calls = two_connections();
            calls.drop_messages(of);
            calls.insert_before_close(of, Error::Protocol(ProtocolError::InvalidUtf8));
            assert_eq!(told(&mut calls), expected);
            assert_eq!(calls.size(), 0);
        }
    }

    #[test]
    fn each_connection_is_closed_by_whom_it_was() {
        let calls = two_connections();
        assert!(!calls.is_closed_by_us(1) && calls.is_closed_by_us(2));
    }

    #[test]
    fn what_a_callback_has_not_been_told_when_it_ends_it_all_is_forgotten_but_for_the_end() {
        let mut calls = two_connections();
        assert_eq!(hand_back(&mut calls, 2), 0);
        calls.push(Call::Error(Error::Protocol(ProtocolError::InvalidUtf8)));
        calls.keep_the_end();
        let end = [(1, "close"), (2, "close"), (2, "unsent"), (2, "unsent")];
        assert_eq!(told(&mut calls), end);
        assert_eq!(calls.size(), 0);
    }

    #[test]
    fn where_on_error_is_not_called_any_more_what_was_not_sent_is_counted() {
        let mut calls = two_connections();
        assert_eq!(hand_back(&mut calls, 2), 0);
        assert_eq!(calls.mute(), 2);
        assert_eq!(hand_back(&mut calls, 3), 3);
        assert!(!told(&mut calls).iter().any(|(_, what)| *what == "unsent"));
        assert_eq!(calls.size(), 0);
    }

    /// Else a peer could fill the memory with them.
    #[test]
    fn all_that_comes_while_a_callback_is_busy_takes_room() {
        let mut calls = Calls::default();
        let adds: [fn(&mut Calls); 5] = [
            |calls| calls.push(messages()),
            |calls| calls.push(close(ClosedBy::Peer)),
            |calls| calls.push_front(close(ClosedBy::Peer)),
            |calls| calls.insert_before_close(1, Error::Protocol(ProtocolError::InvalidUtf8)),
            |calls| _ = hand_back(calls, 1),
        ];
        for (i, add) in adds.into_iter().enumerate() {
            let before = calls.size();
            add(&mut calls);
            assert!(calls.size() >= before + size_of::<Call>(), "{i}");
        }
        let Some((_, Call::Error(_))) = calls.pop() else { panic!("nothing of it has been told") };
        let Some((_, Call::Close(_))) = calls.pop() else { panic!("it was put before the others") };
        let Some((of, Call::KeptBatch(rest))) = calls.pop() else { panic!("it came first") };
        assert!(!calls.has_kept_next());
        calls.put_back(of, rest);
        assert!(calls.has_kept_next());
        told(&mut calls);
        assert!(calls.is_empty() && calls.size() == 0);
    }
}
