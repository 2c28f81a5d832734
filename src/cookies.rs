//! [`Cookies`]: what a server sets goes back to it with the next request (RFC 6265). A leaf: no I/O; which cookie matches
//! which URL is decided by `cookie_store`.

use std::cmp::Reverse;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use cookie_store::{Cookie, CookieStore};
use url::{Position, Url};

use crate::error::Error;
use crate::headers::Headers;

/// As much as RFC 6265 §6.1 asks a client to take of one cookie.
const MAX_COOKIE: usize = 4096;

/// More than any server sets, and not so many that a bad one could fill our memory.
const MAX_COOKIES: usize = 200;

/// The cookies of one app. Clones share them, and so do all attempts to connect; the lock is held for a moment.
#[derive(Clone, Default)]
pub(crate) struct Cookies(Arc<Mutex<CookieStore>>);

impl Cookies {
    pub(crate) fn check() -> Result<(), Error> {
        Ok(())
    }

    /// Takes the cookies that a response sets. Those that RFC 6265 does not allow this server are ignored, as it asks.
    pub(crate) fn store(&self, url: &Url, headers: &Headers) {
        let url = http(url);
        let mut store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for cookie in headers.get_all("Set-Cookie") {
            // §5.2: what has control characters is no cookie.
            if cookie.len() > MAX_COOKIE || cookie.chars().any(|c| c.is_ascii_control()) {
                continue;
            }
            let Ok(cookie) = Cookie::parse(cookie, &url) else { continue };
            if has_room(&mut store, &cookie) {
                let _not_allowed = store.insert(cookie.into_owned(), &url);
            }
        }
    }

    /// Gives the value of a `Cookie` header (§5.4): those that go to this URL, and those `given` by the program that the
    /// server has not set anew.
    pub(crate) fn header(&self, url: &Url, given: Option<&str>) -> Option<String> {
        let url = http(url);
        let store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = store.matches(&url);
        // Those with longer paths first; the names are for an order that is always the same.
        kept.sort_by_key(|cookie| (Reverse(cookie.path.len()), cookie.name().to_owned()));
        let given = given.into_iter().flat_map(|given| given.split(';')).map(str::trim).filter(|pair| !pair.is_empty());
        let set_anew =
            |pair: &str| kept.iter().any(|cookie| cookie.name() == pair.split('=').next().unwrap_or_default());
        let pairs: Vec<String> = given
            .filter(|pair| !set_anew(pair))
            .map(str::to_owned)
            .chain(kept.iter().map(|cookie| format!("{}={}", cookie.name(), cookie.value())))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// There always is for one that replaces another, or takes it away.
fn has_room(store: &mut CookieStore, cookie: &Cookie<'_>) -> bool {
    let same =
        |kept: &Cookie<'_>| kept.name() == cookie.name() && kept.domain == cookie.domain && kept.path == cookie.path;
    if store.iter_any().count() < MAX_COOKIES || store.iter_any().any(same) {
        return true;
    }
    forget_expired(store);
    store.iter_any().count() < MAX_COOKIES
}

fn forget_expired(store: &mut CookieStore) {
    let unexpired: Vec<_> = store.iter_unexpired().cloned().map(Ok::<_, Infallible>).collect();
    let Ok(rest) = CookieStore::from_cookies(unexpired, false);
    *store = rest;
}

/// Cookies do not tell `ws` from `http`, nor `wss` from `https`; RFC 6265 knows the latter only.
fn http(url: &Url) -> Url {
    let scheme = if url.scheme() == "wss" { "https" } else { "http" };
    let rest = &url[Position::AfterScheme..];
    // It differs from a URL in its scheme only, for another of the same kind.
    Url::parse(&format!("{scheme}{rest}")).unwrap_or_else(|_| url.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(url: &str) -> Url {
        Url::parse(url).unwrap()
    }

    fn set(cookies: &Cookies, from: &str, values: &[&str]) {
        let fields = values.iter().map(|value| ("set-cookie".to_owned(), (*value).to_owned())).collect();
        cookies.store(&url(from), &Headers::new(fields));
    }

    fn header(cookies: &Cookies, to: &str) -> Option<String> {
        cookies.header(&url(to), None)
    }

    #[test]
    fn what_a_server_sets_goes_back_to_it_and_to_no_other() {
        let cookies = Cookies::default();
        assert_eq!(header(&cookies, "ws://a.example/"), None);
        set(&cookies, "ws://a.example/chat/room", &["session=1; HttpOnly", "b=2; Path=/"]);
        for (to, sent) in [
            ("ws://a.example/chat/other", Some("session=1; b=2")),
            ("wss://a.example/chat/", Some("session=1; b=2")),
            ("ws://a.example/", Some("b=2")),
            ("ws://b.example/chat/room", None),
            ("ws://x.a.example/chat/room", None),
        ] {
            assert_eq!(header(&cookies, to).as_deref(), sent, "{to}");
        }
    }

    #[test]
    fn attributes_are_heeded() {
        let cookies = Cookies::default();
        set(
            &cookies,
            "wss://a.example/",
            &[
                "secure=1; Secure",
                "wide=1; Domain=a.example",
                "foreign=1; Domain=b.example",
                "old=1; Max-Age=0",
                "older=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            ],
        );
        assert_eq!(header(&cookies, "wss://a.example/").as_deref(), Some("secure=1; wide=1"));
        assert_eq!(header(&cookies, "ws://a.example/").as_deref(), Some("wide=1"));
        assert_eq!(header(&cookies, "wss://x.a.example/").as_deref(), Some("wide=1"));
        assert_eq!(header(&cookies, "wss://b.example/"), None);
        set(&cookies, "wss://a.example/", &["secure=2; Secure", "wide=; Domain=a.example; Max-Age=0"]);
        assert_eq!(header(&cookies, "wss://a.example/").as_deref(), Some("secure=2"));
    }

    #[test]
    fn the_servers_value_replaces_the_programs() {
        let cookies = Cookies::default();
        let to = url("ws://a.example/");
        assert_eq!(cookies.header(&to, Some("a=1;b=2 ; ")).as_deref(), Some("a=1; b=2"));
        set(&cookies, "ws://a.example/", &["b=3"]);
        assert_eq!(cookies.header(&to, Some("a=1;b=2")).as_deref(), Some("a=1; b=3"));
    }

    #[test]
    fn neither_many_nor_long_cookies_fill_the_memory() {
        let cookies = Cookies::default();
        let many: Vec<String> = (0..2 * MAX_COOKIES).map(|i| format!("c{i}=1")).collect();
        set(&cookies, "ws://a.example/", &many.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(header(&cookies, "ws://a.example/").unwrap().split("; ").count(), MAX_COOKIES);
        set(&cookies, "ws://a.example/", &["late=1", "c0=; Max-Age=0"]);
        let sent = header(&cookies, "ws://a.example/").unwrap();
        assert!(!sent.contains("c0=") && !sent.contains("late"), "{sent}");
        // What has expired makes room.
        set(&cookies, "ws://a.example/", &["late=1"]);
        assert!(header(&cookies, "ws://a.example/").unwrap().contains("late=1"));

        let cookies = Cookies::default();
        set(&cookies, "ws://a.example/", &[&format!("long={}", "x".repeat(MAX_COOKIE)), "odd=\u{7f}", "", "="]);
        assert_eq!(header(&cookies, "ws://a.example/"), None);
    }
}
