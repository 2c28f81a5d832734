//! Files for browsers, from one directory and nowhere else.

use std::fs;
use std::path::{Path, PathBuf};

use websocket_app::server::{Answer, Request};

use crate::failure::Failure;

pub(crate) struct Files {
    root: PathBuf,
}

/// The longest file: it is read into memory.
const MAX_LENGTH: u64 = 64 << 20;

/// What browsers call a file, by the end of its name.
const TYPES: &[(&str, &str)] = &[
    ("html", "text/html; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("txt", "text/plain; charset=utf-8"),
    ("md", "text/plain; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("ico", "image/x-icon"),
    ("wasm", "application/wasm"),
    ("woff2", "font/woff2"),
    ("pdf", "application/pdf"),
];

impl Files {
    pub(crate) fn of(directory: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::io(&format!("--dir {}", directory.display()), &error);
        let root = directory.canonicalize().map_err(failed)?;
        match root.is_dir() {
            true => Ok(Files { root }),
            false => Err(Failure::usage(format!("--dir {}: is no directory", directory.display()))),
        }
    }

    /// Accepts whoever wants a WebSocket, and gives everybody else a file.
    pub(crate) fn answer(&self, request: &Request) -> Answer {
        if request.is_upgrade() {
            return Answer::accept();
        }
        if !matches!(request.method(), "GET" | "HEAD") {
            return Answer::refuse(405).header("Allow", "GET, HEAD");
        }
        match self.find(request.path()) {
            Found::File(path) => file(&path),
            Found::Directory => {
                // Relative links of its page would go wrong without the slash.
                Answer::refuse(301).header("Location", format!("{}/", request.path()))
            }
            Found::Nothing => {
                Answer::http(404, "text/plain; charset=utf-8", "there is no such file\n")
            }
        }
    }

    fn find(&self, url_path: &str) -> Found {
        let Some(decoded) = decoded(url_path) else { return Found::Nothing };
        let mut path = self.root.clone();
        for part in decoded.split('/').filter(|part| !part.is_empty()) {
            // Neither out of it, nor to what is hidden, nor to what another system takes for a path.
            if part.starts_with('.') || part.contains(['\\', ':', '\0']) {
                return Found::Nothing;
            }
            path.push(part);
        }
        if path.is_dir() {
            if !decoded.ends_with('/') {
                return Found::Directory;
            }
            path.push("index.html");
        }
        // A link may lead out of it.
        match path.canonicalize() {
            Ok(path) if path.starts_with(&self.root) && path.is_file() => Found::File(path),
            _ => Found::Nothing,
        }
    }
}

enum Found {
    File(PathBuf),
    Directory,
    Nothing,
}

fn file(path: &Path) -> Answer {
    // Before it is read.
    if fs::metadata(path).is_ok_and(|meta| meta.len() > MAX_LENGTH) {
        return Answer::http(403, "text/plain", "the file is too long\n");
    }
    match fs::read(path) {
        Ok(bytes) => {
            Answer::http(200, type_of(path), bytes).header("X-Content-Type-Options", "nosniff")
        }
        Err(_) => Answer::http(403, "text/plain", "the file cannot be read\n"),
    }
}

fn type_of(path: &Path) -> &'static str {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let known = TYPES.iter().find(|(end, _)| *end == extension);
    known.map_or("application/octet-stream", |(_, kind)| kind)
}

/// Decodes `%20` and the like; `None` where that is no text.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                bytes.push((digit(high)? * 16 + digit(low)?) as u8);
                rest = after;
            }
            (b'%', _) => return None,
            (byte, after) => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_are_decoded_once() {
        assert_eq!(decoded("/a%20b%C3%A9").as_deref(), Some("/a bé"));
        assert_eq!(decoded("/%252e").as_deref(), Some("/%2e"));
        for wrong in ["/%", "/%2", "/%zz", "/%ff"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }
}
