//! How to connect: the same each time, or computed anew for each attempt. Used on the threads that connect.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Config;
use crate::connect::{Cancel, Connected, Failure, Target, connect};
use crate::error::Error;

pub(crate) type UrlWith = Box<dyn FnMut(u32) -> String + Send>;
pub(crate) type HeadersWith = Box<dyn FnMut(u32) -> Vec<(String, String)> + Send>;
pub(crate) type SubprotocolsWith = Box<dyn FnMut(u32) -> Vec<String> + Send>;

/// What an attempt may compute anew from its number: tokens expire.
#[derive(Default)]
pub(crate) struct Renewal {
    pub(crate) url: Option<UrlWith>,
    pub(crate) headers: Option<HeadersWith>,
    pub(crate) subprotocols: Option<SubprotocolsWith>,
}

pub(crate) struct Recipe {
    config: Config,
    url: String,
    /// Good for every attempt, where nothing is computed anew.
    target: Arc<Target>,
    /// Guards the program's closures, which one attempt at a time calls.
    renewal: Option<Mutex<Renewal>>,
}

impl Recipe {
    /// Checks everything that can be checked before a socket is opened.
    pub(crate) fn new(url: String, config: Config, renewal: Renewal) -> Result<Self, Error> {
        config.check()?;
        let target = Arc::new(Target::new(&url, &config)?);
        let renews = renewal.url.is_some() || renewal.headers.is_some() || renewal.subprotocols.is_some();
        Ok(Recipe { config, url, target, renewal: renews.then(|| Mutex::new(renewal)) })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn peer(&self) -> &str {
        self.target.peer()
    }

    /// Connects: blocks up to `connect_timeout`, or until cancelled.
    pub(super) fn connect(&self, attempt: u32, cancel: &Cancel) -> Result<(Connected, Arc<Target>), Failure> {
        let target = match &self.renewal {
            None => Arc::clone(&self.target),
            Some(renewal) => Arc::new(self.renewed(renewal, attempt)?),
        };
        let connected = connect(&target, self.config.connect_timeout, cancel)?;
        Ok((connected, target))
    }

    fn renewed(&self, renewal: &Mutex<Renewal>, attempt: u32) -> Result<Target, Error> {
        let mut renewal = renewal.lock().unwrap_or_else(PoisonError::into_inner);
        let computed = catch_unwind(AssertUnwindSafe(|| {
            let mut config = self.config.clone();
            let url = renewal.url.as_mut().map_or_else(|| self.url.clone(), |url| url(attempt));
            config.headers.extend(renewal.headers.as_mut().map(|headers| headers(attempt)).unwrap_or_default());
            if let Some(subprotocols) = &mut renewal.subprotocols {
                config.subprotocols = subprotocols(attempt);
            }
            (url, config)
        }));
        let what = "a closure of url_with, headers_with or subprotocols_with";
        let (url, config) = computed.map_err(|_| Error::Panicked(what.into()))?;
        Target::new(&url, &config)
    }
}
