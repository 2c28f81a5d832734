//! Turns a host's addresses into one connected TCP socket. Runs on the connecting thread; when to
//! try which address is decided in [`race`](super::race).

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Instant;

use mio::Interest;
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket as RawSocket, Type};

use super::hints;
use super::race::{Race, RaceStep};
use super::waiter::{Failure, SOCKET, Waiter};
use crate::error::{Error, Phase};
use crate::transport::Stream;
use crate::transport::{Socket, SocketOptions};

/// Returns the first socket to connect, registered with the waiter for reading and writing. The
/// others are closed. There is at least one address.
pub(super) fn connect(
    addresses: &[SocketAddr],
    options: &SocketOptions,
    waiter: &mut Waiter<'_>,
) -> Result<Stream, Failure> {
    let suitable: Vec<SocketAddr> =
        addresses.iter().copied().filter(|address| options.suit(address)).collect();
    if suitable.is_empty() {
        let problem = "the host has no address of the family of the socket option bind_address";
        let problem = io::Error::new(ErrorKind::AddrNotAvailable, problem);
        return Err(Error::network(Phase::Connect, waiter.peer(), problem).into());
    }
    let mut race = Race::new(&suitable, Instant::now());
    let mut attempts: Vec<(SocketAddr, TcpStream)> = Vec::new();
    let mut failures: Vec<(SocketAddr, io::Error)> = Vec::new();
    loop {
        match race.step(Instant::now()) {
            RaceStep::Start(address) => match start(address, options, waiter) {
                Ok(stream) => attempts.push((address, stream)),
                Err(error) => {
                    race.failed(Instant::now());
                    failures.push((address, error));
                }
            },
            RaceStep::Wait(until) => waiter
                .wait(Phase::Connect, until)
                .map_err(|failure| silent(failure, attempts.iter().map(|(address, _)| address)))?,
            RaceStep::Lost => {
                let problem = hints::unreachable(waiter.peer(), failures);
                return Err(Error::network(Phase::Connect, waiter.peer(), problem).into());
            }
        }
        let mut i = 0;
        while i < attempts.len() {
            match outcome(&attempts[i].1) {
                None => i += 1,
                Some(Ok(())) => {
                    let (address, tcp) = attempts.swap_remove(i);
                    log::debug!(target: super::LOG, "{}: connected by TCP to {address}", waiter.peer());
                    return Ok(Stream::plain(Socket::tcp(tcp)));
                }
                Some(Err(error)) => {
                    let (address, _) = attempts.swap_remove(i);
                    log::debug!(target: super::LOG, "{} at {address}: {error}", waiter.peer());
                    race.failed(Instant::now());
                    failures.push((address, error));
                }
            }
        }
    }
}

fn start(
    address: SocketAddr,
    options: &SocketOptions,
    waiter: &Waiter<'_>,
) -> io::Result<TcpStream> {
    log::debug!(target: super::LOG, "{}: trying {address}", waiter.peer());
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    options.apply(&socket, &address)?;
    match socket.connect(&address.into()) {
        Err(error) if !is_under_way(&error) => return Err(error),
        _ => {}
    }
    let mut stream = TcpStream::from_std(socket.into());
    waiter.registry().register(&mut stream, SOCKET, Interest::READABLE | Interest::WRITABLE)?;
    Ok(stream)
}

#[cfg(unix)]
fn is_under_way(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

#[cfg(windows)]
fn is_under_way(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

/// Returns how an attempt ended, or `None` while it is under way.
fn outcome(stream: &TcpStream) -> Option<io::Result<()>> {
    match stream.take_error() {
        Ok(None) => {}
        Ok(Some(error)) | Err(error) => return Some(Err(error)),
    }
    match stream.peer_addr() {
        Ok(_) => Some(Ok(())),
        Err(error) if error.kind() == ErrorKind::NotConnected => None,
        Err(error) => Some(Err(error)),
    }
}

/// Names the addresses that do not answer, where the time is over.
fn silent<'a>(failure: Failure, addresses: impl Iterator<Item = &'a SocketAddr>) -> Failure {
    let Failure::Error(Error::Timeout { phase, peer, after }) = failure else { return failure };
    let addresses: Vec<_> =
        addresses.filter(|address| !peer.ends_with(&address.to_string())).collect();
    let peer = match addresses.is_empty() {
        true => peer,
        false => format!("{peer} at {}", hints::list(&addresses)).into(),
    };
    Error::Timeout { phase, peer, after }.into()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use super::super::testing::{DeadListener, waiter};
    use super::super::waiter::Cancel;
    use super::*;

    fn refused() -> SocketAddr {
        // Bound and closed again: nobody listens there.
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap()
    }

    #[test]
    fn an_address_that_refuses_costs_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let cancel = Cancel::new();
        let mut waiter = waiter(&cancel);
        let stream = connect(
            &[refused(), listener.local_addr().unwrap()],
            &SocketOptions::new(),
            &mut waiter,
        )
        .unwrap();
        assert_eq!(stream.addresses().1, listener.local_addr().ok());
    }

    #[test]
    fn an_address_that_is_silent_does_not_eat_the_deadline() {
        let Some(dead) = DeadListener::new() else { return };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let cancel = Cancel::new();
        let mut waiter = waiter(&cancel);
        let began = Instant::now();
        let stream = connect(
            &[dead.address(), listener.local_addr().unwrap()],
            &SocketOptions::new(),
            &mut waiter,
        )
        .unwrap();
        assert_eq!(stream.addresses().1, listener.local_addr().ok());
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }

    #[test]
    fn when_all_fail_the_error_names_what_was_tried() {
        let cancel = Cancel::new();
        let mut waiter = waiter(&cancel);
        let (first, second) = (refused(), refused());
        let lost = connect(&[first, second], &SocketOptions::new(), &mut waiter);
        let Err(Failure::Error(Error::Network { phase: Phase::Connect, source, .. })) = lost else {
            panic!("connected, or another error")
        };
        assert_eq!(source.kind(), ErrorKind::ConnectionRefused);
        let text = source.to_string();
        assert!(text.contains(&first.to_string()) && text.contains(&second.to_string()), "{text}");
    }
}
