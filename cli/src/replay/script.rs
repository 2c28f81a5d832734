//! [`Script`]: what is said in a recording, and who says it.

use std::thread;
use std::time::{Duration, Instant};

use websocket_app::OwnedMessage;

use crate::failure::Failure;
use crate::har::Recorded;
use crate::status::Status;
use crate::talk::text_of;

pub(crate) struct Script {
    pub(crate) messages: Vec<Recorded>,
    /// How many times as fast as it was; without this as fast as it goes.
    pub(crate) speed: Option<f64>,
    /// How long to wait for a message of the other side.
    pub(crate) wait: Duration,
    /// Whether that has to be the one of the recording.
    pub(crate) compares: bool,
}

/// A connection, for who plays a script on it.
pub(crate) trait Stage {
    fn send(&mut self, message: &OwnedMessage) -> Result<(), Failure>;

    /// Waits for a message until then; `None` where none comes, with the reason.
    fn receive(&mut self, until: Instant) -> Result<OwnedMessage, String>;
}

impl Script {
    /// Says what one side says, and hears the other's messages in between.
    pub(crate) fn play(&self, as_client: bool, stage: &mut impl Stage) -> Result<(), Failure> {
        let began = Instant::now();
        let first = self.messages.first().map_or(0.0, |recorded| recorded.time);
        for (index, recorded) in self.messages.iter().enumerate() {
            if recorded.by_client == as_client {
                self.wait_for_its_time(recorded.time - first, began);
                stage.send(&recorded.message)?;
            } else {
                let came = stage.receive(Instant::now() + self.wait);
                self.compare(index, &recorded.message, came)?;
            }
        }
        Ok(())
    }

    fn wait_for_its_time(&self, seconds: f64, began: Instant) {
        if let Some(speed) = self.speed
            && let Ok(after) = Duration::try_from_secs_f64(seconds / speed)
        {
            thread::sleep((began + after).saturating_duration_since(Instant::now()));
        }
    }

    fn compare(
        &self,
        index: usize,
        recorded: &OwnedMessage,
        came: Result<OwnedMessage, String>,
    ) -> Result<(), Failure> {
        let differs = |came: &str| {
            Failure::new(
                Status::NotAsExpected,
                format!(
                    "message {} of {}: {came} instead of {}",
                    index + 1,
                    self.messages.len(),
                    short(recorded)
                ),
            )
            .advice("--any-answer only counts them, --wait SECONDS waits longer")
        };
        match came {
            Ok(came) if !self.compares || came == *recorded => Ok(()),
            Ok(came) => Err(differs(&short(&came))),
            Err(reason) => Err(differs(&reason)),
        }
    }
}

/// Returns the beginning of a message, for a line.
fn short(message: &OwnedMessage) -> String {
    const SHOWN: usize = 100;
    let text = text_of(message.as_message());
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}…` ({} bytes)", &text[..end], message.len()),
        None => format!("`{text}`"),
    }
}
