//! An overload laboratory on virtual time: open-loop clients, a front that admits, endpoints that serve.
//!
//! Deterministic: the same scenario, law and seed give the same trace. Shared by `benches/simulate.rs` and
//! `tests/simulation`.

#![allow(
    dead_code,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "shared by a bench and tests that use different parts; a laboratory may fail by panicking"
)]

mod backend;
mod bbr;
mod clock;
pub(crate) mod contest;
mod envoy;
mod front;
mod gate;
pub(crate) mod laws;
pub(crate) mod measure;
pub(crate) mod scenario;
mod steps;
pub(crate) mod world;
