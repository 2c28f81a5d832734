//! [`Layer`]: a TLS session over a [`Stream`], itself read and written like one.
//!
//! The session is one state for both directions, so it has a lock; what is encrypted has another,
//! whose holder writes the socket. A record is encrypted under both, so that records go out in
//! their order, and written without the session's: a reader does not wait for a writer's system
//! call, unless the TLS library has something to say to what was read. No call blocks, and neither
//! lock is held while waiting for the socket.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ciphertext_in::CiphertextIn;
use super::ciphertext_out::CiphertextOut;
use super::session::{BrokenSession, TlsFailure, TlsSession, guarded};
use crate::transport::{Stream, WAITS_FOR_PEER};

/// How often one call reads the socket at most: as much as fills the callers' buffers. Records may
/// be empty, and a peer that sends nothing else must not keep a thread to itself.
const MAX_READS: usize = 8;

pub(crate) struct Layer {
    below: Stream,
    /// Whom the session is with: the server, or a proxy before it. What goes wrong in it says so.
    peer: Box<str>,
    /// Its lock comes before the other.
    outgoing: Mutex<CiphertextOut>,
    state: Mutex<LayerState>,
    /// What the last read left behind, no event will tell of. Only the reader asks and sets.
    more: AtomicBool,
}

struct LayerState {
    session: Box<dyn TlsSession>,
    incoming: CiphertextIn,
    /// Ciphertext has come in since somebody last asked, though it may be no whole record yet.
    heard: bool,
    /// What the TLS library says for itself, an alert or new keys: goes out before what is
    /// encrypted after it.
    said: Vec<u8>,
    /// Nothing more will come.
    ended: bool,
    /// We have said that nothing more will come from us, or the TLS library has panicked, and is asked
    /// for nothing more: what still comes is of no use.
    over: bool,
    /// What went wrong behind the bytes that the last read gave.
    failed: Option<io::Error>,
}

impl Layer {
    /// Begins where the handshake has ended, with what came behind it.
    pub(crate) fn new(
        below: Stream,
        peer: &str,
        session: Box<dyn TlsSession>,
        mut incoming: CiphertextIn,
        outgoing: CiphertextOut,
    ) -> Self {
        incoming.return_buffer();
        let state = Mutex::new(LayerState {
            session,
            incoming,
            heard: false,
            said: Vec::new(),
            ended: false,
            over: false,
            failed: None,
        });
        let (outgoing, more) = (Mutex::new(outgoing), AtomicBool::new(true));
        Layer { below, peer: peer.into(), outgoing, state, more }
    }

    /// Returns what the session runs over. Its bytes are ciphertext.
    pub(crate) fn below(&self) -> &Stream {
        &self.below
    }

    pub(crate) fn below_mut(&mut self) -> &mut Stream {
        &mut self.below
    }

    pub(crate) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.guarded(|| self.read_unguarded(buf))
    }

    fn read_unguarded(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = lock(&self.state);
        let mut length = 0;
        let left = self.more.load(Ordering::Relaxed);
        let result =
            state.read(&self.below, buf, &mut length, left).map_err(|error| self.named(error));
        let (more, result) = match result {
            Ok(more) => (more, Ok(length)),
            Err(error) if length == 0 => (false, Err(error)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => (false, Ok(length)),
            Err(error) => {
                state.failed = Some(error);
                (true, Ok(length))
            }
        };
        self.more.store(more, Ordering::Relaxed);
        if !state.said.is_empty() {
            drop(state);
            let mut outgoing = lock(&self.outgoing);
            let mut said = std::mem::take(&mut lock(&self.state).said);
            if outgoing.say(&mut said, |bytes| self.below.write(bytes)) {
                // The next read gives it: without one there is no more to be said.
                lock(&self.state).failed.get_or_insert_with(|| self.made_to_say_too_much());
            }
        }
        result
    }

    pub(crate) fn has_more(&self) -> bool {
        self.more.load(Ordering::Relaxed)
    }

    pub(crate) fn take_heard(&self) -> bool {
        let heard = std::mem::take(&mut lock(&self.state).heard);
        self.below.take_heard() || heard
    }

    pub(crate) fn write(&self, buf: &[u8]) -> io::Result<usize> {
        let encrypt = |bytes: &[u8], out: &mut Vec<u8>| {
            let mut state = lock(&self.state);
            if state.over {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            state.say(out);
            let LayerState { session, incoming, .. } = &mut *state;
            session.encrypt(bytes, incoming, out).map_err(|error| match error.kind() {
                io::ErrorKind::WouldBlock => WAITS_FOR_PEER.into(),
                _ => error,
            })
        };
        let write = || lock(&self.outgoing).write(buf, |bytes| self.below.write(bytes), encrypt);
        self.guarded(write).map_err(|error| self.named(error))
    }

    pub(crate) fn take_written_late(&self) -> usize {
        let below = self.below.take_written_late();
        lock(&self.outgoing).take_written_late(below)
    }

    pub(crate) fn shutdown(&self) {
        // As well as can be done without waiting.
        let _ = self.guarded(|| {
            let mut outgoing = lock(&self.outgoing);
            let mut state = lock(&self.state);
            state.say(outgoing.bytes());
            if !std::mem::replace(&mut state.over, true) {
                let LayerState { session, incoming, .. } = &mut *state;
                session.close_notify(incoming, outgoing.bytes());
            }
            drop(state);
            outgoing.flush(|bytes| self.below.write(bytes))
        });
        self.below.shutdown();
    }

    /// Does what calls the TLS library: a panic is an error, and then it is asked for nothing more.
    fn guarded<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        guarded(work).unwrap_or_else(|failure| {
            lock(&self.state).over = true;
            Err(self.named(io::Error::other(failure)))
        })
    }

    /// As if the TLS library had said this, and the reader had not come to write it yet.
    #[cfg(test)]
    pub(crate) fn has_said(&self, bytes: &[u8]) {
        lock(&self.state).said.extend_from_slice(bytes);
    }

    fn made_to_say_too_much(&self) -> io::Error {
        const WHAT: &str = "it asks for new keys again and again, and does not read the answers";
        self.named(io::Error::other(TlsFailure::new(false, WHAT.to_owned(), WHAT)))
    }

    /// Returns where the ciphertext lies that was not decrypted yet.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> std::ops::Range<*const u8> {
        lock(&self.state).incoming.waiting().as_ptr_range()
    }

    /// Adds to an error of this session whom it is with. One from below has been there already.
    fn named(&self, error: io::Error) -> io::Error {
        match error.downcast() {
            Ok(source) => io::Error::other(BrokenSession { peer: self.peer.clone(), source }),
            Err(error) => error,
        }
    }
}

/// A panic within the TLS library may leave the session unusable, which its next call reports:
/// nothing to add here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LayerState {
    /// Adds what the TLS library has said to what goes out.
    fn say(&mut self, out: &mut Vec<u8>) {
        if !self.said.is_empty() {
            out.append(&mut std::mem::take(&mut self.said));
        }
    }

    /// Fills `buf` from as many records as it takes, counting in `length`. Gives whether another
    /// read has something to do that no event will tell of: an end, or that `buf` is full. `left`
    /// says that the last read gave that.
    fn read(
        &mut self,
        below: &Stream,
        buf: &mut [u8],
        length: &mut usize,
        left: bool,
    ) -> io::Result<bool> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        // Where it lies: one who reads byte by byte does not have the rest copied for each.
        if left && self.decrypt(buf, length)? {
            return Ok(true);
        }
        self.incoming.borrow_buffer();
        let more = self.read_below(below, buf, length);
        self.incoming.return_buffer();
        more
    }

    fn read_below(
        &mut self,
        below: &Stream,
        buf: &mut [u8],
        length: &mut usize,
    ) -> io::Result<bool> {
        for _ in 0..MAX_READS {
            let room = self.incoming.room()?;
            let (size, n) = (room.len(), below.read(room)?);
            self.incoming.filled(n);
            self.heard |= n > 0;
            // An end without close_notify is an end: WebSocket's own Close frame tells an orderly
            // one from a cut (RFC 6455 §7.1.5).
            self.ended = n == 0;
            if self.decrypt(buf, length)? {
                return Ok(true);
            }
            // A short read has emptied the socket, and an event will tell of what comes from now
            // on. With nothing to give, look again all the same: the socket's end, if that was
            // behind it, has been told of already.
            if *length > 0 && n < size && !below.has_more() {
                return Ok(false);
            }
        }
        if *length > 0 { Ok(true) } else { Err(io::ErrorKind::Interrupted.into()) }
    }

    /// Decrypts what is there, and tells whether there is nothing more to be done now: this is the
    /// end, or `buf` is full.
    fn decrypt(&mut self, buf: &mut [u8], length: &mut usize) -> io::Result<bool> {
        if self.over {
            self.incoming.consume(self.incoming.waiting().len());
            return Ok(self.ended);
        }
        let decrypted =
            self.session.decrypt(&mut self.incoming, &mut self.said, &mut buf[*length..]);
        *length += decrypted.length;
        self.ended |= decrypted.closed;
        match decrypted.error {
            Some(error) => Err(error),
            None => Ok(self.ended || *length == buf.len()),
        }
    }
}
