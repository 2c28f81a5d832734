//! Gets through a proxy: turns a server's name into a [`Stream`] that leads there, or into an error
//! with what the proxy said. Runs on the connecting thread.
//!
//! ```text
//! option, environment → address                          which proxy, if any: checked before any socket
//!                       line → http or socks → Stream    one exchange of messages
//! ```
//!
//! Nothing is taken off the stream beyond the proxy's answer: what comes with it is the server's,
//! for the layers above.
//!
//! The protocols are our own few lines: the libraries for them open sockets themselves, or want an
//! async runtime, and none that is kept speaks SOCKS4.

mod address;
mod environment;
mod http;
mod line;
mod socks;

use std::fmt;
use std::io;
use std::net::SocketAddr;

use url::Host;

use self::address::{Address, Scheme};
use self::line::{ProxyStream, Refusal, Stop};
use super::hints::list;
use super::race::interleave;
use super::resolve::resolve;
use super::tcp;
use super::tls::Connector;
use super::waiter::{Failure, Waiter};
use crate::config::{Config, ProxyChoice};
use crate::error::{Error, Phase, ProxyRefusal};
use crate::redact::shown_url;
use crate::route::Route;
use crate::transport::SocketOptions;
use crate::transport::Stream;

/// A proxy, and what is needed to talk to it. Made once for all connects to a target.
pub(super) struct Proxy {
    address: Address,
    /// For `https://`.
    tls: Option<Connector>,
    /// Names it in errors.
    peer: Box<str>,
}

/// What a proxy is asked for.
enum Destination<'a> {
    /// For the proxy to look up.
    Name(&'a str, u16),
    Address(SocketAddr),
}

impl Proxy {
    /// Picks the proxy for a server, by the options or else by the environment, and checks it.
    pub(super) fn choose(
        config: &Config,
        scheme: &str,
        host: &Host<&str>,
        port: u16,
    ) -> Result<Option<Self>, Error> {
        let (what, url) = match &config.proxy {
            ProxyChoice::None => return Ok(None),
            ProxyChoice::Url(url) => (format!("proxy({})", shown_url(url)), url.clone()),
            ProxyChoice::Environment => {
                match environment::proxy(scheme, host, port, environment::variable) {
                    None => return Ok(None),
                    Some((name, url)) => {
                        (format!("the environment's {name}, {}", shown_url(&url)), url)
                    }
                }
            }
        };
        let address =
            Address::parse(&url).and_then(|address| address.check(host).map(|()| address));
        let address = address.map_err(|problem| Error::invalid(what, problem))?;
        let tls = match address.scheme {
            Scheme::Https => Some(Connector::new(&as_ref(&address.host), &config.proxy_tls)?),
            _ => None,
        };
        Ok(Some(Proxy {
            peer: format!("the proxy {}:{}", address.host, address.port).into(),
            tls,
            address,
        }))
    }

    /// Returns a stream that leads to the server through this proxy.
    pub(super) fn open(
        &self,
        host: &Host,
        port: u16,
        route: &Route,
        waiter: &mut Waiter<'_>,
    ) -> Result<Stream, Failure> {
        let server = waiter.peer().to_owned();
        let destinations = self.destinations(host, port, route, waiter)?;
        log::debug!(target: super::LOG, "{server}: going through the proxy {}", self.address);
        waiter.set_peer(&self.peer);
        let stream = self.open_first(&destinations, &server, route, waiter)?;
        waiter.set_peer(&server);
        Ok(stream)
    }

    /// Asks for one after the other until the proxy reaches it. There is at least one.
    ///
    /// One after the other, not staggered as [`tcp`] does it: a proxy takes longer than a quarter
    /// of a second as a rule, so every connect would make it open several. But none takes more than
    /// half of the time that is left.
    fn open_first(
        &self,
        destinations: &[Destination<'_>],
        server: &str,
        route: &Route,
        waiter: &mut Waiter<'_>,
    ) -> Result<Stream, Failure> {
        let addresses = resolve(&self.address.host, self.address.port, route, waiter)?;
        let mut rest = destinations;
        loop {
            let (destination, others) =
                rest.split_first().expect("there is at least one, and the last one returns");
            let stream = self.connect(&addresses, &route.options, waiter)?;
            waiter.set_peer(&format!("{} for {}", self.peer, destination.of(server)));
            let tunnel = match others.is_empty() {
                true => self.tunnel(stream, destination, waiter),
                false => waiter.in_half_the_time(|waiter| self.tunnel(stream, destination, waiter)),
            };
            waiter.set_peer(&self.peer);
            match tunnel {
                Ok(stream) => return Ok(stream),
                Err(stop) if stop.may_be_the_address() && !others.is_empty() => {
                    log::debug!(target: super::LOG, "{destination}, by {}: {stop}", self.peer);
                    rest = others;
                }
                Err(Stop::Refused(refusal)) => {
                    let tried = &destinations[..destinations.len() - others.len()];
                    return Err(self.refused(refusal, server, tried).into());
                }
                Err(Stop::Failed(failure)) => return Err(failure),
            }
        }
    }

    /// Returns what to ask for, at least one: the name, where the proxy looks it up, or the
    /// addresses that it is given here.
    fn destinations<'a>(
        &self,
        host: &'a Host,
        port: u16,
        route: &Route,
        waiter: &mut Waiter<'_>,
    ) -> Result<Vec<Destination<'a>>, Failure> {
        if let (Host::Domain(name), true) = (host, self.address.scheme.looks_up()) {
            return Ok(vec![Destination::Name(name, port)]);
        }
        let addresses = interleave(&resolve(host, port, route, waiter)?).into_iter();
        let reached =
            addresses.filter(|address| address.is_ipv4() || self.address.scheme.reaches_ipv6());
        let destinations: Vec<_> = reached.map(Destination::Address).collect();
        if destinations.is_empty() {
            let problem = format!(
                "no IPv4 address, which is all that {} reaches: socks5:// reaches more",
                self.address
            );
            let problem = io::Error::new(io::ErrorKind::NotFound, problem);
            return Err(Error::network(Phase::Resolve, waiter.peer(), problem).into());
        }
        Ok(destinations)
    }

    /// Connects to the proxy itself.
    fn connect(
        &self,
        addresses: &[SocketAddr],
        options: &SocketOptions,
        waiter: &mut Waiter<'_>,
    ) -> Result<Stream, Failure> {
        let stream = tcp::connect(addresses, options, waiter)?;
        match &self.tls {
            Some(connector) => Ok(connector.handshake(stream, waiter)?.0),
            None => Ok(stream),
        }
    }

    fn tunnel(
        &self,
        stream: Stream,
        destination: &Destination<'_>,
        waiter: &mut Waiter<'_>,
    ) -> Result<Stream, Stop> {
        let mut line = ProxyStream::new(&stream, self.address.scheme, waiter);
        match &self.address.scheme {
            Scheme::Http | Scheme::Https => {
                http::connect(&mut line, destination, self.address.authorization.as_deref())
            }
            Scheme::Socks4 | Scheme::Socks4a => {
                socks::socks4(&mut line, destination, self.address.user_info.as_ref())
            }
            Scheme::Socks5 | Scheme::Socks5h => {
                socks::socks5(&mut line, destination, self.address.user_info.as_ref())
            }
        }?;
        Ok(stream)
    }

    /// `tried` is what was asked for, the last of it in vain at the end.
    fn refused(&self, refusal: Refusal, server: &str, tried: &[Destination<'_>]) -> Error {
        let destination = tried.last().map(ToString::to_string).unwrap_or_default();
        let problem = match destination == server {
            true => refusal.problem,
            false => {
                format!("{} (looked up here for {server}; tried {})", refusal.problem, list(tried))
            }
        };
        let (proxy, reply) = (self.address.to_string(), refusal.reply);
        Error::Proxy(Box::new(ProxyRefusal {
            proxy,
            destination,
            reply,
            problem,
            temporary: refusal.temporary,
        }))
    }
}

impl Destination<'_> {
    /// Names it together with the server whose address it is.
    fn of(&self, server: &str) -> String {
        match self.to_string() {
            destination if destination == server => destination,
            destination => format!("{server} at {destination}"),
        }
    }
}

impl fmt::Display for Destination<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Name(name, port) => write!(f, "{name}:{port}"),
            Destination::Address(address) => address.fmt(f),
        }
    }
}

fn as_ref(host: &Host) -> Host<&str> {
    match host {
        Host::Domain(name) => Host::Domain(name),
        Host::Ipv4(address) => Host::Ipv4(*address),
        Host::Ipv6(address) => Host::Ipv6(*address),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::super::testing::{Server, waiter};
    use super::super::waiter::Cancel;
    use super::*;

    /// Asks for two addresses of a proxy that gives these replies, and tells how often it was
    /// asked.
    fn ask_for_two(replies: &'static [u8]) -> Result<(), Failure> {
        let server = Server::taking(replies.len(), |i, mut stream| {
            stream.read_exact(&mut [0; 3]).unwrap();
            stream.write_all(&[5, 0]).unwrap();
            let mut request = [0; 10];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(request[4..8], [10, 0, 0, i as u8 + 1]);
            stream.write_all(&[5, replies[i], 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        });
        let url = format!("socks5://127.0.0.1:{}", server.port);
        let config = Config { proxy: ProxyChoice::Url(url), ..Config::default() };
        let proxy =
            Proxy::choose(&config, "ws", &Host::Domain("server.example"), 80).unwrap().unwrap();
        let destinations = ["10.0.0.1:80", "10.0.0.2:80"]
            .map(|address| Destination::Address(address.parse().unwrap()));
        let cancel = Cancel::new();
        let result = proxy
            .open_first(&destinations, "host:80", &Route::default(), &mut waiter(&cancel))
            .map(drop);
        server.join(result)
    }

    #[test]
    fn another_address_is_asked_for_where_one_cannot_be_reached() {
        assert!(ask_for_two(&[0]).is_ok());
        assert!(ask_for_two(&[4, 0]).is_ok());
        // The rules of the proxy, which are not about the address alone.
        for (replies, of) in
            [(&[2][..], "10.0.0.1:80: SOCKS5 reply 2"), (&[3, 5], "10.0.0.2:80: SOCKS5 reply 5")]
        {
            match ask_for_two(replies) {
                Err(Failure::Error(error)) => assert!(error.to_string().contains(of), "{error}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
