//! nginx as a reverse proxy for ws and wss, in front of a scripted peer: its timeouts, and what it
//! makes of refusals.

use std::time::Duration;

use websocket_app::{ClosedBy, Phase, Rejection, TlsBackend, TlsConfig, WebSocketApp};

use super::certificates::{Authority, Folder, Kind};
use super::program::{Program, is_there};
use crate::connection::Connection;
use crate::failure::{Failure, clean, ending, lost};
use crate::frame::Frame;
use crate::peer::{Listener, Peer};
use crate::program::{free_port, system};
use crate::recorder::Call;
use crate::running::run;
use crate::tls::BACKENDS;
use crate::watchdog::at_once;

/// How long nginx waits for the peer, in seconds. Waited for in two tests, and long enough for the
/// others.
const PATIENCE: u64 = 3;

pub(super) struct Nginx {
    ws: u16,
    wss: u16,
    trusted: TlsConfig,
    _program: Program,
    _folder: Folder,
}

impl Nginx {
    /// Starts it in front of this peer.
    fn start(peer: &Peer) -> Self {
        Nginx::start_with(peer, &Authority::new("the test's authority"), Kind::Right, "")
    }

    /// The same with a certificate of this kind, and with these directives, which may name the
    /// authority `root.pem`.
    pub(super) fn start_with(
        peer: &Peer,
        authority: &Authority,
        kind: Kind,
        directives: &str,
    ) -> Self {
        let (folder, certified) = (Folder::new(), authority.certify(kind));
        folder.write("chain.pem", certified.chain);
        folder.write("key.pem", certified.key);
        folder.write("root.pem", authority.pem());
        // nginx takes no port but one that it is told, which somebody else may be quicker to take.
        for _ in 0..20 {
            let [ws, wss] = free_ports();
            let path =
                folder.write("nginx.conf", configuration(&folder, ws, wss, peer, directives));
            let mut command = system("nginx");
            let program = Program::start(command.arg("-p").arg(folder.path()).arg("-c").arg(path));
            let is_up = program.find("word of its start", |output| {
                let output = String::from_utf8_lossy(output);
                match () {
                    () if output.contains("Address already in use") => Some(false),
                    // Said when it listens.
                    () if output.contains("[notice]") && output.contains("OS: ") => Some(true),
                    () => None,
                }
            });
            if is_up {
                let trusted = authority.trusted();
                return Nginx { ws, wss, trusted, _program: program, _folder: folder };
            }
        }
        panic!("nginx finds no free port");
    }

    /// By `wss://` with this library, or by `ws://`.
    fn app(&self, backend: Option<TlsBackend>, path: &str) -> WebSocketApp {
        match backend {
            None => WebSocketApp::new(format!("ws://localhost:{}{path}", self.ws)),
            Some(backend) => {
                WebSocketApp::new(self.wss_url(path)).tls(self.trusted.clone().backend(backend))
            }
        }
    }

    pub(super) fn wss_url(&self, path: &str) -> String {
        format!("wss://localhost:{}{path}", self.wss)
    }
}

/// Two that are not the same.
fn free_ports() -> [u16; 2] {
    loop {
        let [one, other] = [(); 2].map(|()| free_port());
        if one != other {
            return [one, other];
        }
    }
}

fn configuration(folder: &Folder, ws: u16, wss: u16, peer: &Peer, directives: &str) -> String {
    let (folder, peer) = (folder.path().display(), peer.addr());
    format!(
        r#"
daemon off;
master_process off;
pid "{folder}/nginx.pid";
error_log stderr notice;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path "{folder}/body";
    proxy_temp_path "{folder}/proxy";
    fastcgi_temp_path "{folder}/fastcgi";
    uwsgi_temp_path "{folder}/uwsgi";
    scgi_temp_path "{folder}/scgi";
    server {{
        listen 127.0.0.1:{ws};
        listen 127.0.0.1:{wss} ssl;
        ssl_certificate chain.pem;
        ssl_certificate_key key.pem;
        {directives}
        location / {{
            proxy_pass http://{peer};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $http_host;
            proxy_read_timeout {PATIENCE}s;
        }}
        location /forbidden {{ return 403 "not for you"; }}
        location /moved {{ return 301 /; }}
        location /no-upgrade {{ proxy_pass http://{peer}; }}
    }}
}}
"#
    )
}

/// Runs a test by `ws://` and, with each library, by `wss://`: `None`, then the libraries.
fn each_way(test: impl Fn(Option<TlsBackend>) + Sync) {
    if is_there("nginx") {
        at_once([None].into_iter().chain(BACKENDS.iter().copied().map(Some)), test);
    }
}

pub(super) fn rejection(app: WebSocketApp) -> Box<Rejection> {
    let app = run(app);
    let failure = app.failure();
    app.expect_close(lost());
    app.end_given_up();
    match failure {
        Failure::Rejected(rejection) => rejection,
        other => panic!("{other:?}"),
    }
}

/// A peer that reads the request, which nginx passes on, and answers this.
fn refusing(answer: &'static str) -> Peer {
    Peer::start(move |listener| {
        let mut proxy = listener.accept();
        proxy.read_request();
        proxy.write(answer);
        drop(proxy);
        listener.wait_for_the_test();
    })
}

pub(super) fn unused() -> Peer {
    Peer::start(Listener::wait_for_the_test)
}

#[test]
fn messages_of_every_size_go_both_ways() {
    const LENGTHS: [usize; 6] = [0, 125, 126, 65_536, 100_000, 1 << 20];
    each_way(|backend| {
        let peer = Peer::start(|listener| {
            let mut proxy = listener.open();
            for length in LENGTHS {
                let frame = Frame::binary(vec![b'x'; length]);
                proxy.send(frame.clone());
                proxy.expect(frame);
            }
            proxy.close(1000, "done");
        });
        let nginx = Nginx::start(&peer);
        let app = run(nginx.app(backend, "/"));
        app.expect_open();
        for length in LENGTHS {
            app.expect_binary(&vec![b'x'; length]);
            app.sender.send(vec![b'x'; length]).unwrap();
        }
        app.expect_close(clean(ClosedBy::Peer, 1000, "done"));
        app.end_in_order();
    });
}

/// nginx hangs up without a Close frame; over TLS, in order as far as TLS goes.
#[test]
fn a_proxy_that_loses_patience_is_a_lost_connection() {
    each_way(|backend| {
        let peer = Peer::start(|listener| listener.open().stay_silent());
        let nginx = Nginx::start(&peer);
        let app = run(nginx.app(backend, "/").ping_interval(None));
        app.expect_open();
        app.expect_failure(Failure::Network(Phase::Open));
        app.expect_close(lost());
        app.end_given_up();
    });
}

/// How many there are in the time that nginx would wait.
const PINGS: u32 = 4;

#[test]
fn pings_keep_a_proxy_patient() {
    each_way(|backend| {
        let peer = Peer::start(|listener| {
            let mut proxy = listener.open();
            // For longer than nginx would wait without them, and a half.
            for _ in 0..PINGS * 3 / 2 {
                let payload = proxy.expect_ping();
                proxy.send(Frame::pong(payload));
            }
            proxy.close(1000, "");
        });
        let nginx = Nginx::start(&peer);
        let app = run(nginx.app(backend, "/").ping_interval(Duration::from_secs(PATIENCE) / PINGS));
        app.expect_open();
        let close = loop {
            match app.next() {
                Call::Pong(_) => {}
                Call::Close(close) => break close,
                call => panic!("{call:?}"),
            }
        };
        assert_eq!(ending(&close), clean(ClosedBy::Peer, 1000, ""));
        app.end_in_order();
    });
}

#[test]
fn a_refusal_of_the_proxys_own_has_its_body() {
    each_way(|backend| {
        let peer = unused();
        let nginx = Nginx::start(&peer);
        let rejection = rejection(nginx.app(backend, "/forbidden"));
        assert_eq!((rejection.status, rejection.body.as_slice()), (403, &b"not for you"[..]));
    });
}

#[test]
fn a_redirect_of_the_proxys_tells_where_to() {
    each_way(|backend| {
        let peer = unused();
        let nginx = Nginx::start(&peer);
        let rejection = rejection(nginx.app(backend, "/moved"));
        let location = rejection.headers.get("location").unwrap_or_default().to_owned();
        assert!(rejection.status == 301 && location.ends_with('/'), "{location}");
    });
}

#[test]
fn a_chunked_refusal_is_put_together() {
    each_way(|backend| {
        let peer = refusing(
            "HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\nRetry-After: 7\r\n\r\n\
             5\r\ntry a\r\n6\r\ngain  \r\n5\r\nlater\r\n0\r\n\r\n",
        );
        let nginx = Nginx::start(&peer);
        let rejection = rejection(nginx.app(backend, "/"));
        assert_eq!((rejection.status, rejection.body.as_slice()), (503, &b"try again  later"[..]));
        assert_eq!(rejection.headers.get("retry-after"), Some("7"));
    });
}

/// The body is there at once, before nginx has said how long it is, and ends with the connection.
#[test]
fn a_body_that_ends_with_the_connection_is_read() {
    each_way(|backend| {
        let peer = refusing("HTTP/1.0 401 Unauthorized\r\n\r\nwho are you?");
        let nginx = Nginx::start(&peer);
        let rejection = rejection(nginx.app(backend, "/"));
        assert_eq!((rejection.status, rejection.body.as_slice()), (401, &b"who are you?"[..]));
    });
}

#[test]
fn a_server_that_answers_before_it_has_read_is_heard() {
    each_way(|backend| {
        let peer = Peer::start(|listener| {
            let mut proxy: Connection = listener.accept();
            proxy.write("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 8\r\n\r\ntoo many");
            // nginx may have hung up upon the answer.
            let _ = proxy.try_read_request();
            listener.wait_for_the_test();
        });
        let nginx = Nginx::start(&peer);
        let rejection = rejection(nginx.app(backend, "/"));
        assert_eq!((rejection.status, rejection.body.as_slice()), (429, &b"too many"[..]));
    });
}

#[test]
fn a_server_that_hangs_up_is_a_bad_gateway() {
    each_way(|backend| {
        let peer = refusing("");
        let nginx = Nginx::start(&peer);
        let rejection = rejection(nginx.app(backend, "/"));
        assert_eq!(rejection.status, 502);
        assert!(String::from_utf8_lossy(&rejection.body).contains("502 Bad Gateway"));
    });
}

#[test]
fn a_server_that_does_not_answer_is_a_gateway_timeout() {
    each_way(|backend| {
        let peer = Peer::start(|listener| listener.accept().stay_silent());
        let nginx = Nginx::start(&peer);
        assert_eq!(rejection(nginx.app(backend, "/")).status, 504);
    });
}

/// The commonest mistake: nginx does not pass the headers of the upgrade on unless it is told to.
#[test]
fn a_proxy_that_keeps_the_upgrade_to_itself() {
    each_way(|backend| {
        let peer = Peer::start(|listener| {
            let mut proxy = listener.accept();
            assert_eq!(proxy.read_request().header("upgrade"), None);
            proxy.write("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n");
            listener.wait_for_the_test();
        });
        let nginx = Nginx::start(&peer);
        assert_eq!(rejection(nginx.app(backend, "/no-upgrade")).status, 426);
    });
}
