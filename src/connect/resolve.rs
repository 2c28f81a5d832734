//! Turns the URL's host into socket addresses.
//!
//! The operating system's resolver knows no deadline, so a detached thread asks it and wakes the connecting thread, which
//! never waits for it beyond its own deadline. The result crosses in a channel; a lookup nobody waits for any more ends
//! whenever the resolver gives up.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;

use url::Host;

use super::waiter::{Failure, Waiter};
use crate::error::{Error, Phase};

/// Gives at least one address.
pub(super) fn resolve(host: &Host, port: u16, waiter: &mut Waiter<'_>) -> Result<Vec<SocketAddr>, Failure> {
    let name = match host {
        Host::Ipv4(address) => return Ok(vec![(*address, port).into()]),
        Host::Ipv6(address) => return Ok(vec![(*address, port).into()]),
        Host::Domain(name) => name.clone(),
    };
    look_up(waiter, move || Ok((name.as_str(), port).to_socket_addrs()?.collect()))
}

fn look_up(
    waiter: &mut Waiter<'_>,
    ask: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> Result<Vec<SocketAddr>, Failure> {
    let (answer, answers) = mpsc::sync_channel(1);
    let waker = waiter.waker();
    let resolver = thread::Builder::new().name("ws-resolve".into()).spawn(move || {
        // Both fail only when nobody waits any more.
        let _ = answer.send(ask());
        let _ = waker.wake();
    });
    resolver.map_err(|source| Error::system("a thread to look a name up", source))?;
    let answer = loop {
        waiter.check(Phase::Resolve)?;
        match answers.try_recv() {
            Ok(answer) => break answer,
            Err(_) => waiter.wait(Phase::Resolve, None)?,
        }
    };
    let problem = match answer {
        Ok(addresses) if !addresses.is_empty() => {
            log::debug!(target: super::LOG, "{} has the addresses {addresses:?}", waiter.peer());
            return Ok(addresses);
        }
        Ok(_) => io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
        Err(error) => {
            io::Error::new(error.kind(), format!("{error} (is the name spelt right, and is the network up?)"))
        }
    };
    Err(Error::network(Phase::Resolve, waiter.peer(), problem).into())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use super::super::waiter::Cancel;
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_literal_needs_no_lookup() {
        let cancel = Cancel::new();
        let mut waiter = Waiter::new("peer:1", LONG, &cancel).unwrap_or_else(|e| panic!("{e:?}"));
        for (host, ip) in [
            (Host::Ipv4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)),
            (Host::Ipv6(Ipv6Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ] {
            assert_eq!(resolve(&host, 1, &mut waiter).unwrap_or_default(), [SocketAddr::new(ip, 1)]);
        }
    }

    #[test]
    fn localhost_is_looked_up() {
        let cancel = Cancel::new();
        let mut waiter = Waiter::new("localhost:1", LONG, &cancel).unwrap_or_else(|e| panic!("{e:?}"));
        let addresses = resolve(&Host::Domain("localhost".into()), 1, &mut waiter).unwrap_or_default();
        assert!(!addresses.is_empty() && addresses.iter().all(|a| a.ip().is_loopback()), "{addresses:?}");
    }

    #[test]
    fn a_failed_or_empty_lookup_names_the_host_and_what_to_try() {
        let cancel = Cancel::new();
        let mut waiter = Waiter::new("nowhere:1", LONG, &cancel).unwrap_or_else(|e| panic!("{e:?}"));
        let failed = look_up(&mut waiter, || Err(io::Error::other("unknown")));
        let Err(Failure::Error(error)) = failed else { panic!("{failed:?}") };
        assert!(error.to_string().starts_with("looking up nowhere:1: unknown (is the name"), "{error}");
        let empty = look_up(&mut waiter, || Ok(Vec::new()));
        let Err(Failure::Error(error)) = empty else { panic!("{empty:?}") };
        assert_eq!(error.to_string(), "looking up nowhere:1: the name has no address");
    }

    #[test]
    fn a_silent_resolver_outlasts_neither_the_deadline_nor_a_cancel() {
        let (release, released) = mpsc::channel::<()>();
        let silent = move || {
            let _ = released.recv();
            Ok(Vec::new())
        };
        let cancel = Cancel::new();
        let mut waiter = Waiter::new("slow:1", Duration::from_millis(20), &cancel).unwrap_or_else(|e| panic!("{e:?}"));
        let late = look_up(&mut waiter, silent);
        assert!(matches!(late, Err(Failure::Error(Error::Timeout { phase: Phase::Resolve, .. }))), "{late:?}");
        drop((release, waiter));

        let (release, released) = mpsc::channel::<()>();
        let (asked, was_asked) = mpsc::channel();
        let canceller = cancel.clone();
        let canceller = thread::spawn(move || {
            let _ = was_asked.recv();
            canceller.cancel();
        });
        let mut waiter = Waiter::new("slow:1", LONG, &cancel).unwrap_or_else(|e| panic!("{e:?}"));
        let cancelled = look_up(&mut waiter, move || {
            let _ = asked.send(());
            let _ = released.recv();
            Ok(Vec::new())
        });
        assert!(matches!(cancelled, Err(Failure::Cancelled)), "{cancelled:?}");
        drop(release);
        canceller.join().unwrap();
    }
}
