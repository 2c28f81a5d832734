//! Stands in for TLS where no TLS feature is on: there is no session, and so nothing here is ever
//! made.

use std::io;

use super::stream::Stream;
use crate::error::Error;

pub(crate) enum Layer {}

impl Layer {
    pub(crate) fn below(&self) -> &Stream {
        match *self {}
    }

    pub(crate) fn below_mut(&mut self) -> &mut Stream {
        match *self {}
    }

    pub(crate) fn read(&self, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(crate) fn has_more(&self) -> bool {
        match *self {}
    }

    pub(crate) fn take_heard(&self) -> bool {
        match *self {}
    }

    pub(crate) fn write(&self, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(crate) fn take_written_late(&self) -> usize {
        match *self {}
    }

    pub(crate) fn shutdown(&self) {
        match *self {}
    }
}

pub(crate) fn own_error(error: io::Error) -> Result<Error, io::Error> {
    Err(error)
}
