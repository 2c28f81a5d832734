//! Through proxies, which are a few lines each.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::peers::{echo, echo_tls, head, nobody, patience};
use crate::process::{PATIENCE, command, run, start_command};

/// A proxy that serves one client after the other, and what each asked for.
struct Proxy {
    address: SocketAddr,
    asked: Receiver<String>,
}

/// Starts one. The closure says yes or no to a client, and returns what that asked for: a name, a port,
/// and something to say of it.
fn proxy(agree: impl Fn(&mut TcpStream) -> Option<(String, String)> + Send + 'static) -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, asked) = channel();
    thread::spawn(move || {
        while let Ok((mut client, _)) = listener.accept() {
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            let Some((target, said)) = agree(&mut client) else { continue };
            // It ends with the test.
            if tell.send(said).is_err() {
                return;
            }
            let server = TcpStream::connect(target).unwrap();
            relay(&client, &server);
            relay(&server, &client);
        }
    });
    Proxy { address, asked }
}

/// Passes on what one side says, on a thread.
fn relay(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

/// A proxy by HTTP CONNECT.
fn http() -> Proxy {
    proxy(|client| {
        let head = String::from_utf8(head(client)).unwrap();
        let target = head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
        if target.starts_with("refused") {
            client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").unwrap();
            return None;
        }
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
        Some((target, head))
    })
}

/// A proxy by SOCKS 5 (RFC 1928).
fn socks() -> Proxy {
    proxy(|client| {
        let mut methods = [0; 2];
        client.read_exact(&mut methods).unwrap();
        assert_eq!(methods[0], 5);
        client.read_exact(&mut vec![0; methods[1].into()]).unwrap();
        client.write_all(&[5, 0]).unwrap();
        let mut request = [0; 4];
        client.read_exact(&mut request).unwrap();
        let name = match request {
            [5, 1, 0, 1] => {
                let mut ip = [0; 4];
                client.read_exact(&mut ip).unwrap();
                std::net::Ipv4Addr::from(ip).to_string()
            }
            [5, 1, 0, 3] => {
                let mut length = [0];
                client.read_exact(&mut length).unwrap();
                let mut name = vec![0; length[0].into()];
                client.read_exact(&mut name).unwrap();
                String::from_utf8(name).unwrap()
            }
            other => panic!("{other:?}"),
        };
        let mut port = [0; 2];
        client.read_exact(&mut port).unwrap();
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        let target = format!("{name}:{}", u16::from_be_bytes(port));
        Some((target.clone(), target))
    })
}

#[test]
fn by_http_connect_with_and_without_tls_and_a_login() {
    let proxy = http();
    let (peer, _) = echo_tls();
    let plain = echo();
    for (url, port) in [(plain.url(), plain.port()), (peer.url(), peer.port())] {
        let through = format!("http://user:s3cret@{}", proxy.address);
        let ended = run(&[&url, "--proxy", &through, "-k", "-x", "hi", "-n", "1"], "");
        ended.with(0).wrote("hi\n").silently();
        let asked = proxy.asked.recv_timeout(patience()).unwrap();
        assert!(asked.starts_with(&format!("CONNECT localhost:{port} ")), "{asked}");
        assert!(
            asked.to_lowercase().contains("proxy-authorization: basic dxnlcjpzm2nyzxq="),
            "{asked}"
        );
    }
}

#[test]
fn by_socks_with_the_name_looked_up_by_either_side() {
    let proxy = socks();
    let peer = echo();
    for (scheme, name) in [("socks5h", "localhost"), ("socks5", "127.0.0.1")] {
        let through = format!("{scheme}://{}", proxy.address);
        run(&[&peer.url(), "--proxy", &through, "-x", "hi", "-n", "1"], "").with(0).wrote("hi\n");
        let asked = proxy.asked.recv_timeout(patience()).unwrap();
        assert_eq!(asked, format!("{name}:{}", peer.port()));
    }
}

#[test]
fn the_environment_names_one_and_no_proxy_goes_without() {
    let proxy = http();
    let peer = echo();
    let url = peer.url();
    for (more, through) in [(&[][..], true), (&["--no-proxy"], false)] {
        let mut command = command(&[&[&*url, "-x", "hi", "-n", "1"], more].concat());
        command.env("http_proxy", format!("http://{}", proxy.address));
        start_command(command).wait().with(0).wrote("hi\n");
        assert_eq!(proxy.asked.try_recv().is_ok(), through);
    }
}

#[test]
fn status_3_of_a_proxy_that_refuses_or_is_not_there() {
    let through = format!("http://user:s3cret@{}", http().address);
    let ended = run(&["ws://refused.example/", "--proxy", &through], "").with(3);
    let ended = ended.said(&["403", "--proxy"]);
    assert!(!ended.stderr.contains("s3cret"), "{ended:?}");
    let through = format!("http://{}", nobody());
    run(&["ws://any.example/", "--proxy", &through], "").with(3).said(&["refused"]);
}
