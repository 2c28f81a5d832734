//! An app that runs on a thread of its own with all its callbacks recorded.

use std::ops::Deref;
use std::thread;
use std::time::Duration;

use websocket_app::{CallbackError, Close, Handler, Sender, WebSocketApp};

use crate::failure::Failure;
use crate::recorder::{
    Call, Hook, Recorder, handler, only_record, record, record_fragments, record_timer,
};
use crate::watchdog::Task;

/// Derefs to its recorder. Dropping it fails the test if the run does not end, or a call was not
/// looked at.
pub(crate) struct Running {
    pub(crate) sender: Sender,
    run: Option<Task<Result<Close, Failure>>>,
    calls: Recorder,
}

/// Runs the app.
pub(crate) fn run(app: WebSocketApp) -> Running {
    start(record(app, only_record()))
}

/// Runs the app with callbacks that do something.
pub(crate) fn run_with(
    app: WebSocketApp,
    hook: impl FnMut(&Sender, &Call) -> Result<(), CallbackError> + Send + 'static,
) -> Running {
    start(record(app, Box::new(hook)))
}

/// Runs the app with `on_fragment` set.
pub(crate) fn run_in_fragments(
    app: WebSocketApp,
    hook: impl FnMut(&Sender, &Call) -> Result<(), CallbackError> + Send + 'static,
) -> Running {
    start(record_fragments(app, Box::new(hook)))
}

/// Runs the app with a timer.
pub(crate) fn run_with_timer(
    app: WebSocketApp,
    period: Duration,
    hook: impl FnMut(&Sender, &Call) -> Result<(), CallbackError> + Send + 'static,
) -> Running {
    start(record_timer(app, period, Box::new(hook)))
}

/// Runs a `Handler` instead of closures.
pub(crate) fn run_handler(url: String, wants_fragments: bool, hook: Hook) -> Running {
    let (handler, calls) = handler(wants_fragments, hook);
    start((WebSocketApp::with_handler(url, handler), calls))
}

fn start<H: Handler>((app, calls): (WebSocketApp<H>, Recorder)) -> Running {
    let sender = app.sender();
    let run = Task::start("run_forever", move || app.run_forever().map_err(Failure::from));
    Running { sender, run: Some(run), calls }
}

impl Running {
    /// Waits for the end of the run, which must be `Ok` with the `Close` that `on_close` had, and
    /// no call unseen.
    pub(crate) fn end_in_order(self) {
        let (_, close) = self.calls.last();
        assert_eq!(self.end(), Ok(close.expect("on_close is to be looked at first")));
    }

    /// Waits for the end of the run, which must be the error that `on_error` had last, and no call
    /// unseen.
    pub(crate) fn end_given_up(self) {
        let (failure, _) = self.calls.last();
        assert_eq!(self.end(), Err(failure.expect("on_error is to be looked at first")));
    }

    /// Waits for the end of the run, where its result is not what `on_error` or `on_close` had. No
    /// call may be unseen.
    pub(crate) fn end(mut self) -> Result<Close, Failure> {
        self.run.take().expect("it is taken only here").join()
    }
}

impl Deref for Running {
    type Target = Recorder;

    fn deref(&self) -> &Recorder {
        &self.calls
    }
}

/// A test that fails because the run is over wants to know why it is.
impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(result) = self.run.take().and_then(Task::result_if_over)
        {
            println!("run_forever returned {result:?}");
        }
    }
}
