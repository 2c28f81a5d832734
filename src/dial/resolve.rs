//! Turns the URL's host into socket addresses, through the operating system's resolver or the
//! program's own.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use url::Host;

use super::hints::advise;
use super::offload::ask;
use super::waiter::{Failure, Waiter};
use crate::error::{Error, Phase};
use crate::route::{Route, Unanswered};

/// Returns at least one address.
pub(super) fn resolve(
    host: &Host,
    port: u16,
    route: &Route,
    waiter: &mut Waiter<'_>,
) -> Result<Vec<SocketAddr>, Failure> {
    let name = match host {
        Host::Ipv4(address) => return Ok(vec![(*address, port).into()]),
        Host::Ipv6(address) => return Ok(vec![(*address, port).into()]),
        Host::Domain(name) => name.clone(),
    };
    match route.resolver.clone() {
        Some(resolver) => {
            let attempt = waiter.attempt().clone();
            look_up(waiter, &route.unanswered, move || resolver(&name, port, &attempt))
        }
        None => look_up(waiter, &route.unanswered, move || {
            Ok((name.as_str(), port).to_socket_addrs()?.collect())
        }),
    }
}

fn look_up(
    waiter: &mut Waiter<'_>,
    unanswered: &Unanswered,
    resolver: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> Result<Vec<SocketAddr>, Failure> {
    let problem = match ask(waiter, Phase::Resolve, unanswered, resolver)? {
        Ok(addresses) if !addresses.is_empty() => {
            log::debug!(target: super::LOG, "{} has the addresses {addresses:?}", waiter.peer());
            return Ok(addresses);
        }
        Ok(_) => {
            io::Error::new(io::ErrorKind::NotFound, "the name has no address (is it spelt right?)")
        }
        Err(error) => advise(error, "is the name spelt right, and is the network up?"),
    };
    Err(Error::network(Phase::Resolve, waiter.peer(), problem).into())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::waiter::Cancel;
    use super::*;
    use crate::route::Resolver;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_literal_needs_no_lookup() {
        let cancel = Cancel::new();
        let mut waiter = Waiter::new("peer:1", LONG, &cancel).unwrap_or_else(|e| panic!("{e:?}"));
        for (host, ip) in [
            (Host::Ipv4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)),
            (Host::Ipv6(Ipv6Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ] {
            assert_eq!(
                resolve(&host, 1, &Route::default(), &mut waiter).unwrap_or_default(),
                [SocketAddr::new(ip, 1)]
            );
        }
    }

    #[test]
    fn localhost_is_looked_up() {
        let cancel = Cancel::new();
        let mut waiter =
            Waiter::new("localhost:1", LONG, &cancel).unwrap_or_else(|e| panic!("{e:?}"));
        let addresses =
            resolve(&Host::Domain("localhost".into()), 1, &Route::default(), &mut waiter)
                .unwrap_or_default();
        assert!(
            !addresses.is_empty() && addresses.iter().all(|a| a.ip().is_loopback()),
            "{addresses:?}"
        );
    }

    #[test]
    fn a_failed_or_empty_lookup_names_the_host_and_what_to_try() {
        let cancel = Cancel::new();
        let mut waiter =
            Waiter::new("nowhere:1", LONG, &cancel).unwrap_or_else(|e| panic!("{e:?}"));
        let failed =
            look_up(&mut waiter, &Unanswered::default(), || Err(io::Error::other("unknown")));
        let Err(Failure::Error(error)) = failed else { panic!("{failed:?}") };
        assert!(
            error.to_string().starts_with("looking up nowhere:1: unknown (is the name"),
            "{error}"
        );
        let empty = look_up(&mut waiter, &Unanswered::default(), || Ok(Vec::new()));
        let Err(Failure::Error(error)) = empty else { panic!("{empty:?}") };
        assert_eq!(
            error.to_string(),
            "looking up nowhere:1: the name has no address (is it spelt right?)"
        );
    }

    #[test]
    fn the_programs_own_resolver_is_asked_for_names_only() {
        let cancel = Cancel::new();
        let mut waiter = Waiter::new("peer:1", LONG, &cancel).unwrap_or_else(|e| panic!("{e:?}"));
        let resolver: Resolver = Arc::new(|host, port, attempt| {
            assert_eq!((host, attempt.number), ("somewhere.example", 1));
            Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))])
        });
        let route = Route { resolver: Some(resolver), ..Route::default() };
        let mut resolve = |host| resolve(&host, 7, &route, &mut waiter).unwrap_or_default();
        assert_eq!(
            resolve(Host::Domain("somewhere.example".into())),
            ["127.0.0.1:7".parse().unwrap()]
        );
        assert_eq!(resolve(Host::Ipv6(Ipv6Addr::LOCALHOST)), ["[::1]:7".parse().unwrap()]);
    }
}
