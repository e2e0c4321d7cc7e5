//! The addresses of a name: looked up again and again, never while a request waits.
//!
//! [`follow`] is one task for one name. It asks a [`Resolver`], hands what it heard to a pure machine
//! (`held.rs`), and publishes the machine's [`Answer`] on a `watch`. Readers always have the last answer.
//!
//! What is kept to:
//! - An error never empties a set: the last good one serves on for `max_stale` (RFC 8767). A name that servers say
//!   is gone keeps its set until they said so `gone_after` times, and for `hold`.
//! - The resolver's cache is off. TTLs are followed here, and nowhere else.
//! - Addresses that a name should not have (loopback, link-local, metadata, ...) are taken out of every
//!   answer, unless the config allows them.
//! - At most [`MAX_ADDRESSES`] addresses are kept of one name.

mod allowed;
mod answer;
mod asking;
mod events;
mod follow;
mod foresight;
mod heard;
mod held;
mod host;
mod hosts;
mod reading;
mod resolver;
mod server;
mod services;
mod system;

pub use answer::{Answer, AnswerState, Why};
pub use follow::{Followed, Once, Records, Standing, ask_once, follow};
pub use held::MAX_ADDRESSES;
pub use host::{Host, Service};
pub use reading::{Family, Found};
pub use resolver::{Resolver, StandIn};
