//! What may be typed instead of a message: `/ping`, `/close` and the like.

use std::path::PathBuf;

/// A command's name, what it takes, and what it does: help and completion are made of these.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) takes: &'static str,
    pub(crate) does: &'static str,
}

pub(crate) const COMMANDS: &[Entry] = &[
    Entry { name: "/ping", takes: "[TEXT]", does: "ask the server whether it is there" },
    Entry { name: "/pong", takes: "[TEXT]", does: "send a pong that answers nothing" },
    Entry { name: "/close", takes: "[CODE [REASON]]", does: "close the connection" },
    Entry { name: "/binary", takes: "HEX", does: "send bytes: /binary 00 ff 0a" },
    Entry { name: "/file", takes: "PATH", does: "send a file as a binary message" },
    Entry { name: "/stats", takes: "", does: "show what went through" },
    Entry { name: "/reconnect", takes: "", does: "drop this connection and make another" },
    Entry {
        name: "/help",
        takes: "",
        does: "show this; //TEXT sends a message that begins with /",
    },
];

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed<'a> {
    Message(&'a str),
    Ping(&'a str),
    Pong(&'a str),
    Close(Option<u16>, &'a str),
    Binary(Vec<u8>),
    File(PathBuf),
    Stats,
    Reconnect,
    Help,
}

/// Reads a line. The error says what would be right.
pub(crate) fn read(line: &str) -> Result<Typed<'_>, String> {
    if !line.starts_with('/') {
        return Ok(Typed::Message(line));
    }
    if line.starts_with("//") {
        return Ok(Typed::Message(&line[1..]));
    }
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    match name {
        "/ping" => Ok(Typed::Ping(rest)),
        "/pong" => Ok(Typed::Pong(rest)),
        "/close" | "/quit" if rest.is_empty() => Ok(Typed::Close(None, "")),
        "/close" => {
            let (code, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            match code.parse() {
                Ok(code) => Ok(Typed::Close(Some(code), reason.trim_start())),
                Err(_) => Err(format!("`{code}` is no close code: /close 1000 bye")),
            }
        }
        "/binary" => bytes(rest).map(Typed::Binary),
        "/file" if rest.is_empty() => Err("which file? /file PATH".into()),
        "/file" => Ok(Typed::File(rest.into())),
        "/stats" => Ok(Typed::Stats),
        "/reconnect" => Ok(Typed::Reconnect),
        "/help" => Ok(Typed::Help),
        _ => Err(format!("there is no {name}: /help shows what there is, /{line} sends this")),
    }
}

/// Reads hexadecimal digits, two for a byte, with or without spaces.
fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u32>> =
        hex.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => {
            Ok(digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect())
        }
        _ => Err("bytes are pairs of hexadecimal digits: /binary 00 ff 0a".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_messages_or_commands() {
        for (line, typed) in [
            ("hello", Typed::Message("hello")),
            ("", Typed::Message("")),
            ("//etc/hosts", Typed::Message("/etc/hosts")),
            ("/ping", Typed::Ping("")),
            ("/ping  are you there ", Typed::Ping("are you there")),
            ("/close", Typed::Close(None, "")),
            ("/close 4000 so long", Typed::Close(Some(4000), "so long")),
            ("/binary 00ff 0A", Typed::Binary(vec![0, 255, 10])),
            ("/file a b", Typed::File("a b".into())),
        ] {
            assert_eq!(read(line), Ok(typed), "{line}");
        }
        for wrong in ["/close soon", "/binary 0", "/binary xx", "/file", "/pin", "/"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_command_of_the_list_is_known() {
        for Entry { name, takes, .. } in COMMANDS {
            let line = format!("{name} {}", if takes.contains("CODE") { "1000" } else { "00" });
            assert!(!matches!(read(&line), Ok(Typed::Message(_)) | Err(_)), "{name}");
        }
    }
}
