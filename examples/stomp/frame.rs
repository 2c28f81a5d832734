//! A frame of STOMP 1.2, as text: a command, headers, an empty line, a body, NUL.

use websocket_app::CallbackError;

#[derive(Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) command: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Frame {
    pub(crate) fn new<'a>(
        command: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: &str,
    ) -> Self {
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Frame { command: command.to_owned(), headers: headers.collect(), body: body.to_owned() }
    }

    pub(crate) fn encode(&self) -> String {
        let mut text = format!("{}\n", self.command);
        for (name, value) in &self.headers {
            // The first frame has no escapes.
            text += &match &*self.command {
                "CONNECT" => format!("{name}:{value}\n"),
                _ => format!("{}:{}\n", escape(name), escape(value)),
            };
        }
        text + "\n" + &self.body + "\0"
    }

    /// A message of the WebSocket has one frame, or the newline of a beating heart: `None`.
    pub(crate) fn decode(text: &str) -> Result<Option<Self>, CallbackError> {
        if text.trim_matches(['\r', '\n']).is_empty() {
            return Ok(None);
        }
        let frame = text.trim_end_matches(['\r', '\n']).strip_suffix('\0');
        let (mut rest, mut lines) = (frame.ok_or("a frame without its end")?, Vec::new());
        loop {
            let (line, behind) = rest.split_once('\n').ok_or("a frame without a body")?;
            rest = behind;
            match line.strip_suffix('\r').unwrap_or(line) {
                "" => break,
                line => lines.push(line),
            }
        }
        let header = |line: &&str| line.split_once(':').map(|(n, v)| (unescape(n), unescape(v)));
        let command = lines.first().ok_or("a frame without a command")?.to_string();
        let headers = lines[1..].iter().filter_map(header).collect();
        Ok(Some(Frame { command, headers, body: rest.to_owned() }))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(of, _)| of == name).map_or("", |(_, value)| value)
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\r', "\\r").replace('\n', "\\n").replace(':', "\\c")
}

fn unescape(text: &str) -> String {
    let (mut plain, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('r') => '\r',
                Some('n') => '\n',
                Some('c') => ':',
                other => other.unwrap_or('\\'),
            },
            c => c,
        });
    }
    plain
}
