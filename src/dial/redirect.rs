//! Where a redirect leads (RFC 9110 §15.4), and what may go there: nothing secret to another
//! origin, and nothing without TLS after TLS. Pure.

use url::{Position, Url};

use super::target::Target;
use crate::config::Config;
use crate::error::{Error, Rejection};
use crate::headers::Headers;
use crate::tls::TlsConfig;

/// What a target needs to be followed from: only apps that ask for it have one.
pub(super) struct Redirects {
    url: Url,
    /// Where it is asked of a Unix socket: what comes before the path in the socket's URLs.
    unix: Option<String>,
    config: Config,
    /// Of the redirects that the config allows, so many led here.
    followed: u32,
}

impl Redirects {
    pub(super) fn new(url: &Url, unix: Option<String>, config: &Config) -> Option<Self> {
        (config.max_redirects > 0).then(|| Redirects {
            url: url.clone(),
            unix,
            config: config.clone(),
            followed: 0,
        })
    }

    /// Returns whether an answer will be followed if it can be, so that its body does not matter.
    pub(super) fn wants(&self, status: u16, headers: &Headers) -> bool {
        is_redirect(status)
            && headers.get("location").is_some()
            && self.followed < self.config.max_redirects
    }
}

/// Returns where a refusal sends us, or the refusal with why we do not go there. The request is
/// always a GET, so the five statuses mean the same.
pub(super) fn follow(
    redirects: Option<&Redirects>,
    mut rejection: Box<Rejection>,
) -> Result<Target, Error> {
    let Some(redirects) = redirects.filter(|_| is_redirect(rejection.status)) else {
        return Err(Error::Rejected(rejection));
    };
    let to = match rejection.headers.get("location") {
        None => Err("it does not say where to".to_owned()),
        Some(_) if redirects.followed >= redirects.config.max_redirects => {
            Err(format!("{} came before it, as many as max_redirects allows", redirects.followed))
        }
        Some(location) => next(&redirects.url, location),
    };
    let target = to.and_then(|url| {
        let same = url.origin() == redirects.url.origin();
        let config = match same {
            true => redirects.config.clone(),
            false => for_another_origin(&url, &redirects.config)?,
        };
        let url = match &redirects.unix {
            Some(before_uri) if same => format!("{before_uri}{}", &url[Position::BeforePath..]),
            _ => url.into(),
        };
        let mut target = Target::new(&url, &config).map_err(|error| error.to_string())?;
        if let Some(next) = &mut target.redirects {
            next.followed = redirects.followed + 1;
        }
        Ok(target)
    });
    target.map_err(|why| {
        rejection.not_followed = Some(why);
        Error::Rejected(rejection)
    })
}

fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Resolves a `Location` against the URL that was asked for (RFC 9110 §10.2.2).
fn next(from: &Url, location: &str) -> Result<Url, String> {
    let mut to = from.join(location).map_err(|error| format!("where to is no URL: {error}"))?;
    // Servers know of HTTP, and mean the same port and protocol.
    let scheme = match to.scheme() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        other => return Err(format!("{other}:// is no URL of a WebSocket")),
    };
    if from.scheme() == "wss" && scheme == "ws" {
        return Err("it would give up TLS".into());
    }
    let unusable = |()| "where to is no URL of a WebSocket".to_owned();
    to.set_scheme(scheme).map_err(unusable)?;
    to.set_fragment(None);
    // The program's own credentials stay with its origin; those that a server writes are not ours.
    let same = to.origin() == from.origin();
    to.set_username(if same { from.username() } else { "" }).map_err(unusable)?;
    to.set_password(if same { from.password() } else { None }).map_err(unusable)?;
    Ok(to)
}

/// Leaves out what is meant for the first server only. Any header may be a credential, `X-Api-Key`
/// for one.
fn for_another_origin(to: &Url, config: &Config) -> Result<Config, String> {
    if let (Some((option, _)), "wss") = (config.tls.ready_made().ok().flatten(), to.scheme()) {
        return Err(format!(
            "it leads to another origin, and {option} may hold a client certificate or trust that are for the first one \
             alone: connect by the URL that it leads to"
        ));
    }
    let mut config = config.clone();
    config.headers.retain(|(name, _)| name.eq_ignore_ascii_case("User-Agent"));
    config.cookie = None;
    config.host = None;
    config.tls = tls_for_another_origin(config.tls);
    Ok(config)
}

/// Keeps what says whom to trust and makes TLS stricter, pins too: a program that asks for it does
/// not ask for less elsewhere. Leaves out what was conceded to the first server, names it, or tells
/// it who we are.
fn tls_for_another_origin(tls: TlsConfig) -> TlsConfig {
    // By name, so that whoever adds an option has to decide.
    let TlsConfig {
        roots,
        only_these_roots,
        bundled_roots,
        min_version,
        pins,
        key_log,
        backend,
        #[cfg(feature = "native-tls")]
        native_tls,
        #[cfg(feature = "rustls")]
        rustls,
        accept_invalid_certs: _,
        accept_invalid_hostnames: _,
        server_name: _,
        identity: _,
    } = tls;
    TlsConfig {
        roots,
        only_these_roots,
        bundled_roots,
        min_version,
        pins,
        key_log,
        backend,
        // Of no use without TLS. They are kept for the next redirect, which is judged again.
        #[cfg(feature = "native-tls")]
        native_tls,
        #[cfg(feature = "rustls")]
        rustls,
        ..TlsConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{TlsBackend, TlsVersion};

    #[test]
    fn a_location_may_be_relative_and_of_http() {
        for (from, location, to) in [
            ("ws://host/a/b?c=d", "/e", "ws://host/e"),
            ("ws://host/a/b?c=d", "e?f", "ws://host/a/e?f"),
            ("ws://host/a/b?c=d", "?e", "ws://host/a/b?e"),
            ("ws://host/a/b", "../../e", "ws://host/e"),
            ("ws://host/", "//other:81/e", "ws://other:81/e"),
            ("wss://host/", "//other/e", "wss://other/e"),
            ("ws://host/", "ws://other/e#top", "ws://other/e"),
            ("ws://host/", "http://other/e", "ws://other/e"),
            ("ws://host/", "http://other:443/e", "ws://other:443/e"),
            ("ws://host/", "HTTPS://other/e", "wss://other/e"),
            ("wss://host/", "https://other:443/e", "wss://other/e"),
            ("wss://host/", "wss://other:80/e", "wss://other:80/e"),
            ("ws://host/", "/ä b", "ws://host/%C3%A4%20b"),
            // Credentials: ours within the origin, none otherwise.
            ("ws://user:pw@host/", "/e", "ws://user:pw@host/e"),
            ("ws://user:pw@host/", "http://host:80/e", "ws://user:pw@host/e"),
            ("ws://user:pw@host/", "ws://evil:x@host/e", "ws://user:pw@host/e"),
            ("ws://user:pw@host/", "ws://host:81/e", "ws://host:81/e"),
            ("ws://user:pw@host/", "wss://host/e", "wss://host/e"),
            ("ws://user:pw@host/", "ws://a:b@other/e", "ws://other/e"),
        ] {
            let url = next(&Url::parse(from).unwrap(), location);
            assert_eq!(url.map(String::from), Ok(to.to_owned()), "{from} to {location}");
        }
    }

    #[test]
    fn where_we_do_not_go() {
        for (from, location, why) in [
            ("wss://host/", "ws://host/", "give up TLS"),
            ("wss://host/", "http://host/", "give up TLS"),
            ("wss://host/", "http://host:443/", "give up TLS"),
            ("ws://host/", "ftp://host/", "ftp://"),
            ("ws://host/", "javascript:alert(1)", "javascript"),
            ("ws://host/", "ws://", "no URL"),
            ("ws://host/", "ws://[::1/", "no URL"),
        ] {
            let refused = next(&Url::parse(from).unwrap(), location);
            assert!(
                refused.as_ref().is_err_and(|problem| problem.contains(why)),
                "{from} to {location}: {refused:?}"
            );
        }
    }

    #[test]
    fn nothing_secret_goes_to_another_origin() {
        let secret = |name: &str| (name.to_owned(), "secret".to_owned());
        let config = Config {
            headers: vec![
                secret("Authorization"),
                secret("X-Api-Key"),
                secret("Cookie"),
                ("user-agent".into(), "x".into()),
            ],
            cookie: Some("a=secret".into()),
            tls: TlsConfig::new().identity_pkcs12(b"secret", "secret").server_name("host"),
            ..Config::default()
        };
        let other = for_another_origin(&Url::parse("ws://other/").unwrap(), &config).unwrap();
        assert_eq!(other.headers, [("user-agent".to_owned(), "x".to_owned())]);
        assert!(
            other.cookie.is_none()
                && other.tls.identity.is_none()
                && other.tls.server_name.is_none()
        );
    }

    #[test]
    fn tls_is_no_laxer_at_another_origin() {
        let strict = TlsConfig::new()
            .root_certificate(b"root")
            .only_these_roots(true)
            .bundled_roots(true)
            .min_version(TlsVersion::Tls13)
            .pin("sha256/")
            .key_log_file("keys.log")
            .backend(TlsBackend::Rustls);
        let lax =
            strict.clone().danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true);
        assert_ne!(format!("{lax:?}"), format!("{strict:?}"));
        assert_eq!(format!("{:?}", tls_for_another_origin(lax)), format!("{strict:?}"));
    }
}
