//! [`ProxyRefusal`] and [`Rejection`]: what a proxy or server says instead of opening a connection.

use std::fmt;

use crate::headers::Headers;
use crate::redact::{excerpt, shown_url};

/// What a proxy said instead of opening a way to the server: see [`Error::Proxy`](crate::Error::Proxy).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyRefusal {
    /// The proxy's URL, without credentials.
    pub proxy: String,
    /// The host and port that it was asked for.
    pub destination: String,
    /// The HTTP status, or the code of the SOCKS reply. `None` where there was no such: the answer
    /// was something else, or no way to authenticate suits both sides.
    pub reply: Option<u16>,
    /// What that means, and what to try.
    pub problem: String,
    /// Whether it may get better by itself.
    pub(crate) temporary: bool,
}

impl fmt::Display for ProxyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the proxy {} opened no way to {}: {}",
            self.proxy, self.destination, self.problem
        )
    }
}

/// The HTTP statuses among 4xx that get better by themselves: timeout, too early, too many
/// requests.
const TEMPORARY: [u16; 3] = [408, 425, 429];

/// Returns whether what an HTTP status says may get better by itself.
pub(crate) fn is_temporary(status: u16) -> bool {
    !(400..500).contains(&status) || TEMPORARY.contains(&status)
}

/// The server's refusal of the upgrade: see [`Error::Rejected`](crate::Error::Rejected).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// The URL that was asked for, without credentials.
    pub url: String,
    /// The HTTP status code.
    pub status: u16,
    /// The response's headers.
    pub headers: Headers,
    /// The beginning of the response's body, 64 KiB of it at most.
    pub body: Vec<u8>,
    /// Why a redirect was not followed, where `max_redirects` asks for that.
    pub not_followed: Option<String>,
    /// What of it repeats the request, and so is not to be shown.
    pub(crate) repeats: Repeats,
}

/// Which parts of a refusal have something of the request in them that may be a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repeats {
    pub(crate) location: bool,
    pub(crate) body: bool,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused the upgrade with HTTP status {}", self.url, self.status)?;
        if let (300..400, Some(location)) = (self.status, self.headers.get("location")) {
            match self.repeats.location {
                true => f.write_str(", it redirects to what repeats the request")?,
                false => write!(f, ", it redirects to {}", shown_url(location))?,
            }
        }
        if let Some(why) = self.not_followed.as_ref().filter(|_| !self.repeats.location) {
            write!(f, ", which is not followed: {}", excerpt(why))?;
        } else if let Some(hint) = self.hint() {
            write!(f, " ({hint})")?;
        }
        match excerpt(&String::from_utf8_lossy(&self.body)).as_str() {
            "" => Ok(()),
            _ if self.repeats_the_request() => {
                f.write_str(": (its text repeats the request, and is not shown)")
            }
            text => write!(f, ": {text}"),
        }
    }
}

impl Rejection {
    /// Makes one without headers and body, to test with what is done about it. Its fields can be
    /// set.
    pub fn new(url: impl Into<String>, status: u16) -> Self {
        Rejection {
            url: url.into(),
            status,
            headers: Headers::default(),
            body: Vec::new(),
            not_followed: None,
            repeats: Repeats::default(),
        }
    }

    pub(crate) fn of(url: &str, status: u16, headers: Headers, body: Vec<u8>) -> Self {
        Rejection { headers, body, ..Rejection::new(url, status) }
    }

    /// Takes note of what repeats the request, if this says so of a text.
    pub(crate) fn note_repeats(&mut self, repeats: impl Fn(&str) -> bool) {
        // Whole: what is shown of it may be cut where the secret is not.
        let shown = |location: &str| location.split(['?', '#']).next().map(str::to_owned);
        let location = self.headers.get("location").and_then(shown);
        self.repeats = Repeats {
            location: location.is_some_and(|location| repeats(&location)),
            body: repeats(&String::from_utf8_lossy(&self.body)),
        };
    }

    /// Returns whether the body has headers of ours in it, as pages for debugging do: one of them
    /// may be a credential.
    fn repeats_the_request(&self) -> bool {
        if self.repeats.body {
            return true;
        }
        let body = String::from_utf8_lossy(&self.body).to_lowercase();
        ["authorization", "cookie", "sec-websocket-key"].iter().any(|name| body.contains(name))
    }

    /// Returns what to try, where a status has a usual cause.
    fn hint(&self) -> Option<&'static str> {
        Some(match self.status {
            200..=299 => "there is something else than a WebSocket: is the path right?",
            300..=399 => "max_redirects(…) follows it",
            401 | 403 => "does it want a login, in the URL or in a header, or another Origin?",
            404 | 410 => "is the path right?",
            502..=504 => "the server is down, or has too much to do",
            _ => return None,
        })
    }
}

/// Shows what `Display` does: the headers may hold cookies, and the body is the server's.
impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rejection({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejections_location_is_looked_through_whole_though_it_is_shown_cut() {
        let token = "0123456789".repeat(30);
        for (location, hidden) in [
            (format!("https://login.example/ws/{token}"), true),
            (format!("https://login.example/?token={token}"), false),
        ] {
            let headers = Headers::from_iter([("Location", location)]);
            let mut rejection = Rejection::of("ws://host/", 302, headers, Vec::new());
            rejection.note_repeats(|text| text.contains(&token));
            let shown = rejection.to_string();
            assert!(!shown.contains("0123456789"), "{shown}");
            assert_eq!(shown.contains("login.example"), !hidden, "{shown}");
        }
    }

    #[test]
    fn a_rejection_shows_where_it_redirects_and_the_start_of_its_body() {
        let headers = Headers::from_iter([("Location", "/new")]);
        let rejection = Rejection::of("ws://host/", 302, headers, vec![b'x'; 1000]);
        let shown = rejection.to_string();
        assert!(shown.contains("302") && shown.contains("redirects to \"/new\""), "{shown}");
        assert!(shown.len() < 350, "{}", shown.len());
    }
}
