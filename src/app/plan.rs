//! How to connect: the same each time, or computed anew for each attempt. Used on the threads that
//! connect.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::calls::CallbackError;
use crate::config::{Config, ConnectionOptions};
use crate::dial::{Cancel, Connected, Failure, Target, connect};
use crate::error::Error;
use crate::panics;
use crate::reconnect::{Attempt, Reconnect};

/// Computes something for an attempt.
pub(crate) type Renew<T> = Box<dyn FnMut(&Attempt) -> Result<T, CallbackError> + Send>;

/// What may be computed anew for each attempt: tokens expire.
#[derive(Default)]
pub(crate) struct Renewal {
    pub(crate) url: Option<Renew<String>>,
    pub(crate) headers: Option<Renew<Vec<(String, String)>>>,
    pub(crate) subprotocols: Option<Renew<Vec<String>>>,
}

pub(crate) struct ConnectPlan {
    live: ConnectionOptions,
    connect_timeout: Duration,
    reconnect: Option<Reconnect>,
    /// Good for every attempt, where nothing is computed anew.
    target: Arc<Target>,
    per_attempt: Option<Box<PerAttempt>>,
}

/// How to make a target for each attempt.
struct PerAttempt {
    config: Config,
    url: String,
    /// Guards the program's closures, which one attempt at a time calls.
    renewal: Mutex<Renewal>,
}

impl ConnectPlan {
    /// Checks everything that can be checked before a socket is opened.
    pub(crate) fn new(url: String, config: Config, renewal: Renewal) -> Result<Self, Error> {
        config.check()?;
        let target = Arc::new(Target::new(&url, &config)?);
        let renews =
            renewal.url.is_some() || renewal.headers.is_some() || renewal.subprotocols.is_some();
        Ok(ConnectPlan {
            live: config.live,
            connect_timeout: config.connect_timeout,
            reconnect: config.reconnect.clone(),
            target,
            per_attempt: renews
                .then(|| Box::new(PerAttempt { config, url, renewal: Mutex::new(renewal) })),
        })
    }

    pub(crate) fn live(&self) -> &ConnectionOptions {
        &self.live
    }

    pub(super) fn reconnect(&self) -> Option<Reconnect> {
        self.reconnect.clone()
    }

    pub(super) fn peer(&self) -> &str {
        self.target.peer()
    }

    /// Returns where to connect to, unless that is computed anew for each attempt.
    pub(super) fn target(&self) -> Option<Arc<Target>> {
        self.per_attempt.is_none().then(|| Arc::clone(&self.target))
    }

    /// Computes where to connect to: blocks for as long as the program's closures do.
    pub(super) fn compute_target(&self, attempt: &Attempt) -> Result<Arc<Target>, Error> {
        let computed = self.per_attempt.as_ref().map(|renews| renews.target(attempt));
        computed.map_or_else(|| Ok(Arc::clone(&self.target)), |target| target.map(Arc::new))
    }

    /// Connects: blocks up to `connect_timeout`, or until cancelled.
    pub(super) fn connect(
        &self,
        target: &Target,
        attempt: &Attempt,
        cancel: &Cancel,
    ) -> Result<Connected, Failure> {
        connect(target, self.connect_timeout, cancel, attempt)
    }
}

impl PerAttempt {
    fn target(&self, attempt: &Attempt) -> Result<Target, Error> {
        let mut renewal = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
        let computed = panics::guarded(|| -> Result<_, Error> {
            let (mut url, mut config) = (self.url.clone(), self.config.clone());
            if let Some(renew) = &mut renewal.url {
                url = renew(attempt).map_err(Error::of_callback("url_with"))?;
            }
            if let Some(renew) = &mut renewal.headers {
                config.headers.extend(renew(attempt).map_err(Error::of_callback("headers_with"))?);
            }
            if let Some(renew) = &mut renewal.subprotocols {
                config.subprotocols =
                    renew(attempt).map_err(Error::of_callback("subprotocols_with"))?;
            }
            Ok((url, config))
        })?;
        let (url, config) = computed?;
        Target::new(&url, &config)
    }
}
