//! A process whose environment names a proxy. It is this program again, with one test that
//! connects: a test must not change the environment of those beside it.

use std::env;
use std::net::SocketAddr;
use std::process::Command;

use websocket_app::{TlsConfig, WebSocket};

use super::echo;
use crate::connection::Connection;
use crate::frame::Frame;
use crate::peer::Peer;
use crate::tls::BACKENDS;
use crate::watchdog::within;

const VARIABLES: [&str; 12] = [
    "ws_proxy",
    "WS_PROXY",
    "wss_proxy",
    "WSS_PROXY",
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// Says to the process that runs it again what it is to connect to, and how.
const URL: &str = "WEBSOCKET_TEST_URL";
const OPTION: &str = "WEBSOCKET_TEST_OPTION";
/// For `wss://`: the library, and whom it trusts.
const BACKEND: &str = "WEBSOCKET_TEST_BACKEND";
const ROOT: &str = "WEBSOCKET_TEST_ROOT";

/// In the process that runs again: connects, says hello, and prints what it is connected to and
/// what it hears, or the error.
#[test]
fn again() {
    let Ok(url) = env::var(URL) else { return };
    let tls = match (env::var(BACKEND), env::var(ROOT)) {
        (Ok(backend), Ok(root)) => {
            let backend = BACKENDS.iter().find(|known| format!("{known:?}") == backend).unwrap();
            TlsConfig::new().backend(*backend).root_certificate(root)
        }
        _ => TlsConfig::new(),
    };
    let builder = WebSocket::builder(url).tls(tls);
    let connected = match env::var(OPTION).unwrap_or_default().as_str() {
        "" => builder.connect(),
        "no_proxy" => builder.no_proxy().connect(),
        proxy => builder.proxy(proxy).connect(),
    };
    match connected {
        Ok(mut ws) => {
            ws.send("hello").unwrap();
            println!(
                "connected to {}: {}",
                ws.handshake().peer_addr().unwrap(),
                ws.recv().unwrap()
            );
        }
        Err(error) => println!("failed: {error}"),
    }
}

/// Runs it again with these variables and gives what it printed.
fn connects(url: &str, option: &str, variables: &[(&str, String)]) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "proxy::environment::again", "--nocapture"]);
    for name in VARIABLES {
        command.env_remove(name);
    }
    command
        .env(URL, url)
        .env(OPTION, option)
        .envs(variables.iter().map(|(name, value)| (name, value)));
    let output = within("the process", move || command.output().unwrap());
    assert!(output.status.success(), "{output:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let line =
        stdout.lines().find(|line| line.contains("connected to") || line.contains("failed: "));
    line.unwrap_or_else(|| panic!("{stdout}")).to_owned()
}

/// Whether that is what it is connected to, and whether it is a server that answers, behind that or
/// there.
fn is_answered_by(connected: &str, addr: SocketAddr) -> bool {
    connected.ends_with(&format!("connected to {addr}: hi"))
}

/// A proxy that is also the server: what it opens a tunnel to is itself.
fn proxy(clients: usize) -> Peer {
    Peer::start(move |listener| {
        for _ in 0..clients {
            let mut client = listener.accept();
            assert_eq!(client.read_request().line, "CONNECT server.invalid:80 HTTP/1.1");
            client.write("HTTP/1.1 200 OK\r\n\r\n");
            serve(client);
        }
    })
}

fn serve(mut client: Connection) {
    client.upgrade();
    client.expect_text("hello");
    client.send(Frame::text("hi"));
    client.stay_silent();
}

#[test]
fn the_environment_names_the_proxy_and_the_options_overrule_it() {
    const SERVER: &str = "ws://server.invalid/";
    let (named, chosen) = (proxy(4), proxy(1));
    let direct = Peer::start(|listener| (0..4).for_each(|_| serve(listener.accept())));
    let url = format!("http://{}", named.addr());
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        let connected = connects(SERVER, "", &[(name, url.clone())]);
        assert!(is_answered_by(&connected, named.addr()), "{name}: {connected}");
    }
    let option = format!("http://{}", chosen.addr());
    let connected =
        connects(SERVER, &option, &[("http_proxy", url.clone()), ("no_proxy", "*".into())]);
    assert!(is_answered_by(&connected, chosen.addr()), "{connected}");
    for (option, variables) in [
        ("no_proxy", vec![("http_proxy", url.clone())]),
        ("", vec![("http_proxy", url.clone()), ("NO_PROXY", "other, 127.0.0.0/8".into())]),
        ("", vec![("http_proxy", url.clone()), ("NO_PROXY", "[::ffff:127.0.0.0]/104".into())]),
        ("", vec![("https_proxy", url), ("http_proxy", String::new())]),
    ] {
        let connected = connects(&direct.url(), option, &variables);
        assert!(is_answered_by(&connected, direct.addr()), "{connected}");
    }
}

#[test]
fn a_variable_that_is_wrong_is_named_without_its_password() {
    let peer = echo(0);
    let failed = connects(&peer.url(), "", &[("ALL_PROXY", "socks://alice:wonder@host".into())]);
    assert!(
        failed.contains("the environment's ALL_PROXY, \"socks://…@host\": its scheme is none of"),
        "{failed}"
    );
}

/// With TLS to the server through it.
#[cfg(feature = "__tls")]
#[test]
fn a_real_proxy_is_used_for_wss_but_for_whom_the_environment_excepts() {
    crate::tls::on_each(|backend| {
        let Some(proxy) = super::tinyproxy("") else { return };
        let certificate = crate::tls::Certificate::new();
        let server = Peer::start_tls_as(&certificate, backend, |listener| {
            (0..7).for_each(|_| serve(listener.accept()));
        });
        let named = |name| (name, format!("http://{}", proxy.addr()));
        for (variables, connected_to) in [
            (vec![named("HTTPS_PROXY")], proxy.addr()),
            (vec![named("https_proxy")], proxy.addr()),
            (vec![named("ALL_PROXY")], proxy.addr()),
            (
                vec![named("HTTPS_PROXY"), ("NO_PROXY", "other.example, localhost:1".into())],
                proxy.addr(),
            ),
            (
                vec![named("HTTPS_PROXY"), ("NO_PROXY", "other.example, localhost".into())],
                server.addr(),
            ),
            (vec![named("ALL_PROXY"), ("no_proxy", "*".into())], server.addr()),
            (vec![named("HTTP_PROXY")], server.addr()),
        ] {
            let trusting =
                [(BACKEND, format!("{backend:?}")), (ROOT, certificate.pem().to_owned())];
            let connected = connects(&server.url(), "", &[&variables[..], &trusting[..]].concat());
            assert!(is_answered_by(&connected, connected_to), "{variables:?}: {connected}");
        }
    });
}
