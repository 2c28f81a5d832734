//! Checks UTF-8 as the bytes arrive, so that bad text fails at once and not when the message is
//! whole (RFC 6455 §8.1).

use std::str;

use crate::error::ProtocolError;

/// The longest UTF-8 sequence (RFC 3629).
const LONGEST: usize = 4;

/// What is known of a text message so far: everything seen was valid, up to an unfinished
/// character.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Utf8 {
    unfinished: [u8; LONGEST],
    len: u8,
}

impl Utf8 {
    /// Checks the next bytes of the text.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<(), ProtocolError> {
        while self.len > 0 {
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(()) };
            // At most three bytes are ever unfinished, so there is room for one more.
            self.unfinished[usize::from(self.len)] = byte;
            self.len += 1;
            bytes = rest;
            match str::from_utf8(self.unfinished()) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_some() => {
                    return Err(ProtocolError::InvalidUtf8);
                }
                Err(_) => {}
            }
        }
        let whole = match str::from_utf8(bytes) {
            Ok(_) => bytes.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return Err(ProtocolError::InvalidUtf8),
        };
        let rest = &bytes[whole..];
        self.unfinished[..rest.len()].copy_from_slice(rest);
        // Fewer than a character has.
        self.len = rest.len() as u8;
        Ok(())
    }

    /// Checks that the text does not end within a character.
    pub(crate) fn finish(&self) -> Result<(), ProtocolError> {
        if self.len == 0 { Ok(()) } else { Err(ProtocolError::InvalidUtf8) }
    }

    /// The bytes of the character that has not ended yet.
    pub(crate) fn unfinished(&self) -> &[u8] {
        &self.unfinished[..usize::from(self.len)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_in_pieces(bytes: &[u8], size: usize) -> Result<(), ProtocolError> {
        let mut utf8 = Utf8::default();
        for piece in bytes.chunks(size) {
            utf8.push(piece)?;
        }
        utf8.finish()
    }

    #[test]
    fn any_split_gives_the_verdict_of_the_whole() {
        let texts: [&[u8]; 8] = [
            "κόσμε 日本 🦀 é".as_bytes(),
            b"plain",
            b"",
            b"\xf4\x8f\xbf\xbf",
            b"\xf4\x90\x80\x80",
            b"\xed\xa0\x80",
            b"\xc0\xaf",
            b"cut \xe2\x82",
        ];
        for text in texts {
            for size in 1..=text.len().max(1) {
                let verdict = check_in_pieces(text, size).is_ok();
                assert_eq!(verdict, str::from_utf8(text).is_ok(), "{text:x?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_hopeless_beginning_fails_before_the_character_is_whole() {
        // F4 90 would be beyond U+10FFFF: no need to wait for two more bytes.
        assert_eq!(Utf8::default().push(b"\xf4\x90"), Err(ProtocolError::InvalidUtf8));
        let mut split = Utf8::default();
        assert_eq!(split.push(b"\xf4"), Ok(()));
        assert_eq!(split.push(b"\x90"), Err(ProtocolError::InvalidUtf8));
    }
}
