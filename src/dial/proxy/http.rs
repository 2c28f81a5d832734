//! CONNECT, the request that makes an HTTP proxy a tunnel (RFC 9110 §9.3.6). For `ws://` too, as
//! RFC 6455 §4.1 has it.

use tungstenite::http::StatusCode;

use super::Destination;
use super::line::{Line, Refusal, Stop};
use crate::error::is_temporary;
use crate::protocol::handshake::echo::Secrets;
use crate::protocol::handshake::response::{Arriving, ResponseHead};
use crate::protocol::handshake::shown;
use crate::redact::excerpt;
use crate::wire_log::{self, Way};

/// Asks for a tunnel. `authorization` is the value of a `Proxy-Authorization` header.
pub(super) fn connect(
    line: &mut dyn Line,
    destination: &Destination<'_>,
    authorization: Option<&str>,
) -> Result<(), Stop> {
    let request = request(destination, authorization);
    let request = request.as_bytes();
    wire_log::head(line.peer(), Way::Sent, || shown::request(request));
    line.send(request)?;
    let head = read_head(line)?;
    let of_head = || shown::response(&head, &Secrets::of(request));
    wire_log::head(line.peer(), Way::Received, of_head);
    // Headers that speak of a body mean nothing here: what follows a 2xx is the tunnel (RFC 9110
    // §9.3.6).
    if (200..300).contains(&head.status) {
        return Ok(());
    }
    Err(Stop::Refused(Refusal {
        reply: Some(head.status),
        problem: problem(&head, authorization.is_some()),
        // It was given a name, all of whose addresses are its own business.
        unreachable: false,
        temporary: is_temporary(head.status),
    }))
}

/// Holds a credential.
fn request(destination: &Destination<'_>, authorization: Option<&str>) -> String {
    let authorization =
        authorization.map_or(String::new(), |value| format!("Proxy-Authorization: {value}\r\n"));
    format!("CONNECT {destination} HTTP/1.1\r\nHost: {destination}\r\n{authorization}\r\n")
}

/// Byte by byte, so that nothing behind the head is taken from whom it is for. It is a few hundred
/// bytes, once.
fn read_head(line: &mut dyn Line) -> Result<ResponseHead, Stop> {
    let mut arriving = Arriving::default();
    loop {
        let mut byte = [0];
        line.receive(&mut byte)?;
        // RFC 8446 §5.1: the content types of an alert and of a handshake.
        if arriving.is_empty() && matches!(byte, [0x15 | 0x16]) {
            return Err(Refusal::nonsense(
                "it speaks TLS on this port: is its URL meant to be https://?",
            ));
        }
        // What a SOCKS proxy's answers begin with, of version 5 and 4.
        if arriving.is_empty() && matches!(byte, [0x05 | 0x00]) {
            return Err(Refusal::nonsense(
                "it does not speak HTTP on this port: is its URL meant to be socks5h://?",
            ));
        }
        arriving.push(&byte);
        if let Some((head, _)) = arriving.take_head().map_err(Refusal::nonsense)? {
            return Ok(head);
        }
    }
}

/// Says what a status means, and what to try.
fn problem(head: &ResponseHead, authorized: bool) -> String {
    let status = head.status;
    let name = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let meaning = match status {
        401 | 407 => wanted(head, authorized),
        403 => "it does not allow that (many allow port 443 only, which is wss://)".to_owned(),
        400 | 404 | 405 | 501 => "is it a proxy, and does it allow CONNECT?".to_owned(),
        502..=504 => "it could not reach the server".to_owned(),
        _ => "only 2xx opens one".to_owned(),
    };
    format!(
        "HTTP status {status}{}: {meaning}",
        name.map_or(String::new(), |name| format!(" ({name})"))
    )
}

/// Returns what the proxy wants to be told first (RFC 9110 §11.7.1).
fn wanted(head: &ResponseHead, authorized: bool) -> String {
    let offered: Vec<&str> = head.headers.get_all("Proxy-Authenticate").collect();
    let basic = |offer: &&str| {
        offer.split(',').any(|part| {
            part.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
        })
    };
    if !offered.is_empty() && !offered.iter().any(basic) {
        return format!(
            "it wants `{}`, this client has only Basic authentication",
            excerpt(&offered.join(", "))
        );
    }
    match authorized {
        true => "it does not take this user name and password".into(),
        false => "it wants a user name and password: put them into its URL, user:password@ before the host".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::Script;
    use super::*;

    fn ask(authorization: Option<&str>, answer: &[u8]) -> (Result<(), Stop>, String, usize) {
        let mut line = Script { sent: Vec::new(), answers: answer };
        let result = connect(&mut line, &Destination::Name("host", 443), authorization);
        (result, String::from_utf8(line.sent).unwrap(), line.answers.len())
    }

    fn refusal(authorization: Option<&str>, answer: &[u8]) -> Refusal {
        match ask(authorization, answer).0 {
            Err(Stop::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_request_names_the_server_and_the_credentials() {
        let (_, sent, _) = ask(None, b"");
        assert_eq!(sent, "CONNECT host:443 HTTP/1.1\r\nHost: host:443\r\n\r\n");
        let (_, sent, _) = ask(Some("Basic eA=="), b"");
        assert_eq!(
            sent,
            "CONNECT host:443 HTTP/1.1\r\nHost: host:443\r\nProxy-Authorization: Basic eA==\r\n\r\n"
        );
        let address = Destination::Address("[::1]:80".parse().unwrap());
        assert!(
            request(&address, None).starts_with("CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n")
        );
    }

    #[test]
    fn any_2xx_opens_the_tunnel_and_what_follows_is_left_for_it() {
        for head in [
            "HTTP/1.1 200 Connection established\r\n\r\n",
            "HTTP/1.0 200 OK\r\nProxy-Agent: x\r\n\r\n",
            "HTTP/1.1 204 x\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            let (result, _, left) = ask(None, format!("{head}first").as_bytes());
            assert!(result.is_ok() && left == 5, "{head}: {result:?}, {left}");
        }
    }

    #[test]
    fn a_refusal_has_its_status_in_words_and_what_to_try() {
        let basic = "Proxy-Authenticate: Basic realm=\"x\"\r\n";
        let negotiate = "Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n";
        let list = "Proxy-Authenticate: Digest realm=\"x\", BASIC realm=\"x\"\r\n";
        for (status, headers, authorization, says, temporary) in [
            (407, basic, None, "407 (Proxy Authentication Required): it wants a user name", false),
            (407, basic, Some("Basic x"), "does not take this user name", false),
            (407, list, Some("Basic x"), "does not take this user name", false),
            (407, "", None, "user:password@", false),
            (407, negotiate, Some("Basic x"), "it wants `Negotiate, NTLM`", false),
            (403, "", None, "403 (Forbidden): it does not allow", false),
            (405, "", None, "405 (Method Not Allowed): is it a proxy", false),
            (503, "", None, "503 (Service Unavailable): it could not reach", true),
            (429, "", None, "429", true),
            (302, "", None, "302 (Found): only 2xx", true),
            (101, "", None, "101", true),
            (799, "", None, "HTTP status 799: only 2xx", true),
        ] {
            let answer = format!("HTTP/1.1 {status} Whatever\r\n{headers}\r\n<html>");
            let refusal = refusal(authorization, answer.as_bytes());
            assert_eq!((refusal.reply, refusal.temporary), (Some(status), temporary), "{answer}");
            assert!(refusal.problem.contains(says), "{says:?}: {}", refusal.problem);
        }
    }

    #[test]
    fn what_is_no_http_is_told_by_its_beginning() {
        let endless = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 1 << 17]].concat();
        for (answer, says) in [
            (&b"\x15\x03\x01\x00\x02"[..], "https://"),
            (b"\x05\xff", "socks5h://"),
            (b"SSH-2.0-OpenSSH", "not HTTP/1.1"),
            (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "not valid HTTP"),
            (&endless, "64 KiB"),
        ] {
            let refusal = refusal(None, answer);
            assert!(
                refusal.reply.is_none() && refusal.problem.contains(says),
                "{says:?}: {}",
                refusal.problem
            );
        }
    }
}
