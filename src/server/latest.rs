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
}

struct KeptMessage {
    topic: Option<Arc<str>>,
    message: Broadcast,
}

impl KeptMessage {
    /// Counts the bytes that keeping it takes, so that a flood of topics without content is bounded
    /// too.
    fn size(&self) -> usize {
        let topic = self.topic.as_ref().map_or(0, |topic| topic.len());
        let places = size_of::<(u64, KeptMessage)>() + size_of::<(Arc<str>, u64)>();
        self.message.len() + topic + places
    }
}

impl Latest {
    /// Returns whether nothing is kept. Else what comes goes behind it, or in its place.
    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::SeqCst)
    }

    /// Keeps a message of a topic, or for all, in the place of the one before it. Returns whether
    /// there is room for it, which there is for a single one, however large.
    pub(super) fn keep(&self, topic: Option<&str>, message: &Broadcast, limit: usize) -> bool {
        let mut kept = self.lock();
        kept.put(topic, message);
        let fits = kept.size <= limit || kept.messages.len() == 1;
        self.any.store(true, Ordering::SeqCst);
        fits
    }

    /// Queues what was kept, as long as there is room.
    pub(super) fn queue(&self, queue: impl Fn(&Broadcast) -> Queueing) {
        if self.is_empty() {
            return;
        }
        let mut kept = self.lock();
        while let Some(first) = kept.messages.first_entry() {
            match queue(&first.get().message) {
                Queueing::Queued => kept.remove_first(),
                Queueing::Full => return,
                // Nobody will get it.
                Queueing::NotOpen => *kept = Kept::default(),
            }
        }
        self.any.store(false, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn put(&mut self, topic: Option<&str>, message: &Broadcast) {
        let number = match topic {
            Some(topic) => self.topics.get(topic).copied(),
            None => self.for_all,
        };
        if let Some(before) = number.and_then(|number| self.messages.get_mut(&number)) {
            self.size = self.size - before.message.len() + message.len();
            before.message = message.clone();
            return;
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
    }

    fn remove_first(&mut self) {
        let Some((_, kept)) = self.messages.pop_first() else { return };
        self.size -= kept.size();
        match kept.topic {
            Some(topic) => drop(self.topics.remove(&topic)),
            None => self.for_all = None,
        }
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

    /// Takes out what is kept, as lengths of messages, while there is room for so many.
    fn take(latest: &Latest, room: usize) -> Vec<usize> {
        let taken = RefCell::new(Vec::new());
        latest.queue(|message| {
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
            assert!(latest.keep(topic, &message(text), usize::MAX));
        }
        assert_eq!(take(&latest, 2), [4, 5]);
        // It comes anew.
        assert!(latest.keep(Some("a"), &message("666666"), usize::MAX));
        assert_eq!(take(&latest, 9), [3, 6]);
        assert!(latest.is_empty());
        assert_eq!(latest.lock().size, 0);
    }

    #[test]
    fn what_they_take_together_is_bounded_and_one_is_always_kept() {
        let (latest, one) = (Latest::default(), KeptMessage { topic: None, message: message("") });
        let limit = 3 * one.size() + 3;
        assert!(latest.keep(Some("a"), &message("much longer than that"), 10));
        for i in 0..100 {
            assert!(latest.keep(Some("a"), &message(if i % 2 == 0 { "a" } else { "" }), limit));
        }
        assert!(latest.keep(Some("b"), &message(""), limit));
        assert!(latest.keep(Some("c"), &message(""), limit));
        assert!(!latest.keep(Some("d"), &message(""), limit));
    }

    #[test]
    fn nothing_is_kept_for_who_is_gone() {
        let latest = Latest::default();
        assert!(latest.keep(Some("a"), &message("1"), usize::MAX));
        latest.queue(|_| Queueing::NotOpen);
        assert!(latest.is_empty());
        assert!(latest.lock().topics.is_empty());
    }
}
