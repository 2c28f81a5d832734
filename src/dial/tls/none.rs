//! Stands in for connecting by TLS where no TLS feature is on: asking for it is an error, and no
//! connector is ever made.

use url::Host;

use super::waiter::{Failure, Waiter};
use crate::error::Error;
use crate::protocol::handshake::Negotiated;
use crate::tls::TlsConfig;
use crate::transport::Stream;

pub(super) enum Connector {}

impl Connector {
    pub(super) fn new(host: &Host<&str>, _config: &TlsConfig) -> Result<Self, Error> {
        Err(Error::invalid(
            format!("TLS with {host}"),
            "this program was built without TLS: enable the feature `native-tls` or `rustls` of websocket-app",
        ))
    }

    pub(super) fn handshake(
        &self,
        _below: Stream,
        _waiter: &mut Waiter<'_>,
    ) -> Result<(Stream, Negotiated), Failure> {
        match *self {}
    }
}
