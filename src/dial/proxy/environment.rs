//! Which proxy the environment names for a server, by the rules that curl documents. Pure but for
//! [`variable`].
//!
//! | URL | variables, the first that is set and not empty |
//! |---|---|
//! | `ws://` | `ws_proxy`, `WS_PROXY`, `http_proxy`, `HTTP_PROXY` (not in a CGI program), `all_proxy`, `ALL_PROXY` |
//! | `wss://` | `wss_proxy`, `WSS_PROXY`, `https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY` |
//!
//! None where `no_proxy`, or else `NO_PROXY`, has the server. Beyond what curl has, its names may
//! have a port or begin with `*.`, as other programs let them, and `HTTP_PROXY` counts where it
//! cannot come from a request.

use std::borrow::Cow;
use std::net::IpAddr;

use url::Host;

/// Reads the environment of the process. An empty variable is as good as none.
pub(super) fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?.to_string_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}

/// Returns the variable's name and its value.
pub(super) fn proxy(
    scheme: &str,
    host: &Host<&str>,
    port: u16,
    variable: impl Fn(&str) -> Option<String>,
) -> Option<(&'static str, String)> {
    let names: &[&str] = match scheme {
        "wss" => {
            &["wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        }
        // A server that runs a CGI program hands the request's headers over as HTTP_…, so that
        // whoever sends `Proxy: …` would choose the proxy (RFC 3875 §4.1.18).
        _ if variable("REQUEST_METHOD").is_some() => {
            &["ws_proxy", "WS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY"]
        }
        _ => &["ws_proxy", "WS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
    };
    let set = names.iter().find_map(|name| Some((*name, variable(name)?)))?;
    let direct = variable("no_proxy").or_else(|| variable("NO_PROXY"));
    match direct {
        Some(direct) if is_direct(&direct, host, port) => None,
        _ => Some(set),
    }
}

/// Returns whether a list of names has the server.
fn is_direct(list: &str, host: &Host<&str>, port: u16) -> bool {
    list.split([',', ' ', '\t']).any(|entry| entry == "*" || covers(entry, host, port))
}

fn covers(entry: &str, host: &Host<&str>, port: u16) -> bool {
    let (entry, only) = split_port(entry);
    if only.is_some_and(|only| only.parse() != Ok(port)) {
        return false;
    }
    match host {
        Host::Domain(name) => is_below(name, &entry),
        Host::Ipv4(address) => is_within(IpAddr::V4(*address), &entry),
        Host::Ipv6(address) => is_within(IpAddr::V6(*address), &entry),
    }
}

/// `host`, `host:port`, `[v6]:port`, `[v6]/bits`, and IPv6 without brackets. What follows a bracket
/// and is none of these makes an address that is none.
fn split_port(entry: &str) -> (Cow<'_, str>, Option<&str>) {
    if let Some((address, rest)) = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let (bits, port) = split_at_colon(rest);
        return (format!("{address}{bits}").into(), port);
    }
    match split_at_colon(entry) {
        (host, Some(port)) if !port.contains(':') => (host.into(), Some(port)),
        _ => (entry.into(), None),
    }
}

fn split_at_colon(text: &str) -> (&str, Option<&str>) {
    text.split_once(':').map_or((text, None), |(before, behind)| (before, Some(behind)))
}

/// Returns whether a name is the entry's, or one below it.
fn is_below(name: &str, entry: &str) -> bool {
    let entry = entry.strip_prefix('*').unwrap_or(entry).trim_matches('.');
    let name = name.trim_end_matches('.');
    let Some(start) = name.len().checked_sub(entry.len()).filter(|_| !entry.is_empty()) else {
        return false;
    };
    name.is_char_boundary(start)
        && name[start..].eq_ignore_ascii_case(entry)
        && (start == 0 || name[..start].ends_with('.'))
}

/// Returns whether an address is the entry's, or in its network.
fn is_within(address: IpAddr, entry: &str) -> bool {
    let Some((network, bits)) = network(entry) else { return false };
    // Part of IPv6 is IPv4, but who writes of all IPv6 does not mean IPv4.
    if address.is_ipv4() && bits < IPV4_MAPPED {
        return false;
    }
    (as_ipv6(address) ^ network).checked_shr(128 - bits).unwrap_or(0) == 0
}

/// `address` or `address/bits`: an address of the network, and how many of its bits count.
fn network(entry: &str) -> Option<(u128, u32)> {
    let (address, bits) = match entry.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
        None => (entry, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (most, before) = if address.is_ipv4() { (32, IPV4_MAPPED) } else { (128, 0) };
    let bits = bits.unwrap_or(most);
    (bits <= most).then(|| (as_ipv6(address), before + bits))
}

/// The bits of `::ffff:0:0`, behind which IPv4 has its place in IPv6 (RFC 4291 §2.5.5.2): an
/// address may be written both ways.
const IPV4_MAPPED: u32 = 96;

fn as_ipv6(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    /// The value that counts for a URL, with these variables.
    fn picked(url: &str, variables: &[(&str, &str)]) -> Option<String> {
        let url = Url::parse(url).unwrap();
        let set = |name: &str| {
            variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
        };
        proxy(url.scheme(), &url.host().unwrap(), url.port_or_known_default().unwrap(), set)
            .map(|(_, value)| value)
    }

    #[test]
    fn the_most_particular_variable_counts_and_small_letters_before_capitals() {
        let ws = ["ws_proxy", "WS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
        let wss =
            ["wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
        for (url, names) in [("ws://host/", ws), ("wss://host/", wss)] {
            for first in 0..names.len() {
                let variables: Vec<_> = names[first..].iter().map(|name| (*name, *name)).collect();
                assert_eq!(picked(url, &variables).as_deref(), Some(names[first]), "{url}");
            }
            assert_eq!(picked(url, &[]), None);
        }
        let others =
            [("https_proxy", "a"), ("HTTPS_PROXY", "b"), ("wss_proxy", "c"), ("Http_Proxy", "d")];
        assert_eq!(picked("ws://host/", &others), None);
        assert_eq!(
            picked("wss://host/", &[("http_proxy", "a"), ("HTTP_PROXY", "b"), ("ws_proxy", "c")]),
            None
        );
    }

    #[test]
    fn a_cgi_program_does_not_take_its_proxy_from_the_request() {
        let cgi = [("HTTP_PROXY", "evil"), ("REQUEST_METHOD", "GET"), ("ALL_PROXY", "good")];
        assert_eq!(picked("ws://host/", &cgi).as_deref(), Some("good"));
        assert_eq!(picked("ws://host/", &cgi[..2]), None);
        assert_eq!(
            picked("ws://host/", &[("http_proxy", "good"), cgi[0], cgi[1]]).as_deref(),
            Some("good")
        );
    }

    #[test]
    fn no_proxy_has_names_networks_and_ports() {
        for (list, url, direct) in [
            ("*", "ws://host/", true),
            ("other, *", "ws://host/", true),
            ("", "ws://host/", false),
            (",", "ws://host/", false),
            (".", "ws://host/", false),
            ("host", "ws://host/", true),
            ("HOST", "ws://host/", true),
            ("host", "ws://host./", true),
            ("host.", "ws://host/", true),
            ("host", "ws://ghost/", false),
            ("host", "ws://a.b.host/", true),
            (".host", "ws://a.host/", true),
            (".host", "ws://host/", true),
            ("*.host", "ws://a.host/", true),
            ("*.host", "ws://host/", true),
            ("*host", "ws://ghost/", false),
            ("a.host", "ws://host/", false),
            ("xn--bcher-kva.example", "ws://bücher.example/", true),
            ("first,host", "ws://host/", true),
            ("first host", "ws://host/", true),
            ("first, host ,last", "ws://host/", true),
            ("host:80", "ws://host/", true),
            ("host:80", "wss://host/", false),
            ("host:443", "wss://host/", true),
            ("host:8080", "ws://a.host:8080/", true),
            ("host:8080", "ws://host:8081/", false),
            ("host:http", "ws://host/", false),
            ("127.0.0.1", "ws://127.0.0.1/", true),
            ("127.0.0.1", "ws://127.0.0.10/", false),
            ("127.0.0.1:80", "ws://127.0.0.1/", true),
            ("127.0.0.1:81", "ws://127.0.0.1/", false),
            ("0.0.1", "ws://127.0.0.1/", false),
            ("127.0.0.0/8", "ws://127.1.2.3/", true),
            ("127.0.0.0/8", "ws://128.0.0.1/", false),
            ("127.1.2.3/8", "ws://127.0.0.1/", true),
            ("10.0.0.0/31", "ws://10.0.0.1/", true),
            ("10.0.0.0/31", "ws://10.0.0.2/", false),
            ("10.0.0.0/32", "ws://10.0.0.0/", true),
            ("10.0.0.0/33", "ws://10.0.0.1/", false),
            ("10.0.0.0/33", "ws://10.0.0.0/", false),
            ("10.0.0.0/0", "ws://1.2.3.4/", true),
            ("10.0.0.0/x", "ws://10.0.0.0/", false),
            ("127.0.0.0/8", "ws://localhost/", false),
            ("localhost", "ws://127.0.0.1/", false),
            ("::1", "ws://[::1]/", true),
            ("[::1]", "ws://[::1]:9/", true),
            ("[::1]:9", "ws://[::1]:9/", true),
            ("[::1]:9", "ws://[::1]:8/", false),
            ("0:0::1", "ws://[::1]/", true),
            ("fe80::/10", "ws://[fe80::1]/", true),
            ("fe80::/10", "ws://[fec0::1]/", false),
            ("fe80::/128", "ws://[fe80::]/", true),
            ("fe80::/129", "ws://[fe80::]/", false),
            ("[fe80::]/10", "ws://[fe80::1]/", true),
            ("[fe80::]/10", "ws://[fec0::1]/", false),
            ("[fe80::/10]", "ws://[fe80::1]/", true),
            ("[fe80::]/10:80", "ws://[fe80::1]/", true),
            ("[fe80::]/10:81", "ws://[fe80::1]/", false),
            ("[fe80::]x", "ws://[fe80::]/", false),
            ("[fe80::]/x", "ws://[fe80::]/", false),
            ("::/0", "ws://[fec0::1]/", true),
            ("0.0.0.0/0", "ws://[::1]/", false),
            // IPv4 within IPv6 is the same address, however either is written.
            ("10.0.0.1", "ws://[::ffff:10.0.0.1]/", true),
            ("10.0.0.0/8", "ws://[::ffff:10.1.2.3]/", true),
            ("10.0.0.0/8", "ws://[::ffff:11.1.2.3]/", false),
            ("::ffff:10.0.0.1", "ws://10.0.0.1/", true),
            ("::ffff:10.0.0.0/104", "ws://10.1.2.3/", true),
            ("::ffff:10.0.0.0/104", "ws://11.1.2.3/", false),
            ("::ffff:10.0.0.0/104", "ws://[::ffff:10.1.2.3]/", true),
            ("[::ffff:10.0.0.0]/104", "ws://10.1.2.3/", true),
            ("::ffff:0:0/96", "ws://10.1.2.3/", true),
            ("::/0", "ws://[::ffff:10.1.2.3]/", true),
            ("::/0", "ws://10.1.2.3/", false),
        ] {
            let variables = [("all_proxy", "proxy"), ("no_proxy", list)];
            assert_eq!(picked(url, &variables).is_none(), direct, "{list:?} and {url}");
        }
        let both = [("all_proxy", "proxy"), ("no_proxy", "other"), ("NO_PROXY", "host")];
        assert_eq!(picked("ws://host/", &both).as_deref(), Some("proxy"), "small letters count");
        assert_eq!(picked("ws://host/", &[both[0], both[2]]), None);
    }
}
