//! The way of a request, from its checked head to the last byte of its answer.
//!
//! `handle.rs` is the page to read first. Nothing here knows sockets, and no step is a layer whose
//! order has to be remembered: each is a function, called in the order of the road.

mod answer;
mod attempt;
mod body;
mod entrance;
mod facts;
mod fallback;
mod forward;
mod ghost;
mod handle;
mod head;
mod headers;
mod hedge;
mod held;
mod once;
mod outcome;
mod pick;
mod replay;
mod service;
mod steer;
mod trail;
mod trailers;
mod unseen;
mod upgrade;
mod upload;

pub use entrance::Entrance;
pub use facts::{ConnectionFacts, HopOnce, Reading};
pub use service::GateService;
pub use unseen::{Panicked, refused};
