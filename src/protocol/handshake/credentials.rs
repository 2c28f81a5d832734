//! Turns a URL's user info into a name and a password, and these into the value of an
//! `Authorization` or `Proxy-Authorization` header (RFC 7617). Pure.

use url::Url;

/// A URL's user info, decoded. No `Debug`: it is a secret.
pub(crate) struct UserInfo {
    pub(crate) user: Vec<u8>,
    pub(crate) password: Vec<u8>,
}

impl UserInfo {
    /// Returns `None` for a URL without user info.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        if url.username().is_empty() && url.password().is_none() {
            return None;
        }
        let password = percent_decode(url.password().unwrap_or_default());
        Some(UserInfo { user: percent_decode(url.username()), password })
    }

    /// Returns `Basic …`. Errors show neither name nor password.
    pub(crate) fn basic_auth(&self) -> Result<String, &'static str> {
        // RFC 7617 §2: the first colon ends the user's name, and neither part may contain control
        // characters.
        if self.user.contains(&b':') {
            return Err("the user name contains a colon, which Basic authentication cannot carry");
        }
        if self.user.iter().chain(&self.password).any(u8::is_ascii_control) {
            return Err("it contains a control character, which Basic authentication cannot carry");
        }
        let pair = [self.user.as_slice(), b":", &self.password].concat();
        Ok(format!("Basic {}", base64(&pair)))
    }
}

/// RFC 3986 §2.1. A `%` that is not followed by two digits stands for itself, as browsers have it.
pub(crate) fn percent_decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| hex_pair(after)).flatten();
        decoded.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    decoded
}

fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |i: usize| char::from(*text.get(i)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

/// RFC 4648 §4, with padding.
pub(crate) fn base64(data: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(data.len().div_ceil(3) * 4);
    for group in data.chunks(3) {
        let bits =
            (0..3).fold(0, |bits, i| bits << 8 | usize::from(group.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            // One byte fills two characters, two fill three; the rest is padding.
            text.push(if i <= group.len() {
                char::from(ALPHABET[bits >> (18 - 6 * i) & 63])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(url: &str) -> Result<Option<String>, &'static str> {
        UserInfo::of(&Url::parse(url).unwrap()).map(|user_info| user_info.basic_auth()).transpose()
    }

    #[test]
    fn user_info_becomes_basic_authentication() {
        for (url, expected) in [
            ("ws://host/", None),
            // The example of RFC 7617 §2.
            ("ws://Aladdin:open%20sesame@host/", Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")),
            ("ws://user@host/", Some("Basic dXNlcjo=")),
            ("ws://:secret@host/", Some("Basic OnNlY3JldA==")),
            // A colon is fine in a password; an escape that is none stands for itself.
            ("ws://a:b%3Ac@host/", Some("Basic YTpiOmM=")),
            ("ws://a:100%@host/", Some("Basic YToxMDAl")),
            // RFC 7617 §2.1: UTF-8.
            ("ws://test:123%C2%A3@host/", Some("Basic dGVzdDoxMjPCow==")),
        ] {
            assert_eq!(auth(url).unwrap().as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn what_basic_authentication_cannot_carry_is_refused_without_showing_it() {
        for url in
            ["ws://us%3Aer:secret@host/", "ws://user:secret%0A@host/", "ws://us%00er:secret@host/"]
        {
            let error = auth(url).unwrap_err();
            assert!(error.contains("cannot carry") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (data, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(data.as_bytes()), text);
        }
    }
}
