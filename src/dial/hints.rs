//! Adds to what the operating system says of an address what a person needs to know: which
//! addresses were tried, and what to try now. Pure.

use std::error::Error as StdError;
use std::fmt::{self, Display};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

/// How many addresses a text names: some hosts have dozens, and the first ones tell enough.
const MAX_NAMED: usize = 4;

/// Names the addresses that were tried, in order.
pub(super) fn list(addresses: &[impl Display]) -> String {
    let mut named: Vec<_> = addresses.iter().take(MAX_NAMED).map(ToString::to_string).collect();
    if addresses.len() > MAX_NAMED {
        named.push(format!("{} more", addresses.len() - MAX_NAMED));
    }
    match named.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => named.concat(),
    }
}

/// Explains why no TCP connection came about. `peer` is how the error itself names the host,
/// `failures` are all attempts in the order of their failures, one at least.
pub(super) fn unreachable(peer: &str, mut failures: Vec<(SocketAddr, io::Error)>) -> io::Error {
    let (address, error) = failures.swap_remove(most_telling(&failures));
    let at = if peer.ends_with(&address.to_string()) {
        String::new()
    } else {
        format!(", from {address}")
    };
    let others: Vec<_> = failures.iter().map(|(address, _)| address).collect();
    let others = if others.is_empty() {
        String::new()
    } else {
        format!(", tried besides {}", list(&others))
    };
    let hint = hint(&error).map_or(String::new(), |hint| format!(": {hint}"));
    let text = format!("{error}{at}{others}{hint}");
    io::Error::new(error.kind(), Advised { text, source: error })
}

/// Adds what to try to an error.
pub(super) fn advise(error: io::Error, hint: &str) -> io::Error {
    io::Error::new(error.kind(), Advised { text: format!("{error} ({hint})"), source: error })
}

/// Picks the error to report: one that came from a host tells more than the lack of a route, which
/// is all that a machine without IPv6 has to say about half of the addresses.
fn most_telling(failures: &[(SocketAddr, io::Error)]) -> usize {
    let no_route = |kind| {
        matches!(
            kind,
            ErrorKind::NetworkUnreachable
                | ErrorKind::HostUnreachable
                | ErrorKind::AddrNotAvailable
        )
    };
    failures.iter().rposition(|(_, error)| !no_route(error.kind())).unwrap_or(failures.len() - 1)
}

/// Says what to try. An option of the socket that was refused says so itself, and has no code of
/// the operating system's.
fn hint(error: &io::Error) -> Option<&'static str> {
    error.raw_os_error()?;
    Some(match error.kind() {
        ErrorKind::ConnectionRefused => "is it running, and is its port the right one?",
        ErrorKind::TimedOut => "is the address right, and does a firewall let us through?",
        ErrorKind::NetworkUnreachable
        | ErrorKind::HostUnreachable
        | ErrorKind::AddrNotAvailable => {
            "is this machine's network up, and is there a way from it to there?"
        }
        ErrorKind::PermissionDenied => "does a firewall or a sandbox of this machine forbid it?",
        _ => return None,
    })
}

/// An operating system's error, which is its source, with more words.
#[derive(Debug)]
struct Advised {
    text: String,
    source: io::Error,
}

impl fmt::Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Advised {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(peer: &str, failures: &[(&str, ErrorKind)]) -> String {
        let failures =
            failures.iter().map(|&(address, kind)| (address.parse().unwrap(), kind.into()));
        unreachable(peer, failures.collect()).to_string()
    }

    #[test]
    fn the_first_addresses_are_named_and_the_others_counted() {
        for (count, named) in [
            (0, ""),
            (1, "1"),
            (2, "1 and 2"),
            (4, "1, 2, 3 and 4"),
            (5, "1, 2, 3, 4 and 1 more"),
            (60, "1, 2, 3, 4 and 56 more"),
        ] {
            let all: Vec<_> = (1..=count).collect();
            assert_eq!(list(&all), named);
        }
    }

    #[test]
    fn a_refusal_tells_more_than_a_missing_route() {
        let (refused, no_route) = (ErrorKind::ConnectionRefused, ErrorKind::NetworkUnreachable);
        for kinds in [[refused, no_route], [no_route, refused]] {
            let failures = kinds.map(|kind| ("127.0.0.1:1".parse().unwrap(), kind.into()));
            assert_eq!(unreachable("host:1", failures.into()).kind(), refused);
        }
        assert_eq!(
            unreachable("host:1", vec![("127.0.0.1:1".parse().unwrap(), no_route.into())]).kind(),
            no_route
        );
    }

    #[test]
    fn addresses_are_named_unless_the_host_is_one() {
        let refused = ErrorKind::ConnectionRefused;
        let (first, second) = (("[::1]:1", ErrorKind::NetworkUnreachable), ("10.0.0.1:1", refused));
        assert_eq!(text("the proxy 10.0.0.1:1", &[second]), "connection refused");
        assert_eq!(text("host:1", &[second]), "connection refused, from 10.0.0.1:1");
        assert_eq!(
            text("host:1", &[first, second]),
            "connection refused, from 10.0.0.1:1, tried besides [::1]:1"
        );
    }

    #[cfg(unix)]
    #[test]
    fn what_to_try_comes_last_and_what_the_operating_system_said_is_the_source() {
        for (code, says) in [
            (libc::ECONNREFUSED, "is it running"),
            (libc::ETIMEDOUT, "firewall"),
            (libc::ENETUNREACH, "network up"),
            (libc::EHOSTUNREACH, "network up"),
            (libc::EACCES, "firewall or a sandbox"),
            (libc::EMFILE, "os error"),
        ] {
            let failed = io::Error::from_raw_os_error(code);
            let said = failed.to_string();
            let error = unreachable("127.0.0.1:1", vec![("127.0.0.1:1".parse().unwrap(), failed)]);
            let text = error.to_string();
            assert!(text.starts_with(&said) && text.contains(says), "{text}");
            let source = error
                .get_ref()
                .and_then(StdError::source)
                .and_then(|source| source.downcast_ref::<io::Error>());
            assert_eq!(source.and_then(io::Error::raw_os_error), Some(code), "{error:?}");
        }
    }
}
