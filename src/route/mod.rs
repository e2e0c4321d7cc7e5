//! Host, path, method, headers and query of a request → a route of the plan; rewrites and splits.
//!
//! Pure: no clock, no I/O, no live state. A lookup costs a few hash look-ups, bounded by the longest host and
//! the longest path that the config names, never by the number of routes; the order of routes in the file
//! means nothing. Paths are compared in one normal form ([`normalise`]), which is also what goes upstream.

mod host;
mod matching;
mod path;
mod rewrite;
mod split;
mod table;

pub use host::{Host, HostError, host_of};
pub use matching::Head;
pub use path::{PathError, normalise};
pub use rewrite::rewrite;
pub use split::split;
pub use table::Table;
