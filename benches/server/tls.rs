//! The same over TLS.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};

use crate::bed::Bed;
use crate::compare::Bench;
use crate::load::{Clients, Exchange};
use crate::processors::Apart;
use crate::{child, connect, idle};

const CONNECTIONS: usize = 100;
const IDLE: usize = 1_000;

/// So many messages each at least.
const LEAST: usize = 2;

pub(crate) fn run(bench: &Bench, apart: &Apart) {
    let (cert, key) = certificate();
    let options = |server: &'static str, library: &'static str| {
        [server, library, &cert, &key].map(str::to_owned)
    };
    let mut servers = vec![
        ("tungstenite, threads, rustls", options("tungstenite", "tls=rustls")),
        ("websocket-app, rustls", options("ours", "tls=rustls")),
    ];
    if cfg!(feature = "native-tls") {
        servers.push(("websocket-app, native-tls", options("ours", "tls=native-tls")));
    }
    if child::has_peers() {
        servers.push(("tokio-tungstenite, rustls", options(child::PEER, "tls=rustls")));
        servers.push(("tokio-tungstenite, native-tls", options(child::PEER, "tls=native-tls")));
    }
    let servers: Vec<(&str, Vec<&str>)> = servers
        .iter()
        .map(|(name, options)| (*name, options.iter().map(String::as_str).collect()))
        .collect();
    for bytes in [20, 1 << 10] {
        echo(bench, apart, bytes, &servers);
    }
    for (name, option) in [
        ("tls connect, echo 20 B, close", None),
        ("tls connect again, echo 20 B, close", Some("resume")),
    ] {
        let ways: Vec<(&str, Vec<&str>)> = servers
            .iter()
            .map(|(name, options)| (*name, options.iter().copied().chain(option).collect()))
            .collect();
        let ways: Vec<(&str, &[&str])> =
            ways.iter().map(|(name, options)| (*name, &options[..])).collect();
        connect::compare(bench, apart, name, &ways);
    }
    resumed(bench, apart, &servers);
    let idle: Vec<(&str, &[&str], usize)> =
        servers.iter().map(|(name, options)| (*name, &options[..], IDLE)).collect();
    idle::compare(bench, apart, "tls idle", &idle);
}

fn echo(bench: &Bench, apart: &Apart, bytes: usize, servers: &[(&str, Vec<&str>)]) {
    let exchange = &Exchange::new(bytes, 1);
    let name = format!("tls echo {}", crate::compare::size(bytes));
    let mut case = bench.case(name, bytes);
    for (way, options) in servers {
        let mut bed = None;
        case = case.way_of_many(*way, LEAST * CONNECTIONS, move |count| {
            let new = || Bed::new(options, Some(apart), "/", CONNECTIONS);
            bed.get_or_insert_with(new).echo(exchange, count)
        });
    }
    case.run();
}

/// Whether clients who come again need no whole handshake.
fn resumed(bench: &Bench, apart: &Apart, servers: &[(&str, Vec<&str>)]) {
    bench.row("tls resumed", || {
        for (way, options) in servers {
            let served = child::Served::start(options);
            apart.put(served.id());
            let options: Vec<&str> = options.iter().copied().chain(["resume"]).collect();
            let mut clients = Clients::new(served.address(), &options);
            // What a session is resumed with comes after the handshake.
            clients.open("/", 10);
            clients.echo(&Exchange::new(20, 1), 1);
            clients.open_at_once("/", 10, 1);
            if !bench.only_tries() {
                println!("tls resumed: {way}: {} of 10", clients.resumed());
            }
        }
    });
}

/// A certificate for `localhost` and its key, as options.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (format!("cert={}", made.cert.pem()), format!("key={}", made.signing_key.serialize_pem()))
}

/// For clients of a server with these options, if it has TLS. Sessions are resumed if asked for.
pub(crate) fn client_config(options: &[&str]) -> Option<Arc<ClientConfig>> {
    let cert = options.iter().find_map(|option| option.strip_prefix("cert="))?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    if !options.contains(&"resume") {
        config.resumption = rustls::client::Resumption::disabled();
    }
    Some(Arc::new(config))
}
