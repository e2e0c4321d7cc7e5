//! What clients, upstreams and operators may try, over real sockets. A test is named after its line in the list
//! of adversaries: `c14` is a client's doing, `u07` an upstream's, `d04` a name server's, `o04` an operator's.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and owns what it spawns; not every part of `support` is used here"
)]

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod dns;
mod heads;
mod http2;
mod machine;
mod origin;
mod slow;
mod upstreams;
mod wire;
