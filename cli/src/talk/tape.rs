//! [`Tape`]: what is recorded of a conversation, by all of its threads, where anything is.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use websocket_app::{Message, Sender};

use crate::failure::Failure;
use crate::har::{Opened, Recorder};

/// Clones mean the same recording.
#[derive(Clone)]
pub(crate) struct Tape {
    recording: Option<Arc<Recording>>,
}

struct Recording {
    recorder: Mutex<Recorder>,
    url: String,
    headers: Vec<(String, String)>,
    credentials: bool,
    /// The first thing that went wrong. A conversation does not end of it.
    failed: Mutex<Option<io::Error>>,
}

impl Tape {
    /// Nothing is recorded.
    pub(crate) fn none() -> Self {
        Tape { recording: None }
    }

    pub(crate) fn create(
        path: &Path,
        url: &str,
        headers: Vec<(String, String)>,
        credentials: bool,
    ) -> Result<Self, Failure> {
        let recorder = Recorder::create(path)
            .map_err(|error| Failure::io(&format!("--record {}", path.display()), &error))?;
        let recording = Recording {
            recorder: Mutex::new(recorder),
            url: url.into(),
            headers,
            credentials,
            failed: Mutex::new(None),
        };
        Ok(Tape { recording: Some(Arc::new(recording)) })
    }

    pub(crate) fn is_on(&self) -> bool {
        self.recording.is_some()
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

    /// Recorded before it is sent: its answer may come before a send returns.
    pub(crate) fn sent_text(&self, text: &str) {
        self.write(|recorder, _| recorder.sent(Message::Text(text)));
    }

    /// As [`sent_text`](Self::sent_text).
    pub(crate) fn sent_binary(&self, data: &[u8]) {
        self.write(|recorder, _| recorder.sent(Message::Binary(data)));
    }

    pub(crate) fn received(&self, message: Message<'_>) {
        self.write(|recorder, _| recorder.received(message));
    }

    /// Returns why the recording is not whole.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let failed = self.recording.as_ref()?.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().map(|error| Failure::io("the recording cannot be written", error))
    }

    fn write(&self, write: impl FnOnce(&mut Recorder, &Recording) -> io::Result<()>) {
        let Some(recording) = &self.recording else { return };
        let mut recorder = recording.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = write(&mut recorder, recording) {
            recording.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }
}
