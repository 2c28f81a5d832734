//! [`Tape`]: what is recorded of a conversation, by all of its threads, where anything is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::Sender as Channel;
use websocket_app::{Message, SendError, Sender};

use super::conversation::Happening;
use crate::failure::Failure;
use crate::har::{Opened, Recorder};

/// How long to wait for room at a time.
const ROOM: Duration = Duration::from_secs(1);

/// How long to wait where another message is being written.
const BUSY: Duration = Duration::from_millis(1);

/// Clones mean the same recording.
#[derive(Clone)]
pub(crate) struct Tape {
    recording: Option<Arc<Recording>>,
}

struct Recording {
    recorder: Mutex<Recorder>,
    path: PathBuf,
    url: String,
    headers: Vec<(String, String)>,
    credentials: bool,
    /// The first thing that went wrong. A conversation does not end of it.
    failed: Mutex<Option<Failure>>,
    happenings: Channel<Happening>,
}

impl Tape {
    /// Nothing is recorded.
    pub(crate) fn none() -> Self {
        Tape { recording: None }
    }

    /// Opens the file, and leaves it as it is.
    pub(crate) fn open(
        path: &Path,
        url: &str,
        headers: Vec<(String, String)>,
        credentials: bool,
        happenings: Channel<Happening>,
    ) -> Result<Self, Failure> {
        let recorder = Recorder::open(path)
            .map_err(|error| Failure::io(&format!("--record {}", path.display()), &error))?;
        let recording = Recording {
            recorder: Mutex::new(recorder),
            path: path.to_owned(),
            url: url.into(),
            headers,
            credentials,
            failed: Mutex::new(None),
            happenings,
        };
        Ok(Tape { recording: Some(Arc::new(recording)) })
    }

    pub(crate) fn is_on(&self) -> bool {
        self.recording.is_some()
    }

    /// Takes the place of what was recorded before.
    pub(crate) fn begin(&self) {
        self.write(|recorder, _| recorder.begin());
    }

    pub(crate) fn opened(&self, ws: &Sender) {
        self.write(|recorder, recording| match ws.handshake() {
            Some(handshake) => recorder.opened(&Opened {
                url: &recording.url,
                headers: &recording.headers,
                handshake: &handshake,
                credentials: recording.credentials,
            }),
            None => Ok(()),
        });
    }

    /// Sends a message, waiting for room unless this is a callback, and records it where that could be
    /// done. Its answer, which may come at once, is recorded behind it: while it is handed over, which
    /// waits for nobody, nothing else is recorded.
    pub(crate) fn send(&self, ws: &Sender, message: Message<'_>) -> Result<(), SendError> {
        let Some(recording) = &self.recording else { return ws.send(message) };
        loop {
            let mut recorder = recording.lock();
            match ws.try_send(message) {
                Ok(()) => {
                    recording.note(recorder.sent(message));
                    return Ok(());
                }
                Err(error @ (SendError::QueueFull { .. } | SendError::Busy { .. })) => {
                    drop(recorder);
                    match ws.flush(ROOM) {
                        // In a callback it is not to wait.
                        Err(SendError::Unwritten { after }) if after.is_zero() => {
                            return Err(error);
                        }
                        Ok(()) if matches!(error, SendError::Busy { .. }) => thread::sleep(BUSY),
                        _ => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn received(&self, message: Message<'_>) {
        self.write(|recorder, _| recorder.received(message));
    }

    /// Returns why the recording is not whole.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let recording = self.recording.as_ref()?;
        recording.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, write: impl FnOnce(&mut Recorder, &Recording) -> io::Result<()>) {
        let Some(recording) = &self.recording else { return };
        let mut recorder = recording.lock();
        recording.note(write(&mut recorder, recording));
    }
}

impl Recording {
    fn lock(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, written: io::Result<()>) {
        let Err(error) = written else { return };
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_none() {
            let what = format!("the recording {} cannot be written", self.path.display());
            let failure = failed.insert(Failure::io(&what, &error)).clone();
            // Once the main thread is gone the end tells.
            let _ = self.happenings.send(Happening::RecordingFailed(failure));
        }
    }
}
