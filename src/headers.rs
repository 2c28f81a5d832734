//! [`Headers`]: what an HTTP response or request says besides its first line and body. A leaf: plain
//! data.

use std::fmt;

/// The headers of an HTTP response, or of a request to a server: names in lower case, in no
/// particular order; the values of each in that of the message.
///
/// `Debug` shows all names, but values only of headers that HTTP or RFC 6455 has for other things
/// than credentials: of any other, such as `Set-Cookie`, it shows `…`. [`get`](Self::get) and
/// [`iter`](Self::iter) give them all.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// All names and values, one behind the other: every open connection has these.
    text: Box<str>,
    /// Where each name ends in it, and its value.
    ends: Box<[(u32, u32)]>,
}

impl Headers {
    /// Returns the first value of a header, whose name is not case-sensitive.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns all values of a header, such as `Set-Cookie`, in the order of the response.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns every name and value; a name with several values comes as often, one after the
    /// other.
    #[must_use]
    pub fn iter(&self) -> HeadersIter<'_> {
        HeadersIter { text: &self.text, at: 0, ends: self.ends.iter() }
    }

    /// Counts the values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
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
///
/// # Panics
///
/// Where they are longer than 4 GiB together.
impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(fields: T) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for (name, value) in fields {
            let begin = text.len();
            text += &name.into();
            text[begin..].make_ascii_lowercase();
            let name_end = text.len();
            text += &value.into();
            let end = |end: usize| u32::try_from(end).expect("headers of less than 4 GiB");
            ends.push((end(name_end), end(text.len())));
        }
        Headers { text: text.into(), ends: ends.into() }
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
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        self.iter().map(owned).collect::<Vec<_>>().into_iter()
    }
}

/// The names and values of [`Headers`]: from [`Headers::iter`].
#[derive(Clone)]
pub struct HeadersIter<'a> {
    text: &'a str,
    at: usize,
    ends: std::slice::Iter<'a, (u32, u32)>,
}

impl<'a> Iterator for HeadersIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let &(name_end, end) = self.ends.next()?;
        let (name_end, end) = (name_end as usize, end as usize);
        let field = (&self.text[self.at..name_end], &self.text[name_end..end]);
        self.at = end;
        Some(field)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ends.size_hint()
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
        let headers = Headers::from_iter(fields);
        let shown =
            r#"{"server": "nginx", "upgrade": "websocket", "set-cookie": "…", "x-token": "…"}"#;
        assert_eq!(format!("{headers:?}"), shown);
        assert_eq!(
            (headers.get("set-cookie"), headers.get("x-token")),
            (Some("a=secret"), Some("secret"))
        );
    }
}
