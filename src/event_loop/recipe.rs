//! How to connect: the same each time, or computed anew for each attempt. Used on the threads that connect.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::dispatch::panic_message;
use super::handler::CallbackError;
use crate::config::{Config, Live};
use crate::dial::{Cancel, Connected, Failure, Target, connect};
use crate::error::Error;
use crate::reconnect::Reconnect;

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
    live: Live,
    connect_timeout: Duration,
    reconnect: Option<Reconnect>,
    /// Good for every attempt, where nothing is computed anew.
    target: Arc<Target>,
    anew: Option<Box<Anew>>,
}

/// How to make a target for each attempt.
struct Anew {
    config: Config,
    url: String,
    /// Guards the program's closures, which one attempt at a time calls.
    renewal: Mutex<Renewal>,
}

impl Recipe {
    /// Checks everything that can be checked before a socket is opened.
    pub(crate) fn new(url: String, config: Config, renewal: Renewal) -> Result<Self, Error> {
        config.check()?;
        let target = Arc::new(Target::new(&url, &config)?);
        let renews = renewal.url.is_some() || renewal.headers.is_some() || renewal.subprotocols.is_some();
        Ok(Recipe {
            live: config.live,
            connect_timeout: config.connect_timeout,
            reconnect: config.reconnect.clone(),
            target,
            anew: renews.then(|| Box::new(Anew { config, url, renewal: Mutex::new(renewal) })),
        })
    }

    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    pub(super) fn reconnect(&self) -> Option<Reconnect> {
        self.reconnect.clone()
    }

    pub(super) fn peer(&self) -> &str {
        self.target.peer()
    }

    /// Connects: blocks up to `connect_timeout`, or until cancelled.
    pub(super) fn connect(&self, attempt: u32, cancel: &Cancel) -> Result<Connected, Failure> {
        let target = match &self.anew {
            None => Arc::clone(&self.target),
            Some(anew) => Arc::new(anew.target(attempt)?),
        };
        connect(&target, self.connect_timeout, cancel)
    }
}

impl Anew {
    fn target(&self, attempt: u32) -> Result<Target, Error> {
        let mut renewal = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
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
