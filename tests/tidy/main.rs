//! Whether the tree is in the shape that its documents promise.
//!
//! Each check is a function from text to a list of complaints, tried on small inputs beside it, and then
//! run over the whole tree. Nothing here needs more than the files of a clone.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod docs;
mod examples;
mod faults;
mod imports;
mod names;
mod pure;
mod reference;
mod sizes;
mod source;
mod tree;

/// Fails with every complaint, one a line.
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
