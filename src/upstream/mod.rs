//! One attempt at one endpoint: connect, TLS, send, and an end that says what happened.
//!
//! [`send`] takes a request once to an endpoint and brings its answer, or an [`AttemptError`] that says what
//! went wrong, whose fault it was, and whether the endpoint may have seen the request. It never sends anything
//! twice; whether to try again is decided above. The answer's body is a [`ReplyBody`], which gives the
//! connection back when it ends well.
//!
//! [`Steps`] takes the same road one step at a time, to tell where it ends.
//!
//! `classify.rs` is the one place that opens the errors of sockets, TLS and HTTP. [`EndpointProbe`] is the active
//! check of the `health` room.

mod attempt;
mod classify;
mod connector;
mod hygiene;
mod line;
mod probe;
mod reply;
mod socket;
mod speak;
mod steps;
mod target;
mod told;
mod wire;

pub use attempt::{AttemptError, Progress, Sent, send};
pub use classify::outcome as outcome_of;
pub use connector::{Connector, NamedFiles};
pub use line::Reuse;
pub use probe::{EndpointProbe, Looked, Rest};
pub use reply::ReplyBody;
pub use steps::{Connected, Flaw, NoConnection, NotSecured, Secured, Steps};
pub use told::{Blame, Judge};

#[cfg(test)]
mod tests;
