//! How to connect: the same each time, or computed anew for each attempt. Used on the threads that connect.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use super::dispatch::panic_message;
use super::handler::CallbackError;
use crate::config::Config;
use crate::connect::{Cancel, Connected, Failure, Target, connect};
use crate::error::Error;

/// Computes something from the number of the attempt.
pub(crate) type Renew<T> = Box<dyn FnMut(u32) -> Result<T, CallbackError> + Send>;

/// What an attempt may compute anew from its number: tokens expire.
#[derive(Default)]
pub(crate) struct Renewal {
    pub(crate) url: Option<Renew<String>>,
    pub(crate) headers: Option<Renew<Vec<(String, String)>>>,
    pub(crate) subprotocols: Option<Renew<Vec<String>>>,
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
    pub(super) fn connect(&self, attempt: u32, cancel: &Cancel) -> Result<Connected, Failure> {
        let target = match &self.renewal {
            None => Arc::clone(&self.target),
            Some(renewal) => Arc::new(self.renewed(renewal, attempt)?),
        };
        connect(&target, self.config.connect_timeout, cancel)
    }

    fn renewed(&self, renewal: &Mutex<Renewal>, attempt: u32) -> Result<Target, Error> {
        let mut renewal = renewal.lock().unwrap_or_else(PoisonError::into_inner);
        let computed = catch_unwind(AssertUnwindSafe(|| -> Result<_, CallbackError> {
            let (mut url, mut config) = (self.url.clone(), self.config.clone());
            if let Some(renew) = &mut renewal.url {
                url = renew(attempt)?;
            }
            if let Some(renew) = &mut renewal.headers {
                config.headers.extend(renew(attempt)?);
            }
            if let Some(renew) = &mut renewal.subprotocols {
                config.subprotocols = renew(attempt)?;
            }
            Ok((url, config))
        }));
        let computed = computed.map_err(|panic| Error::Panicked(panic_message(panic.as_ref()).into()))?;
        let (url, config) = computed.map_err(|error| Error::Callback(error.into()))?;
        Target::new(&url, &config)
    }
}
