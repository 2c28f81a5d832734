//! [`Script`]: what is said in a recording, and who says it.

use std::time::{Duration, Instant};

use websocket_app::{Message, OwnedMessage, SendError};

use super::said::Said;
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
    /// Waits for room for so long at most.
    fn send(&mut self, message: Message<'_>, patience: Duration) -> Result<(), SendError>;

    /// Waits until all of it is on its way, for so long at most.
    fn flush(&mut self, patience: Duration) -> Result<(), SendError>;

    /// Returns what the other side has said.
    fn said(&self) -> &Said;
}

/// How long the end of a connection may take to be known where nothing can be sent any more.
const NOTICING: Duration = Duration::from_secs(1);

impl Script {
    /// Returns where to put what one side says.
    pub(crate) fn said_by(&self, client: bool) -> Said {
        let theirs = self.messages.iter().filter(|recorded| recorded.by_client == client);
        let (count, bytes) = theirs
            .fold((0, 0), |(count, bytes), recorded| (count + 1, bytes + recorded.message.len()));
        Said::new(count, bytes)
    }

    /// Says what one side says, and hears the other's messages in between.
    pub(crate) fn play(&self, as_client: bool, stage: &mut impl Stage) -> Result<(), Failure> {
        let began = Instant::now();
        let first = self.messages.first().map_or(0.0, |recorded| recorded.time);
        for (index, recorded) in self.messages.iter().enumerate() {
            let now = Instant::now();
            let due = self.due(recorded.time - first, began).map_or(now, |due| due.max(now));
            if recorded.by_client == as_client {
                self.say(index, recorded.message.as_message(), due, stage)?;
            } else {
                // The pause of the recording is none of that time.
                let came = stage.said().next(due + self.wait);
                self.compare(index, &recorded.message, came)?;
            }
        }
        self.flush(as_client, stage)
    }

    /// Waits until everything that was said is on its way.
    fn flush(&self, as_client: bool, stage: &mut impl Stage) -> Result<(), Failure> {
        let Err(error) = stage.flush(self.wait) else { return Ok(()) };
        let said = |recorded: &&Recorded| recorded.by_client == as_client;
        let last = self.messages.iter().rfind(said);
        let last = last.map_or("what was said".into(), |last| short(last.message.as_message()));
        Err(Self::unsent(&last, &error, stage, |why| {
            Failure::new(Status::NotAsExpected, format!("{why} before {last} was sent"))
        }))
    }

    /// Returns when a message is said, where that is not at once.
    fn due(&self, seconds: f64, began: Instant) -> Option<Instant> {
        let after = Duration::try_from_secs_f64(seconds / self.speed?).ok()?;
        began.checked_add(after)
    }

    /// Says a message when it is due.
    fn say(
        &self,
        index: usize,
        message: Message<'_>,
        due: Instant,
        stage: &mut impl Stage,
    ) -> Result<(), Failure> {
        let over = |why: String| {
            let (number, count) = (index + 1, self.messages.len());
            let what = format!("message {number} of {count}: {why} before {}", short(message));
            Failure::new(Status::NotAsExpected, what)
        };
        if due > Instant::now()
            && let Some(why) = stage.said().over(due)
        {
            return Err(over(why));
        }
        stage
            .send(message, self.wait)
            .map_err(|error| Self::unsent(&short(message), &error, stage, over))
    }

    /// Says why a message was not sent; where the connection is over, in other words.
    fn unsent(
        message: &str,
        error: &SendError,
        stage: &impl Stage,
        over: impl FnOnce(String) -> Failure,
    ) -> Failure {
        let what = format!("{message} of the recording");
        match error {
            SendError::Timeout { .. } | SendError::Unwritten { .. } => {
                Failure::new(Status::NotAsExpected, format!("{what} was not read in time"))
                    .advice("--wait SECONDS waits longer")
            }
            SendError::NotConnected { .. } => match stage.said().over(Instant::now() + NOTICING) {
                Some(why) => over(why),
                None => Failure::unsent(&what, error),
            },
            _ => Failure::unsent(&what, error),
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
                    short(recorded.as_message())
                ),
            )
            .advice("--any-answer only counts them, --wait SECONDS waits longer")
        };
        match came {
            Ok(came) if !self.compares || came == *recorded => Ok(()),
            Ok(came) => Err(differs(&short(came.as_message()))),
            Err(reason) => Err(differs(&reason)),
        }
    }
}

/// Returns the beginning of a message, for a line.
fn short(message: Message<'_>) -> String {
    const SHOWN: usize = 100;
    let text = text_of(message);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}…` ({} bytes)", &text[..end], message.as_bytes().len()),
        None => format!("`{text}`"),
    }
}
