//! Frames for a trace: found in the bytes that go one way over the wire, however these are cut, and
//! shown in a line each.
//!
//! Apart from [`Inbound`](super::Inbound) because it judges nothing and makes no messages, and reads
//! what we send as well. It costs what it costs: nobody has it but who traces.

use std::fmt::Write;
use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::frame::{self, MAX_CONTROL_PAYLOAD};
use super::handshake::echo::Secrets;

/// So much is shown of a message's payload: enough to recognise it by.
const SHOWN: usize = 64;

/// What goes one way. Belongs to whoever reads, or writes, the connection.
#[derive(Debug, Default)]
pub(crate) struct FrameTrace {
    /// The beginning of a frame: its header, and as much of its payload as is shown.
    begun: Vec<u8>,
    /// So much more of the payload is to come, and is not shown.
    rest: u64,
    /// What the fragments to come are a part of.
    is_text: bool,
    is_compressed: bool,
    /// There was something that is no frame, so nobody knows where the next one begins.
    lost: bool,
}

impl FrameTrace {
    /// Takes what comes next, and gives a line for each frame whose beginning is there.
    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        secrets: &Secrets,
        mut line: impl FnMut(String),
    ) {
        while !self.lost {
            let rest = usize::try_from(self.rest).unwrap_or(usize::MAX).min(bytes.len());
            self.rest -= rest as u64;
            let Some((byte, others)) = bytes[rest..].split_first() else { return };
            self.begun.push(*byte);
            bytes = others;
            let mut cursor = Cursor::new(&self.begun);
            let (header, len) = match FrameHeader::parse(&mut cursor) {
                Ok(Some(parsed)) => parsed,
                Ok(None) => continue,
                Err(_) => {
                    line(format!("what is no frame: {}", hex(&self.begun)));
                    self.lost = true;
                    return;
                }
            };
            let (start, shown) = (cursor.position() as usize, shown_of(&header, len));
            if self.begun.len() == start + shown {
                let mut payload = self.begun.split_off(start);
                frame::mask(&mut payload, header.mask.unwrap_or_default(), 0);
                line(self.show(&header, len, &payload, secrets));
                self.begun.clear();
                self.rest = len - shown as u64;
            }
        }
    }

    /// Shows a frame by the beginning of its payload.
    fn show(
        &mut self,
        header: &FrameHeader,
        len: u64,
        payload: &[u8],
        secrets: &Secrets,
    ) -> String {
        if let OpCode::Data(Data::Text | Data::Binary) = header.opcode {
            self.is_text = header.opcode == OpCode::Data(Data::Text);
            self.is_compressed = header.rsv1;
        }
        let is_data = matches!(header.opcode, OpCode::Data(_));
        let mut line = name(header.opcode).to_owned();
        for (is_set, bit) in [
            (header.is_final, " FIN"),
            (header.rsv1, " RSV1"),
            (header.rsv2, " RSV2"),
            (header.rsv3, " RSV3"),
        ] {
            line.push_str(if is_set { bit } else { "" });
        }
        // Writing to a `String` does not fail.
        let _ = write!(line, ", length {len}");
        if is_data && self.is_compressed {
            line.push_str(", compressed");
        }
        if payload.is_empty() {
            return line;
        }
        let shown = match (header.opcode, payload) {
            (OpCode::Control(Control::Close), [high, low, reason @ ..]) => {
                let reason = if secrets.are_in(&String::from_utf8_lossy(reason)) {
                    "…, which repeats a credential".to_owned()
                } else {
                    text(reason)
                };
                format!("{} {reason}", u16::from_be_bytes([*high, *low]))
            }
            _ if is_data && self.is_text && !self.is_compressed => text(payload),
            _ => hex(payload),
        };
        let cut = if (payload.len() as u64) < len { "…" } else { "" };
        line + ": " + &shown + cut
    }
}

/// Returns how much of a payload is waited for and shown: of what is a whole, such as a reason for
/// closing, all of it.
fn shown_of(header: &FrameHeader, len: u64) -> usize {
    let most = match header.opcode {
        OpCode::Control(_) => MAX_CONTROL_PAYLOAD,
        OpCode::Data(_) => SHOWN,
    };
    usize::try_from(len).unwrap_or(most).min(most)
}

fn name(opcode: OpCode) -> &'static str {
    match opcode {
        OpCode::Data(Data::Continue) => "continuation",
        OpCode::Data(Data::Text) => "text",
        OpCode::Data(Data::Binary) => "binary",
        OpCode::Control(Control::Close) => "close",
        OpCode::Control(Control::Ping) => "ping",
        OpCode::Control(Control::Pong) => "pong",
        OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => "reserved",
    }
}

/// Shows text in quotes, with what is none of it, a character that is cut for one, as bytes.
fn text(bytes: &[u8]) -> String {
    let mut shown = "\"".to_owned();
    for chunk in bytes.utf8_chunks() {
        shown.extend(chunk.valid().escape_debug());
        chunk.invalid().iter().for_each(|byte| {
            let _ = write!(shown, "\\x{byte:02x}");
        });
    }
    shown + "\""
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::frame::Head;

    /// The lines of a wire, cut into pieces of this length.
    fn lines_in(wire: &[u8], piece: usize) -> Vec<String> {
        let secrets = Secrets::of(b"GET /?token=TOPSECRET HTTP/1.1\r\n\r\n");
        let (mut trace, mut lines) = (FrameTrace::default(), Vec::new());
        wire.chunks(piece).for_each(|piece| trace.push(piece, &secrets, |line| lines.push(line)));
        lines
    }

    /// The same, however the wire is cut.
    fn lines(wire: &[u8]) -> Vec<String> {
        let lines = lines_in(wire, wire.len());
        for piece in 1..wire.len().min(100) {
            assert_eq!(lines_in(wire, piece), lines, "in pieces of {piece}");
        }
        lines
    }

    fn sent(head: Head, payload: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        frame::encode(&mut wire, head, payload, Some([1, 2, 3, 4]));
        wire
    }

    fn received(first: u8, payload: &[u8]) -> Vec<u8> {
        assert!(payload.len() < 126);
        [&[first, payload.len() as u8][..], payload].concat()
    }

    #[test]
    fn each_frame_has_a_line_whichever_way_it_goes() {
        let wire = [
            sent(Head::TEXT, "a \"b\"\n\u{202e}é".as_bytes()),
            sent(Head::BINARY, &[0, 255]),
            sent(Head::TEXT, b""),
            sent(Head::PING, b"12"),
            received(0x81, b"hello"),
            received(0x8a, b""),
            received(0x88, b"\x03\xe8bye"),
        ];
        assert_eq!(
            lines(&wire.concat()),
            [
                r#"text FIN, length 11: "a \"b\"\n\u{202e}é""#,
                "binary FIN, length 2: 00 ff",
                "text FIN, length 0",
                "ping FIN, length 2: 31 32",
                r#"text FIN, length 5: "hello""#,
                "pong FIN, length 0",
                r#"close FIN, length 5: 1000 "bye""#,
            ]
        );
    }

    #[test]
    fn of_what_is_long_the_beginning_is_shown_at_once() {
        let (payload, shown) = (vec![b'x'; 70_000], "x".repeat(SHOWN));
        let wire = sent(Head::TEXT, &payload);
        let line = format!("text FIN, length 70000: \"{shown}\"…");
        assert_eq!(lines_in(&wire[..14 + SHOWN], 1), [&*line]);
        // What comes behind it is found.
        let wire = [wire, sent(Head::PONG, &[7])].concat();
        for piece in [1, 100, 1 << 20] {
            assert_eq!(lines_in(&wire, piece), [&*line, "pong FIN, length 1: 07"]);
        }
        // Also where that is cut within a character.
        let wire = received(0x81, format!("x{}", "é".repeat(40)).as_bytes());
        let shown = format!("x{}\\xc3", "é".repeat(31));
        assert_eq!(lines(&wire), [format!("text FIN, length 81: \"{shown}\"…")]);
    }

    #[test]
    fn fragments_are_shown_as_what_they_are_a_part_of() {
        let wire = [
            received(0x01, b"ab\xc3"),
            received(0x89, b""),
            received(0x80, b"\xa9c"),
            received(0x42, &[1]),
            received(0x80, &[2]),
        ];
        assert_eq!(
            lines(&wire.concat()),
            [
                r#"text, length 3: "ab\xc3""#,
                "ping FIN, length 0",
                r#"continuation FIN, length 2: "\xa9c""#,
                "binary RSV1, length 1, compressed: 01",
                "continuation FIN, length 1, compressed: 02",
            ]
        );
    }

    #[test]
    fn a_reason_that_repeats_a_credential_is_not_shown() {
        let reason = [b"\x0f\xa1no such token: ".as_slice(), &[b'.'; 50], b"TOPSECRET"].concat();
        assert_eq!(
            lines(&received(0x88, &reason)),
            ["close FIN, length 76: 4001 …, which repeats a credential"]
        );
    }

    #[test]
    fn what_is_no_frame_ends_it() {
        let wire = [received(0x81, b"x"), received(0x83, b"y"), received(0x81, b"z")].concat();
        let found = lines(&wire);
        assert_eq!(found.len(), 2);
        assert!(found[1].starts_with("what is no frame: 83"), "{found:?}");
    }
}
