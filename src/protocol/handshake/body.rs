//! Collects the body of a response that refused the upgrade: where it ends, and what it says
//! without its framing (RFC 7230 §3.3.3). Pure: who connects reads the bytes.

use crate::headers::Headers;

/// How much of a body is kept: an error page, and no more.
const MAX_BODY: usize = 64 << 10;

/// A body that is arriving.
pub(crate) struct Body {
    bytes: Vec<u8>,
    rest: BodyRest,
}

/// What is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyRest {
    /// This many bytes.
    Length(u64),
    /// Whatever comes until the server hangs up.
    UntilEnd,
    /// The digits of a chunk's size, of which these came.
    ChunkSize(u64),
    /// The end of the line with a chunk's size.
    ChunkExtension(u64),
    /// This many bytes of a chunk.
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
}

impl Body {
    pub(crate) fn new(status: u16, headers: &Headers) -> Self {
        let chunked = headers
            .get_all("Transfer-Encoding")
            .any(|value| value.to_ascii_lowercase().contains("chunked"));
        let length = headers.get("Content-Length").and_then(|value| value.parse().ok());
        let rest = match (status, chunked, length) {
            (204 | 304, ..) => BodyRest::Length(0),
            (_, true, _) => BodyRest::ChunkSize(0),
            (_, false, Some(length)) => BodyRest::Length(length),
            (_, false, None) => BodyRest::UntilEnd,
        };
        Body { bytes: Vec::new(), rest }
    }

    /// Takes what arrived. What comes after the body, or beyond the limit, is dropped.
    pub(crate) fn push(&mut self, mut data: &[u8]) {
        while !data.is_empty() && !self.is_complete() {
            data = match self.rest {
                BodyRest::UntilEnd => self.keep(data, u64::MAX),
                BodyRest::Length(length) => self.keep(data, length),
                BodyRest::Chunk(length) => self.keep(data, length),
                BodyRest::ChunkSize(_) | BodyRest::ChunkExtension(_) | BodyRest::ChunkEnd => {
                    self.rest = framing(self.rest, data[0]);
                    &data[1..]
                }
            };
        }
    }

    /// Returns whether there is nothing more to wait for.
    pub(crate) fn is_complete(&self) -> bool {
        self.rest == BodyRest::Length(0) || self.bytes.len() >= MAX_BODY
    }

    /// Returns what came of it.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Keeps the body's part of `data`, of which it may have `length` bytes, and gives the rest
    /// back.
    fn keep<'a>(&mut self, data: &'a [u8], length: u64) -> &'a [u8] {
        let room = MAX_BODY - self.bytes.len();
        let n = data.len().min(usize::try_from(length).unwrap_or(usize::MAX)).min(room);
        self.bytes.extend_from_slice(&data[..n]);
        let left = length - n as u64;
        self.rest = match self.rest {
            BodyRest::Length(_) => BodyRest::Length(left),
            BodyRest::Chunk(_) if left == 0 => BodyRest::ChunkEnd,
            BodyRest::Chunk(_) => BodyRest::Chunk(left),
            other => other,
        };
        &data[n..]
    }
}

/// Takes one byte of the chunked transfer coding (RFC 7230 §4.1). What is malformed ends the body
/// where it is: it is shown to people, nothing depends on it.
fn framing(rest: BodyRest, byte: u8) -> BodyRest {
    const END: BodyRest = BodyRest::Length(0);
    let sized = |size| if size == 0 { END } else { BodyRest::Chunk(size) };
    match (rest, byte) {
        (BodyRest::ChunkSize(size), b'\n') => sized(size),
        (BodyRest::ChunkSize(size), b';' | b' ' | b'\t' | b'\r') => BodyRest::ChunkExtension(size),
        (BodyRest::ChunkSize(size), digit) => {
            match (char::from(digit).to_digit(16), size.checked_mul(16)) {
                (Some(digit), Some(size)) => BodyRest::ChunkSize(size + u64::from(digit)),
                _ => END,
            }
        }
        (BodyRest::ChunkExtension(size), b'\n') => sized(size),
        (BodyRest::ChunkEnd, b'\n') => BodyRest::ChunkSize(0),
        (BodyRest::ChunkEnd, b'\r') | (BodyRest::ChunkExtension(_), _) => rest,
        _ => END,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(status: u16, headers: &[(&str, &str)]) -> Body {
        let fields = headers.iter().copied();
        Body::new(status, &Headers::from_iter(fields))
    }

    /// Feeds the whole, then byte by byte: any split must give the same.
    fn collect(status: u16, headers: &[(&str, &str)], data: &[u8]) -> (Vec<u8>, bool) {
        let mut whole = body(status, headers);
        whole.push(data);
        let mut split = body(status, headers);
        data.iter().for_each(|byte| split.push(&[*byte]));
        assert_eq!(
            (&whole.bytes, whole.is_complete()),
            (&split.bytes, split.is_complete()),
            "{data:?}"
        );
        (whole.bytes, split.is_complete())
    }

    #[test]
    fn a_length_ends_the_body() {
        let length = &[("Content-Length", "5")];
        assert_eq!(collect(403, length, b"hello, more"), (b"hello".to_vec(), true));
        assert_eq!(collect(403, length, b"hel"), (b"hel".to_vec(), false));
        assert_eq!(collect(403, &[("Content-Length", "0")], b""), (vec![], true));
        assert_eq!(collect(304, length, b""), (vec![], true));
        // No length anyone could mean: until the end.
        assert_eq!(
            collect(403, &[("Content-Length", "five")], b"hello"),
            (b"hello".to_vec(), false)
        );
        assert_eq!(collect(403, &[], b"hello"), (b"hello".to_vec(), false));
    }

    #[test]
    fn chunks_are_put_together() {
        let chunked = &[("Transfer-Encoding", "gzip, Chunked"), ("Content-Length", "1")];
        for (data, text, complete) in [
            ("5\r\nhello\r\n0\r\n\r\n", "hello", true),
            (
                "5\r\nhello\r\n7;name=\"value\"\r\n, world\r\n0\r\nTrailer: x\r\n\r\n",
                "hello, world",
                true,
            ),
            ("A\r\n0123456789\r\n00\r\n", "0123456789", true),
            ("5\nhello\n0\n", "hello", true),
            ("5\r\nhel", "hel", false),
            ("5\r\nhello\r\n", "hello", false),
            ("", "", false),
            // Malformed: what came before stays.
            ("5\r\nhelloworld", "hello", true),
            ("xyz\r\nhello", "", true),
            ("fffffffffffffffff\r\nhello", "", true),
            ("-5\r\nhello", "", true),
        ] {
            assert_eq!(
                collect(403, chunked, data.as_bytes()),
                (text.as_bytes().to_vec(), complete),
                "{data:?}"
            );
        }
    }

    #[test]
    fn no_more_than_the_limit_is_kept() {
        let long = vec![b'x'; MAX_BODY + 10];
        assert_eq!(collect(403, &[], &long), (long[..MAX_BODY].to_vec(), true));
        assert_eq!(collect(403, &[("Content-Length", "99999999")], &long).0.len(), MAX_BODY);
        let chunk = [b"FFFFFFFFFFFFFFFF\r\n", long.as_slice()].concat();
        assert_eq!(collect(403, &[("Transfer-Encoding", "chunked")], &chunk).0.len(), MAX_BODY);
    }
}
