//! The live endpoints, kept by id: health, load and connections.
//!
//! An [`Endpoint`] is the state of an identity, upstream and address; it outlives reloads and DNS answers, and
//! [`Registry`] keeps it for a while after nothing names it any more. What can be tuned stands beside it in a
//! [`Seat`], and the [`Seats`] of an upstream are what balancing chooses from.
//!
//! The rules of reuse: an HTTP/1 connection comes back only when its answer was fully read and its request
//! fully sent (RFC 9112 section 9.3), and goes only to requests of the same [`Lane`]; and none is used that rests
//! about as long as the endpoint would let it ([`KeepAlive`]). Opening connections and speaking on them is the `upstream`
//! room's.

mod body;
mod connections;
mod endpoint;
mod http1;
mod http2;
mod keep_alive;
mod latency;
mod loads;
mod peers;
mod registry;
mod seats;

pub use body::{BodyStream, SendBody, SendError, Upload, UploadState};
pub use connections::{ConnectResult, Connections, Lane, LaneRef, Lead, MAX_RESTING, Opening};
pub use endpoint::{Endpoint, InFlight};
pub use http1::{Heard, Http1, Rest};
pub use http2::{Allowance, Http2, MAX_STREAMS, Shared};
pub use keep_alive::KeepAlive;
pub use latency::{FAILED_AT_LEAST, FAILED_AT_MOST, Latency};
pub use loads::Loads;
pub use registry::{REMEMBERED, Registry};
pub use seats::{GroupView, Seat, SeatView, Seats, SeatsAt};
