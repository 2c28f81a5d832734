//! [`SocketOptions`]: what the operating system is asked to do for a TCP connection. Checked when a
//! run begins, applied to each socket before it connects.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Socket, TcpKeepalive};

use super::system;
use crate::error::Error;

/// Options of TCP sockets, for [`socket_options`](crate::WebSocketApp::socket_options). Each is set
/// before the socket connects; one that the operating system refuses is the error of the attempt,
/// and names the option.
///
/// ```no_run
/// use std::time::Duration;
/// use websocket_app::{SocketOptions, WebSocketApp};
///
/// WebSocketApp::new("wss://ticker.example/")
///     .socket_options(SocketOptions::new().keepalive(Duration::from_secs(60)).receive_buffer_size(1 << 20))
///     .run_forever()?;
/// # Ok::<(), websocket_app::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct SocketOptions {
    nodelay: bool,
    keepalive: Option<Duration>,
    keepalive_interval: Option<Duration>,
    keepalive_retries: Option<u32>,
    send_buffer_size: Option<usize>,
    receive_buffer_size: Option<usize>,
    bind_address: Option<IpAddr>,
    bind_interface: Option<String>,
    tos: Option<u8>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        SocketOptions {
            nodelay: true,
            keepalive: None,
            keepalive_interval: None,
            keepalive_retries: None,
            send_buffer_size: None,
            receive_buffer_size: None,
            bind_address: None,
            bind_interface: None,
            tos: None,
        }
    }
}

impl SocketOptions {
    /// Returns options that leave everything to the operating system, but for `TCP_NODELAY`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends small messages at once (`TCP_NODELAY`), not together with later ones. Defaults to
    /// `true`: messages are written whole, so waiting could only delay them.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// Has the operating system probe a connection on which nothing came for this long
    /// (`SO_KEEPALIVE`, `TCP_KEEPIDLE`). Defaults to off:
    /// [`ping_interval`](crate::WebSocketApp::ping_interval) asks the server itself, through every
    /// proxy.
    pub fn keepalive(mut self, idle: Duration) -> Self {
        self.keepalive = Some(idle);
        self
    }

    /// Sets the time between the probes of [`keepalive`](Self::keepalive) (`TCP_KEEPINTVL`), in
    /// whole seconds. Defaults to the operating system's.
    pub fn keepalive_interval(mut self, interval: Duration) -> Self {
        self.keepalive_interval = Some(interval);
        self
    }

    /// Sets after how many unanswered probes of [`keepalive`](Self::keepalive) the connection is
    /// lost (`TCP_KEEPCNT`). Defaults to the operating system's.
    pub fn keepalive_retries(mut self, retries: u32) -> Self {
        self.keepalive_retries = Some(retries);
        self
    }

    /// Sets how many bytes the operating system keeps until the server has them (`SO_SNDBUF`).
    /// Defaults to the operating system's, which most adapt to the connection.
    pub fn send_buffer_size(mut self, bytes: usize) -> Self {
        self.send_buffer_size = Some(bytes);
        self
    }

    /// Sets how many bytes the operating system keeps until they are read (`SO_RCVBUF`). Defaults
    /// to the operating system's, which most adapt to the connection.
    pub fn receive_buffer_size(mut self, bytes: usize) -> Self {
        self.receive_buffer_size = Some(bytes);
        self
    }

    /// Connects from this address of this machine, so only to addresses of the same family.
    /// Defaults to the one that the operating system's routes lead to.
    pub fn bind_address(mut self, address: impl Into<IpAddr>) -> Self {
        self.bind_address = Some(address.into());
        self
    }

    /// Connects through this network interface, such as `"eth1"` (`SO_BINDTODEVICE`): Linux and
    /// Android only, elsewhere an error of the run. Defaults to any.
    pub fn bind_interface(mut self, name: impl Into<String>) -> Self {
        self.bind_interface = Some(name.into());
        self
    }

    /// Marks the packets with a type of service (`IP_TOS`, for IPv6 `IPV6_TCLASS`): the upper six
    /// bits are the DSCP (RFC 2474). Defaults to 0.
    pub fn tos(mut self, tos: u8) -> Self {
        self.tos = Some(tos);
        self
    }

    /// Refuses what could never work here.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let invalid = |what: &str, problem: &str| {
            Err(Error::invalid(format!("socket_options: {what}"), problem))
        };
        let details = self.keepalive_interval.is_some() || self.keepalive_retries.is_some();
        if details && self.keepalive.is_none() {
            return invalid(
                "keepalive_interval, keepalive_retries",
                "have no effect without keepalive(…)",
            );
        }
        if details && !system::HAS_KEEPALIVE_DETAILS {
            return invalid(
                "keepalive_interval, keepalive_retries",
                "this operating system has no such options",
            );
        }
        let short = |time: Option<Duration>| time.is_some_and(|time| time.as_secs() == 0);
        if short(self.keepalive) || short(self.keepalive_interval) {
            return invalid("keepalive", "it is counted in seconds, so it must be one at least");
        }
        if self.send_buffer_size == Some(0) || self.receive_buffer_size == Some(0) {
            return invalid("send_buffer_size, receive_buffer_size", "must be more than zero");
        }
        match &self.bind_interface {
            Some(_) if !system::HAS_INTERFACE => {
                invalid("bind_interface", "Linux and Android only: bind_address may do instead")
            }
            Some(name) if name.is_empty() || name.contains('\0') => {
                invalid("bind_interface", "is no name of an interface: it should look like eth0")
            }
            _ => Ok(()),
        }
    }

    /// Returns whether an address can be connected to from where these options want to connect
    /// from.
    pub(crate) fn suit(&self, address: &SocketAddr) -> bool {
        self.bind_address.is_none_or(|ours| ours.is_ipv4() == address.is_ipv4())
    }

    /// Sets them all, on a socket that is to connect to `peer`.
    pub(crate) fn apply(&self, socket: &Socket, peer: &SocketAddr) -> io::Result<()> {
        if self.nodelay {
            // Best effort: without it, it still works.
            let _ = socket.set_tcp_nodelay(true);
        }
        if let Some(idle) = self.keepalive {
            naming("keepalive", socket.set_tcp_keepalive(&self.tcp_keepalive(idle)))?;
        }
        if let Some(size) = self.send_buffer_size {
            naming("send_buffer_size", socket.set_send_buffer_size(size))?;
        }
        if let Some(size) = self.receive_buffer_size {
            naming("receive_buffer_size", socket.set_recv_buffer_size(size))?;
        }
        if let Some(tos) = self.tos {
            naming("tos", system::set_tos(socket, tos, peer))?;
        }
        if let Some(name) = &self.bind_interface {
            naming(&format!("bind_interface({name:?})"), system::bind_interface(socket, name))?;
        }
        if let Some(address) = self.bind_address {
            naming(
                &format!("bind_address({address})"),
                socket.bind(&SocketAddr::from((address, 0)).into()),
            )?;
        }
        Ok(())
    }

    fn tcp_keepalive(&self, idle: Duration) -> TcpKeepalive {
        system::with_details(
            TcpKeepalive::new().with_time(idle),
            self.keepalive_interval,
            self.keepalive_retries,
        )
    }
}

/// Says which option it was that the operating system refused.
fn naming(option: &str, set: io::Result<()>) -> io::Result<()> {
    set.map_err(|error| {
        io::Error::new(error.kind(), format!("{error} (from the socket option {option})"))
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use socket2::{Domain, Type};

    use super::*;

    #[test]
    fn what_could_never_work_is_refused() {
        let second = Duration::from_secs(1);
        let new = SocketOptions::new;
        for (options, says) in [
            (new().keepalive_interval(second), "without keepalive"),
            (new().keepalive_retries(3), "without keepalive"),
            (new().keepalive(Duration::from_millis(500)), "seconds"),
            (new().keepalive(second).keepalive_interval(Duration::ZERO), "seconds"),
            (new().send_buffer_size(0), "more than zero"),
            (new().receive_buffer_size(0), "more than zero"),
            (new().bind_interface(""), "bind_interface"),
            (new().bind_interface("e\0th"), "bind_interface"),
        ] {
            let error = options.check().unwrap_err().to_string();
            assert!(error.contains(says), "{options:?}: {error}");
        }
        assert!(new().check().is_ok() && new().keepalive(second).tos(0x10).check().is_ok());
    }

    #[test]
    fn an_address_to_bind_leaves_the_other_family_out() {
        let (v4, v6) = (
            SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, 1)),
        );
        let new = SocketOptions::new;
        assert!(new().suit(&v4) && new().suit(&v6));
        assert!(
            new().bind_address(Ipv4Addr::LOCALHOST).suit(&v4)
                && !new().bind_address(Ipv4Addr::LOCALHOST).suit(&v6)
        );
        assert!(
            new().bind_address(Ipv6Addr::LOCALHOST).suit(&v6)
                && !new().bind_address(Ipv6Addr::LOCALHOST).suit(&v4)
        );
    }

    #[test]
    fn every_option_reaches_the_socket() {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let (sent, received) =
            (socket.send_buffer_size().unwrap(), socket.recv_buffer_size().unwrap());
        let options = SocketOptions::new()
            .keepalive(Duration::from_secs(77))
            .send_buffer_size(1 << 15)
            .receive_buffer_size(1 << 15)
            .tos(0x10)
            .bind_address(Ipv4Addr::LOCALHOST);
        options.apply(&socket, &peer).unwrap();
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_ne!(socket.send_buffer_size().unwrap(), sent);
        assert_ne!(socket.recv_buffer_size().unwrap(), received);
        assert_eq!(socket.tos_v4().unwrap(), 0x10);
        assert_eq!(socket.local_addr().unwrap().as_socket().unwrap().ip(), Ipv4Addr::LOCALHOST);

        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        SocketOptions::new().nodelay(false).apply(&socket, &peer).unwrap();
        assert!(!socket.tcp_nodelay().unwrap() && !socket.keepalive().unwrap());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_has_them_all() {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let seconds = Duration::from_secs;
        let options = SocketOptions::new()
            .keepalive(seconds(77))
            .keepalive_interval(seconds(7))
            .keepalive_retries(3);
        options.bind_interface("lo").apply(&socket, &peer).unwrap();
        assert_eq!(socket.tcp_keepalive_time().unwrap(), seconds(77));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), seconds(7));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        assert_eq!(socket.device().unwrap().as_deref(), Some(&b"lo"[..]));
    }

    #[test]
    fn a_refused_option_is_named() {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // For documentation (RFC 5737): no machine has it.
        let options = SocketOptions::new().bind_address(Ipv4Addr::new(192, 0, 2, 1));
        let error = options.apply(&socket, &peer).unwrap_err();
        assert!(error.to_string().contains("bind_address(192.0.2.1)"), "{error}");
    }
}
