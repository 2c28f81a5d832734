//! Stands in for TLS where no TLS feature is on: asking for it is an error.

use super::ServerTls;
use crate::error::Error;
use crate::protocol::handshake::Negotiated;
use crate::transport::Stream;

pub(in crate::server) enum Acceptor {}

impl Acceptor {
    pub(super) fn new(_tls: &ServerTls) -> Result<Self, Error> {
        Err(Error::invalid(
            "Server::tls",
            "this program was built without TLS: enable the feature `native-tls` or `rustls` of websocket-app",
        ))
    }
}

pub(in crate::server) enum Securing {}

// It is never made.
#[allow(dead_code)]
pub(in crate::server) enum Secured {
    NotYet(Box<Securing>),
    Done(Stream, Negotiated),
    Failed(Stream, Error),
}

impl Securing {
    pub(in crate::server) fn begin(
        acceptor: &Acceptor,
        _below: Stream,
        _peer: String,
    ) -> Result<Box<Self>, Error> {
        match *acceptor {}
    }

    pub(in crate::server) fn advance(self) -> Result<Secured, Error> {
        match self {}
    }
}
