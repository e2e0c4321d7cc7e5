//! Sockets, TLS, the PROXY protocol, versions of HTTP, connection caps, time-outs and the drain.
//!
//! A listener knows connections, not routes: whatever it reads as a request goes to the one service that it
//! was started with, and what it had to refuse itself is reported by a callback. hyper drives HTTP; what
//! hyper has no bound for is bounded here:
//!
//! * `set` has all listeners, and changes them while they run; `decision` says which sockets stay, come and go.
//! * `accept` takes connections and backs off where descriptors run out; `connection` takes one from its
//!   first byte to its last: PROXY header, TLS, HTTP.
//! * `strain` is what the process asks for when it is short of something: idle connections closed, no more accepted.
//! * `activity` is the record of one connection: what is open, since when it waits and for whom. One timer
//!   for each connection reads it; no request arms a timer.
//! * `socket` keeps that record as bytes pass, and lingers over what a client still sends when we close.
//! * `inherited` are sockets that another process bound; `leave` is how connections go in a drain.
//! * `exchange` is the request and the response as they pass to the service and back; `streams` ends an
//!   HTTP/2 stream whose client stopped reading.
//!
//! Invariant: a connection is counted from accept until its socket is closed, tunnels included.

mod accept;
mod activity;
mod bind;
mod body;
mod classify;
mod clock;
mod connection;
mod decision;
mod exchange;
mod inherited;
mod leave;
mod preface;
mod proxy_header;
mod server;
mod set;
mod shared;
mod socket;
mod strain;
mod streams;
mod tls;
mod wire;

pub use bind::{BACKLOG, BindError, Bound};
pub use inherited::{Inherited, NotWanted, Unwanted};
pub use leave::{Backlog, Pace};
pub use server::{Listener, Wiring};
pub use set::{Certificates, Change, Fresh, Listeners, Seen};
pub use shared::{Refused, most_of};
pub use strain::Strain;

#[cfg(test)]
mod tests;
