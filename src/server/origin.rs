//! Which pages may open a WebSocket here, and under which name: what a browser says of itself in
//! `Origin` and `Host` (RFC 6455 §10.2).

use std::net::SocketAddr;

use url::{Host, Url};

use super::Request;
use crate::protocol::handshake::opening::{Refused, trimmed};

/// Whose pages are served, beside this server's own.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins {
    pub(super) any: bool,
    pub(super) allowed: Vec<String>,
    pub(super) hosts: Vec<String>,
}

impl Origins {
    /// Returns what is wrong with a pattern.
    pub(super) fn check(&self) -> Result<(), (String, &'static str)> {
        let wrong = |pattern: &&String| !is_pattern(pattern);
        match self.allowed.iter().find(wrong) {
            Some(pattern) => Err((
                format!("allow_origins([{pattern:?}])"),
                "must be an origin such as `https://example.com` or `https://*.example.com`, without a path",
            )),
            None => Ok(()),
        }
    }

    /// Refuses a page of another site, and a name that is not this server's.
    pub(super) fn judge(
        &self,
        request: &Request,
        bound: Option<SocketAddr>,
    ) -> Result<(), Refused> {
        let host = trimmed(request.headers().get("Host").unwrap_or_default());
        let is_loopback = bound.is_some_and(|bound| bound.ip().to_canonical().is_loopback());
        // A name that an attacker's DNS makes lead here (DNS rebinding) is not ours.
        if is_loopback && !is_loopback_name(host) && !self.has_host(host) {
            return Err(Refused::new(
                403,
                format!(
                    "the Host `{}` is not a name of this machine: Server::allow_hosts can add it",
                    shown(host)
                ),
            ));
        }
        let Some(origin) = request.headers().get("Origin").map(trimmed) else { return Ok(()) };
        if self.any
            || is_same(origin, host)
            || self.allowed.iter().any(|pattern| matches(pattern, origin))
        {
            return Ok(());
        }
        Err(Refused::new(
            403,
            format!(
                "the Origin `{}` is not that of the Host `{}`: Server::allow_origins can add it",
                shown(origin),
                shown(host)
            ),
        ))
    }

    fn has_host(&self, host: &str) -> bool {
        let name = without_port(host);
        self.hosts
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(host) || allowed.eq_ignore_ascii_case(name))
    }
}

/// What comes from outside is shown cut, and without what would make a line two.
fn shown(value: &str) -> String {
    value.chars().take(100).flat_map(char::escape_debug).collect()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_loopback_name(host: &str) -> bool {
    match Host::parse(without_port(host)) {
        Ok(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        Err(_) => false,
    }
}

/// Returns whether an origin is the host that was asked for. A port that is the default of the
/// origin's scheme is left out on both sides: whether there is TLS before a proxy, this server cannot
/// know.
fn is_same(origin: &str, host: &str) -> bool {
    let Ok(origin) = Url::parse(origin) else { return false };
    if !matches!(origin.scheme(), "http" | "https") {
        return false;
    }
    let Ok(host) = Url::parse(&format!("{}://{host}/", origin.scheme())) else { return false };
    origin.host() == host.host() && origin.port() == host.port()
}

/// Returns whether an origin is one that a pattern allows: `*.` stands for one name or more before a
/// domain, and for no other thing.
fn matches(pattern: &str, origin: &str) -> bool {
    if pattern == "null" || origin == "null" {
        return pattern == origin;
    }
    let Some((scheme, wanted)) = pattern.split_once("://") else { return false };
    let Ok(origin) = Url::parse(origin) else { return false };
    let wildcard = wanted.strip_prefix("*.");
    let Ok(wanted) = Url::parse(&format!("{scheme}://{}", wildcard.unwrap_or(wanted))) else {
        return false;
    };
    if origin.scheme() != wanted.scheme()
        || origin.port_or_known_default() != wanted.port_or_known_default()
    {
        return false;
    }
    match (wildcard, origin.host_str(), wanted.host_str()) {
        (None, origin, wanted) => origin == wanted,
        (Some(_), Some(origin), Some(wanted)) => origin
            .strip_suffix(wanted)
            .is_some_and(|before| before.len() > 1 && before.ends_with('.')),
        _ => false,
    }
}

fn is_pattern(pattern: &str) -> bool {
    if pattern == "null" {
        return true;
    }
    let Some((scheme, rest)) = pattern.split_once("://") else { return false };
    let rest = rest.strip_prefix("*.").unwrap_or(rest);
    Url::parse(&format!("{scheme}://{rest}")).is_ok_and(|url| {
        url.host().is_some() && matches!(url.path(), "" | "/") && url.query().is_none()
    }) && !rest.contains(['*', '@', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(origins: &Origins, bound: &str, host: &str, origin: Option<&str>) -> bool {
        let headers = [("Host", host)].into_iter().chain(origin.map(|origin| ("Origin", origin)));
        let request = Request::new("/", headers);
        origins.judge(&request, Some(bound.parse().unwrap())).is_ok()
    }

    #[test]
    fn a_page_of_the_same_host_may_and_another_may_not() {
        let own = Origins::default();
        for (host, origin, may) in [
            ("example.com", Some("http://example.com"), true),
            ("example.com", Some("https://example.com"), true),
            ("example.com:80", Some("http://example.com"), true),
            ("example.com:443", Some("https://example.com"), true),
            ("EXAMPLE.com", Some("https://example.com"), true),
            ("example.com:8080", Some("http://example.com:8080"), true),
            ("[2001:db8::1]:81", Some("http://[2001:db8::1]:81"), true),
            ("example.com", None, true),
            ("example.com:8080", Some("http://example.com"), false),
            ("example.com", Some("http://example.com:8080"), false),
            ("example.com", Some("http://example.com.evil.com"), false),
            ("example.com", Some("http://sub.example.com"), false),
            ("example.com", Some("null"), false),
            ("example.com", Some("file://"), false),
            ("example.com", Some(""), false),
        ] {
            assert_eq!(judge(&own, "192.0.2.1:80", host, origin), may, "{host} {origin:?}");
        }
    }

    #[test]
    fn a_server_on_loopback_has_names_of_this_machine_only() {
        let mut own = Origins::default();
        for (host, may) in [
            ("localhost:9001", true),
            ("app.localhost:9001", true),
            ("127.0.0.1:9001", true),
            ("127.8.8.8", true),
            ("[::1]:9001", true),
            ("evil.com:9001", false),
            ("localhost.evil.com", false),
            ("192.0.2.1", false),
            ("", false),
        ] {
            assert_eq!(judge(&own, "127.0.0.1:9001", host, None), may, "{host}");
        }
        assert!(judge(&own, "192.0.2.1:80", "any.example", None));
        own.hosts = vec!["dev.example".into()];
        assert!(judge(&own, "127.0.0.1:1", "dev.example:9001", None));
    }

    #[test]
    fn patterns_allow_what_they_say_and_no_more() {
        let with = |pattern: &str| Origins { allowed: vec![pattern.into()], ..Origins::default() };
        for (pattern, origin, may) in [
            ("https://a.example", "https://a.example", true),
            ("https://a.example", "https://A.example:443", true),
            ("https://a.example", "http://a.example", false),
            ("https://a.example", "https://a.example:8443", false),
            ("https://*.example.com", "https://a.b.example.com", true),
            ("https://*.example.com", "https://example.com", false),
            ("https://*.example.com", "https://evilexample.com", false),
            ("https://*.example.com:8443", "https://a.example.com:8443", true),
            ("null", "null", true),
        ] {
            assert!(with(pattern).check().is_ok(), "{pattern}");
            let allowed = judge(&with(pattern), "192.0.2.1:80", "host", Some(origin));
            assert_eq!(allowed, may, "{pattern} {origin}");
        }
        for pattern in [
            "a.example",
            "https://a.example/path",
            "https://*",
            "*",
            "https://a.*.b",
            "https://u@a.b",
            "",
        ] {
            assert!(with(pattern).check().is_err(), "{pattern}");
        }
        let any = Origins { any: true, ..Origins::default() };
        assert!(judge(&any, "192.0.2.1:80", "host", Some("http://elsewhere")));
    }
}
