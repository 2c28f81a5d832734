//! Turns a target into a connected socket, by whatever way its URL and the program's options say. Runs on the connecting
//! thread.

use mio::{Interest, event::Source};

use super::elsewhere::ask;
use super::target::{Endpoint, Target};
use super::waiter::{Failure, SOCKET, Waiter};
use super::{resolve, tcp};
use crate::error::{Error, Phase};
use crate::route::Connector;
use crate::socket::Socket;

/// Gives a socket that is registered with the waiter for reading and writing.
pub(super) fn dial(target: &Target, waiter: &mut Waiter<'_>) -> Result<Socket, Failure> {
    let route = &target.route;
    let mut socket = if let Some(ready_made) = &route.socket {
        ready_made.take()?
    } else if let Some(connector) = &route.connector {
        call(connector, target, waiter)?
    } else {
        match &target.endpoint {
            Endpoint::Tcp => {
                let addresses = resolve::resolve(&target.host, target.port, route.resolver.as_ref(), waiter)?;
                return Ok(Socket::tcp(tcp::connect(&addresses, &route.options, waiter)?));
            }
            #[cfg(unix)]
            Endpoint::Unix(path) => super::unix::connect(path, waiter)?,
        }
    };
    let ready = socket.prepare();
    let ready =
        ready.and_then(|()| socket.register(waiter.registry(), SOCKET, Interest::READABLE | Interest::WRITABLE));
    ready.map_err(|source| Error::network(Phase::Connect, waiter.peer(), source))?;
    Ok(socket)
}

fn call(connector: &Connector, target: &Target, waiter: &mut Waiter<'_>) -> Result<Socket, Failure> {
    let (connector, host, port) = (connector.clone(), target.host.to_string(), target.port);
    let connected = ask(waiter, Phase::Connect, move || connector(&host, port))?;
    connected.map_err(|source| Error::network(Phase::Connect, waiter.peer(), source).into())
}
