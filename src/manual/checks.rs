//! Whether the manual says what the code does: its tables are read, and compared with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{Config, ConnectionOptions, ProxyChoice};
use crate::deflate::Deflate;
use crate::link::SendPolicy;
use crate::reconnect::Reconnect;
use crate::tls::TlsConfig;
use crate::transport::SocketOptions;

const DEFAULTS: &str = include_str!("_17_defaults.rs");
const LOGGING: &str = include_str!("_15_logging.rs");
const INDEX: &str = include_str!("mod.rs");

/// Where the options are described that a heading of the page has the defaults of.
const OPTIONS: [(&str, &[&str]); 8] = [
    ("`WebSocketApp` and `WebSocket::builder`", &["app/options.rs", "app/websocket_app.rs"]),
    ("`Reconnect`", &["reconnect.rs"]),
    ("`Deflate`", &["deflate.rs"]),
    ("`TlsConfig`", &["tls/mod.rs"]),
    ("`SocketOptions`", &["transport/socket/options.rs"]),
    ("`EventOptions` and `EventLoop`", &["app/events.rs", "app/event_loop.rs"]),
    ("`Server`", &["server/server.rs"]),
    ("`ServerTls`", &["server/tls/mod.rs"]),
];

/// The constants behind the limits that are no options: which row has each, and what stands there.
const LIMITS: [(&str, &str, &str, &str); 10] = [
    ("a URL", "8 KiB", "dial/target.rs", "MAX_URL"),
    ("the head of a response", "64 KiB", "protocol/handshake/response.rs", "MAX_HEAD"),
    ("the head of a response", "64 KiB", "protocol/handshake/body.rs", "MAX_BODY"),
    ("a request to a server", "16 KiB", "protocol/handshake/opening.rs", "MAX_HEAD"),
    ("a request to a server", "8 KiB a line", "protocol/handshake/opening.rs", "MAX_LINE"),
    ("a request to a server", "100 headers", "protocol/handshake/opening.rs", "MAX_HEADERS"),
    ("a `Retry-After`", "an hour", "reconnect.rs", "LONGEST_RETRY_AFTER"),
    ("the payload of a ping", "125", "protocol/frame.rs", "MAX_CONTROL_PAYLOAD"),
    ("resolvers and connectors", "8,", "dial/offload.rs", "MAX_UNANSWERED"),
    ("callbacks of one of a server's threads", "64", "server/driver.rs", "MAX_CALLS"),
];

fn source(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of the tables below a heading, by their first cell; without one, of the first table.
fn rows(page: &str, heading: Option<&str>) -> Vec<Vec<String>> {
    let lines = page.lines().map(|line| line.trim_start_matches("//!").trim());
    let heading = heading.map(|heading| format!("# {heading}"));
    let mut found = Vec::new();
    let mut is_here = heading.is_none();
    for line in lines {
        if line.starts_with("# ") {
            is_here = heading.as_deref() == Some(line);
        } else if is_here && line.starts_with('|') {
            let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
            found.push(cells.collect());
        }
    }
    // The names of the columns, and the line below them.
    found.drain(..2);
    found
}

/// The defaults below a heading of the page, by option.
pub(crate) fn defaults(heading: &str) -> BTreeMap<String, String> {
    let rows = rows(DEFAULTS, Some(heading)).into_iter();
    rows.map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone())).collect()
}

/// Fails unless each of these is what the page says, and nothing else stands there but what has no
/// value that could be compared.
pub(crate) fn compare(heading: &str, real: &[(&str, String)], not_compared: &[&str]) {
    let mut said = defaults(heading);
    for (option, value) in real {
        assert_eq!(said.remove(*option).as_ref(), Some(value), "{heading}: {option}");
    }
    let left: BTreeSet<&str> = said.keys().map(String::as_str).collect();
    assert_eq!(left, not_compared.iter().copied().collect(), "{heading}: not compared");
}

pub(crate) fn time(time: Duration) -> String {
    if time.is_zero() { "zero".into() } else { format!("{} s", time.as_secs_f64()) }
}

pub(crate) fn time_or_off(limit: Option<Duration>) -> String {
    limit.map_or_else(|| "off".into(), time)
}

pub(crate) fn size(bytes: usize) -> String {
    let (unit, shift) = if bytes < 1 << 20 { ("KiB", 10) } else { ("MiB", 20) };
    assert_eq!(bytes >> shift << shift, bytes);
    format!("{} {unit}", bytes >> shift)
}

pub(crate) fn number(number: usize) -> String {
    match (number / 1000, number % 1000) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{thousands},{rest:03}"),
    }
}

/// What stands for an option that is not set.
pub(crate) fn unset(what: &str, is_unset: bool) -> String {
    assert!(is_unset, "it is set: {what}");
    what.into()
}

fn system_roots(tls: &TlsConfig) -> String {
    unset(
        "the operating system's roots",
        tls.roots.is_empty() && !tls.only_these_roots && !tls.bundled_roots,
    )
}

#[test]
fn every_default_of_an_app_is_in_the_table() {
    // All of them: who adds an option has to look here.
    let Config {
        headers,
        subprotocols,
        origin,
        cookie,
        cookies,
        host,
        route,
        tls,
        proxy,
        proxy_tls,
        max_redirects,
        connect_timeout,
        reconnect,
        compression,
        live,
    } = Config::default();
    let ConnectionOptions {
        close_timeout,
        send_timeout,
        ping_interval,
        ping_timeout,
        idle_timeout,
        max_message_size,
        max_fragments,
        max_send_buffer,
        max_receive_buffer,
        busy_poll,
    } = live;
    let from_environment = || matches!(proxy, ProxyChoice::Environment);
    let real = [
        ("header", unset("none", headers.is_empty())),
        ("subprotocols", unset("none", subprotocols.is_empty())),
        ("origin", unset("none", origin.is_none())),
        ("cookie", unset("none", cookie.is_none())),
        ("keep_cookies", cookies.is_some().to_string()),
        ("host", unset("the URL's", host.is_none())),
        ("tls", system_roots(&tls)),
        ("resolver", unset("the operating system's", route.resolver.is_none())),
        ("connector", unset("none", route.connector.is_none())),
        ("socket", unset("none", route.socket.is_none())),
        ("socket_options", unset("those below", route.options == SocketOptions::new())),
        ("proxy", unset("the environment's", from_environment())),
        ("no_proxy", unset("the environment's", from_environment())),
        ("proxy_tls", system_roots(&proxy_tls)),
        ("max_redirects", max_redirects.to_string()),
        ("connect_timeout", time(connect_timeout)),
        ("reconnect", unset("off", reconnect.is_none())),
        ("compression", unset("off", compression.is_none())),
        ("close_timeout", time(close_timeout)),
        ("send_timeout", time(send_timeout)),
        ("ping_interval", time_or_off(ping_interval)),
        ("ping_timeout", time(ping_timeout)),
        ("idle_timeout", time_or_off(idle_timeout)),
        ("max_message_size", size(max_message_size)),
        ("max_fragments", number(max_fragments)),
        ("max_send_buffer", size(max_send_buffer)),
        ("max_receive_buffer", size(max_receive_buffer)),
        ("busy_poll", time(busy_poll)),
        ("send_policy", format!("{:?}", SendPolicy::default())),
    ];
    let closures = ["on_reconnect", "on_error", "url_with", "headers_with", "subprotocols_with"];
    compare(OPTIONS[0].0, &real, &[&closures[..], &["queue_while_disconnected"]].concat());
}

#[test]
fn every_default_of_reconnecting_and_compression_is_in_the_table() {
    let shown = format!("{:?}", Reconnect::fixed(Duration::from_secs(7)));
    let real = [
        ("max_attempts", unset("no limit", shown.contains("max_attempts: None"))),
        ("reset_after", unset("60 s", shown.contains("reset_after: 60s"))),
    ];
    compare("`Reconnect`", &real, &["retry_if"]);

    let Deflate {
        server_no_context_takeover,
        client_no_context_takeover,
        server_max_window_bits,
        client_max_window_bits,
        level,
        min_size,
    } = Deflate::default();
    let real = [
        ("server_no_context_takeover", server_no_context_takeover.to_string()),
        ("client_no_context_takeover", client_no_context_takeover.to_string()),
        ("server_max_window_bits", unset("any", server_max_window_bits.is_none())),
        ("client_max_window_bits", unset("any", client_max_window_bits.is_none())),
        ("level", level.to_string()),
        ("min_size", size(min_size)),
    ];
    compare("`Deflate`", &real, &[]);
}

#[test]
fn every_default_of_tls_and_sockets_is_in_the_table() {
    let tls = TlsConfig::new();
    let real = [
        ("root_certificate", unset("none", tls.roots.is_empty())),
        ("root_certificate_file", unset("none", tls.roots.is_empty())),
        ("only_these_roots", tls.only_these_roots.to_string()),
        ("identity_pkcs12", unset("none", tls.identity.is_none())),
        ("identity_pem", unset("none", tls.identity.is_none())),
        ("identity_pem_files", unset("none", tls.identity.is_none())),
        ("server_name", unset("the URL's host", tls.server_name.is_none())),
        ("danger_accept_invalid_certs", tls.accept_invalid_certs.to_string()),
        ("danger_accept_invalid_hostnames", tls.accept_invalid_hostnames.to_string()),
        ("pin", unset("none", tls.pins.is_empty())),
        ("min_version", tls.min_version.to_string()),
        ("bundled_roots", tls.bundled_roots.to_string()),
        ("key_log_file", unset("none", tls.key_log.is_none())),
        ("backend", unset("native-tls where it is there", tls.backend.is_none())),
    ];
    compare("`TlsConfig`", &real, &["native_tls", "rustls"]);

    let options = format!("{:?}", SocketOptions::new());
    for (option, value) in defaults("`SocketOptions`") {
        // No type of service is the operating system's, which is 0.
        let field = match value.as_str() {
            "true" => format!("{option}: true"),
            _ => format!("{option}: None"),
        };
        assert!(options.contains(&field), "SocketOptions: {option} is not {value}: {options}");
    }
}

#[test]
fn limits_that_are_no_options_are_those_of_the_code() {
    let rows = rows(DEFAULTS, Some("Limits that are no options"));
    for (row, said, file, constant) in LIMITS {
        let source = source(file);
        let value = value_of(&source, constant).unwrap_or_else(|| panic!("{file}: {constant}"));
        let amount = said.split([' ', ',']).next().unwrap_or_default();
        let real = match said {
            "an hour" => "Duration::from_secs(3600)".into(),
            _ if said.contains("KiB") => format!("{amount} << 10"),
            _ => amount.to_owned(),
        };
        assert_eq!(value, real, "{file}: {constant}");
        let says = |cells: &Vec<String>| cells[0].starts_with(row) && cells[1].contains(said);
        assert!(rows.iter().any(says), "the page does not say {said} of {row}");
    }
    let turns = source("app/turns.rs");
    let most = value_of(&turns, "DEFAULT_LIMIT").map(str::to_owned);
    let fragments = format!("{:?}", crate::EventOptions::new(1)).contains("fragments: true");
    let real = [("max_connecting", most.unwrap_or_default()), ("fragments", fragments.to_string())];
    compare("`EventOptions` and `EventLoop`", &real, &["wake_with"]);
}

/// What a constant is set to.
fn value_of<'a>(source: &'a str, constant: &str) -> Option<&'a str> {
    let begun = source.split_once(&format!("const {constant}: "))?.1;
    Some(begun.split_once("= ")?.1.split_once(';')?.0)
}

#[test]
fn every_option_that_has_a_default_has_a_row() {
    for (heading, files) in OPTIONS {
        let said: BTreeSet<String> = defaults(heading).into_keys().collect();
        let sources: Vec<String> = files.iter().map(|file| source(file)).collect();
        let methods = || sources.iter().flat_map(|source| methods(source));
        for (method, doc) in methods() {
            let has_default = doc.contains("Defaults to");
            assert!(
                !has_default || said.contains(method),
                "{heading}: there is no row of {method}"
            );
        }
        let all: BTreeSet<String> = methods().map(|(method, _)| method.to_owned()).collect();
        let unknown: Vec<_> = said.difference(&all).collect();
        assert!(unknown.is_empty(), "{heading}: there is no {unknown:?}");
    }
}

#[test]
fn the_blocking_builder_has_the_options_that_the_page_says() {
    let of = |file| -> BTreeSet<String> {
        let source = source(file);
        methods(&source).into_iter().map(|(name, _)| name.to_owned()).collect()
    };
    assert_eq!(of("app/options.rs"), of("client/options.rs"));
}

/// The public methods of a file, with what is said of them.
fn methods(source: &str) -> Vec<(&str, String)> {
    let (mut found, mut doc) = (Vec::new(), String::new());
    for line in source.lines().map(str::trim) {
        if let Some(said) = line.strip_prefix("///") {
            doc.push(' ');
            doc.push_str(said.trim());
        } else if let Some(method) = line.strip_prefix("pub fn ") {
            let end = method.find(|c: char| !c.is_alphanumeric() && c != '_');
            found.push((&method[..end.unwrap_or(method.len())], std::mem::take(&mut doc)));
        } else if !line.starts_with("#[") {
            doc.clear();
        }
    }
    found
}

/// A line of the log: its target, its level, and its words with `…` for what differs.
type Line = (String, String, String);

#[test]
fn every_line_of_the_log_is_in_the_table_and_in_the_code() {
    let mut said = BTreeSet::new();
    for row in rows(LOGGING, None) {
        let target = row[0].trim_matches('`');
        for words in row[2].split("<br>") {
            let words = words.trim_matches('`').to_owned();
            assert!(said.insert((target.to_owned(), row[1].clone(), words)), "twice: {row:?}");
        }
    }
    let mut files = Vec::new();
    list(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let files = files.iter().filter(|file| !file.ends_with("manual/checks.rs"));
    let real: BTreeSet<Line> = files.flat_map(|file| logged(file)).collect();
    let of = |a: &BTreeSet<_>, b: &BTreeSet<_>| a.difference(b).cloned().collect::<Vec<Line>>();
    assert!(
        of(&real, &said).is_empty(),
        "in the code and not in the table: {:#?}",
        of(&real, &said)
    );
    assert!(
        of(&said, &real).is_empty(),
        "in the table and not in the code: {:#?}",
        of(&said, &real)
    );
}

/// What a file logs.
fn logged(file: &Path) -> Vec<Line> {
    let source = fs::read_to_string(file).unwrap();
    let (mut lines, file_name) = (Vec::new(), file.display());
    for (at, _) in source.match_indices("log::") {
        let Some((level, rest)) = source[at + 5..].split_once("!(") else { continue };
        if !["error", "warn", "info", "debug", "trace"].contains(&level) {
            continue;
        }
        let target = rest.trim_start().strip_prefix("target:");
        let target = target.unwrap_or_else(|| panic!("{file_name}: log::{level}! has no target"));
        let (target, words) = target.split_once(',').unwrap_or_default();
        let words = words.trim_start().strip_prefix('"').and_then(|words| words.split_once('"'));
        let (words, _) = words.unwrap_or_else(|| panic!("{file_name}: log::{level}! has no words"));
        let mut pieces = words.split('{');
        let mut plain = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            plain.push('…');
            plain.push_str(piece.split_once('}').expect("what is opened is closed").1);
        }
        lines.push((resolved(target.trim(), file, &source), level.to_owned(), plain));
    }
    lines
}

/// What a target is: a string, or a constant of this file or of a module above it.
fn resolved(target: &str, file: &Path, source: &str) -> String {
    if let Some(text) = target.strip_prefix('"') {
        return text.trim_end_matches('"').to_owned();
    }
    let name = target.rsplit("::").next().unwrap_or(target);
    let constant =
        |source: &str| value_of(source, name).map(|text| text.trim_matches('"').to_owned());
    if let Some(text) = constant(source) {
        return text;
    }
    for folder in file.ancestors().skip(1) {
        if let Some(text) =
            fs::read_to_string(folder.join("mod.rs")).ok().as_deref().and_then(constant)
        {
            return text;
        }
    }
    panic!("{}: what is the target {target}?", file.display());
}

/// All files of source below a folder.
fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn each_page_leads_to_the_next() {
    let pages = INDEX.lines().filter_map(|line| line.strip_prefix("pub mod _"));
    let pages: Vec<String> = pages.map(|page| format!("_{}", page.trim_end_matches(';'))).collect();
    assert!(pages.len() > 20, "{pages:?}");
    for (i, page) in pages.iter().enumerate() {
        assert!(INDEX.contains(&format!("]({page})")), "the manual does not list {page}");
        let text = source(&format!("manual/{page}.rs"));
        let foot = text.rsplit("//! ---\n").next().unwrap_or_default();
        let next = pages.get(i + 1).map_or("(super)".into(), |next| format!("](super::{next})"));
        assert!(foot.contains(&next), "{page} does not lead to {next}");
    }
}

#[test]
fn the_readme_is_short() {
    let words = include_str!("../../README.md").split_whitespace().count();
    assert!(words <= 900, "{words} words: the rest is for the manual");
}

/// Whoever reads these where the repository is finds what they lead to there.
#[test]
fn links_to_files_of_the_repository_lead_to_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join("CONTRIBUTING.md").exists() {
        // A release has none of the others.
        return;
    }
    for page in ["README.md", "CONTRIBUTING.md", "SECURITY.md", "cli/README.md", "fuzz/README.md"] {
        let text = fs::read_to_string(root.join(page)).unwrap();
        let defined = text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
        let inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let quoted =
            |attribute| text.split(attribute).skip(1).filter_map(|rest| rest.split('"').next());
        let pictures = quoted(" src=\"").chain(quoted(" srcset=\""));
        for link in defined.map(|(_, link)| link).chain(inline).chain(pictures) {
            let file = root.join(page).with_file_name(link.split('#').next().unwrap_or_default());
            assert!(link.contains("://") || file.exists(), "{page} leads to {link}");
        }
    }
}
