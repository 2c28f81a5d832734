//! Stands in for compression where the feature `deflate` is off: there is none, and so nothing here
//! is ever made.

use super::arena::Arena;
use crate::deflate::{NegotiatedDeflate, OneWay};
use crate::error::ProtocolError;
use crate::role::Role;

#[derive(Debug)]
pub(crate) struct Contexts;

pub(crate) type Lend = fn(&mut dyn FnMut(&mut Contexts));

impl Contexts {
    pub(crate) const fn new() -> Self {
        Contexts
    }
}

#[derive(Debug)]
pub(crate) enum Deflater {}

impl Deflater {
    pub(crate) fn new(_: NegotiatedDeflate, _: Role, _: Lend) -> Option<Self> {
        None
    }

    pub(crate) fn compress(&mut self, _: &[u8], _: &mut Vec<u8>) {
        match *self {}
    }

    pub(crate) fn add(&mut self, _: &[u8], _: &mut Vec<u8>) {
        match *self {}
    }

    pub(crate) fn flush(&mut self, _: &mut Vec<u8>) {
        match *self {}
    }

    pub(crate) fn finish(&mut self, _: &mut Vec<u8>) {
        match *self {}
    }

    #[cfg(feature = "server")]
    pub(crate) fn forget(&mut self) {
        match *self {}
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn compressed(&mut self, _: &[u8]) -> Vec<u8> {
        match *self {}
    }
}

#[derive(Debug)]
pub(super) enum Inflater {}

#[derive(Clone, Copy, Debug)]
pub(super) struct Inflated {
    pub(super) taken: usize,
    pub(super) drained: bool,
}

impl Inflater {
    pub(super) fn new(_: OneWay, _: Lend) -> Option<Self> {
        None
    }

    pub(super) fn inflate(
        &mut self,
        _: &[u8],
        _: &mut Arena,
        _: usize,
    ) -> Result<Inflated, ProtocolError> {
        match *self {}
    }

    pub(super) fn finish(&mut self) -> Result<(), ProtocolError> {
        match *self {}
    }
}
