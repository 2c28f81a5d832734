//! [`Role`]: which side of a connection this is. A leaf.

/// Which side of a connection this is. A client masks what it sends and a server does not (RFC 6455
/// §5.1), each has parameters of its own for compression (RFC 7692 §7.1), and a server ends the TCP
/// connection first (RFC 6455 §7.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    #[default]
    Client,
    // Made by the feature `server` alone; tests and fuzz targets play one.
    #[cfg_attr(not(any(test, fuzzing, feature = "server")), allow(dead_code))]
    Server,
}

impl Role {
    /// Returns the other side's.
    pub(crate) fn peer(self) -> Self {
        match self {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        }
    }
}
