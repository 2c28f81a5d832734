//! [`Headers`]: what an HTTP response says besides its status and body. A leaf: plain data.

use std::fmt;

/// The headers of an HTTP response: names in lower case, in no particular order; the values of each
/// in that of the response.
///
/// `Debug` shows all names, but values only of headers that HTTP or RFC 6455 has for other things
/// than credentials: of any other, such as `Set-Cookie`, it shows `…`. [`get`](Self::get) and
/// [`iter`](Self::iter) give them all.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    pub(crate) fn new(fields: Vec<(String, String)>) -> Self {
        Headers(fields)
    }

    /// Returns the first value of a header, whose name is not case-sensitive.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns all values of a header, such as `Set-Cookie`, in the order of the response.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns every name and value; a name with several values comes as often, one after the
    /// other.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Headers whose values may be shown. Not those that are known to be secret, since any other may
/// be: `X-Api-Key` for one. Neither `Location` is among them, nor `Sec-WebSocket-Protocol`: some
/// hand over a token there.
const HARMLESS: [&str; 14] = [
    "Allow",
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "Date",
    "Retry-After",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Version",
    "Server",
    "Transfer-Encoding",
    "Upgrade",
    "Via",
];

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let may_be_shown =
            |name: &str| HARMLESS.iter().any(|harmless| harmless.eq_ignore_ascii_case(name));
        f.debug_map()
            .entries(
                self.iter()
                    .map(|(name, value)| (name, if may_be_shown(name) { value } else { "…" })),
            )
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_all_names_and_no_value_that_may_be_a_credential() {
        let fields = [
            ("SERVER", "nginx"),
            ("upgrade", "websocket"),
            ("Set-Cookie", "a=secret"),
            ("X-Token", "secret"),
        ];
        let headers =
            Headers::new(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let shown =
            r#"{"SERVER": "nginx", "upgrade": "websocket", "Set-Cookie": "…", "X-Token": "…"}"#;
        assert_eq!(format!("{headers:?}"), shown);
        assert_eq!(
            (headers.get("set-cookie"), headers.get("x-token")),
            (Some("a=secret"), Some("secret"))
        );
    }
}
