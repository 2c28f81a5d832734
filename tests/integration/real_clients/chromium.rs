//! Chromium without a screen. Its pages come from the port that their WebSockets then go to, and
//! have the script `tests/javascript/clients.js`; we tell them what to do over the browser's own
//! WebSocket, by its DevTools protocol.

use std::sync::Arc;
use std::{fs, thread};

use serde_json::{Value, json};
use websocket_app::{Phase, WebSocketApp};

use super::browser::{Browser, Page, Remote, Shared, in_pages_over_http_and_https, member, quoted};
use super::chat::chat_server;
use super::over_ws_and_wss;
use super::served::Served;
use crate::failure::{Failure, lost};
use crate::program::system;
use crate::running::run;
use crate::watchdog::{PATIENCE, Task, Watchdog, wait_until};

#[allow(dead_code)]
#[path = "../../../examples/chromium.rs"]
mod debugging;

#[test]
fn messages_of_every_kind_come_back() {
    in_pages(&["texts", "binaries"]);
}

#[test]
fn ten_thousand_messages_in_a_burst() {
    in_pages(&["bursts"]);
}

#[test]
fn a_subprotocol_is_chosen_or_there_is_no_connection() {
    in_pages(&["subprotocols", "no_subprotocol_in_common"]);
}

#[test]
fn either_side_closes_with_code_and_reason() {
    in_pages(&["closed_by_the_server", "closed_by_us"]);
}

#[test]
fn what_is_refused_or_dropped_is_seen_as_lost() {
    in_pages(&["refused", "dropped"]);
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

/// Of each thread's the last is answered first.
#[test]
fn the_example_that_debugs_it_calls_from_several_threads() {
    let Some(chromium) = Chromium::shared() else { return };
    let _watchdog = Watchdog::new();
    let (address, path) = chromium.address().expect("it listens");
    let (browser, app) = debugging::Browser::connect(&format!("ws://{address}{path}")).unwrap();
    let calling = [1, 2, 3, 4].map(|number| {
        let browser = browser.clone();
        let expression = format!(
            "new Promise((resolve) => setTimeout(() => resolve({{ n: {number} }}), {}))",
            400 - 100 * number
        );
        Task::start("an evaluation", move || {
            browser.evaluate(&expression).map_err(|e| e.to_string())
        })
    });
    for (call, number) in calling.into_iter().zip(1..) {
        assert_eq!(call.join().unwrap()["n"], number);
    }
    let thrown = browser.evaluate("nobody.knows").unwrap_err().to_string();
    assert!(thrown.contains("nobody is not defined"), "{thrown}");
    let unknown = browser.call(&Value::Null, "No.such", json!({})).unwrap_err().to_string();
    assert!(unknown.contains("No.such"), "{unknown}");
    app.close();
    assert!(app.join().is_ok());
    assert!(browser.evaluate("1").unwrap_err().to_string().contains("not sent"));
}

/// Waits until the page of the chat example shows these lines.
fn shows(page: &Tab, lines: &[&str]) {
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
fn in_pages(functions: &[&str]) {
    let Some(chromium) = Chromium::shared() else { return };
    let _watchdog = Watchdog::new();
    in_pages_over_http_and_https(|url| chromium.open(url), functions);
}

static SHARED: Shared<Chromium> = Shared::new();

struct Chromium(Browser);

/// A page, gone when it is dropped.
struct Tab {
    page: Remote,
    target: String,
    browser: Remote,
}

impl Chromium {
    /// Gives the running browser, or starts it. `None`, said on standard error, where there is none.
    fn shared() -> Option<Arc<Chromium>> {
        SHARED.running(Chromium::start)
    }

    fn start() -> Option<Chromium> {
        let process = Browser::start("chromium", |folder| {
            let mut chromium = system("chromium");
            chromium
                .args([
                    "--headless=new",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                ])
                // Nothing that is not of this machine; and of it no certificate is known to a browser.
                .args(["--no-proxy-server", "--disable-background-networking", "--no-first-run"])
                .args(["--ignore-certificate-errors", "--remote-debugging-port=0"])
                .arg(format!("--user-data-dir={}", folder.join("profile").display()))
                .arg("about:blank");
            chromium
        })?;
        let chromium = Chromium(process);
        wait_until("Chromium listens", || chromium.address().is_some());
        Some(chromium)
    }

    /// Returns where it listens, once it does: host, port and the path of the browser itself.
    fn address(&self) -> Option<(String, String)> {
        let told = fs::read_to_string(self.0.folder().join("profile/DevToolsActivePort")).ok()?;
        let (port, path) = told.split_once('\n')?;
        Some((format!("127.0.0.1:{port}"), path.trim().to_owned()))
    }

    /// Opens a page and waits until it is loaded.
    fn open(&self, url: &str) -> Tab {
        let (address, path) = self.address().expect("it listens");
        let browser = Remote::connect(&format!("ws://{address}{path}"));
        let made = browser.command("Target.createTarget", r#"{"url":"about:blank"}"#);
        let target = member(&made, "targetId");
        let page = Remote::connect(&format!("ws://{address}/devtools/page/{target}"));
        page.command("Page.enable", "{}");
        page.command("Page.navigate", &format!(r#"{{"url":{}}}"#, quoted(url)));
        page.wait_for(&[r#"{"method":"Page.loadEventFired""#]);
        Tab { page, target, browser }
    }
}

impl Page for Tab {
    fn evaluate(&self, expression: &str) {
        self.page.evaluate("Runtime.evaluate", expression, r#""returnByValue":true"#);
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        if !thread::panicking() {
            let parameters = format!(r#"{{"targetId":{}}}"#, quoted(&self.target));
            self.browser.command("Target.closeTarget", &parameters);
        }
    }
}
