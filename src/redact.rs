//! What errors and `Debug` may show of text that is not ours: no credential, and nothing that
//! changes a terminal or a line of a log. A leaf: pure.

/// Shows a URL that may be no URL at all, and may have credentials anywhere before its last `@`, in
/// its query and in its fragment. Where it cannot be told which of them comes first, nothing but
/// the scheme is shown.
pub(crate) fn shown_url(url: &str) -> String {
    // Enough to recognise it by.
    const SHOWN: usize = 100;
    let (scheme, rest) =
        url.split_once("://").filter(|(scheme, _)| is_scheme(scheme)).unwrap_or(("", url));
    let (rest, query) = rest.find(['?', '#']).map_or((rest, ""), |at| rest.split_at(at));
    let (hidden, rest) = match rest.rsplit_once('@') {
        _ if query.contains('@') => ("", ""),
        Some((_, rest)) => ("…@", rest),
        None => ("", rest),
    };
    let separator = if scheme.is_empty() { "" } else { "://" };
    let cut: String = rest.chars().take(SHOWN).collect();
    let end = if cut.len() < rest.len() || !query.is_empty() { "…" } else { "" };
    format!("\"{scheme}{separator}{hidden}{}{end}\"", cut.escape_debug())
}

/// Returns whether it is one by its characters (RFC 3986 §3.1).
pub(crate) fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// The beginning of what a server said, fit for a line of a log or a terminal: a hint, the whole of
/// it is elsewhere.
pub(crate) fn excerpt(said: &str) -> String {
    const SHOWN: usize = 200;
    let words =
        said.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    let mut shown = String::new();
    for (i, c) in line.chars().enumerate() {
        if i == SHOWN {
            return shown + "…";
        }
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            // Text may also be turned round, or be invisible.
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_its_scheme_host_and_path_are_shown() {
        for (url, shown) in [
            ("ws://host:81/a", "ws://host:81/a"),
            ("/a/b", "/a/b"),
            ("//host/a", "//host/a"),
            ("ws://host/a?token=secret", "ws://host/a…"),
            ("/a#secret", "/a…"),
            ("wss://user:secret@host/a", "wss://…@host/a"),
            ("//user:secret@host/a", "…@host/a"),
            ("user:secret@host", "…@host"),
            ("ws://user:secret/@x@host/a", "ws://…@host/a"),
            // Which is the query, and which the password?
            ("ws://user:sec?ret@host/", "ws://…"),
            ("ws://host/\u{1b}[31m\u{202e}", "ws://host/\\u{1b}[31m\\u{202e}"),
        ] {
            assert_eq!(shown_url(url), format!("\"{shown}\""), "{url}");
        }
        let long = format!("ws://host/{}", "é".repeat(200));
        assert_eq!(shown_url(&long), format!("\"ws://host/{}…\"", "é".repeat(95)));
    }

    #[test]
    fn what_a_server_said_is_shown_on_one_line_without_control_characters() {
        assert_eq!(
            excerpt("<p>\r\n\tno\0\u{1b}[31m \"entry\" \u{202e}\n"),
            "<p> no [31m \"entry\" \\u{202e}"
        );
        assert_eq!(excerpt(" \n"), "");
        assert_eq!(excerpt(&"é".repeat(200)), "é".repeat(200));
        assert_eq!(excerpt(&"é".repeat(201)), format!("{}…", "é".repeat(200)));
    }
}
