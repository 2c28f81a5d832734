//! One connection through the proxy, and the harm that is done to it. Never blocks; belongs to the
//! proxy's thread.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use socket2::SockRef;

use super::proxy::Order;

/// What can happen to a connection. "Up" is from the app to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The app sees the end of the stream.
    Cut,
    /// The app sees a TCP reset.
    Reset,
    /// Nothing passes any more and nothing is taken, in either direction, without a word.
    Stall,
    /// What the app sends disappears; so does what the server sends.
    SwallowUp,
    SwallowDown,
    /// Everything passes a little later.
    Delay,
    /// Everything passes byte by byte.
    Chop,
}

impl Fault {
    pub(crate) const ALL: [Fault; 7] = [
        Fault::Cut,
        Fault::Reset,
        Fault::Stall,
        Fault::SwallowUp,
        Fault::SwallowDown,
        Fault::Delay,
        Fault::Chop,
    ];

    /// Whether a connection is to survive it.
    pub(super) fn is_harmless(self) -> bool {
        matches!(self, Fault::Delay | Fault::Chop)
    }

    /// Whether the app is told nothing, and has to find out.
    pub(super) fn is_silent(self) -> bool {
        matches!(self, Fault::Stall | Fault::SwallowUp | Fault::SwallowDown)
    }
}

/// When a fault strikes.
#[derive(Clone, Debug)]
pub(crate) enum When {
    /// After so many bytes have passed.
    Up(u64),
    Down(u64),
    /// When told to, and everything that the server sent before has passed.
    Told(Order),
}

/// What a turn has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is nothing to do before a socket has news, or this time.
    Wait(Option<Instant>),
    /// There is more to do after the others have had their turn.
    Again,
    /// The connection is gone, or is to be dropped.
    Over,
}

const CHUNK: usize = 16 << 10;
const DELAY: Duration = Duration::from_millis(2);

pub(super) struct Link {
    app: TcpStream,
    server: TcpStream,
    up: Pipe,
    down: Pipe,
    plan: Option<(Fault, When)>,
    struck: Option<Fault>,
}

/// One direction.
#[derive(Default)]
struct Pipe {
    buffer: Vec<u8>,
    passed: u64,
    /// The sender has ended its stream.
    ended: bool,
    held_until: Option<Instant>,
}

/// How a direction passes bytes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Whole,
    Delayed,
    ByteByByte,
    Not,
}

impl Link {
    pub(super) fn new(app: TcpStream, server: TcpStream, plan: Option<(Fault, When)>) -> Self {
        // So that bytes passed one by one are sent one by one.
        app.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        Link { app, server, up: Pipe::default(), down: Pipe::default(), plan, struck: None }
    }

    /// Whether it holds what only its end can release.
    pub(super) fn is_stalled(&self) -> bool {
        self.struck == Some(Fault::Stall)
    }

    /// Suffers nothing that it has not suffered yet. Returns whether it can be kept.
    pub(super) fn behaves(&mut self) -> bool {
        self.plan = None;
        !self.struck.is_some_and(Fault::is_silent)
    }

    /// Passes on what there is, and strikes if it is time to.
    pub(super) fn turn(&mut self, now: Instant) -> Turn {
        if self.is_stalled() {
            return Turn::Wait(None);
        }
        let (up, down) = match self.struck {
            None => (Manner::Whole, Manner::Whole),
            Some(Fault::Delay) => (Manner::Delayed, Manner::Delayed),
            Some(Fault::Chop) => (Manner::ByteByByte, Manner::ByteByByte),
            Some(Fault::SwallowUp | Fault::Cut) => (Manner::Not, Manner::Whole),
            Some(Fault::SwallowDown) => (Manner::Whole, Manner::Not),
            Some(Fault::Stall | Fault::Reset) => return Turn::Over,
        };
        let (up_to, down_to) = match &self.plan {
            Some((_, When::Up(bytes))) => (*bytes, u64::MAX),
            Some((_, When::Down(bytes))) => (u64::MAX, *bytes),
            _ => (u64::MAX, u64::MAX),
        };
        // Asked before, so that what was sent before the order is passed before the fault.
        let told = matches!(&self.plan, Some((_, When::Told(order))) if order.is_given());
        let turns = [
            self.up.pump(&self.app, &self.server, up, up_to, now),
            self.down.pump(&self.server, &self.app, down, down_to, now),
        ];
        let due = match &self.plan {
            Some((_, When::Up(bytes))) => self.up.passed >= *bytes,
            Some((_, When::Down(bytes))) => self.down.passed >= *bytes,
            Some((_, When::Told(_))) => told && matches!(turns[1], Ok(Turn::Wait(None))),
            None => false,
        };
        match turns {
            _ if due => self.strike(),
            [Ok(Turn::Over), Ok(Turn::Over)] | [Err(_), _] | [_, Err(_)] => Turn::Over,
            // The server is not to wait for what will never pass.
            [Ok(Turn::Over), _] if self.struck == Some(Fault::SwallowUp) => Turn::Over,
            [Ok(Turn::Again), _] | [_, Ok(Turn::Again)] => Turn::Again,
            [Ok(up), Ok(down)] => {
                let times = [up, down]
                    .into_iter()
                    .filter_map(|turn| if let Turn::Wait(t) = turn { t } else { None });
                Turn::Wait(times.min())
            }
        }
    }

    fn strike(&mut self) -> Turn {
        let Some((fault, when)) = self.plan.take() else { return Turn::Again };
        self.struck = Some(fault);
        match fault {
            Fault::Cut => {
                // An end, whatever the app has sent: unread, it would make the end a reset. The app
                // may have gone itself.
                let _gone = self.app.shutdown(Shutdown::Write);
                let _gone = self.server.shutdown(Shutdown::Both);
                self.down = Pipe { ended: true, ..Pipe::default() };
            }
            Fault::Reset => SockRef::from(&self.app).set_linger(Some(Duration::ZERO)).unwrap(),
            _ => {}
        }
        if let When::Told(order) = when {
            order.is_done();
        }
        Turn::Again
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The app was quicker than the fault.
        if let Some((_, When::Told(order))) = &self.plan {
            order.is_done();
        }
    }
}

impl Pipe {
    /// Moves bytes until one side has to be waited for; over when the end has been passed on too.
    fn pump(
        &mut self,
        mut from: &TcpStream,
        mut to: &TcpStream,
        manner: Manner,
        limit: u64,
        now: Instant,
    ) -> io::Result<Turn> {
        let mut chunk = [0; CHUNK];
        loop {
            if manner == Manner::Not {
                self.buffer.clear();
            }
            if let Some(held) =
                self.held_until.filter(|held| manner == Manner::Delayed && *held > now)
            {
                return Ok(Turn::Wait(Some(held)));
            }
            if !self.buffer.is_empty() {
                let piece = if manner == Manner::ByteByByte { 1 } else { self.buffer.len() };
                match to.write(&self.buffer[..piece]) {
                    Ok(written) => {
                        self.buffer.drain(..written);
                        self.passed += written as u64;
                    }
                    Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Turn::Wait(None)),
                    Err(e) => return Err(e),
                }
                if manner == Manner::ByteByByte {
                    return Ok(Turn::Again);
                }
                continue;
            }
            if self.ended {
                if manner != Manner::Not {
                    // The other side may have gone.
                    let _gone = to.shutdown(Shutdown::Write);
                }
                return Ok(Turn::Over);
            }
            let room =
                usize::try_from(limit.saturating_sub(self.passed)).unwrap_or(CHUNK).min(CHUNK);
            if room == 0 {
                return Ok(Turn::Wait(None));
            }
            match from.read(&mut chunk[..room]) {
                Ok(0) => self.ended = true,
                Ok(read) => {
                    self.buffer.extend(&chunk[..read]);
                    self.held_until = Some(now + DELAY);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Turn::Wait(None)),
                Err(e) => return Err(e),
            }
        }
    }
}
