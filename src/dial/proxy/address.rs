//! Turns a proxy's URL, as people and environments write it, into an [`Address`] that can be asked.
//! Pure.

use std::fmt;

use url::{Host, Url};

use crate::protocol::handshake::credentials::UserInfo;

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// CONNECT (RFC 9110 §9.3.6).
    Http,
    /// The same within TLS.
    Https,
    /// IPv4 addresses only.
    Socks4,
    /// Names too, which the proxy looks up.
    Socks4a,
    /// RFC 1928, with addresses that are looked up here.
    Socks5,
    /// RFC 1928, with names that the proxy looks up.
    Socks5h,
}

impl Scheme {
    const ALL: [Scheme; 6] = [
        Scheme::Http,
        Scheme::Https,
        Scheme::Socks4,
        Scheme::Socks4a,
        Scheme::Socks5,
        Scheme::Socks5h,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Socks4 => "socks4",
            Scheme::Socks4a => "socks4a",
            Scheme::Socks5 => "socks5",
            Scheme::Socks5h => "socks5h",
        }
    }

    /// Returns whether the proxy is given names and looks them up.
    pub(super) fn looks_up(self) -> bool {
        !matches!(self, Scheme::Socks4 | Scheme::Socks5)
    }

    pub(super) fn reaches_ipv6(self) -> bool {
        !matches!(self, Scheme::Socks4 | Scheme::Socks4a)
    }

    fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
            // RFC 1928 §3.
            _ => 1080,
        }
    }
}

/// Where a proxy is and how to log in. Its `Display` is its URL without credentials.
pub(super) struct Address {
    pub(super) scheme: Scheme,
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) user_info: Option<UserInfo>,
    /// The `Proxy-Authorization` header's value, for HTTP.
    pub(super) authorization: Option<String>,
}

/// RFC 1928 §5 and RFC 1929 §2: the length of a name, of a user's name and of a password is one
/// byte.
const MAX_SOCKS5_FIELD: usize = 255;

impl Address {
    /// Says what is wrong, without showing it: it may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("contains white space or a control character: trim it, or write it as %20 and the like".into());
        }
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let Some(scheme) =
            Scheme::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(scheme))
        else {
            return Err(
                "its scheme is none of http, https, socks4, socks4a, socks5 and socks5h".into()
            );
        };
        if rest.is_empty() || rest.starts_with(['/', '\\', '?', '#']) {
            return Err(NO_HOST.into());
        }
        // They end the part that has the login: of a password, the rest would be taken for a path,
        // the beginning for a port.
        if rest.find(['/', '\\', '?', '#']).is_some_and(|end| rest[end..].contains('@')) {
            return Err(UNESCAPED.into());
        }
        // Parsed as a URL of the web whatever the scheme, or the standard would not look into its
        // host.
        let parse = |scheme: &str| {
            Url::parse(&format!("{scheme}://{rest}")).map_err(|error| error.to_string())
        };
        let parsed = parse("http")?;
        let Some(host) = parsed.host() else { return Err(NO_HOST.into()) };
        // The parser leaves the port out where it is the scheme's own, so one written and one left
        // out look the same.
        let port = parsed.port().or(parse("https")?.port()).unwrap_or(scheme.default_port());
        if port == 0 {
            return Err("has port 0: it must be a number from 1 to 65535".into());
        }
        if parsed.path() != "/" || parsed.query().is_some() || parsed.fragment().is_some() {
            return Err("has something behind the host, which a proxy's URL does not have".into());
        }
        let user_info = UserInfo::of(&parsed);
        let authorization = match (scheme, &user_info) {
            (Scheme::Http | Scheme::Https, Some(user_info)) => Some(user_info.basic_auth()?),
            (_, Some(user_info)) => check_socks_user(scheme, user_info).map(|()| None)?,
            _ => None,
        };
        Ok(Address { scheme, host: host.to_owned(), port, user_info, authorization })
    }

    /// Returns whether a server can be asked for at all.
    pub(super) fn check(&self, server: &Host<&str>) -> Result<(), String> {
        match server {
            Host::Ipv6(_) if !self.scheme.reaches_ipv6() => {
                Err("SOCKS4 has no IPv6, which the server's address is: socks5:// has".into())
            }
            Host::Domain(name)
                if self.scheme == Scheme::Socks5h && name.len() > MAX_SOCKS5_FIELD =>
            {
                Err(format!(
                    "SOCKS5 has names up to {MAX_SOCKS5_FIELD} bytes long, the server's is {}",
                    name.len()
                ))
            }
            _ => Ok(()),
        }
    }
}

const NO_HOST: &str = "names no host: it should look like http://host:port or socks5h://host:port";

const UNESCAPED: &str = "has a `/`, `\\`, `?` or `#` before an `@`: in a user name or password it must be percent-encoded, as \
                         %2F, %5C, %3F or %23 (and `%` as %25, `@` as %40, `:` as %3A)";

fn check_socks_user(scheme: Scheme, UserInfo { user, password }: &UserInfo) -> Result<(), String> {
    if matches!(scheme, Scheme::Socks5 | Scheme::Socks5h) {
        return match user.len().max(password.len()) > MAX_SOCKS5_FIELD {
            true => Err(format!(
                "SOCKS5 has user names and passwords up to {MAX_SOCKS5_FIELD} bytes long"
            )),
            false => Ok(()),
        };
    }
    if !password.is_empty() {
        return Err("SOCKS4 has no passwords, only a user's name: socks5:// has both".into());
    }
    // It is what ends the name.
    if user.contains(&0) {
        return Err("a SOCKS4 user's name cannot contain a zero byte".into());
    }
    Ok(())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.name(), self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_url_says_where_it_is_and_what_it_speaks() {
        for (url, expected) in [
            ("http://proxy.example", "http://proxy.example:80"),
            ("http://proxy.example:3128/", "http://proxy.example:3128"),
            ("HTTP://Proxy.Example:3128", "http://proxy.example:3128"),
            ("proxy.example:3128", "http://proxy.example:3128"),
            ("proxy.example", "http://proxy.example:80"),
            ("user:pw@proxy.example", "http://proxy.example:80"),
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://proxy.example", "https://proxy.example:443"),
            ("https://proxy.example:80", "https://proxy.example:80"),
            ("socks4://proxy.example", "socks4://proxy.example:1080"),
            ("socks4a://user@proxy.example:9050", "socks4a://proxy.example:9050"),
            ("socks5://[::1]", "socks5://[::1]:1080"),
            ("socks5h://127.0.0.1:80", "socks5h://127.0.0.1:80"),
            ("socks5h://127.0.0.1:443", "socks5h://127.0.0.1:443"),
            ("socks5://bücher.example", "socks5://xn--bcher-kva.example:1080"),
        ] {
            let address = Address::parse(url).unwrap_or_else(|problem| panic!("{url}: {problem}"));
            assert_eq!(address.to_string(), expected, "{url}");
        }
        assert!(matches!(Address::parse("socks5://127.0.0.1").unwrap().host, Host::Ipv4(_)));
    }

    #[test]
    fn user_info_is_the_login() {
        // Both are understood: of several, the last `@` ends it.
        for url in ["http://a%40b:p%3Aw@proxy", "http://a@b:p:w@proxy"] {
            let address = Address::parse(url).unwrap();
            assert_eq!(address.authorization.as_deref(), Some("Basic YUBiOnA6dw=="), "{url}");
        }
        let UserInfo { user, password } =
            Address::parse("socks5://a%40b:p%3Aw@proxy").unwrap().user_info.unwrap();
        assert_eq!((user.as_slice(), password.as_slice()), (&b"a@b"[..], &b"p:w"[..]));
    }

    #[test]
    fn a_wrong_url_gets_an_answer_that_says_what_would_be_right() {
        let long = format!("socks5://{}:secret@proxy", "x".repeat(256));
        for (url, says) in [
            ("", "names no host"),
            ("http://", "names no host"),
            ("http:///path", "names no host"),
            ("socks://proxy", "none of http, https, socks4"),
            ("ftp://proxy", "none of http"),
            ("http://proxy:0", "1 to 65535"),
            ("http://proxy:99999", "port"),
            ("http://proxy/path", "behind the host"),
            ("http://proxy?a=b", "behind the host"),
            ("http://proxy name", "white space"),
            (" http://proxy", "white space"),
            ("http://us%3Aer:secret@proxy", "colon"),
            ("socks4://user:secret@proxy", "no passwords"),
            ("socks4a://us%00er@proxy", "zero byte"),
            (&long, "255 bytes"),
            ("http://user:12#secret@proxy:3128", "percent-encoded"),
            ("http://user:12/secret@proxy:3128", "percent-encoded"),
            ("http://user:sec?secret@proxy", "percent-encoded"),
            ("http://user:1\\secret@proxy", "percent-encoded"),
            ("us#er:secret@proxy", "percent-encoded"),
            ("socks5://user:p@secret/word@proxy", "percent-encoded"),
        ] {
            let problem = Address::parse(url).err().unwrap_or_default();
            assert!(problem.contains(says) && !problem.contains("secret"), "{url:?}: {problem:?}");
        }
    }

    #[test]
    fn what_a_proxy_cannot_be_asked_for_is_known_before() {
        let check = |url: &str, host: Host<&str>| Address::parse(url).unwrap().check(&host);
        let ipv6 = Host::Ipv6(std::net::Ipv6Addr::LOCALHOST);
        assert!(
            check("socks4://p", ipv6.clone()).is_err_and(|problem| problem.contains("socks5://"))
        );
        assert!(check("socks4a://p", ipv6.clone()).is_err());
        assert!(check("socks5://p", ipv6.clone()).is_ok() && check("http://p", ipv6).is_ok());
        let long = "x.".repeat(128);
        assert!(
            check("socks5h://p", Host::Domain(&long)).is_err_and(|problem| problem.contains("255"))
        );
        assert!(check("socks5h://p", Host::Domain(&long[1..])).is_ok());
    }
}
