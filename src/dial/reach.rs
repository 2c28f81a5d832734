//! Turns a target into a connected stream that leads to its server, by whatever way its URL and the
//! program's options say. Runs on the connecting thread.

use mio::Interest;
use url::Host;

use super::offload::ask;
use super::target::{Endpoint, Target};
use super::waiter::{Failure, SOCKET, Waiter};
use super::{resolve, tcp};
use crate::error::{Error, Phase};
use crate::route::Connector;
use crate::transport::{Socket, Stream};

/// Returns a stream that is registered with the waiter for reading and writing.
pub(super) fn reach(target: &Target, waiter: &mut Waiter<'_>) -> Result<Stream, Failure> {
    let route = &target.route;
    let socket = if let Some(ready_made) = &route.socket {
        ready_made.take()?
    } else if let Some(connector) = &route.connector {
        call(connector, target, waiter)?
    } else {
        match (&target.endpoint, &target.proxy) {
            #[cfg(unix)]
            (Endpoint::Unix(path), _) => super::unix::connect(path, route, waiter)?,
            (Endpoint::Tcp, Some(proxy)) => {
                return proxy.open(&target.host, target.port, route, waiter);
            }
            (Endpoint::Tcp, None) => {
                let addresses = resolve::resolve(&target.host, target.port, route, waiter)?;
                return tcp::connect(&addresses, &route.options, waiter);
            }
        }
    };
    let ready = socket.prepare();
    let mut stream = Stream::plain(socket);
    ready
        .and_then(|()| {
            stream.register(waiter.registry(), SOCKET, Interest::READABLE | Interest::WRITABLE)
        })
        .map_err(|source| Error::network(Phase::Connect, waiter.peer(), source))?;
    Ok(stream)
}

fn call(
    connector: &Connector,
    target: &Target,
    waiter: &mut Waiter<'_>,
) -> Result<Socket, Failure> {
    let (connector, host, port) = (connector.clone(), bare(&target.host), target.port);
    let attempt = waiter.attempt().clone();
    let connected = ask(waiter, Phase::Connect, &target.route.unanswered, move || {
        connector(&host, port, &attempt)
    })?;
    connected.map_err(|source| Error::network(Phase::Connect, waiter.peer(), source).into())
}

/// As std and every resolver take it: an IPv6 address without the brackets that it has in URLs.
fn bare(host: &Host) -> String {
    match host {
        Host::Ipv6(address) => address.to_string(),
        other => other.to_string(),
    }
}
