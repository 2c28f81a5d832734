//! Turns a host's addresses into one connected TCP socket. Runs on the connecting thread; when to try which address is
//! decided in [`race`](super::race).

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Instant;

use mio::Interest;
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket as RawSocket, Type};

use super::race::{Race, Step};
use super::stream::Stream;
use super::waiter::{Failure, SOCKET, Waiter};
use crate::error::{Error, Phase};
use crate::socket::{Socket, SocketOptions};

/// Gives the first socket to connect, registered with the waiter for reading and writing. The others are closed.
/// There is at least one address.
pub(super) fn connect(
    addresses: &[SocketAddr],
    options: &SocketOptions,
    waiter: &mut Waiter<'_>,
) -> Result<Stream, Failure> {
    let suitable: Vec<SocketAddr> = addresses.iter().copied().filter(|address| options.suit(address)).collect();
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
            Step::Start(address) => match start(address, options, waiter) {
                Ok(stream) => attempts.push((address, stream)),
                Err(error) => {
                    race.failed(Instant::now());
                    failures.push((address, error));
                }
            },
            Step::Wait(until) => waiter.wait(Phase::Connect, until)?,
            Step::Lost => {
                return Err(Error::network(Phase::Connect, waiter.peer(), most_telling(failures)).into());
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

fn start(address: SocketAddr, options: &SocketOptions, waiter: &Waiter<'_>) -> io::Result<TcpStream> {
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

/// Tells how an attempt ended, or `None` while it is under way.
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

/// Picks the error to report: one that came from a host tells more than the lack of a route, which is all that a machine
/// without IPv6 has to say about half of the addresses.
fn most_telling(mut failures: Vec<(SocketAddr, io::Error)>) -> io::Error {
    let no_route =
        |kind| matches!(kind, ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::AddrNotAvailable);
    let telling = failures.iter().rposition(|(_, error)| !no_route(error.kind())).unwrap_or(failures.len() - 1);
    let tried = failures.len();
    let (address, error) = failures.swap_remove(telling);
    if tried == 1 {
        return error;
    }
    io::Error::new(error.kind(), format!("{error}, from {address}, the most telling of {tried} addresses tried"))
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
        let stream = connect(&[refused(), listener.local_addr().unwrap()], &SocketOptions::new(), &mut waiter).unwrap();
        assert_eq!(stream.addresses().1, listener.local_addr().ok());
    }

    #[test]
    fn an_address_that_is_silent_does_not_eat_the_deadline() {
        let Some(dead) = DeadListener::new() else { return };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let cancel = Cancel::new();
        let mut waiter = waiter(&cancel);
        let began = Instant::now();
        let stream =
            connect(&[dead.address(), listener.local_addr().unwrap()], &SocketOptions::new(), &mut waiter).unwrap();
        assert_eq!(stream.addresses().1, listener.local_addr().ok());
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }

    #[test]
    fn when_all_fail_the_error_says_how_many_were_tried() {
        let cancel = Cancel::new();
        let mut waiter = waiter(&cancel);
        let lost = connect(&[refused(), refused()], &SocketOptions::new(), &mut waiter);
        let Err(Failure::Error(Error::Network { phase: Phase::Connect, source, .. })) = lost else {
            panic!("connected, or another error")
        };
        assert_eq!(source.kind(), ErrorKind::ConnectionRefused);
        assert!(source.to_string().contains("2 addresses"), "{source}");
        let lost = connect(&[refused()], &SocketOptions::new(), &mut waiter);
        let Err(Failure::Error(Error::Network { source, .. })) = lost else { panic!("connected, or another error") };
        assert!(source.raw_os_error().is_some(), "{source:?}");
    }

    #[test]
    fn a_refusal_tells_more_than_a_missing_route() {
        let address: SocketAddr = "[::1]:1".parse().unwrap();
        let failures = |kinds: &[ErrorKind]| kinds.iter().map(|&kind| (address, kind.into())).collect();
        let (refused, no_route) = (ErrorKind::ConnectionRefused, ErrorKind::NetworkUnreachable);
        assert_eq!(most_telling(failures(&[refused, no_route])).kind(), refused);
        assert_eq!(most_telling(failures(&[no_route, refused])).kind(), refused);
        assert_eq!(most_telling(failures(&[no_route, no_route])).kind(), no_route);
    }
}
