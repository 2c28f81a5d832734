//! What stands in for TLS where no TLS feature is compiled in: there is no session, and so no error of one.

use std::io;

use crate::error::Error;

pub(crate) fn own_error(error: io::Error) -> Result<Error, io::Error> {
    Err(error)
}
