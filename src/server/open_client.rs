//! [`OpenClient`]: a connection of a server that is open, until its `on_close` has been called.
//! Belongs to the thread that runs its loop.
//!
//! Nothing in it is shared but what the client's `Shared` and the `Hub` guard.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;

use super::ask::Accepted;
use super::callbacks::ClientCallee;
use super::hub::{Admission, Hub};
use super::{Client, LOG};
use crate::calls::{Call, Conversation, Dispatcher, Done, Job, Over};
use crate::error::Error;
use crate::link::{Established, Link, Opened, Place, Reader, Requested, Shared, State};
use crate::role::Role;

pub(super) struct OpenClient {
    /// Until it is over: then it is not found any more.
    open: Option<(Link, Client)>,
    conversation: Conversation<ClientCallee>,
    /// Its place among those that the hub allows: dropped when all has been told.
    admission: Admission,
}

impl OpenClient {
    /// The client has been told that it is accepted. From now on it gets what is broadcast.
    pub(super) fn open(
        hub: &Arc<Hub>,
        place: &Place,
        mut established: Established,
        accepted: Accepted,
        arrival: u64,
        admission: Admission,
    ) -> Option<Box<Self>> {
        let Accepted { request, handlers, in_pieces, .. } = accepted;
        let id = hub.next_client();
        established.peer = format!("client {id} ({})", established.peer).into();
        let compression = established.compression;
        let mut live = hub.options.live;
        live.ping_interval = live.ping_interval.map(|interval| sooner(interval, rand::random()));
        let shared = Arc::new(Shared::new(Role::Server));
        shared.limit(live.max_send_buffer, live.send_timeout);
        shared.attach(place);
        log::debug!(target: LOG, "{}: open", established.peer);
        let link = Link::open(established, &shared, &live, in_pieces.into(), Opened::First)?;
        let client = Client::new(id, shared, request, Arc::clone(hub), compression);
        let dispatcher = Dispatcher::new(ClientCallee { handlers, client: client.clone() });
        let mut conversation = Conversation::new(dispatcher, place, live.max_receive_buffer);
        hub.join(&client, arrival);
        if let Some(order) = hub.shutdown_order() {
            // It came in between.
            let _ = client.close_with(order.code, &order.reason);
        }
        conversation.calls.next_connection();
        conversation.calls.push(Call::Open);
        // Of what came together with the request, no event tells.
        conversation.read_soon();
        Some(Box::new(OpenClient { open: Some((link, client)), conversation, admission }))
    }

    /// The poll has announced the end of the stream, or an error, before it was open.
    pub(super) fn on_announced(&mut self) {
        self.link().into_iter().for_each(Link::on_announced);
    }

    fn link(&mut self) -> Option<&mut Link> {
        self.open.as_mut().map(|(link, _)| link)
    }

    pub(super) fn on_event(&mut self, event: &Event) -> bool {
        let Some((link, client)) = &mut self.open else { return false };
        let readable = link.on_event(event);
        if event.is_writable() {
            client.send_latest();
        }
        readable
    }

    pub(super) fn on_wake(&mut self) {
        let Some((link, client)) = &mut self.open else { return };
        let shared = &self.conversation.shared;
        shared.write_queued();
        match link.on_requests(shared.take_requests(), Instant::now()) {
            Requested::Abort => return self.ended(None),
            Requested::Failed(error) => self.conversation.tell_error(error),
            Requested::Read => self.conversation.read_soon(),
            // There is nobody to connect to.
            Requested::Reconnect(_) | Requested::Nothing => {}
        }
        // What was queued is written, so there may be room for more.
        client.send_latest();
    }

    pub(super) fn on_readable(&mut self, reader: &mut Reader, calls_next: bool) -> bool {
        let Some((link, _)) = &mut self.open else { return self.conversation.discard() };
        match self.conversation.read(link, reader, calls_next) {
            Ok(more) => more,
            Err(Over(error)) => {
                self.ended(error);
                false
            }
        }
    }

    /// The connection is over: what is left are calls.
    fn ended(&mut self, error: Option<Error>) {
        let Some((mut link, client)) = self.open.take() else { return };
        let (close, _) = self.conversation.close(&mut link);
        self.conversation.shared.disconnected(State::Closed);
        // Nobody gets what was kept.
        client.send_latest();
        if let Some(error) = error {
            self.conversation.tell_error(error);
        }
        self.conversation.calls.push(Call::Close(close));
        self.admission.hub().leave(&client);
    }

    pub(super) fn on_deadline(&mut self, now: Instant) {
        let Some((link, _)) = &mut self.open else { return };
        self.conversation.on_deadline(link);
        if let Some(error) = link.on_deadline(now) {
            self.ended(error);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.open.as_ref().and_then(|(link, _)| link.next_deadline())
    }

    pub(super) fn take_wants_read(&mut self) -> bool {
        self.conversation.take_wants_read()
    }

    pub(super) fn has_job(&self) -> bool {
        self.conversation.has_job()
    }

    pub(super) fn take_job(&mut self) -> Option<Job<ClientCallee>> {
        let link = self.open.as_mut().map(|(link, _)| link);
        self.conversation.fail_when_due(link);
        self.conversation.take_job()
    }

    pub(super) fn done(&mut self, done: Done<ClientCallee>) {
        let link = self.open.as_mut().map(|(link, _)| link);
        self.conversation.returned(done, link);
    }

    pub(super) fn is_finished(&self) -> bool {
        self.open.is_none() && self.conversation.is_finished()
    }

    /// Drops what the callbacks hold, and have failed with, which is the program's.
    pub(super) fn finish(self) {
        let (dispatcher, errors) = self.conversation.into_parts();
        let dropped = dispatcher.map_or(Ok(()), |dispatcher| dispatcher.drop_callbacks(errors));
        if dropped.is_err() {
            log::error!(target: LOG, "what a handler holds panicked while it was dropped");
        }
    }

    pub(super) fn fail(mut self, error: &Error) {
        if let Some((_, client)) = self.open.take() {
            client.shared().forsake();
            client.send_latest();
            self.admission.hub().leave(&client);
        }
        self.admission.hub().loop_failed(error);
        self.finish();
    }
}

/// Returns an interval that is shorter by up to a tenth.
fn sooner(interval: Duration, chance: u16) -> Duration {
    interval - interval / 10 / u32::from(u16::MAX) * u32::from(chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_come_up_to_a_tenth_sooner() {
        for interval in [Duration::from_nanos(3), Duration::from_secs(30), Duration::MAX] {
            assert_eq!(sooner(interval, 0), interval);
            assert!(sooner(interval, u16::MAX) >= interval - interval / 10);
            assert!(sooner(interval, 1000) <= interval);
        }
    }
}
