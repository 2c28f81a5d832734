//! What proxies answer, and what goes through them: scripted proxies and servers, each on a thread
//! of its own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::super::testing::{LONG, Server, dial, read_request, switching, text, wait_for_end};
use super::super::{Connected, Failure};
use super::phases::{cancel_with, phase_of_timeout_with};
use crate::config::{Config, ProxyChoice};
use crate::error::{Error, Phase, ProxyRefusal};

/// A name that no resolver knows (RFC 6761 §6.4): only a proxy that is given it can.
const URL: &str = "ws://server.invalid/chat?token=secret";

fn through(scheme: &str, port: u16) -> Config {
    let user_info =
        if scheme == "socks4" || scheme == "socks4a" { "alice" } else { "alice:secret" };
    Config {
        proxy: ProxyChoice::Url(format!("{scheme}://{user_info}@127.0.0.1:{port}")),
        ..Config::default()
    }
}

/// Connects to `URL` through a proxy that does what the script says, and waits for its end.
fn connect(
    scheme: &str,
    script: impl FnOnce(TcpStream) + Send + 'static,
) -> Result<Connected, Failure> {
    let proxy = Server::start(script);
    let result = dial(URL, &through(scheme, proxy.port), LONG);
    proxy.join(result)
}

fn refusal(result: Result<Connected, Failure>) -> ProxyRefusal {
    match result {
        Err(Failure::Error(Error::Proxy(refusal))) => *refusal,
        Err(failure) => panic!("{failure:?}"),
        Ok(_) => panic!("connected"),
    }
}

/// Reads a SOCKS5 greeting with a login, lets the client in, and reads its request for
/// `server.invalid`.
fn welcome(stream: &mut TcpStream) -> Vec<u8> {
    stream.read_exact(&mut [0; 4]).unwrap();
    stream.write_all(&[5, 2]).unwrap();
    stream.read_exact(&mut [0; 1 + 1 + 5 + 1 + 6]).unwrap();
    stream.write_all(&[1, 0]).unwrap();
    let mut request = vec![0; 4 + 1 + 14 + 2];
    stream.read_exact(&mut request).unwrap();
    request
}

#[test]
fn connect_opens_a_tunnel_in_which_the_upgrade_is_the_servers() {
    let connected = connect("http", |mut stream| {
        let request = read_request(&mut stream);
        let authorization = "Proxy-Authorization: Basic YWxpY2U6c2VjcmV0";
        assert_eq!(
            request,
            ["CONNECT server.invalid:80 HTTP/1.1", "Host: server.invalid:80", authorization]
        );
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        let request = read_request(&mut stream);
        assert_eq!(request[..2], ["GET /chat?token=secret HTTP/1.1", "Host: server.invalid"]);
        assert!(!request.iter().any(|line| line.contains("Authorization")), "{request:?}");
        stream.write_all(&[switching(&request).as_bytes(), b"\x81\x02hi"].concat()).unwrap();
    });
    assert_eq!(connected.unwrap_or_else(|failure| panic!("{failure:?}")).leftover, b"\x81\x02hi");
}

#[test]
fn what_comes_together_with_the_proxys_answer_is_the_servers() {
    const REFUSAL: &[u8] = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    type Script = fn(TcpStream);
    let scripts: [(&str, Script); 3] = [
        ("http", |mut stream| {
            read_request(&mut stream);
            stream.write_all(&[b"HTTP/1.1 200 OK\r\n\r\n", REFUSAL].concat()).unwrap();
            wait_for_end(&mut stream);
        }),
        ("socks5h", |mut stream| {
            assert_eq!(welcome(&mut stream), b"\x05\x01\0\x03\x0eserver.invalid\0\x50");
            stream.write_all(&[b"\x05\0\0\x01\0\0\0\0\0\0", REFUSAL].concat()).unwrap();
            wait_for_end(&mut stream);
        }),
        ("socks4a", |mut stream| {
            let mut request = [0; 8 + 6 + 15];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(&request, b"\x04\x01\0\x50\0\0\0\x01alice\0server.invalid\0");
            stream.write_all(&[b"\0\x5a\0\0\0\0\0\0", REFUSAL].concat()).unwrap();
            wait_for_end(&mut stream);
        }),
    ];
    for (scheme, script) in scripts {
        match connect(scheme, script) {
            Err(Failure::Error(Error::Rejected(rejection))) => {
                assert_eq!(rejection.body, b"no", "{scheme}")
            }
            other => panic!("{scheme}: {}", text(other)),
        }
    }
}

#[test]
fn an_answer_may_come_byte_by_byte() {
    let result = connect("socks5h", |mut stream| {
        stream.set_nodelay(true).unwrap();
        welcome(&mut stream);
        b"\x05\0\0\x03\x05proxy\0\0HTTP/1.1 403 x\r\n\r\n"
            .iter()
            .for_each(|byte| stream.write_all(&[*byte]).unwrap());
        wait_for_end(&mut stream);
    });
    assert!(text(result).contains("HTTP status 403"));
    let result = connect("http", |mut stream| {
        stream.set_nodelay(true).unwrap();
        read_request(&mut stream);
        b"HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 403 x\r\n\r\n"
            .iter()
            .for_each(|byte| stream.write_all(&[*byte]).unwrap());
        wait_for_end(&mut stream);
    });
    assert!(text(result).contains("HTTP status 403"));
}

#[test]
fn a_refusal_names_proxy_and_server_and_no_credential() {
    let proxy = Server::answering(
        "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 9\r\n\r\n",
    );
    let port = proxy.port;
    let result = dial(URL, &through("http", port), LONG);
    let error = text(proxy.join(result));
    let expected = "HTTP status 407 (Proxy Authentication Required): it does not take this user name and password";
    assert_eq!(
        error,
        format!("the proxy http://127.0.0.1:{port} opened no way to server.invalid:80: {expected}")
    );

    let refused = refusal(connect("socks5h", |mut stream| {
        welcome(&mut stream);
        stream.write_all(&[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    }));
    assert_eq!((refused.reply, refused.destination.as_str()), (Some(4), "server.invalid:80"));
    assert!(refused.to_string().contains("its name is not known there"), "{refused}");
}

#[test]
fn garbage_and_endless_heads_are_refused_in_bounded_memory() {
    for (answer, says) in [
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "not HTTP/1.1"),
        (b"\x15\x03\x01\x00\x02\x02\x46".to_vec(), "https://"),
        ([b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 1 << 20]].concat(), "64 KiB"),
        (b"HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000), "64 KiB"),
    ] {
        let proxy = Server::answering(answer);
        let result = dial(URL, &through("http", proxy.port), LONG);
        let refused = refusal(proxy.join(result));
        assert!(refused.reply.is_none() && refused.problem.contains(says), "{refused}");
    }
    let refused = refusal(connect("socks5h", |mut stream| {
        let _ = stream.write_all(&b"HTTP/1.1 400 Bad Request\r\n".repeat(1000));
        wait_for_end(&mut stream);
    }));
    assert!(refused.problem.contains("http://"), "{refused}");
}

#[test]
fn a_proxy_that_hangs_up_is_a_network_error_that_names_it() {
    for (answer, says) in
        [("", "hung up without an answer (does it speak http on"), ("HTTP/1.1 20", "in the middle")]
    {
        let proxy = Server::start(move |mut stream| {
            read_request(&mut stream);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let port = proxy.port;
        let result = dial(URL, &through("http", port), LONG);
        let result = proxy.join(result);
        assert!(matches!(&result, Err(Failure::Error(Error::Network { phase: Phase::Proxy, .. }))));
        let error = text(result);
        assert!(
            error.starts_with(&format!(
                "asking the proxy 127.0.0.1:{port} for server.invalid:80: it "
            )) && error.contains(says),
            "{error}"
        );
    }
    // With part of the request unread, which is a reset.
    let result = connect("socks5h", |mut stream| stream.read_exact(&mut [0]).unwrap());
    assert!(text(result).contains("hung up without an answer (does it speak socks5h on"));
}

#[test]
fn a_proxy_that_is_not_there_is_told_from_a_server_that_is_not() {
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port();
    let error = text(dial(URL, &through("socks5h", port), LONG));
    assert!(error.starts_with(&format!("connecting to the proxy 127.0.0.1:{port}: ")), "{error}");
}

#[test]
fn behind_the_proxy_errors_name_the_server_again() {
    let result = connect("http", |mut stream| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        read_request(&mut stream);
    });
    assert!(text(result).starts_with(
        "WebSocket upgrade by server.invalid:80: the server hung up without an answer"
    ));
}

#[test]
fn every_silence_of_a_proxy_times_out_in_its_phase() {
    let proxy = Server::start(|mut stream| wait_for_end(&mut stream));
    let phase = phase_of_timeout_with(URL, &through("http", proxy.port));
    assert_eq!(proxy.join(phase), Some(Phase::Proxy));
    let proxy = Server::start(|mut stream| {
        welcome(&mut stream);
        stream.write_all(&[5, 0, 0, 3, 200]).unwrap();
        wait_for_end(&mut stream);
    });
    let phase = phase_of_timeout_with(URL, &through("socks5h", proxy.port));
    assert_eq!(proxy.join(phase), Some(Phase::Proxy));
    let drips = Server::start(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ");
        // Slowly enough to stay below the limit of the head's length until the client gives up.
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
    });
    let phase = phase_of_timeout_with(URL, &through("http", drips.port));
    assert_eq!(drips.join(phase), Some(Phase::Proxy));
    // Once there is a tunnel, the phases behind it are the server's.
    let proxy = Server::start(|mut stream| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        wait_for_end(&mut stream);
    });
    let phase = phase_of_timeout_with(URL, &through("http", proxy.port));
    assert_eq!(proxy.join(phase), Some(Phase::Upgrade));
}

#[test]
fn a_cancel_ends_the_wait_for_a_proxy_at_once() {
    for (scheme, beginning) in
        [("http", ""), ("http", "HTTP/1.1 20"), ("socks5h", ""), ("socks4a", "\0")]
    {
        let (reach, reached) = mpsc::channel();
        let proxy = Server::start(move |mut stream| {
            stream.read_exact(&mut [0; 4]).unwrap();
            stream.write_all(beginning.as_bytes()).unwrap();
            reach.send(()).unwrap();
            wait_for_end(&mut stream);
        });
        cancel_with(URL, &through(scheme, proxy.port), &reached);
        proxy.join(());
    }
}

#[test]
fn a_wrong_proxy_is_refused_before_any_socket_and_without_its_password() {
    for (proxy, url, says) in [
        ("ftp://alice:secret@proxy", URL, "none of http"),
        ("socks4://alice:secret@proxy", URL, "no passwords"),
        ("socks4a://proxy", "ws://[::1]/", "has no IPv6"),
        ("http://alice:se cret@proxy", URL, "white space"),
    ] {
        let config = Config { proxy: ProxyChoice::Url(proxy.into()), ..Config::default() };
        let error = text(dial(url, &config, LONG));
        assert!(error.starts_with("proxy(\"") && error.contains(says), "{error}");
        assert!(!error.contains("secret") && !error.contains("cret@"), "{error}");
    }
}

#[cfg(feature = "__tls")]
mod secure {
    use std::io::ErrorKind;

    use native_tls::{Identity, TlsAcceptor, TlsStream};

    use super::super::super::testing::tls::{Authority, Certified};
    use super::super::tls::{drive, on_each, pattern, trusting};
    use super::*;
    use crate::tls::TlsBackend;

    fn acceptor(certified: &Certified) -> TlsAcceptor {
        let identity =
            Identity::from_pkcs8(certified.certificate.as_bytes(), certified.key.as_bytes())
                .unwrap();
        TlsAcceptor::new(identity).unwrap()
    }

    /// Trusts one authority for the server and another for the proxy.
    fn config(server: &Authority, proxy: &Authority, backend: TlsBackend, port: u16) -> Config {
        let (tls, proxy_tls) = (trusting(server, backend).tls, trusting(proxy, backend).tls);
        Config { tls, proxy_tls, ..through("https", port) }
    }

    #[test]
    fn tls_travels_within_tls() {
        on_each(tls_travels_within_tls_with);
    }

    fn tls_travels_within_tls_with(backend: TlsBackend) {
        const LENGTH: usize = 3 << 20;
        let (servers, proxies) = (Authority::new(), Authority::new());
        let inner = acceptor(&servers.certify("server.invalid"));
        let proxy = proxies.certify("127.0.0.1").serve(move |mut outer: TlsStream<TcpStream>| {
            assert_eq!(read_request(&mut outer)[0], "CONNECT server.invalid:443 HTTP/1.1");
            outer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let mut stream = inner.accept(outer).unwrap();
            let head = switching(&read_request(&mut stream));
            // With as much behind the head as makes many records of both layers.
            stream.write_all(&[head.into_bytes(), pattern(LENGTH)].concat()).unwrap();
            let mut received = vec![0; LENGTH];
            stream.read_exact(&mut received).unwrap();
            assert!(received == pattern(LENGTH));
            stream.shutdown().unwrap();
        });
        let Connected { mut stream, leftover: mut bytes, .. } =
            dial("wss://server.invalid/", &config(&servers, &proxies, backend, proxy.port), LONG)
                .unwrap_or_else(|failure| panic!("{failure:?}"));
        drive(&mut stream, |stream| {
            let mut buf = [0; 70_000];
            let n = stream.read(&mut buf)?;
            assert!(n > 0, "the end after {} bytes", bytes.len());
            bytes.extend_from_slice(&buf[..n]);
            Ok(bytes.len() >= LENGTH)
        });
        assert!(bytes == pattern(LENGTH));
        let mut written = 0;
        drive(&mut stream, |stream| {
            written += stream.write(&bytes[written..])?;
            Ok(written == LENGTH)
        });
        drive(&mut stream, |stream| Ok(stream.read(&mut [0; 100])? == 0));
        drop(stream);
        proxy.join(());
    }

    #[test]
    fn each_certificate_is_checked_for_whom_it_is() {
        on_each(each_certificate_is_checked_for_whom_it_is_with);
    }

    fn each_certificate_is_checked_for_whom_it_is_with(backend: TlsBackend) {
        let (servers, proxies) = (Authority::new(), Authority::new());
        // A server's authority vouches for no proxy.
        let proxy = servers.certify("127.0.0.1").serve(|mut outer| wait_for_end(&mut outer));
        let port = proxy.port;
        let result =
            dial("wss://server.invalid/", &config(&servers, &proxies, backend, port), LONG);
        let error = text(proxy.join(result));
        assert!(
            error.starts_with(&format!("TLS handshake with the proxy 127.0.0.1:{port}: ")),
            "{error}"
        );
        // Nor the other way round, whatever tunnel it comes through.
        let inner = acceptor(&proxies.certify("server.invalid"));
        let proxy = proxies.certify("127.0.0.1").serve(move |mut outer| {
            read_request(&mut outer);
            outer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            assert!(inner.accept(outer).is_err());
        });
        let result =
            dial("wss://server.invalid/", &config(&servers, &proxies, backend, proxy.port), LONG);
        let error = text(proxy.join(result));
        assert!(error.starts_with("TLS handshake with server.invalid:443: "), "{error}");
    }

    /// What comes within a tunnel is the proxy's saying as well, for as long as it is there.
    #[test]
    fn what_goes_wrong_in_the_proxys_tls_later_on_names_the_proxy() {
        on_each(what_goes_wrong_in_the_proxys_tls_later_on_names_the_proxy_with);
    }

    fn what_goes_wrong_in_the_proxys_tls_later_on_names_the_proxy_with(backend: TlsBackend) {
        let (servers, proxies) = (Authority::new(), Authority::new());
        let garble = |mut outer: TlsStream<TcpStream>| {
            // A record of application data that no key has made.
            outer.get_mut().write_all(&[&[23, 3, 3, 0, 32][..], &[7; 32]].concat()).unwrap();
            wait_for_end(outer.get_mut());
        };
        // Instead of its answer, of the server's TLS, and of the server's answer to the upgrade.
        for (url, tunnels) in [("ws", false), ("wss", true), ("ws", true)] {
            let proxy = proxies.certify("127.0.0.1").serve(move |mut outer| {
                read_request(&mut outer);
                if tunnels {
                    outer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                }
                garble(outer);
            });
            let port = proxy.port;
            let result = dial(
                &format!("{url}://server.invalid/"),
                &config(&servers, &proxies, backend, port),
                LONG,
            );
            let error = text(proxy.join(result));
            assert!(
                error.starts_with(&format!("TLS handshake with the proxy 127.0.0.1:{port}: ")),
                "{error}"
            );
        }
        // And in the middle of everything.
        let proxy = proxies.certify("127.0.0.1").serve(move |mut outer| {
            read_request(&mut outer);
            outer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let head = switching(&read_request(&mut outer));
            outer.write_all(head.as_bytes()).unwrap();
            garble(outer);
        });
        let port = proxy.port;
        let connected =
            dial("ws://server.invalid/", &config(&servers, &proxies, backend, port), LONG);
        let mut stream = connected.unwrap_or_else(|failure| panic!("{failure:?}")).stream;
        let mut error = String::new();
        drive(&mut stream, |stream| match stream.read(&mut [0; 100]) {
            Err(failed) if failed.kind() != ErrorKind::WouldBlock => {
                error = failed.to_string();
                Ok(true)
            }
            other => other.map(|_| false),
        });
        drop(stream);
        let error = proxy.join(error);
        assert!(error.starts_with(&format!("TLS with the proxy 127.0.0.1:{port}: ")), "{error}");
    }

    #[test]
    fn a_proxy_without_tls_on_an_https_url_is_told_by_its_answer() {
        let proxy = Server::start(|mut stream| {
            let _ = stream.read(&mut [0; 1024]);
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        });
        let result = dial(URL, &through("https", proxy.port), LONG);
        let error = text(proxy.join(result));
        assert!(
            error.contains("does not speak TLS on this port") && error.contains("http://"),
            "{error}"
        );
    }

    #[test]
    fn a_silent_proxy_times_out_in_its_tls_handshake() {
        let proxy = Server::start(|mut stream| wait_for_end(&mut stream));
        let phase = phase_of_timeout_with(URL, &through("https", proxy.port));
        assert_eq!(proxy.join(phase), Some(Phase::Tls));
    }
}
