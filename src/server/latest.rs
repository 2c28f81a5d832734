//! [`Latest`]: what waits for room in a client's queue, the latest message of each topic: see
//! [`SlowClients::KeepLatest`](super::SlowClients::KeepLatest). Any thread; its lock comes before that
//! of the client's `Shared`.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::link::{Broadcast, Queueing};

#[derive(Default)]
pub(super) struct Latest {
    /// Whether there is anything: lets others pass without the lock. Set under it.
    any: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// In the order in which their topics came.
    messages: BTreeMap<u64, KeptMessage>,
    /// The number of each topic's.
    topics: HashMap<Arc<str>, u64>,
    /// That of what is for all.
    for_all: Option<u64>,
    next: u64,
    /// What they take.
    size: usize,
    /// The client is about to be closed, and nothing more is kept.
    is_closing: bool,
}

struct KeptMessage {
    topic: Option<Arc<str>>,
    message: Broadcast,
}

/// What is kept no more: dropped when the lock is free, since what messages consist of may be the
/// program's own.
#[derive(Default)]
struct Gone(Vec<KeptMessage>);

impl KeptMessage {
    /// Counts the bytes that keeping it takes, so that a flood of topics without content is bounded
    /// too.
    fn size(&self) -> usize {
        let topic = self.topic.as_ref().map_or(0, |topic| topic.len());
        let places = size_of::<(u64, KeptMessage)>() + size_of::<(Arc<str>, u64)>();
        self.message.len() + topic + places
    }
}

/// What has become of a message that was to be kept, or of all that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    /// There was room after all.
    Queued,
    Waits,
    /// More waits than may.
    TooMuch,
    /// Nobody will get it.
    NotOpen,
}

impl Latest {
    /// Returns whether nothing is kept. Else what comes goes behind it, or in its place.
    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::SeqCst)
    }

    /// Keeps a message of a topic, or for all, in the place of the one before it, and queues what is
    /// kept, as long as there is room. More than the limit may be no more than a single one, however
    /// large.
    pub(super) fn keep(
        &self,
        topic: Option<&str>,
        message: &Broadcast,
        limit: usize,
        queue: impl Fn(&Broadcast) -> Queueing,
    ) -> Keeping {
        let mut gone = Gone::default();
        let mut kept = self.lock();
        if kept.is_closing {
            return Keeping::NotOpen;
        }
        let (number, replaced) = kept.put(topic, message);
        // Before it is tried to queue it: the loop may be told of room meanwhile.
        self.any.store(true, Ordering::SeqCst);
        let keeping = self.queue_kept(&mut kept, limit, queue, &mut gone);
        let is_queued = keeping == Keeping::Waits && !kept.messages.contains_key(&number);
        drop(kept);
        drop((gone, replaced));
        if is_queued { Keeping::Queued } else { keeping }
    }

    /// Queues all that was kept, and keeps nothing more.
    pub(super) fn close(&self, queue: impl Fn(&Broadcast) -> Queueing) {
        let mut gone = Gone::default();
        let mut kept = self.lock();
        kept.is_closing = true;
        self.queue_kept(&mut kept, usize::MAX, queue, &mut gone);
        drop(kept);
        drop(gone);
    }

    /// Queues what was kept, as long as there is room.
    pub(super) fn queue(&self, limit: usize, queue: impl Fn(&Broadcast) -> Queueing) -> Keeping {
        if self.is_empty() {
            return Keeping::Queued;
        }
        let mut gone = Gone::default();
        let mut kept = self.lock();
        let keeping = self.queue_kept(&mut kept, limit, queue, &mut gone);
        drop(kept);
        drop(gone);
        keeping
    }

    fn queue_kept(
        &self,
        kept: &mut Kept,
        limit: usize,
        queue: impl Fn(&Broadcast) -> Queueing,
        gone: &mut Gone,
    ) -> Keeping {
        while let Some(first) = kept.messages.first_entry() {
            match queue(&first.get().message) {
                Queueing::Queued => gone.0.extend(kept.take_first()),
                Queueing::Full if kept.size <= limit || kept.messages.len() == 1 => {
                    return Keeping::Waits;
                }
                Queueing::Full => return Keeping::TooMuch,
                Queueing::NotOpen => {
                    gone.0.extend(std::mem::take(kept).messages.into_values());
                    self.any.store(false, Ordering::SeqCst);
                    return Keeping::NotOpen;
                }
            }
        }
        self.any.store(false, Ordering::SeqCst);
        Keeping::Queued
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Returns the message's number, and which one it replaces.
    fn put(&mut self, topic: Option<&str>, message: &Broadcast) -> (u64, Option<Broadcast>) {
        let number = match topic {
            Some(topic) => self.topics.get(topic).copied(),
            None => self.for_all,
        };
        if let Some(number) = number
            && let Some(before) = self.messages.get_mut(&number)
        {
            self.size = self.size - before.message.len() + message.len();
            return (number, Some(std::mem::replace(&mut before.message, message.clone())));
        }
        let number = self.next;
        self.next += 1;
        let topic: Option<Arc<str>> = topic.map(Arc::from);
        match &topic {
            Some(topic) => drop(self.topics.insert(Arc::clone(topic), number)),
            None => self.for_all = Some(number),
        }
        let kept = KeptMessage { topic, message: message.clone() };
        self.size += kept.size();
        self.messages.insert(number, kept);
        (number, None)
    }

    fn take_first(&mut self) -> Option<KeptMessage> {
        let (_, kept) = self.messages.pop_first()?;
        self.size -= kept.size();
        match &kept.topic {
            Some(topic) => drop(self.topics.remove(topic)),
            None => self.for_all = None,
        }
        Some(kept)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::message::Outgoing;

    fn message(text: &'static str) -> Broadcast {
        Broadcast::new(Outgoing::from(text), false)
    }

    fn keep(latest: &Latest, topic: Option<&str>, text: &'static str, limit: usize) -> Keeping {
        latest.keep(topic, &message(text), limit, |_| Queueing::Full)
    }

    /// Takes out what is kept, as lengths of messages, while there is room for so many.
    fn take(latest: &Latest, room: usize) -> Vec<usize> {
        let taken = RefCell::new(Vec::new());
        latest.queue(usize::MAX, |message| {
            if taken.borrow().len() == room {
                return Queueing::Full;
            }
            taken.borrow_mut().push(message.len());
            Queueing::Queued
        });
        taken.into_inner()
    }

    #[test]
    fn each_topic_has_its_latest_in_its_first_ones_place() {
        let latest = Latest::default();
        for (topic, text) in [
            (Some("a"), "1"),
            (None, "22"),
            (Some(""), "333"),
            (Some("a"), "4444"),
            (None, "55555"),
        ] {
            assert_eq!(keep(&latest, topic, text, usize::MAX), Keeping::Waits);
        }
        assert_eq!(take(&latest, 2), [4, 5]);
        // It comes anew.
        assert_eq!(keep(&latest, Some("a"), "666666", usize::MAX), Keeping::Waits);
        assert_eq!(take(&latest, 9), [3, 6]);
        assert!(latest.is_empty());
        assert_eq!(latest.lock().size, 0);
    }

    #[test]
    fn what_they_take_together_is_bounded_and_one_is_always_kept() {
        let (latest, one) = (Latest::default(), KeptMessage { topic: None, message: message("") });
        let limit = 3 * one.size() + 3;
        assert_eq!(keep(&latest, Some("a"), "much longer than that", 10), Keeping::Waits);
        for i in 0..100 {
            let text = if i % 2 == 0 { "a" } else { "" };
            assert_eq!(keep(&latest, Some("a"), text, limit), Keeping::Waits);
        }
        assert_eq!(keep(&latest, Some("b"), "", limit), Keeping::Waits);
        assert_eq!(keep(&latest, Some("c"), "", limit), Keeping::Waits);
        assert_eq!(keep(&latest, Some("d"), "", limit), Keeping::TooMuch);
    }

    /// Room that has come is found before anything is too much.
    #[test]
    fn what_there_is_room_for_is_not_too_much() {
        let latest = Latest::default();
        for topic in ["a", "b", "c"] {
            assert_eq!(keep(&latest, Some(topic), "", usize::MAX), Keeping::Waits);
        }
        let room = RefCell::new(2);
        let queue = |_: &Broadcast| match room.replace_with(|room| *room - 1) {
            1.. => Queueing::Queued,
            _ => Queueing::Full,
        };
        let limit = 2 * KeptMessage { topic: Some("d".into()), message: message("") }.size();
        assert_eq!(latest.keep(Some("d"), &message(""), limit, queue), Keeping::Waits);
        room.replace(1);
        // The first that waits goes, which need not be this one.
        assert_eq!(latest.keep(Some("e"), &message(""), limit, queue), Keeping::Waits);
        room.replace(1);
        assert_eq!(latest.keep(Some("d"), &message(""), limit, queue), Keeping::Queued);
        room.replace(9);
        assert_eq!(latest.keep(Some("e"), &message(""), 0, queue), Keeping::Queued);
        assert!(latest.is_empty());
    }

    #[test]
    fn nothing_is_kept_for_who_is_gone() {
        let latest = Latest::default();
        assert_eq!(keep(&latest, Some("a"), "1", usize::MAX), Keeping::Waits);
        assert_eq!(latest.queue(0, |_| Queueing::NotOpen), Keeping::NotOpen);
        assert!(latest.is_empty());
        assert!(latest.lock().topics.is_empty());
    }
}
