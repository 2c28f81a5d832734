//! [`Traced`]: a stream whose bytes are shown as they go through it, both ways.
//!
//! Read and written as any other. What it shows them to has to bear that these are two threads.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::stream::Stream;

/// What bytes are shown to.
pub(crate) trait Trace: Send + Sync {
    /// These were read.
    fn received(&self, bytes: &[u8]);

    /// These are about to be written.
    fn sending(&self, bytes: &[u8]);
}

pub(super) struct Traced {
    below: Stream,
    trace: Box<dyn Trace>,
    /// How many of the bytes that are next to be written were shown already: there was no room for
    /// them. Only who writes touches it.
    shown: AtomicUsize,
}

impl Traced {
    pub(super) fn new(below: Stream, trace: Box<dyn Trace>) -> Self {
        Traced { below, trace, shown: AtomicUsize::new(0) }
    }

    pub(super) fn below(&self) -> &Stream {
        &self.below
    }

    pub(super) fn below_mut(&mut self) -> &mut Stream {
        &mut self.below
    }

    #[cold]
    #[inline(never)]
    pub(super) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.below.read(buf)?;
        self.trace.received(&buf[..read]);
        Ok(read)
    }

    /// Shows bytes before they are written, so that nobody has an answer to what was not shown yet.
    #[cold]
    #[inline(never)]
    pub(super) fn write(&self, buf: &[u8]) -> io::Result<usize> {
        let shown = self.shown.load(Ordering::Relaxed);
        self.trace.sending(&buf[shown.min(buf.len())..]);
        let written = self.below.write(buf);
        let left = buf.len() - written.as_ref().map_or(0, |written| *written);
        self.shown.store(left, Ordering::Relaxed);
        written
    }
}
