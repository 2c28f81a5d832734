//! SOCKS 4, 4a and 5 (RFC 1928, with the user names and passwords of RFC 1929): straight-line
//! exchanges over a [`Line`].

use std::net::{IpAddr, SocketAddr};

use super::Destination;
use super::line::{Line, Refusal, Stop};
use crate::protocol::handshake::credentials::UserInfo;

/// In both versions, the command that opens a connection.
const CONNECT: u8 = 1;

/// Asks by version 4: an IPv4 address or, as 4a has it, a name.
pub(super) fn socks4(
    line: &mut dyn Line,
    destination: &Destination<'_>,
    user_info: Option<&UserInfo>,
) -> Result<(), Stop> {
    line.send(&request4(destination, user_info.map_or(&[], |user_info| &user_info.user)))?;
    let mut reply = [0; 2];
    line.receive(&mut reply)?;
    // It should be 0, and with some proxies is the version.
    let [0 | 4, code] = reply else { return Err(not_socks("SOCKS4", reply)) };
    if code != 90 {
        return Err(refused4(code));
    }
    // Port and address, which mean nothing here.
    line.receive(&mut [0; 6])?;
    Ok(())
}

fn request4(destination: &Destination<'_>, user: &[u8]) -> Vec<u8> {
    // 4a: an address that cannot be one says that there is a name behind the user's.
    let (address, port, name) = match destination {
        Destination::Address(SocketAddr::V4(address)) => {
            (address.ip().octets(), address.port(), None)
        }
        Destination::Address(SocketAddr::V6(address)) => (
            address.ip().to_ipv4_mapped().map_or([0; 4], |address| address.octets()),
            address.port(),
            None,
        ),
        Destination::Name(name, port) => ([0, 0, 0, 1], *port, Some(name)),
    };
    let mut request = vec![4, CONNECT];
    request.extend(port.to_be_bytes());
    request.extend(address);
    request.extend(user);
    request.push(0);
    if let Some(name) = name {
        request.extend(name.as_bytes());
        request.push(0);
    }
    request
}

fn refused4(code: u8) -> Stop {
    let (problem, unreachable) = match code {
        91 => ("it refused, or could not reach the server", true),
        92 => ("it cannot ask this machine who its user is (identd)", false),
        93 => ("this machine's identd names another user than the proxy's URL", false),
        _ => ("which no version of SOCKS4 has", false),
    };
    let problem = format!("SOCKS4 reply {code}: {problem}");
    Stop::Refused(Refusal {
        reply: Some(code.into()),
        problem,
        unreachable,
        temporary: unreachable,
    })
}

/// RFC 1928 §3: the ways to authenticate.
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;

/// Asks by version 5.
pub(super) fn socks5(
    line: &mut dyn Line,
    destination: &Destination<'_>,
    user_info: Option<&UserInfo>,
) -> Result<(), Stop> {
    match user_info {
        None => line.send(&[5, 1, NO_AUTHENTICATION])?,
        Some(_) => line.send(&[5, 2, NO_AUTHENTICATION, USER_AND_PASSWORD])?,
    }
    let mut choice = [0; 2];
    line.receive(&mut choice)?;
    match (choice, user_info) {
        ([5, NO_AUTHENTICATION], _) => {}
        ([5, USER_AND_PASSWORD], Some(user_info)) => log_in(line, user_info)?,
        ([5, NONE_ACCEPTABLE], None) => {
            return Err(locked(
                "it wants a user name and password: put them into its URL, user:password@ before the host",
            ));
        }
        ([5, NONE_ACCEPTABLE], Some(_)) => {
            return Err(locked("it takes neither a user name and password nor none"));
        }
        ([5, method], _) => {
            return Err(Refusal::nonsense(format!(
                "it chose the way {method} to authenticate, which was not offered"
            )));
        }
        (other, _) => return Err(not_socks("SOCKS5", other)),
    }
    line.send(&request5(destination))?;
    take_reply5(line)
}

/// RFC 1929.
fn log_in(line: &mut dyn Line, UserInfo { user, password }: &UserInfo) -> Result<(), Stop> {
    // Longer ones were refused with the proxy's URL.
    let length = |field: &[u8]| u8::try_from(field.len()).unwrap_or(u8::MAX);
    let mut request = vec![1, length(user)];
    request.extend(user);
    request.push(length(password));
    request.extend(password);
    line.send(&request)?;
    let mut reply = [0; 2];
    line.receive(&mut reply)?;
    match reply {
        [_, 0] => Ok(()),
        _ => Err(locked("it does not take this user name and password")),
    }
}

/// RFC 1928 §4.
fn request5(destination: &Destination<'_>) -> Vec<u8> {
    let mut request = vec![5, CONNECT, 0];
    let port = match destination {
        Destination::Address(address) => {
            match address.ip().to_canonical() {
                IpAddr::V4(ip) => request.extend([&[IPV4][..], &ip.octets()].concat()),
                IpAddr::V6(ip) => request.extend([&[IPV6][..], &ip.octets()].concat()),
            }
            address.port()
        }
        Destination::Name(name, port) => {
            // Longer ones were refused with the proxy's URL.
            request.extend([NAME, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
            request.extend(name.as_bytes());
            *port
        }
    };
    request.extend(port.to_be_bytes());
    request
}

/// RFC 1928 §5: the kinds of address.
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// RFC 1928 §6.
fn take_reply5(line: &mut dyn Line) -> Result<(), Stop> {
    let mut reply = [0; 2];
    line.receive(&mut reply)?;
    let [5, code] = reply else { return Err(not_socks("SOCKS5", reply)) };
    if code != 0 {
        return Err(refused5(code));
    }
    // The address at the proxy's other end, which means nothing here, but must not be left to the
    // tunnel.
    let mut kind = [0; 2];
    line.receive(&mut kind)?;
    let length = match kind[1] {
        IPV4 => 4,
        IPV6 => 16,
        NAME => {
            let mut length = [0];
            line.receive(&mut length)?;
            usize::from(length[0])
        }
        other => {
            return Err(Refusal::nonsense(format!(
                "its reply has an address of the unknown kind {other}"
            )));
        }
    };
    line.receive(&mut vec![0; length + 2])?;
    Ok(())
}

fn refused5(code: u8) -> Stop {
    // Whether another address may do better, and whether a later attempt may.
    let (problem, unreachable, temporary) = match code {
        1 => ("the proxy failed", true, true),
        2 => ("its rules do not allow this server", false, false),
        3 => ("the server's network cannot be reached from there", true, true),
        4 => {
            ("the server cannot be reached from there, or its name is not known there", true, true)
        }
        5 => ("the server refused the connection", true, true),
        6 => ("the server did not answer in time", true, true),
        7 => ("it does not open connections", false, false),
        8 => (
            "it does not take addresses of this kind (socks5h:// gives it the name instead)",
            true,
            false,
        ),
        _ => ("which RFC 1928 does not have", false, true),
    };
    let problem = format!("SOCKS5 reply {code}: {problem}");
    Stop::Refused(Refusal { reply: Some(code.into()), problem, unreachable, temporary })
}

fn locked(problem: &str) -> Stop {
    Stop::Refused(Refusal {
        reply: None,
        problem: problem.into(),
        unreachable: false,
        temporary: false,
    })
}

fn not_socks(version: &str, answer: [u8; 2]) -> Stop {
    let advice = match &answer {
        b"HT" => ": is its URL meant to be http://?",
        [0x15, _] => ": it speaks TLS",
        [0, _] | [4, _] => ": is its URL meant to be socks4a://?",
        [5, _] => ": is its URL meant to be socks5h://?",
        _ => "",
    };
    let shown = answer.escape_ascii();
    Refusal::nonsense(format!(
        "it does not speak {version} on this port, its answer begins with \"{shown}\"{advice}"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::line::Script;
    use super::*;

    type Protocol = fn(&mut dyn Line, &Destination<'_>, Option<&UserInfo>) -> Result<(), Stop>;

    fn alice() -> UserInfo {
        UserInfo { user: b"alice".to_vec(), password: b"pw".to_vec() }
    }

    /// Returns what was sent, how it ended, and how much of the answers was left.
    fn ask(
        protocol: Protocol,
        destination: &Destination<'_>,
        login: bool,
        answers: &[u8],
    ) -> (Vec<u8>, Result<(), Stop>, usize) {
        let mut line = Script { sent: Vec::new(), answers };
        let result = protocol(&mut line, destination, login.then(alice).as_ref());
        (line.sent, result, line.answers.len())
    }

    fn refusal(protocol: Protocol, login: bool, answers: &[u8]) -> Refusal {
        match ask(protocol, &Destination::Name("host", 80), login, answers).1 {
            Err(Stop::Refused(refusal)) => refusal,
            other => panic!("{answers:?}: {other:?}"),
        }
    }

    fn ipv4() -> Destination<'static> {
        Destination::Address("10.1.2.3:443".parse().unwrap())
    }

    #[test]
    fn version_4_sends_an_address_and_4a_a_name() {
        let granted = b"\x00\x5a\0\0\0\0\0\0first";
        let (sent, result, left) = ask(socks4, &ipv4(), false, granted);
        assert_eq!(sent, b"\x04\x01\x01\xbb\x0a\x01\x02\x03\0");
        assert!(result.is_ok() && left == 5, "{result:?}");
        let (sent, result, _) = ask(socks4, &Destination::Name("host", 80), true, granted);
        assert_eq!(sent, b"\x04\x01\x00\x50\0\0\0\x01alice\0host\0");
        assert!(result.is_ok());
    }

    #[test]
    fn version_5_sends_either_and_takes_every_kind_of_address_back() {
        let asked_by_name = b"\x05\x01\0\x05\x01\0\x03\x04host\x00\x50";
        for bound in
            [&b"\x01\x7f\0\0\x01"[..], b"\x03\x05proxy", b"\x03\0", &[&[4][..], &[0; 16]].concat()]
        {
            let answers = [b"\x05\0\x05\0\0", bound, b"\x12\x34first"].concat();
            let (sent, result, left) = ask(socks5, &Destination::Name("host", 80), false, &answers);
            assert_eq!(sent, asked_by_name);
            assert!(result.is_ok() && left == 5, "{bound:?}: {result:?}");
        }
        let (sent, ..) = ask(socks5, &ipv4(), false, b"\x05\0");
        assert_eq!(sent, b"\x05\x01\0\x05\x01\0\x01\x0a\x01\x02\x03\x01\xbb");
        let (sent, ..) =
            ask(socks5, &Destination::Address("[::1]:443".parse().unwrap()), false, b"\x05\0");
        assert_eq!(sent, [&b"\x05\x01\0\x05\x01\0\x04"[..], &[0; 15], b"\x01\x01\xbb"].concat());
    }

    #[test]
    fn a_login_is_offered_and_sent_if_the_proxy_wants_it() {
        let (sent, ..) = ask(socks5, &ipv4(), true, b"\x05\0");
        assert!(sent.starts_with(b"\x05\x02\0\x02\x05\x01\0"), "{sent:?}");
        let (sent, ..) = ask(socks5, &ipv4(), true, b"\x05\x02\x01\0");
        assert!(sent.starts_with(b"\x05\x02\0\x02\x01\x05alice\x02pw\x05\x01\0"), "{sent:?}");
        assert!(
            refusal(socks5, true, b"\x05\x02\x01\x01")
                .problem
                .contains("does not take this user name")
        );
        assert!(refusal(socks5, true, b"\x05\xff").problem.contains("neither"));
        let unlocked = refusal(socks5, false, b"\x05\xff");
        assert!(unlocked.problem.contains("user:password@") && !unlocked.temporary, "{unlocked:?}");
        assert!(refusal(socks5, false, b"\x05\x02").problem.contains("not offered"));
        assert!(refusal(socks5, true, b"\x05\x01").problem.contains("not offered"));
    }

    #[test]
    fn a_refusal_comes_in_words_without_waiting_for_the_rest_of_the_reply() {
        for (code, says, unreachable, temporary) in [
            (1, "the proxy failed", true, true),
            (2, "rules do not allow", false, false),
            (3, "network cannot be reached", true, true),
            (4, "cannot be reached", true, true),
            (5, "refused the connection", true, true),
            (6, "in time", true, true),
            (7, "does not open", false, false),
            (8, "socks5h://", true, false),
            (0xf0, "SOCKS5 reply 240: which RFC 1928 does not have", false, true),
        ] {
            let refusal = refusal(socks5, false, &[5, 0, 5, code]);
            assert_eq!(
                (refusal.reply, refusal.unreachable, refusal.temporary),
                (Some(code.into()), unreachable, temporary)
            );
            assert!(refusal.problem.contains(says), "{says:?}: {}", refusal.problem);
        }
        for (code, says) in
            [(91, "could not reach"), (92, "identd"), (93, "another user"), (1, "no version")]
        {
            let refusal = refusal(socks4, false, &[0, code]);
            assert!(
                refusal.reply == Some(code.into()) && refusal.problem.contains(says),
                "{}",
                refusal.problem
            );
        }
    }

    #[test]
    fn what_is_no_socks_is_told_by_its_beginning() {
        for (protocol, answers, says) in [
            (socks5 as Protocol, &b"HTTP/1.1 400"[..], "http://"),
            (socks5, b"\x00\x5b\0\0", "socks4a://"),
            (socks5, b"\x05\0HT", "not speak SOCKS5"),
            (socks5, b"\x05\0\x05\0\0\x07", "unknown kind 7"),
            (socks4, b"\x05\xff", "socks5h://"),
            (socks4, b"HTTP/1.1 400", "http://"),
            (socks4, b"\x15\x03", "\"\\x15\\x03\": it speaks TLS"),
        ] {
            let refusal = refusal(protocol, false, answers);
            assert!(
                refusal.reply.is_none() && refusal.problem.contains(says),
                "{says:?}: {}",
                refusal.problem
            );
        }
    }
}
