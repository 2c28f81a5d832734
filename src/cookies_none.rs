//! Stands in for cookies where the feature `cookies` is off: asking for them is an error, and
//! nothing is kept.

use std::path::Path;

use url::Url;

use crate::error::Error;
use crate::headers::Headers;

#[derive(Clone, Default)]
pub(crate) struct Cookies;

impl Cookies {
    pub(crate) fn check() -> Result<(), Error> {
        let problem =
            "this program was built without cookies: enable the feature `cookies` of websocket-app";
        Err(Error::invalid("keep_cookies(true)", problem))
    }

    pub(crate) fn store(&self, _url: &Url, _socket: Option<&Path>, _headers: &Headers) {}

    pub(crate) fn header(
        &self,
        _url: &Url,
        _socket: Option<&Path>,
        given: Option<&str>,
    ) -> Option<String> {
        given.map(str::to_owned)
    }
}
