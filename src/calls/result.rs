//! [`CallbackResult`]: what closures may return.

use super::CallbackError;
pub(crate) use sealed::Sealed;

/// What a closure may return: nothing, or a `Result` whose error goes to `on_error`, so that `?`
/// works inside. One that never returns may do that too.
///
/// ```
/// use websocket_app::WebSocketApp;
///
/// WebSocketApp::new("wss://feed.example/").on_close(|_ws, _close| std::process::exit(0));
/// ```
#[diagnostic::on_unimplemented(
    message = "a callback returns nothing or a `Result<(), E>`, not `{Self}`",
    label = "what is set here returns `{Self}`",
    note = "a `;` behind the closure's last expression drops its value"
)]
pub trait CallbackResult: Sealed {
    #[doc(hidden)]
    fn into_result(self) -> Result<(), CallbackError>;
}

impl CallbackResult for () {
    fn into_result(self) -> Result<(), CallbackError> {
        Ok(())
    }
}

// Its name would puzzle whoever reads the list.
#[doc(hidden)]
impl CallbackResult for Never {
    fn into_result(self) -> Result<(), CallbackError> {
        self
    }
}

impl<E: Into<CallbackError>> CallbackResult for Result<(), E> {
    fn into_result(self) -> Result<(), CallbackError> {
        self.map_err(Into::into)
    }
}

/// `!`, which cannot be written here otherwise before it is stable.
type Never = <fn() -> ! as sealed::Function>::Returned;

mod sealed {
    pub trait Function {
        type Returned;
    }
    impl<R> Function for fn() -> R {
        type Returned = R;
    }

    pub trait Sealed {}
    impl Sealed for () {}
    impl Sealed for super::Never {}
    impl<E> Sealed for Result<(), E> {}
}
