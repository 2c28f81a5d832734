//! The socket of a model, and the peer at its other end: takes what there is room for, and shows
//! what it took as frames.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, LazyLock};

use tungstenite::protocol::frame::FrameHeader;

use crate::link::writer::Wire;
use crate::protocol::frame;
use crate::sync::model::Bell;
use crate::sync::thread::yield_now;
use crate::sync::{Condvar, Mutex};
use crate::transport::{Socket, Stream, Transport};

const CONTINUATION: u8 = 0;
const CLOSE: u8 = 8;

/// Of one connection.
pub(super) struct Peer {
    state: Mutex<State>,
    /// Signalled when bytes were taken, or may be.
    changed: Condvar,
}

struct State {
    bytes: Vec<u8>,
    room: usize,
    /// How many bytes one write takes at most.
    most: usize,
    /// It was full: when there is room, the poll tells.
    armed: bool,
    gone: bool,
    events: Events,
    bell: Option<Arc<Bell>>,
}

/// What the poll tells of it, once.
#[derive(Clone, Copy, Default)]
pub(super) struct Events {
    pub(super) is_writable: bool,
    pub(super) is_hung_up: bool,
    pub(super) is_closed_by_peer: bool,
}

impl Peer {
    pub(super) fn new(room: usize, most: usize) -> Arc<Self> {
        let (bytes, events) = (Vec::new(), Events::default());
        let state = State { bytes, room, most, armed: false, gone: false, events, bell: None };
        Arc::new(Peer { state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Is our end's from now on. Of what has happened before, the poll tells.
    pub(super) fn connect(self: &Arc<Self>, bell: &Arc<Bell>) -> Arc<Wire> {
        let mut state = self.state.lock().unwrap();
        state.bell = Some(Arc::clone(bell));
        let Events { is_writable, is_hung_up, is_closed_by_peer } = state.events;
        drop(state);
        if is_writable || is_hung_up || is_closed_by_peer {
            bell.ring();
        }
        Arc::new(Wire::new(Stream::plain(Socket::from(Ours(Arc::clone(self))))))
    }

    pub(super) fn take_events(&self) -> Events {
        std::mem::take(&mut self.state.lock().unwrap().events)
    }

    /// The peer reads.
    pub(super) fn make_room(&self, bytes: usize) {
        self.happens(|state| {
            state.room = state.room.saturating_add(bytes);
            state.events.is_writable |= std::mem::take(&mut state.armed);
        });
    }

    /// The peer sends a Close frame.
    pub(super) fn close(&self) {
        self.happens(|state| state.events.is_closed_by_peer = true);
    }

    /// Whatever is written from now on fails, and nothing else tells.
    pub(super) fn break_off(&self) {
        self.state.lock().unwrap().gone = true;
    }

    /// The peer goes away.
    pub(super) fn hang_up(&self) {
        self.happens(|state| (state.gone, state.events.is_hung_up) = (true, true));
    }

    fn happens(&self, change: impl FnOnce(&mut State)) {
        let bell = {
            let mut state = self.state.lock().unwrap();
            change(&mut state);
            self.changed.notify_all();
            state.bell.clone()
        };
        bell.iter().for_each(|bell| bell.ring());
    }

    /// Waits until that many frames were taken whole. What never comes is a deadlock.
    pub(super) fn gets(&self, frames: usize) {
        self.waits(|got| got.len() >= frames);
    }

    /// Waits for a Close frame, and checks that it is the only one, and the last.
    pub(super) fn gets_close(&self) {
        self.waits(|got| got.iter().any(|(opcode, _)| *opcode == CLOSE));
        assert_eq!(
            self.frames().iter().position(|(opcode, _)| *opcode == CLOSE),
            Some(self.frames().len() - 1)
        );
    }

    fn waits(&self, until: impl Fn(&[(u8, String)]) -> bool) {
        let mut state = self.state.lock().unwrap();
        while !until(&parse(&state.bytes)) {
            state = self.changed.wait(state).unwrap();
        }
    }

    /// The messages and control frames that were taken whole: each one's opcode and payload.
    pub(super) fn frames(&self) -> Vec<(u8, String)> {
        parse(&self.state.lock().unwrap().bytes)
    }
}

/// Fragments are put together, between which there is no other message.
fn parse(mut bytes: &[u8]) -> Vec<(u8, String)> {
    let (mut frames, mut begun) = (Vec::new(), None);
    loop {
        let mut cursor = io::Cursor::new(bytes);
        let Some((header, len)) = FrameHeader::parse(&mut cursor).unwrap() else { return frames };
        let (begin, len) = (cursor.position() as usize, len as usize);
        let Some(payload) = bytes.get(begin..begin + len) else { return frames };
        let mut payload = payload.to_vec();
        // What is for many is a server's, and not masked.
        header.mask.into_iter().for_each(|key| frame::mask(&mut payload, key, 0));
        let (opcode, payload) =
            (u8::from(header.opcode), String::from_utf8_lossy(&payload).into_owned());
        let message = match begun.take() {
            Some((of, begun)) if opcode == CONTINUATION => (of, begun + payload.as_str()),
            other => {
                assert!(opcode != CONTINUATION && (other.is_none() || opcode >= CLOSE));
                begun = other;
                (opcode, payload)
            }
        };
        match header.is_final {
            true => frames.push(message),
            false => begun = Some(message),
        }
        bytes = &bytes[begin + len..];
    }
}

/// Our end of it.
struct Ours(Arc<Peer>);

impl Transport for Ours {
    fn read(&self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state.lock().unwrap();
        if state.gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let taken = bytes.len().min(state.room).min(state.most);
        if taken == 0 {
            state.armed = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.room -= taken;
        state.bytes.extend_from_slice(&bytes[..taken]);
        self.0.changed.notify_all();
        Ok(taken)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.state.lock().unwrap().gone |= how == Shutdown::Both;
        self.0.changed.notify_all();
        Ok(())
    }
}

impl AsFd for Ours {
    /// Asked for by who waits until there is room, so this waits.
    fn as_fd(&self) -> BorrowedFd<'_> {
        let mut state = self.0.state.lock().unwrap();
        while state.room == 0 && !state.gone {
            state = self.0.changed.wait(state).unwrap();
        }
        drop(state);
        // Another thread may be writing, and this one has nothing to do but to look again.
        yield_now();
        static WRITABLE: LazyLock<(UnixStream, UnixStream)> =
            LazyLock::new(|| UnixStream::pair().unwrap());
        WRITABLE.0.as_fd()
    }
}
