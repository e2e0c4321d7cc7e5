//! The config file: what was typed, what it means, and what is wrong with it.
//!
//! [`read`] takes a file through every step. `source` reads it, bounded and without ever blocking. toml's
//! spanned tables are the raw form; `row` reads them by the tables of [`fields`], which also write the
//! [`schema`] and the [`reference()`]. `compile` turns rows into a [`Plan`] in which nothing can be wrong any
//! more: it is pure, and collects every error. `load` then reads the files that the plan names. All that is
//! wrong is told at once, in the file's order, as [`Diagnostics`].

mod compile;
mod diagnostic;
mod diff;
mod fields;
mod load;
mod nearest;
mod plan;
mod problem;
mod read;
mod reference;
mod row;
mod schema;
mod shape;
mod source;
mod syntax;
mod template;
mod value;

#[cfg(test)]
mod tests;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use diff::{Change, Diff, Touched};
pub use load::{
    CertificateFacts, DnsTrust, DnsTrusts, Files, HookFiles, Secret, Trouble, not_after,
};
pub use plan::*;
pub use read::{AnotherLook, ConfigHash, Loaded, hash_of, parse, parse_after, read, read_after};
pub use reference::reference;
pub use schema::schema;
pub(crate) use source::read_bounded;
pub use template::{Piece, Slot, Template, UnknownSlot};
