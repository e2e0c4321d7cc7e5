//! What the end of a connection says: the one place that opens HTTP's boxed errors.

use std::error::Error;

use crate::fault::{Fault, Kind, Stage};

/// What the end of a connection was.
#[derive(Debug, PartialEq)]
pub(super) enum End {
    /// Closed between two requests, or gone with an open one, which tells that itself.
    Closed,
    /// A request was refused before the service saw it.
    Refused(Fault),
    /// The client broke the rules of HTTP/2; none of its requests did.
    Protocol,
}

/// How things stood when the connection ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// The head of a request had begun, and none other was open.
    pub(super) in_head: bool,
    /// The socket failed. (HTTP/2 shows that in no other way.)
    pub(super) io_failed: bool,
}

/// Classifies `error`.
///
/// What ends while a request is open is that request's own fault, told by the body or the response that
/// breaks off; it is not told twice.
pub(super) fn of_error(error: &(dyn Error + 'static), standing: Standing) -> End {
    let Some(error) = error.downcast_ref::<hyper::Error>() else {
        // Reading the first bytes failed, or was ended by a drain.
        return End::Closed;
    };
    if error.is_parse_too_large() {
        return End::Refused(Fault::new(Kind::HeadTooLarge));
    }
    if error.is_parse() {
        let fault = Fault::new(Kind::FramingInvalid);
        return End::Refused(fault.detail(error.to_string()));
    }
    if error.is_timeout() {
        return End::Refused(Fault::new(Kind::HeadTimeout));
    }
    if standing.in_head && (error.is_incomplete_message() || standing.io_failed) {
        return End::Refused(Fault::new(Kind::ClientAborted).at(Stage::Head));
    }
    let quiet = error.is_incomplete_message()
        || error.is_user()
        || error.is_canceled()
        || error.is_closed()
        || error.is_shutdown()
        || standing.io_failed;
    if quiet { End::Closed } else { End::Protocol }
}
