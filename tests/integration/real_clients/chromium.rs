//! Chromium without a screen. Its pages come from the port that their WebSockets then go to, and
//! have the script `tests/javascript/clients.js`; we tell them what to do over the browser's own
//! WebSocket, by its DevTools protocol.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use websocket_app::{OwnedMessage, Phase, WebSocket, WebSocketApp};

use super::chat::chat_server;
use super::over_ws_and_wss;
use super::served::Served;
use crate::failure::{Failure, lost};
use crate::program::{skip, system};
use crate::running::run;
use crate::watchdog::{PATIENCE, Watchdog, wait_until};

#[test]
fn messages_of_every_kind_come_back() {
    in_pages_over_http_and_https(&["texts", "binaries"]);
}

#[test]
fn ten_thousand_messages_in_a_burst() {
    in_pages_over_http_and_https(&["bursts"]);
}

#[test]
fn a_subprotocol_is_chosen_or_there_is_no_connection() {
    in_pages_over_http_and_https(&["subprotocols", "no_subprotocol_in_common"]);
}

#[test]
fn either_side_closes_with_code_and_reason() {
    in_pages_over_http_and_https(&["closed_by_the_server", "closed_by_us"]);
}

#[test]
fn what_is_refused_or_dropped_is_seen_as_lost() {
    in_pages_over_http_and_https(&["refused", "dropped"]);
}

#[test]
fn a_server_that_is_gone_is_seen_as_lost() {
    let Some(chromium) = Chromium::shared() else { return };
    let _watchdog = Watchdog::new();
    let served = Served::start(|server| server);
    let page = chromium.open(&served.page("/"));
    page.evaluate(&format!("stay({:?})", served.url("")));
    drop(served);
    page.evaluate("lost()");
}

/// With each combination of the server's parameters.
#[cfg(feature = "deflate")]
#[test]
fn messages_are_compressed() {
    let Some(chromium) = Chromium::shared() else { return };
    let _watchdog = Watchdog::new();
    let servers = super::served::compressing();
    let page = chromium.open(&servers[0].page("/"));
    for served in &servers {
        page.evaluate(&format!("compressed({:?})", served.url("")));
    }
}

#[test]
fn pages_of_other_sites_are_refused_unless_they_are_listed() {
    let Some(chromium) = Chromium::shared() else { return };
    let _watchdog = Watchdog::new();
    let site = Served::start(|server| server);
    let page = chromium.open(&site.page("/"));
    let other = Served::start(|server| server);
    page.evaluate(&format!("foreign({:?})", other.url("")));
    let origin = site.page("");
    let friend = Served::start(move |server| server.allow_origins([origin]));
    page.evaluate(&format!("texts({:?})", friend.url("")));
    let page = chromium.open(&site.page("/nobodys"));
    page.evaluate(&format!("foreign({:?})", site.url("")));
    let of_nobody = Served::start(|server| server.allow_origins(["null"]));
    page.evaluate(&format!("texts({:?})", of_nobody.url("")));
}

#[test]
fn the_server_knows_the_cookie_that_its_page_came_with() {
    let Some(chromium) = Chromium::shared() else { return };
    let _watchdog = Watchdog::new();
    over_ws_and_wss(|served| {
        let page = chromium.open(&served.page("/"));
        let tls = format!("tls {}", served.url("").starts_with("wss"));
        page.evaluate(&format!(
            "known({:?}, 'GET /request', 'query q=a%20b', 'cookie abc', {tls:?}, 'local true')",
            served.url("")
        ));
    });
}

#[test]
fn what_the_server_does_not_read_waits_until_it_reads_again() {
    let Some(chromium) = Chromium::shared() else { return };
    let _watchdog = Watchdog::new();
    over_ws_and_wss(|served| {
        let page = chromium.open(&served.page("/"));
        page.evaluate(&format!(
            "buffered({:?}, () => fetch('/release?id=buffered'))",
            served.url("")
        ));
    });
}

#[test]
fn the_page_of_the_chat_example_talks() {
    let Some(chromium) = Chromium::shared() else { return };
    let _watchdog = Watchdog::new();
    let server = chat_server::room("127.0.0.1:0").spawn().unwrap();
    let address = server.local_addr().expect("it listens on TCP");
    let app = run(WebSocketApp::new(format!("ws://{address}/")));
    app.expect_open();
    app.expect_text("1 has joined");

    let page = chromium.open(&format!("http://{address}/"));
    app.expect_text("2 has joined");
    shows(&page, &["2 has joined"]);
    page.evaluate("words.value = '<b>hello</b>'; document.forms[0].requestSubmit()");
    app.expect_text("2: <b>hello</b>");
    app.sender.send("good day").unwrap();
    app.expect_text("1: good day");
    shows(&page, &["1: good day", "2: <b>hello</b>", "2 has joined"]);
    drop(page);
    app.expect_text("2 has left");
    server.abort();
    app.expect_failure(Failure::Network(Phase::Open));
    app.expect_close(lost());
    app.end_given_up();
}

/// Waits until the page of the chat example shows these lines.
fn shows(page: &Page, lines: &[&str]) {
    page.evaluate(&format!(
        "new Promise((resolve, reject) => {{
            const shown = () => JSON.stringify([...heard.children].map((line) => line.textContent));
            const look = () => shown() === JSON.stringify({lines:?}) && resolve();
            new MutationObserver(look).observe(heard, {{ childList: true }});
            setTimeout(() => reject(new Error(shown())), {});
            look();
        }})",
        PATIENCE.as_millis()
    ));
}

/// Runs these functions of the script in a page, each with the server's URL.
fn in_pages_over_http_and_https(functions: &[&str]) {
    let Some(chromium) = Chromium::shared() else { return };
    let _watchdog = Watchdog::new();
    over_ws_and_wss(|served| {
        let page = chromium.open(&served.page("/"));
        for function in functions {
            page.evaluate(&format!("{function}({:?})", served.url("")));
        }
    });
}

/// A running browser. One serves the tests that run at the same time, and ends with the last of
/// them.
struct Chromium {
    process: Child,
    folder: PathBuf,
}

/// A page, gone when it is dropped.
struct Page {
    devtools: DevTools,
    target: String,
    browser: DevTools,
}

/// A connection to the browser, or to one page.
struct DevTools {
    socket: RefCell<WebSocket>,
    commands: Cell<u32>,
}

static SHARED: Mutex<Weak<Chromium>> = Mutex::new(Weak::new());

impl Chromium {
    /// Gives the running browser, or starts it. `None`, said on standard error, where there is none.
    fn shared() -> Option<Arc<Chromium>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Some(running);
        }
        let started = Arc::new(Chromium::start()?);
        *shared = Arc::downgrade(&started);
        Some(started)
    }

    fn start() -> Option<Chromium> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("chromium-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let log = File::create(folder.join("log")).unwrap();
        let spawned = system("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            // Nothing that is not of this machine; and of it no certificate is known to a browser.
            .args(["--no-proxy-server", "--disable-background-networking", "--no-first-run"])
            .args(["--ignore-certificate-errors", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        match spawned {
            Ok(process) => {
                let chromium = Chromium { process, folder };
                wait_until("Chromium listens", || chromium.address().is_some());
                Some(chromium)
            }
            Err(_) => {
                fs::remove_dir_all(folder).unwrap();
                skip("needs chromium");
                None
            }
        }
    }

    /// Returns where it listens, once it does: host, port and the path of the browser itself.
    fn address(&self) -> Option<(String, String)> {
        let told = fs::read_to_string(self.folder.join("profile/DevToolsActivePort")).ok()?;
        let (port, path) = told.split_once('\n')?;
        Some((format!("127.0.0.1:{port}"), path.trim().to_owned()))
    }

    /// Opens a page and waits until it is loaded.
    fn open(&self, url: &str) -> Page {
        let (address, path) = self.address().expect("it listens");
        let browser = DevTools::connect(&format!("ws://{address}{path}"));
        let made = browser.command("Target.createTarget", r#"{"url":"about:blank"}"#);
        let target = member(&made, "targetId");
        let devtools = DevTools::connect(&format!("ws://{address}/devtools/page/{target}"));
        devtools.command("Page.enable", "{}");
        devtools.command("Page.navigate", &format!(r#"{{"url":{}}}"#, quoted(url)));
        devtools.wait_for(r#"{"method":"Page.loadEventFired""#);
        Page { devtools, target, browser }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{}", fs::read_to_string(self.folder.join("log")).unwrap_or_default());
        }
        // Asked first, so that it ends its other processes.
        let _no_such_command = Command::new("kill").arg(self.process.id().to_string()).status();
        let deadline = Instant::now() + PATIENCE / 5;
        while self.process.try_wait().unwrap().is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        let _gone_already = self.process.kill();
        self.process.wait().unwrap();
        // They may be writing into it still.
        let deadline = Instant::now() + PATIENCE / 5;
        while fs::remove_dir_all(&self.folder).is_err() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Page {
    /// Evaluates an expression, and waits for the promise that it may be. Fails where it throws.
    fn evaluate(&self, expression: &str) {
        println!("{expression:.200}");
        let parameters = format!(
            r#"{{"expression":{},"awaitPromise":true,"returnByValue":true}}"#,
            quoted(expression)
        );
        let result = self.devtools.command("Runtime.evaluate", &parameters);
        assert!(!result.contains("exceptionDetails"), "{expression:.200}: {result}");
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if !thread::panicking() {
            let parameters = format!(r#"{{"targetId":{}}}"#, quoted(&self.target));
            self.browser.command("Target.closeTarget", &parameters);
        }
    }
}

impl DevTools {
    fn connect(url: &str) -> DevTools {
        let socket = WebSocket::builder(url).no_proxy().connect().unwrap();
        DevTools { socket: RefCell::new(socket), commands: Cell::new(0) }
    }

    /// Gives what it answers, as JSON.
    fn command(&self, method: &str, parameters: &str) -> String {
        let id = self.commands.replace(self.commands.get() + 1);
        let command = format!(r#"{{"id":{id},"method":{},"params":{parameters}}}"#, quoted(method));
        self.socket.borrow().send(command).unwrap();
        let answer = self.wait_for(&format!(r#"{{"id":{id},"#));
        assert!(answer.contains(r#""result":"#), "{method}: {answer}");
        answer
    }

    /// Gives the next message that begins so.
    fn wait_for(&self, beginning: &str) -> String {
        loop {
            // Longer than what is evaluated takes to give up.
            match self.socket.borrow_mut().recv_timeout(2 * PATIENCE).unwrap() {
                Some(OwnedMessage::Text(text)) if text.starts_with(beginning) => return text,
                Some(_) => {}
                None => panic!("no answer of Chromium, {beginning}"),
            }
        }
    }
}

/// Returns the value of a member that is a string without anything special in it.
fn member(json: &str, name: &str) -> String {
    let value = json.split_once(&format!(r#""{name}":""#)).expect("it has this member").1;
    value.split('"').next().expect("there is a first").to_owned()
}

/// Returns a string as JSON.
fn quoted(text: &str) -> String {
    let mut json = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c.is_control() => json += &format!("\\u{:04x}", u32::from(c)),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}
