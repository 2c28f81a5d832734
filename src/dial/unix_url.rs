//! Splits a URL for a Unix socket, `ws+unix:/path/to.sock:/uri?query`, into the socket's path and
//! the URL that is asked for there. Pure. No RFC has this form; it is that of Node's `ws`, and the
//! server is asked for `localhost`.

use crate::protocol::handshake::credentials::percent_decode;

const FORM: &str = "should look like ws+unix:/path/to.sock:/uri";

/// The two parts of a URL for a Unix socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnixUrl {
    /// Decoded: bytes, as paths are.
    pub(super) path: Vec<u8>,
    /// `ws://localhost/uri`, or `wss://`.
    pub(super) url: String,
    /// All before the URI, so that another can be asked for at the same socket.
    pub(super) before_uri: String,
}

/// Returns `None` for a URL of any other kind.
pub(super) fn split(url: &str) -> Option<Result<UnixUrl, String>> {
    let (scheme, rest) = url.split_once(':')?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "ws+unix" => "ws",
        "wss+unix" => "wss",
        _ => return None,
    };
    Some(parts(scheme, rest))
}

fn parts(scheme: &str, rest: &str) -> Result<UnixUrl, String> {
    // An empty authority may be there, as in file:///path.
    let rest = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err(format!("has a host, where a Unix socket has none: it {FORM}")),
        None => rest,
    };
    // A colon that is part of the path can be written as %3A.
    let ends = |&(at, _): &(usize, &str)| {
        rest[at + 1..].is_empty() || rest[at + 1..].starts_with(['/', '?'])
    };
    let (path, uri) = match rest.match_indices(':').find(ends) {
        Some((at, _)) => (&rest[..at], &rest[at + 1..]),
        None => (rest, ""),
    };
    if path.is_empty() {
        return Err(format!("names no socket: it {FORM}"));
    }
    if path.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(
            "contains white space or a control character: trim it, or write it as %20 and the like"
                .into(),
        );
    }
    if path.contains(['?', '#']) {
        return Err(format!("has a ? or # in the socket's path: it {FORM}, or with %3F and %23"));
    }
    let slash = if uri.starts_with('/') { "" } else { "/" };
    Ok(UnixUrl {
        path: percent_decode(path),
        url: format!("{scheme}://localhost{slash}{uri}"),
        before_uri: format!("{scheme}+unix:{path}:"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_what_is_asked_for() {
        for (url, path, asked) in [
            ("ws+unix:/run/a.sock:/chat?room=1", "/run/a.sock", "ws://localhost/chat?room=1"),
            ("ws+unix:///run/a.sock:/chat", "/run/a.sock", "ws://localhost/chat"),
            ("WSS+Unix:/run/a.sock:/", "/run/a.sock", "wss://localhost/"),
            ("ws+unix:/run/a.sock", "/run/a.sock", "ws://localhost/"),
            ("ws+unix:/run/a.sock:", "/run/a.sock", "ws://localhost/"),
            ("ws+unix:/run/a.sock:?token=x", "/run/a.sock", "ws://localhost/?token=x"),
            ("ws+unix:./a.sock:/", "./a.sock", "ws://localhost/"),
            ("ws+unix:a.sock", "a.sock", "ws://localhost/"),
            ("ws+unix:/run/a:b.sock:/c:/d", "/run/a:b.sock", "ws://localhost/c:/d"),
            ("ws+unix:/run/a%3A/%C3%A9%20.sock:/", "/run/a:/é .sock", "ws://localhost/"),
        ] {
            let split = split(url).unwrap().unwrap();
            assert_eq!(
                (split.path, split.url.as_str()),
                (path.as_bytes().to_owned(), asked),
                "{url}"
            );
            let again = super::split(&format!("{}/other", split.before_uri)).unwrap().unwrap();
            assert_eq!(
                (again.path, again.before_uri),
                (path.as_bytes().to_owned(), split.before_uri),
                "{url}"
            );
        }
    }

    #[test]
    fn other_urls_are_not_its_business() {
        for url in ["", "ws://h/", "ws+unix", "unix:/a", "http+unix:/a", "h:80"] {
            assert_eq!(split(url), None, "{url}");
        }
    }

    #[test]
    fn what_is_no_path_gets_an_error_that_says_what_would_be_right() {
        for (url, says) in [
            ("ws+unix:", "names no socket"),
            ("ws+unix::/uri", "names no socket"),
            ("ws+unix://", "has a host"),
            ("ws+unix://localhost/run/a.sock", "has a host"),
            ("ws+unix:/run/a b.sock", "white space"),
            ("ws+unix:/run/a.sock?x", "%3F"),
            ("ws+unix:/run/a.sock#x", "%23"),
        ] {
            let Some(Err(problem)) = split(url) else { panic!("{url}") };
            assert!(problem.contains(says), "{url}: {problem}");
        }
    }
}
