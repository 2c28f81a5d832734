//! What is sent and received: borrowed [`Message`], kept [`OwnedMessage`], a [`Fragment`] of one
//! that is still arriving, and [`Outgoing`], anything `send` takes. A leaf: no I/O, no locks.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// A data message as a callback sees it, borrowed from the read buffer.
///
/// RFC 6455 §5.6 knows two kinds. Text is always valid UTF-8: anything else ends the connection
/// with close code 1007 before a callback sees it. [`into_owned`](Self::into_owned) keeps a message
/// beyond the callback.
///
/// ```
/// use websocket_app::Message;
///
/// let message = Message::Text("tick");
/// assert_eq!(message, "tick");
/// assert_eq!(message.to_string(), "tick");
/// assert_eq!(message.as_bytes(), b"tick");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Message<'a> {
    /// A text message (opcode 1).
    Text(&'a str),
    /// A binary message (opcode 2).
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// Copies the payload so that the message outlives the callback.
    #[must_use]
    pub fn into_owned(self) -> OwnedMessage {
        match self {
            Message::Text(text) => OwnedMessage::Text(text.to_owned()),
            Message::Binary(data) => OwnedMessage::Binary(data.to_owned()),
        }
    }

    /// Returns the payload's bytes, whichever kind it is.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(data) => data,
        }
    }

    /// Returns the text, or `None` for a binary message.
    #[must_use]
    pub fn as_text(self) -> Option<&'a str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }

    /// Counts the payload's bytes.
    #[must_use]
    pub fn len(self) -> usize {
        self.as_bytes().len()
    }

    /// Returns whether the payload is empty, which is a valid message.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Which kind of message it is (RFC 6455 §5.6), where its payload is not at hand: for
/// [`Sender::message_writer`](crate::Sender::message_writer) and
/// [`MessageReader`](crate::MessageReader).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// A text message (opcode 1): UTF-8.
    Text,
    /// A binary message (opcode 2).
    Binary,
}

/// How much of binary data is shown: enough to recognise a format by.
const SHOWN_BYTES: usize = 16;

/// How much of a text `Debug` shows, in characters: a log line stays a line.
const SHOWN_CHARS: usize = 64;

/// Shows text as it is, and of binary data its length and first bytes in hexadecimal.
impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Text(text) => f.write_str(text),
            Message::Binary(data) => {
                write!(f, "[{} bytes", data.len())?;
                for (i, byte) in data.iter().take(SHOWN_BYTES).enumerate() {
                    write!(f, "{}{byte:02x}", if i == 0 { ": " } else { " " })?;
                }
                f.write_str(if data.len() > SHOWN_BYTES { " …]" } else { "]" })
            }
        }
    }
}

/// Shows a short message whole, such as `Text("hello")`; of one that is longer than 64 characters,
/// or 16 bytes of binary data, these and the length.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Text(text) => match text.char_indices().nth(SHOWN_CHARS) {
                None => write!(f, "Text({text:?})"),
                Some((end, _)) => write!(f, "Text({:?}…, {} bytes)", &text[..end], text.len()),
            },
            Message::Binary(data) => match data.get(..SHOWN_BYTES) {
                Some(start) if start.len() < data.len() => {
                    write!(f, "Binary({start:?}…, {} bytes)", data.len())
                }
                _ => write!(f, "Binary({data:?})"),
            },
        }
    }
}

/// Kind and length of a message that is not to be seen: its `Debug` is all there is to it.
pub(crate) struct Outline {
    is_text: bool,
    length: usize,
}

impl fmt::Debug for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} bytes)", if self.is_text { "Text" } else { "Binary" }, self.length)
    }
}

/// A data message that owns its payload: from [`WebSocket::recv`](crate::WebSocket::recv),
/// [`Event::Message`](crate::Event::Message), or [`Message::into_owned`].
///
/// ```
/// use websocket_app::{Message, OwnedMessage};
///
/// let kept = Message::Binary(&[1, 2]).into_owned();
/// assert_eq!(kept, OwnedMessage::Binary(vec![1, 2]));
/// assert_eq!(kept.as_message(), Message::Binary(&[1, 2]));
/// assert_eq!(OwnedMessage::from("tick"), "tick");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum OwnedMessage {
    /// A text message (opcode 1).
    Text(String),
    /// A binary message (opcode 2).
    Binary(Vec<u8>),
}

impl OwnedMessage {
    pub(crate) fn from_parts(is_text: bool, data: impl Into<Vec<u8>>) -> Self {
        let data = data.into();
        if !is_text {
            return OwnedMessage::Binary(data);
        }
        // What is sent as text only ever comes from `str` or `String`, and what is received has
        // been checked, so this cannot fail; binary is the honest fallback.
        String::from_utf8(data)
            .map_or_else(|e| OwnedMessage::Binary(e.into_bytes()), OwnedMessage::Text)
    }

    pub(crate) fn outline(&self) -> Outline {
        Outline { is_text: matches!(self, OwnedMessage::Text(_)), length: self.as_message().len() }
    }

    /// Borrows the message as callbacks get it.
    #[must_use]
    pub fn as_message(&self) -> Message<'_> {
        match self {
            OwnedMessage::Text(text) => Message::Text(text),
            OwnedMessage::Binary(data) => Message::Binary(data),
        }
    }

    /// Returns the text, or `None` for a binary message.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        self.as_message().as_text()
    }

    /// Returns the payload's bytes, whichever kind it is.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.as_message().as_bytes()
    }

    /// Counts the payload's bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Returns whether the payload is empty, which is a valid message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// Returns the payload's bytes, whichever kind it is.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            OwnedMessage::Text(text) => text.into_bytes(),
            OwnedMessage::Binary(data) => data,
        }
    }

    /// Returns the text, or hands a binary message back.
    pub fn into_text(self) -> Result<String, OwnedMessage> {
        match self {
            OwnedMessage::Text(text) => Ok(text),
            binary @ OwnedMessage::Binary(_) => Err(binary),
        }
    }
}

impl fmt::Display for OwnedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_message(), f)
    }
}

/// As that of [`Message`].
impl fmt::Debug for OwnedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_message(), f)
    }
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        Message::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(data: &'a [u8]) -> Self {
        Message::Binary(data)
    }
}

impl<'a> From<&'a OwnedMessage> for Message<'a> {
    fn from(message: &'a OwnedMessage) -> Self {
        message.as_message()
    }
}

impl From<Message<'_>> for OwnedMessage {
    fn from(message: Message<'_>) -> Self {
        message.into_owned()
    }
}

impl From<&str> for OwnedMessage {
    fn from(text: &str) -> Self {
        OwnedMessage::Text(text.to_owned())
    }
}

impl From<String> for OwnedMessage {
    fn from(text: String) -> Self {
        OwnedMessage::Text(text)
    }
}

impl From<&[u8]> for OwnedMessage {
    fn from(data: &[u8]) -> Self {
        OwnedMessage::Binary(data.to_owned())
    }
}

impl From<Vec<u8>> for OwnedMessage {
    fn from(data: Vec<u8>) -> Self {
        OwnedMessage::Binary(data)
    }
}

impl PartialEq<Message<'_>> for OwnedMessage {
    fn eq(&self, other: &Message<'_>) -> bool {
        self.as_message() == *other
    }
}

impl PartialEq<OwnedMessage> for Message<'_> {
    fn eq(&self, other: &OwnedMessage) -> bool {
        *self == other.as_message()
    }
}

/// `PartialEq` with what a payload is written as: text equals text messages only, and bytes equal
/// binary ones only.
macro_rules! equals {
    ($([$($generics:tt)*] $type:ty, |$value:ident| $message:expr;)*) => {$(
        impl<$($generics)*> PartialEq<$type> for Message<'_> {
            fn eq(&self, $value: &$type) -> bool {
                *self == $message
            }
        }

        impl<$($generics)*> PartialEq<$type> for OwnedMessage {
            fn eq(&self, $value: &$type) -> bool {
                self.as_message() == $message
            }
        }
    )*};
}

equals! {
    [] str, |text| Message::Text(text);
    [] &str, |text| Message::Text(text);
    [] String, |text| Message::Text(text);
    [] [u8], |data| Message::Binary(data);
    [] &[u8], |data| Message::Binary(data);
    [const N: usize] [u8; N], |data| Message::Binary(data);
    [const N: usize] &[u8; N], |data| Message::Binary(*data);
    [] Vec<u8>, |data| Message::Binary(data);
}

/// A piece of a message that may still be arriving, as `on_fragment` gets it.
///
/// The pieces of a message come in order, with no piece of another in between. Where they are cut
/// is up to the network and the peer's framing and means nothing; text is cut between characters
/// only. An empty message is one empty piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fragment<'a> {
    /// The piece; its kind is that of the whole message.
    pub data: Message<'a>,
    /// Whether this piece begins a message.
    pub first: bool,
    /// Whether this piece ends it.
    pub last: bool,
    /// The whole message's length in bytes, in each of its pieces, where that is known from the
    /// beginning: it comes in one frame (RFC 6455 §5.2), uncompressed.
    pub message_len: Option<u64>,
}

impl<'a> Fragment<'a> {
    /// Makes one of a message whose length is not known, to test an `on_fragment` with.
    #[must_use]
    pub fn new(data: Message<'a>, first: bool, last: bool) -> Self {
        Fragment { data, first, last, message_len: None }
    }
}

/// Anything that can be sent: what [`Sender::send`](crate::Sender::send) converts its argument
/// into.
///
/// Borrowed payloads (`&str`, `&[u8]`, arrays, [`Message`]) are copied once, masked, on their way
/// out. Owned and shared ones (`String`, `Vec<u8>`, `Arc<[u8]>`, `Bytes`, [`OwnedMessage`]) are
/// kept as they are while they wait, and an error hands them back.
#[derive(Clone)]
pub struct Outgoing<'a> {
    pub(crate) is_text: bool,
    pub(crate) compress: bool,
    pub(crate) payload: Payload<'a>,
}

/// How the caller holds the payload.
#[derive(Clone)]
pub(crate) enum Payload<'a> {
    Borrowed(&'a [u8]),
    Owned(Bytes),
}

impl Payload<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Payload::Borrowed(data) => data,
            Payload::Owned(data) => data,
        }
    }

    pub(crate) fn is_borrowed(&self) -> bool {
        matches!(self, Payload::Borrowed(_))
    }

    /// The payload for keeping: copied if it was borrowed.
    pub(crate) fn to_owned(&self) -> Bytes {
        match self {
            Payload::Borrowed(data) => Bytes::copy_from_slice(data),
            Payload::Owned(data) => data.clone(),
        }
    }
}

impl Outgoing<'_> {
    /// Has this message sent uncompressed on a connection that compresses: for what is compressed
    /// already, or secret.
    ///
    /// ```no_run
    /// # let ws = websocket_app::WebSocketApp::new("wss://echo.example/").sender();
    /// use websocket_app::Outgoing;
    ///
    /// ws.send(Outgoing::from("a secret").uncompressed())?;
    /// # Ok::<(), websocket_app::Error>(())
    /// ```
    #[must_use]
    pub fn uncompressed(mut self) -> Self {
        self.compress = false;
        self
    }

    /// Has it sent as binary, whatever it is.
    pub(crate) fn binary(mut self) -> Self {
        self.is_text = false;
        self
    }

    /// Returns what an error hands back: the message, where the caller gave it away.
    pub(crate) fn into_owned_message(self) -> Option<OwnedMessage> {
        let Payload::Owned(data) = self.payload else { return None };
        Some(OwnedMessage::from_parts(self.is_text, data))
    }

    fn borrowed(is_text: bool, data: &[u8]) -> Outgoing<'_> {
        Outgoing { is_text, compress: true, payload: Payload::Borrowed(data) }
    }

    fn owned<'a>(is_text: bool, data: impl Into<Bytes>) -> Outgoing<'a> {
        Outgoing { is_text, compress: true, payload: Payload::Owned(data.into()) }
    }
}

/// Shows kind and length only.
impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outline = Outline { is_text: self.is_text, length: self.payload.bytes().len() };
        f.debug_struct("Outgoing")
            .field("message", &outline)
            .field("compress", &self.compress)
            .finish()
    }
}

/// Lets `Bytes` point into an `Arc<[u8]>` or `Arc<str>` without copying.
struct SharedBytes<T: ?Sized>(Arc<T>);

impl<T: AsRef<[u8]> + ?Sized> AsRef<[u8]> for SharedBytes<T> {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl<'a> From<Message<'a>> for Outgoing<'a> {
    fn from(message: Message<'a>) -> Self {
        Outgoing::borrowed(matches!(message, Message::Text(_)), message.as_bytes())
    }
}

impl From<OwnedMessage> for Outgoing<'_> {
    fn from(message: OwnedMessage) -> Self {
        Outgoing::owned(matches!(message, OwnedMessage::Text(_)), message.into_bytes())
    }
}

impl<'a> From<&'a OwnedMessage> for Outgoing<'a> {
    fn from(message: &'a OwnedMessage) -> Self {
        message.as_message().into()
    }
}

/// `From<T> for Outgoing`: which kind of message each payload type is, and whether it is borrowed
/// or owned.
macro_rules! outgoing {
    ($($(#[$meta:meta])* [$($generics:tt)*] $type:ty, $text:literal, |$value:ident| $how:ident $data:expr;)*) => {$(
        $(#[$meta])*
        impl<'a, $($generics)*> From<$type> for Outgoing<'a> {
            fn from($value: $type) -> Self {
                Outgoing::$how($text, $data)
            }
        }
    )*};
}

outgoing! {
    [] &'a str, true, |text| borrowed text.as_bytes();
    [] &'a String, true, |text| borrowed text.as_bytes();
    [] String, true, |text| owned text.into_bytes();
    [] Box<str>, true, |text| owned String::from(text).into_bytes();
    [] Arc<str>, true, |text| owned Bytes::from_owner(SharedBytes(text));
    [] &'a [u8], false, |data| borrowed data;
    [const N: usize] &'a [u8; N], false, |data| borrowed data;
    [] &'a Vec<u8>, false, |data| borrowed data;
    [] Vec<u8>, false, |data| owned data;
    [const N: usize] [u8; N], false, |data| owned data.to_vec();
    [] Box<[u8]>, false, |data| owned data;
    [] Arc<[u8]>, false, |data| owned Bytes::from_owner(SharedBytes(data));
    [] Bytes, false, |data| owned data;
}

impl<'a> From<Cow<'a, str>> for Outgoing<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_is_shown_by_length_and_first_bytes() {
        assert_eq!(Message::Binary(&[]).to_string(), "[0 bytes]");
        assert_eq!(Message::Binary(&[1, 0xab]).to_string(), "[2 bytes: 01 ab]");
        assert!(Message::Binary(&[0; 17]).to_string().ends_with("00 …]"));
    }

    #[test]
    fn debug_shows_short_messages_whole_and_the_beginning_of_long_ones() {
        assert_eq!(format!("{:?}", Message::Text("hel\"lo")), "Text(\"hel\\\"lo\")");
        assert_eq!(format!("{:?}", OwnedMessage::Binary(vec![1, 2])), "Binary([1, 2])");
        let (longest, longer) = ("é".repeat(64), "é".repeat(65));
        assert_eq!(format!("{:?}", Message::Text(&longest)), format!("Text(\"{longest}\")"));
        assert_eq!(
            format!("{:?}", OwnedMessage::Text(longer)),
            format!("Text(\"{longest}\"…, 130 bytes)")
        );
        assert_eq!(format!("{:?}", Message::Binary(&[7; 16])), format!("Binary({:?})", [7; 16]));
        assert_eq!(
            format!("{:?}", Message::Binary(&[7; 17])),
            format!("Binary({:?}…, 17 bytes)", [7; 16])
        );
        let sent = format!("{:?}", Outgoing::from("secret"));
        assert_eq!(sent, "Outgoing { message: Text(6 bytes), compress: true }");
    }

    #[test]
    fn text_equals_text_and_bytes_equal_bytes() {
        let (text, binary) = (OwnedMessage::from("12"), OwnedMessage::from(b"12".to_vec()));
        let owned = (String::from("12"), b"12".to_vec());
        assert!(text == "12" && text == *"12" && text == owned.0 && text != "1");
        assert!(text != *b"12" && text != b"12" && text != b"12"[..] && text != owned.1);
        assert!(binary == *b"12" && binary == b"12" && binary == b"12"[..] && binary != b"1");
        assert!(binary != "12" && binary.as_message() == owned.1 && text.as_message() == "12");
        assert!(text.as_message() == text && Message::from(&text) != binary);
        assert_eq!((text.as_text(), binary.as_text()), (Some("12"), None));
        assert_eq!((text.as_bytes(), binary.len()), (binary.as_bytes(), 2));
        assert!(OwnedMessage::from(&[][..]).is_empty() && !text.is_empty());
        assert_eq!(OwnedMessage::from(Message::from("12")), text);
        assert_eq!(OwnedMessage::from(Message::from(&b"12"[..])), binary);
    }

    #[test]
    fn only_given_away_messages_come_back() {
        assert_eq!(Outgoing::from("kept by the caller").into_owned_message(), None);
        let back = Outgoing::from(String::from("mine")).into_owned_message();
        assert_eq!(back, Some(OwnedMessage::Text("mine".into())));
        let shared: Arc<[u8]> = vec![7; 3].into();
        assert_eq!(
            Outgoing::from(shared).into_owned_message(),
            Some(OwnedMessage::Binary(vec![7; 3]))
        );
        let text: Arc<str> = "shared".into();
        assert_eq!(
            Outgoing::from(text).into_owned_message(),
            Some(OwnedMessage::Text("shared".into()))
        );
    }
}
