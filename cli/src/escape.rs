//! Text that is not ours, fit for a terminal: nothing in it moves the cursor, changes a colour,
//! turns text round or is invisible.

use std::fmt::Write;

/// Returns whether a terminal would do something else with it than show it.
fn is_unsafe(c: char) -> bool {
    match c {
        '\t' => false,
        // Marks and isolates that turn the direction of text, spaces of no width, and the line and
        // paragraph separators.
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => true,
        '\u{061c}' | '\u{00ad}' | '\u{180e}' => true,
        '\u{e0000}'..='\u{e007f}' | '\u{fff9}'..='\u{fffb}' => true,
        _ => c.is_control(),
    }
}

/// Returns text of one line or several as they are shown: `\n` stays, every other control character
/// is written as in a string of Rust.
pub(crate) fn lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    push(&mut shown, text, |c| c != '\n' && is_unsafe(c));
    shown
}

/// Appends a text as one line.
pub(crate) fn push_line(shown: &mut String, text: &str) {
    push(shown, text, is_unsafe);
}

/// Appends bytes as one line: what is UTF-8 of them as text, the others as `\xff`.
pub(crate) fn push_bytes(shown: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        push_line(shown, chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
}

/// The same, as lines: `\n` stays.
pub(crate) fn push_lines(shown: &mut String, bytes: &[u8]) {
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if number > 0 {
            shown.push('\n');
        }
        push_bytes(shown, line);
    }
}

/// Appends JSON as the same JSON: within it only strings have what is escaped.
pub(crate) fn push_json(shown: &mut String, json: &str) {
    for c in json.chars() {
        match c != '\n' && is_unsafe(c) {
            true => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(shown, "\\u{unit:04x}");
                }
            }
            false => shown.push(c),
        }
    }
}

fn push(shown: &mut String, text: &str, is_escaped: impl Fn(char) -> bool) {
    for c in text.chars() {
        match is_escaped(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_it_changes_a_terminal() {
        assert_eq!(lines("a\nb\tc"), "a\nb\tc");
        assert_eq!(lines("\u{1b}[31mred\r\u{7}"), "\\u{1b}[31mred\\r\\u{7}");
        assert_eq!(lines("\u{9b}31m \u{202e}evil\u{200b}"), "\\u{9b}31m \\u{202e}evil\\u{200b}");
        let mut shown = String::new();
        push_line(&mut shown, "two\nlines, naïve ☃");
        push_bytes(&mut shown, b" \xff\x00ok");
        assert_eq!(shown, "two\\nlines, naïve ☃ \\xff\\u{0}ok");
        shown.clear();
        push_lines(&mut shown, b"a\x1b\n\xc2\x9b\n");
        assert_eq!(shown, "a\\u{1b}\n\\u{9b}\n");
        shown.clear();
        push_json(&mut shown, "\"\u{7f}\u{9b}\u{202e}\u{e0001}☃\"\n");
        assert_eq!(shown, "\"\\u007f\\u009b\\u202e\\udb40\\udc01☃\"\n");
    }
}
