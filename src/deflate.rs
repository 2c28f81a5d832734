//! [`Deflate`]: the parameters of permessage-deflate (RFC 7692), how they are offered, and whether
//! the server's answer is one that may be given. A leaf: text in, numbers out.

use crate::redact::excerpt;
use crate::role::Role;

/// The smallest and the largest window, as powers of two (RFC 7692 §7.1.2).
const WINDOW_BITS: std::ops::RangeInclusive<u8> = 8..=15;

/// The smallest window that zlib compresses with.
pub(crate) const MIN_COMPRESSING_BITS: u8 = 9;

/// Compression of messages (RFC 7692), for `compression`.
///
/// What is chosen here is offered; [`Handshake::extensions`](crate::Handshake::extensions) tells
/// what the server agreed to, and it may agree to none. Messages that are not compressed are
/// received all the same. What `queue_while_disconnected` kept goes out uncompressed, and so does
/// what may not wait, as in a callback, while another thread compresses.
///
/// Memory is allocated with the first compressed message of its direction and kept for the life of
/// the connection: for receiving 47 KiB, for sending 370 KiB with a window of 15 bits, 260 with one
/// of 12 and 245 with one of 9. Where `no_context_takeover` was agreed to for a direction, a
/// connection has it only while a message is being compressed or arrives, and the process keeps up
/// to four for whichever connection is next.
///
/// ```no_run
/// use websocket_app::{Deflate, WebSocketApp};
///
/// WebSocketApp::new("wss://ticker.example/")
///     .compression(Deflate::default().min_size(256))
///     .run_forever()?;
/// # Ok::<(), websocket_app::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Deflate {
    pub(crate) server_no_context_takeover: bool,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) server_max_window_bits: Option<u8>,
    pub(crate) client_max_window_bits: Option<u8>,
    pub(crate) level: u32,
    pub(crate) min_size: usize,
}

impl Default for Deflate {
    fn default() -> Self {
        Deflate {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: None,
            client_max_window_bits: None,
            // Most of the gain for a fraction of the time: what a stream of similar messages has in
            // common is in the window.
            level: 1,
            min_size: 1 << 10,
        }
    }
}

impl Deflate {
    /// Asks the server to forget each message after it was compressed, which costs it less memory
    /// and compresses worse. Defaults to `false`.
    pub fn server_no_context_takeover(mut self, no_takeover: bool) -> Self {
        self.server_no_context_takeover = no_takeover;
        self
    }

    /// Forgets each message after it was compressed, so that the server need not remember it. Done
    /// as well when the server asks for it. Defaults to `false`.
    pub fn client_no_context_takeover(mut self, no_takeover: bool) -> Self {
        self.client_no_context_takeover = no_takeover;
        self
    }

    /// Asks the server to compress with a window of at most 2^`bits` bytes, 8 to 15. A server that
    /// cannot do that must not agree to compression at all. Defaults to `None`: any, up to 15.
    pub fn server_max_window_bits(mut self, bits: impl Into<Option<u8>>) -> Self {
        self.server_max_window_bits = bits.into();
        self
    }

    /// Compresses with a window of at most 2^`bits` bytes, 8 to 15. The server may ask for less.
    /// With 8, which zlib cannot do, messages are sent uncompressed. Defaults to `None`: 15.
    pub fn client_max_window_bits(mut self, bits: impl Into<Option<u8>>) -> Self {
        self.client_max_window_bits = bits.into();
        self
    }

    /// Trades time for size: 1 is the fastest, 9 the smallest. Defaults to 1.
    pub fn level(mut self, level: u32) -> Self {
        self.level = level;
        self
    }

    /// Sends messages shorter than this uncompressed. Defaults to 1 KiB: below that the time to
    /// compress is seldom worth the bytes, which fit into one packet anyway.
    pub fn min_size(mut self, bytes: usize) -> Self {
        self.min_size = bytes;
        self
    }

    /// Returns what is wrong with the options.
    pub(crate) fn check(&self) -> Result<(), (String, &'static str)> {
        for (name, bits) in [
            ("server_max_window_bits", self.server_max_window_bits),
            ("client_max_window_bits", self.client_max_window_bits),
        ] {
            if let Some(bits) = bits
                && !WINDOW_BITS.contains(&bits)
            {
                return Err((format!("compression: {name}({bits})"), "must be from 8 to 15"));
            }
        }
        if !(1..=9).contains(&self.level) {
            return Err((format!("compression: level({})", self.level), "must be from 1 to 9"));
        }
        if cfg!(not(feature = "deflate")) {
            return Err((
                "compression".into(),
                "needs the crate's feature \"deflate\", which is off",
            ));
        }
        Ok(())
    }

    /// The offer, for `Sec-WebSocket-Extensions` (RFC 7692 §7.1).
    pub(crate) fn offer(&self) -> String {
        let mut offer = String::from("permessage-deflate");
        if self.server_no_context_takeover {
            offer += "; server_no_context_takeover";
        }
        if self.client_no_context_takeover {
            offer += "; client_no_context_takeover";
        }
        if let Some(bits) = self.server_max_window_bits {
            offer += &format!("; server_max_window_bits={bits}");
        }
        match self.client_max_window_bits {
            Some(bits) => offer += &format!("; client_max_window_bits={bits}"),
            // Without a value: the server may choose one (§7.1.2.2).
            None => offer += "; client_max_window_bits",
        }
        offer
    }

    /// Reads the server's answer, and says what is wrong with it (RFC 7692 §7.1, §7.1.3).
    pub(crate) fn agree(&self, answer: &str) -> Result<NegotiatedDeflate, String> {
        let mut parts = answer.split(';').map(str::trim);
        if parts.next() != Some("permessage-deflate") {
            return Err(format!("the server chose `{}`, which was not offered", excerpt(answer)));
        }
        let mut agreed = NegotiatedDeflate {
            server_no_context_takeover: false,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: 15,
            client_max_window_bits: self.client_max_window_bits.unwrap_or(15),
            level: self.level,
            min_size: self.min_size,
        };
        let mut seen = Vec::new();
        for parameter in parts {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (name.trim(), Some(unquoted(value.trim()))),
                None => (parameter, None),
            };
            let wrong = |what: &str| {
                format!("permessage-deflate: {what} in the server's `{}`", excerpt(answer))
            };
            if seen.contains(&name) {
                return Err(wrong("a repeated parameter"));
            }
            seen.push(name);
            match (name, value) {
                ("server_no_context_takeover", None) => agreed.server_no_context_takeover = true,
                ("client_no_context_takeover", None) => agreed.client_no_context_takeover = true,
                ("server_max_window_bits", Some(value)) => {
                    let bits = window_bits(value).ok_or_else(|| wrong("a window that is none"))?;
                    if bits > self.server_max_window_bits.unwrap_or(15) {
                        return Err(wrong("a larger server window than was offered"));
                    }
                    agreed.server_max_window_bits = bits;
                }
                ("client_max_window_bits", Some(value)) => {
                    let bits = window_bits(value).ok_or_else(|| wrong("a window that is none"))?;
                    if bits > agreed.client_max_window_bits {
                        return Err(wrong("a larger client window than was offered"));
                    }
                    agreed.client_max_window_bits = bits;
                }
                _ => return Err(wrong("an unknown parameter")),
            }
        }
        // What was asked of the server it must have said yes to (§7.1.1.1, §7.1.2.1).
        if self.server_no_context_takeover && !agreed.server_no_context_takeover {
            return Err(
                "permessage-deflate: the server did not agree to server_no_context_takeover".into(),
            );
        }
        if self.server_max_window_bits.is_some() && !seen.contains(&"server_max_window_bits") {
            return Err(
                "permessage-deflate: the server did not agree to server_max_window_bits".into()
            );
        }
        Ok(agreed)
    }

    /// Decides, as the server, on a client's offer: what both sides do, and the answer that says so.
    /// `None` where it cannot be taken, or is not of this extension (RFC 7692 §7.1).
    #[cfg(feature = "server")]
    pub(crate) fn accept(&self, offer: &str) -> Option<(NegotiatedDeflate, String)> {
        let mut parts = offer.split(';').map(str::trim);
        if parts.next() != Some("permessage-deflate") {
            return None;
        }
        let mut agreed = NegotiatedDeflate {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits.unwrap_or(15),
            client_max_window_bits: 15,
            level: self.level,
            min_size: self.min_size,
        };
        let (mut seen, mut client_bits) = (Vec::new(), false);
        for parameter in parts {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (name.trim(), Some(unquoted(value.trim()))),
                None => (parameter, None),
            };
            if seen.contains(&name) {
                return None;
            }
            seen.push(name);
            match (name, value) {
                ("server_no_context_takeover", None) => agreed.server_no_context_takeover = true,
                ("client_no_context_takeover", None) => agreed.client_no_context_takeover = true,
                ("server_max_window_bits", Some(value)) => {
                    let bits = window_bits(value)?;
                    agreed.server_max_window_bits = agreed.server_max_window_bits.min(bits);
                }
                ("client_max_window_bits", value) => {
                    client_bits = true;
                    let most = value.map_or(Some(15), window_bits)?;
                    agreed.client_max_window_bits =
                        self.client_max_window_bits.unwrap_or(15).min(most);
                }
                _ => return None,
            }
        }
        let mut answer = String::from("permessage-deflate");
        if agreed.server_no_context_takeover {
            answer += "; server_no_context_takeover";
        }
        if agreed.client_no_context_takeover {
            answer += "; client_no_context_takeover";
        }
        // Said where it was asked for, or is less than what the client reckons with.
        if agreed.server_max_window_bits < 15 || seen.contains(&"server_max_window_bits") {
            answer += &format!("; server_max_window_bits={}", agreed.server_max_window_bits);
        }
        // Only a client that says that it knows the parameter may be told (§7.1.2.2).
        if client_bits && agreed.client_max_window_bits < 15 {
            answer += &format!("; client_max_window_bits={}", agreed.client_max_window_bits);
        }
        Some((agreed, answer))
    }
}

/// What both sides do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NegotiatedDeflate {
    pub(crate) server_no_context_takeover: bool,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) server_max_window_bits: u8,
    pub(crate) client_max_window_bits: u8,
    pub(crate) level: u32,
    pub(crate) min_size: usize,
}

/// What one side does with what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OneWay {
    pub(crate) max_window_bits: u8,
    pub(crate) no_context_takeover: bool,
}

/// A value may be in quotation marks, which is the same (RFC 6455 §9.1).
fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

impl NegotiatedDeflate {
    /// Returns how this side compresses what it sends: the parameters carry the name of who
    /// compresses (RFC 7692 §7.1).
    pub(crate) fn of(&self, role: Role) -> OneWay {
        let (max_window_bits, no_context_takeover) = match role {
            Role::Client => (self.client_max_window_bits, self.client_no_context_takeover),
            Role::Server => (self.server_max_window_bits, self.server_no_context_takeover),
        };
        OneWay { max_window_bits, no_context_takeover }
    }

    /// This side forgets each message after it was compressed.
    pub(crate) fn forget_each_message(&mut self, role: Role) {
        match role {
            Role::Client => self.client_no_context_takeover = true,
            Role::Server => self.server_no_context_takeover = true,
        }
    }

    /// Returns the length from which on this side compresses messages.
    pub(crate) fn compress_from(&self, role: Role) -> usize {
        if self.of(role).max_window_bits < MIN_COMPRESSING_BITS {
            usize::MAX
        } else {
            self.min_size
        }
    }
}

/// A decimal number from 8 to 15 without leading zeros (RFC 7692 §7.1.2).
fn window_bits(value: &str) -> Option<u8> {
    if value.starts_with('0') || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    value.parse().ok().filter(|bits| WINDOW_BITS.contains(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offer_has_every_parameter_that_was_chosen() {
        assert_eq!(Deflate::default().offer(), "permessage-deflate; client_max_window_bits");
        let all = Deflate::default()
            .server_no_context_takeover(true)
            .client_no_context_takeover(true)
            .server_max_window_bits(10)
            .client_max_window_bits(9);
        assert_eq!(
            all.offer(),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=10; client_max_window_bits=9"
        );
    }

    #[test]
    fn answers_that_may_be_given_are_taken() {
        let any = Deflate::default();
        let plain = any.agree("permessage-deflate").unwrap();
        assert_eq!((plain.server_max_window_bits, plain.client_max_window_bits), (15, 15));
        let all = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                   server_max_window_bits=\"10\"; client_max_window_bits = 9";
        let agreed = any.agree(all).unwrap();
        assert!(agreed.server_no_context_takeover && agreed.client_no_context_takeover);
        assert_eq!((agreed.server_max_window_bits, agreed.client_max_window_bits), (10, 9));
        assert_eq!(
            any.client_max_window_bits(9)
                .agree("permessage-deflate")
                .unwrap()
                .client_max_window_bits,
            9
        );
    }

    #[test]
    fn answers_that_may_not_be_given_fail() {
        let strict = Deflate::default().server_max_window_bits(10).server_no_context_takeover(true);
        for (deflate, answer) in [
            (Deflate::default(), "permessage-bzip2"),
            (Deflate::default(), "permessage-deflate; unknown"),
            (
                Deflate::default(),
                "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            ),
            (Deflate::default(), "permessage-deflate; server_no_context_takeover=1"),
            (Deflate::default(), "permessage-deflate; server_max_window_bits"),
            (Deflate::default(), "permessage-deflate; client_max_window_bits"),
            (Deflate::default(), "permessage-deflate; server_max_window_bits=7"),
            (Deflate::default(), "permessage-deflate; server_max_window_bits=16"),
            (Deflate::default(), "permessage-deflate; server_max_window_bits=010"),
            (Deflate::default(), "permessage-deflate; client_max_window_bits=+9"),
            (Deflate::default(), "permessage-deflate; client_max_window_bits=\"9"),
            (
                Deflate::default().client_max_window_bits(9),
                "permessage-deflate; client_max_window_bits=10",
            ),
            (strict.clone(), "permessage-deflate; server_no_context_takeover"),
            (strict.clone(), "permessage-deflate; server_max_window_bits=10"),
            (strict, "permessage-deflate; server_no_context_takeover; server_max_window_bits=11"),
        ] {
            assert!(deflate.agree(answer).is_err(), "{answer}");
        }
    }

    #[test]
    fn options_out_of_range_are_named() {
        assert!(Deflate::default().server_max_window_bits(16).check().is_err());
        assert!(Deflate::default().client_max_window_bits(7).check().is_err());
        assert!(Deflate::default().level(0).check().is_err());
        assert_eq!(Deflate::default().check().is_ok(), cfg!(feature = "deflate"));
    }
}
