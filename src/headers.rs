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
    pub fn iter(&self) -> HeadersIter<'_> {
        HeadersIter(self.0.iter())
    }

    /// Counts the values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Makes headers, to test with what is done about them.
///
/// ```
/// use websocket_app::Headers;
///
/// let headers = Headers::from_iter([("Retry-After", "30")]);
/// assert_eq!(headers.get("retry-after"), Some("30"));
/// ```
impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(fields: T) -> Self {
        let field = |(name, value): (N, V)| (name.into().to_ascii_lowercase(), value.into());
        Headers(fields.into_iter().map(field).collect())
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = (&'a str, &'a str);
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> HeadersIter<'a> {
        self.iter()
    }
}

impl IntoIterator for Headers {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<(String, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The names and values of [`Headers`]: from [`Headers::iter`].
#[derive(Clone)]
pub struct HeadersIter<'a>(std::slice::Iter<'a, (String, String)>);

impl<'a> Iterator for HeadersIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for HeadersIter<'_> {}

/// Shows what is left, as [`Headers`] does.
impl fmt::Debug for HeadersIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.clone().map(|(name, value)| (name, shown(name, value)))).finish()
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

/// Returns whether the values of this header of a response may be shown.
pub(crate) fn is_harmless(name: &str) -> bool {
    HARMLESS.iter().any(|harmless| harmless.eq_ignore_ascii_case(name))
}

fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    if is_harmless(name) { value } else { "…" }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().fmt(f)
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
