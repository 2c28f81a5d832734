//! [`Cookies`]: what a server sets goes back to it with the next request (RFC 6265). A leaf: no
//! I/O; which cookie matches which URL is decided by `cookie_store`.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cookie_store::{Cookie, CookieDomain, CookieStore};
use url::{Position, Url};

use crate::error::Error;
use crate::headers::Headers;

/// As much as RFC 6265 §6.1 asks a client to take of one cookie.
const MAX_COOKIE: usize = 4096;

/// More than any server sets, and not so many that a bad one could fill our memory. For all servers
/// of the network together, and for each Unix socket.
const MAX_COOKIES: usize = 200;

/// Apps have one Unix socket, or one for each of a few servers; one that has a new one each time is
/// not to grow for ever.
const MAX_SOCKETS: usize = 8;

/// The cookies of one app. Clones share them, and so do all attempts to connect; the lock is held
/// for a moment.
#[derive(Clone, Default)]
pub(crate) struct Cookies(Arc<Mutex<Stores>>);

/// Hosts and paths tell the network's servers apart. Those behind Unix sockets are all asked for
/// `localhost`, so each has a store of its own.
#[derive(Default)]
struct Stores {
    network: CookieStore,
    /// The one that was used first is the first to go.
    sockets: VecDeque<(PathBuf, CookieStore)>,
}

impl Stores {
    fn of(&mut self, socket: Option<&Path>) -> &mut CookieStore {
        let Some(path) = socket else { return &mut self.network };
        let known = self.sockets.iter().position(|(known, _)| known == path);
        let at = known.unwrap_or_else(|| {
            if self.sockets.len() == MAX_SOCKETS {
                self.sockets.pop_front();
            }
            self.sockets.push_back((path.to_owned(), CookieStore::default()));
            self.sockets.len() - 1
        });
        &mut self.sockets[at].1
    }
}

impl Cookies {
    pub(crate) fn check() -> Result<(), Error> {
        Ok(())
    }

    /// Takes the cookies that a response sets, of a server behind a Unix socket if there is one.
    /// Those that RFC 6265 does not allow this server are ignored, as it asks.
    pub(crate) fn store(&self, url: &Url, socket: Option<&Path>, headers: &Headers) {
        let url = http(url);
        let mut stores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let store = stores.of(socket);
        for cookie in headers.get_all("Set-Cookie") {
            // §5.2: what has control characters is no cookie.
            if cookie.len() > MAX_COOKIE || cookie.chars().any(|c| c.is_ascii_control()) {
                continue;
            }
            let Ok(cookie) = Cookie::parse(cookie, &url) else { continue };
            let Some(cookie) = for_no_top_level_domain(cookie, &url) else { continue };
            if has_room(store, &cookie) {
                let _not_allowed = store.insert(cookie.into_owned(), &url);
            }
        }
    }

    /// Returns the value of a `Cookie` header (§5.4): those that go to this URL, and those `given`
    /// by the program that the server has not set anew.
    pub(crate) fn header(
        &self,
        url: &Url,
        socket: Option<&Path>,
        given: Option<&str>,
    ) -> Option<String> {
        let url = http(url);
        let mut stores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = stores.of(socket).matches(&url);
        // Those with longer paths first; the names are for an order that is always the same.
        kept.sort_by_key(|cookie| (Reverse(cookie.path.len()), cookie.name().to_owned()));
        let given = given
            .into_iter()
            .flat_map(|given| given.split(';'))
            .map(str::trim)
            .filter(|pair| !pair.is_empty());
        let set_anew = |pair: &str| {
            kept.iter().any(|cookie| cookie.name() == pair.split('=').next().unwrap_or_default())
        };
        let pairs: Vec<String> = given
            .filter(|pair| !set_anew(pair))
            .map(str::to_owned)
            .chain(kept.iter().map(|cookie| format!("{}={}", cookie.name(), cookie.value())))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// §5.3 step 5, as far as the name alone tells a public suffix: one without a dot within is a
/// top-level domain, under which anybody may have a host. A host of such a name, like `localhost`,
/// gets the cookie for itself.
///
/// Not from the list of public suffixes, which `cookie_store` could look into: that is 200 KiB of
/// data which are out of date in every program that is not rebuilt, so as to keep apart the few
/// servers that one program goes to.
fn for_no_top_level_domain<'a>(mut cookie: Cookie<'a>, url: &Url) -> Option<Cookie<'a>> {
    if let CookieDomain::Suffix(domain) = &cookie.domain
        && !domain.trim_matches('.').contains('.')
    {
        if !cookie.domain.host_is_identical(url) {
            return None;
        }
        cookie.domain = CookieDomain::host_only(url).ok()?;
    }
    Some(cookie)
}

/// There always is for one that replaces another, or takes it away.
fn has_room(store: &mut CookieStore, cookie: &Cookie<'_>) -> bool {
    let same = |kept: &Cookie<'_>| {
        kept.name() == cookie.name() && kept.domain == cookie.domain && kept.path == cookie.path
    };
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
        let fields = values.iter().map(|value| ("set-cookie", *value));
        cookies.store(&url(from), None, &Headers::from_iter(fields));
    }

    fn header(cookies: &Cookies, to: &str) -> Option<String> {
        cookies.header(&url(to), None, None)
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
        set(
            &cookies,
            "wss://a.example/",
            &["secure=2; Secure", "wide=; Domain=a.example; Max-Age=0"],
        );
        assert_eq!(header(&cookies, "wss://a.example/").as_deref(), Some("secure=2"));
    }

    #[test]
    fn no_cookie_is_for_a_whole_top_level_domain() {
        for (from, domain, to, sent) in [
            ("ws://a.example/", "example", "ws://b.example/", false),
            ("ws://a.example/", "example", "ws://a.example/", false),
            ("ws://a.example/", ".example", "ws://b.example/", false),
            ("ws://a.example/", "EXAMPLE", "ws://b.example/", false),
            ("ws://a.example./", "example.", "ws://b.example./", false),
            ("ws://a.example./", ".example.", "ws://b.example./", false),
            ("ws://a.b.example/", "b.example", "ws://c.b.example/", true),
            // A host of that name keeps its own.
            ("ws://localhost/", "localhost", "ws://localhost/", true),
            ("ws://localhost/", "localhost", "ws://a.localhost/", false),
            ("ws://a.localhost/", "localhost", "ws://localhost/", false),
        ] {
            let cookies = Cookies::default();
            set(&cookies, from, &[&format!("wide=1; Domain={domain}")]);
            assert_eq!(header(&cookies, to).is_some(), sent, "Domain={domain}, {from} to {to}");
        }
    }

    #[test]
    fn each_unix_socket_has_its_own() {
        let cookies = Cookies::default();
        let localhost = url("ws://localhost/");
        let sets = Headers::from_iter([("Set-Cookie", "a=1; Domain=localhost")]);
        let kept =
            |path: Option<&str>| cookies.header(&localhost, path.map(Path::new), None).is_some();
        cookies.store(&localhost, Some(Path::new("/0.sock")), &sets);
        assert_eq!(["/0.sock", "/1.sock"].map(|path| kept(Some(path))), [true, false]);
        assert!(!kept(None));
        cookies.store(&localhost, None, &sets);
        assert_eq!(["/0.sock", "/1.sock"].map(|path| kept(Some(path))), [true, false]);
        assert!(kept(None));
        for i in 0..2 * MAX_SOCKETS {
            cookies.store(&localhost, Some(Path::new(&format!("/{i}.sock"))), &sets);
        }
        assert!(
            !kept(Some("/0.sock"))
                && kept(Some(&format!("/{}.sock", 2 * MAX_SOCKETS - 1)))
                && kept(None)
        );
        assert_eq!(cookies.0.lock().unwrap().sockets.len(), MAX_SOCKETS);
    }

    #[test]
    fn the_servers_value_replaces_the_programs() {
        let cookies = Cookies::default();
        let to = url("ws://a.example/");
        assert_eq!(cookies.header(&to, None, Some("a=1;b=2 ; ")).as_deref(), Some("a=1; b=2"));
        set(&cookies, "ws://a.example/", &["b=3"]);
        assert_eq!(cookies.header(&to, None, Some("a=1;b=2")).as_deref(), Some("a=1; b=3"));
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
        set(
            &cookies,
            "ws://a.example/",
            &[&format!("long={}", "x".repeat(MAX_COOKIE)), "odd=\u{7f}", "", "="],
        );
        assert_eq!(header(&cookies, "ws://a.example/"), None);
    }
}
