//! The line to a proxy: what its protocols need of a stream, and what comes of an exchange.

use std::fmt;
use std::io::{self, ErrorKind};

use super::super::waiter::{Failure, Waiter};
use super::address::Scheme;
use crate::error::{Error, Phase};
use crate::transport::Stream;

/// Messages go out, and their answers come in. The tests' one is in memory.
pub(super) trait Line {
    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure>;

    /// Fills the whole of `bytes`, and takes nothing beyond.
    fn receive(&mut self, bytes: &mut [u8]) -> Result<(), Failure>;

    /// Names the proxy.
    fn peer(&self) -> &str;
}

/// Why there is no way through.
#[derive(Debug)]
pub(super) enum Stop {
    /// The proxy said so.
    Refused(Refusal),
    /// The line failed, or the time is over.
    Failed(Failure),
}

impl Stop {
    /// Returns whether another address of the same server may do better.
    pub(super) fn may_be_the_address(&self) -> bool {
        match self {
            Stop::Refused(refusal) => refusal.unreachable,
            // Some proxies wait for an address until we give up, and some hang up instead of saying
            // that it is dead.
            Stop::Failed(Failure::Error(Error::Timeout { .. } | Error::Network { .. })) => true,
            Stop::Failed(_) => false,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Refused(refusal) => f.write_str(&refusal.problem),
            Stop::Failed(Failure::Error(error)) => error.fmt(f),
            Stop::Failed(Failure::Cancelled) => f.write_str("cancelled"),
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

/// What a proxy said.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The HTTP status, or the code of the SOCKS reply.
    pub(super) reply: Option<u16>,
    pub(super) problem: String,
    /// Another address of the same server may be reached.
    pub(super) unreachable: bool,
    pub(super) temporary: bool,
}

impl Refusal {
    /// The answer is none that the protocol has: trying again may find something else on that port.
    pub(super) fn nonsense(problem: impl Into<String>) -> Stop {
        Stop::Refused(Refusal {
            reply: None,
            problem: problem.into(),
            unreachable: false,
            temporary: true,
        })
    }
}

/// The line over a stream.
pub(super) struct ProxyStream<'a, 'b> {
    stream: &'a Stream,
    scheme: Scheme,
    waiter: &'a mut Waiter<'b>,
    heard: bool,
}

impl<'a, 'b> ProxyStream<'a, 'b> {
    pub(super) fn new(stream: &'a Stream, scheme: Scheme, waiter: &'a mut Waiter<'b>) -> Self {
        ProxyStream { stream, scheme, waiter, heard: false }
    }

    /// Says what an end of the stream means.
    fn hung_up(heard: bool, scheme: Scheme) -> String {
        match heard {
            true => "it hung up in the middle of its answer".into(),
            false => format!(
                "it hung up without an answer (does it speak {} on this port?)",
                scheme.name()
            ),
        }
    }
}

impl Line for ProxyStream<'_, '_> {
    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.waiter.send(Phase::Proxy, bytes, self.stream)
    }

    fn receive(&mut self, bytes: &mut [u8]) -> Result<(), Failure> {
        let (stream, heard, scheme) = (self.stream, self.heard, self.scheme);
        let mut filled = 0;
        while filled < bytes.len() {
            filled +=
                self.waiter.retry(Phase::Proxy, || match stream.read(&mut bytes[filled..]) {
                    Ok(0) => Err(io::Error::new(
                        ErrorKind::UnexpectedEof,
                        Self::hung_up(heard || filled > 0, scheme),
                    )),
                    // One that cannot make sense of the request closes with part of it unread,
                    // which is a reset.
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => Err(
                        io::Error::new(error.kind(), Self::hung_up(heard || filled > 0, scheme)),
                    ),
                    other => other,
                })?;
            self.heard = true;
        }
        Ok(())
    }

    fn peer(&self) -> &str {
        self.waiter.peer()
    }
}

/// A line in memory, for the tests of the protocols.
#[cfg(test)]
pub(super) struct Script<'a> {
    pub(super) sent: Vec<u8>,
    pub(super) answers: &'a [u8],
}

#[cfg(test)]
impl Line for Script<'_> {
    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.sent.extend_from_slice(bytes);
        Ok(())
    }

    fn receive(&mut self, bytes: &mut [u8]) -> Result<(), Failure> {
        let Some((now, later)) = self.answers.split_at_checked(bytes.len()) else {
            let end = io::Error::from(ErrorKind::UnexpectedEof);
            return Err(Error::network(Phase::Proxy, "the proxy", end).into());
        };
        bytes.copy_from_slice(now);
        self.answers = later;
        Ok(())
    }

    fn peer(&self) -> &str {
        "the proxy"
    }
}

/// Whatever a proxy sends, a protocol takes a bounded part of it, ends, and says something.
#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::super::{Destination, http, socks};
    use super::*;

    #[test]
    fn no_answer_does_harm() {
        // The bytes that mean something to one protocol or another, more often than not.
        const TELLING: &[u8] = b"\0\x01\x02\x03\x04\x05\x5a\xff\r\n\r\nHTTP/1.1 200 ";
        let mut rng = StdRng::seed_from_u64(7);
        for _ in 0..50_000 {
            let length = rng.random_range(0..40);
            let byte = |rng: &mut StdRng| match rng.random_range(0..4) {
                0 => rng.random(),
                _ => TELLING[rng.random_range(0..TELLING.len())],
            };
            let answers: Vec<u8> = (0..length).map(|_| byte(&mut rng)).collect();
            let destination = Destination::Name("host", 80);
            for protocol in 0..3 {
                let mut line = Script { sent: Vec::new(), answers: &answers };
                let result = match protocol {
                    0 => http::connect(&mut line, &destination, None),
                    1 => socks::socks4(&mut line, &destination, None),
                    _ => socks::socks5(&mut line, &destination, None),
                };
                match result {
                    Err(Stop::Refused(refusal)) => {
                        assert!(!refusal.problem.is_empty(), "{answers:?}")
                    }
                    Err(Stop::Failed(_)) => {}
                    Ok(()) => assert!(line.answers.len() < answers.len(), "{answers:?}"),
                }
            }
        }
    }
}
