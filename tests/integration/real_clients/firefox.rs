//! Firefox without a screen, with the page and the script that Chromium has. We tell it what to do by
//! WebDriver BiDi, of which it has one session only: the tests take turns.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::browser::{Browser, Page, Remote, Shared, in_pages_over_http_and_https, member, quoted};
use crate::program::system;
use crate::watchdog::{Watchdog, wait_until};

#[test]
fn messages_of_every_kind_come_back() {
    in_pages(&["texts", "binaries"]);
}

#[test]
fn ten_thousand_messages_in_a_burst() {
    in_pages(&["bursts"]);
}

#[test]
fn a_subprotocol_is_chosen_or_none() {
    in_pages(&["subprotocols", "without_subprotocol"]);
}

fn in_pages(functions: &[&str]) {
    let Some(firefox) = SHARED.running(Firefox::start) else { return };
    // Each has its own time, when it is its turn.
    let session = firefox.session.lock().unwrap_or_else(PoisonError::into_inner);
    let _watchdog = Watchdog::new();
    in_pages_over_http_and_https(|url| Tab::open(&session, url), functions);
}

static SHARED: Shared<Firefox> = Shared::new();

struct Firefox {
    session: Mutex<Remote>,
    _process: Browser,
}

/// A page, gone when it is dropped.
struct Tab<'a> {
    session: &'a Remote,
    context: String,
}

/// No proxy is asked for what is on this machine.
const PREFERENCES: &str = r#"user_pref("network.proxy.type", 0);"#;

impl Firefox {
    fn start() -> Option<Firefox> {
        let process = Browser::start("firefox-esr", |folder| {
            let profile = folder.join("profile");
            fs::create_dir_all(&profile).unwrap();
            fs::write(profile.join("user.js"), PREFERENCES).unwrap();
            // Some of what it writes is in its user's home, whatever the profile is.
            let mut firefox = system("firefox-esr");
            firefox.args(["--headless", "--no-remote", "--remote-debugging-port", "0"]);
            firefox.arg("--profile").arg(profile).arg("about:blank").env("HOME", folder);
            firefox
        })?;
        let told = process.folder().join("profile/WebDriverBiDiServer.json");
        let port = || {
            let told = fs::read_to_string(&told).ok()?;
            let behind = told.split_once(r#""ws_port":"#)?.1;
            Some(behind.split_once('\n')?.0.trim().to_owned())
        };
        wait_until("Firefox listens", || port().is_some());
        let port = port().expect("it was waited for");
        let session = Remote::connect(&format!("ws://127.0.0.1:{port}/session"));
        // Of this machine no certificate is known to a browser.
        let capabilities = r#"{"capabilities":{"alwaysMatch":{"acceptInsecureCerts":true}}}"#;
        session.command("session.new", capabilities);
        Some(Firefox { session: Mutex::new(session), _process: process })
    }
}

impl<'a> Tab<'a> {
    /// Opens a page and waits until it is loaded.
    fn open(session: &'a Remote, url: &str) -> Self {
        let made = session.command("browsingContext.create", r#"{"type":"tab"}"#);
        let context = member(&made, "context");
        session.command(
            "browsingContext.navigate",
            &format!(
                r#"{{"context":{},"url":{},"wait":"complete"}}"#,
                quoted(&context),
                quoted(url)
            ),
        );
        Tab { session, context }
    }
}

impl Page for Tab<'_> {
    fn evaluate(&self, expression: &str) {
        let target = format!(r#""target":{{"context":{}}}"#, quoted(&self.context));
        self.session.evaluate("script.evaluate", expression, &target);
    }
}

impl Drop for Tab<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            let parameters = format!(r#"{{"context":{}}}"#, quoted(&self.context));
            self.session.command("browsingContext.close", &parameters);
        }
    }
}
