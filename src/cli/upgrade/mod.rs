//! A newer binary takes over: the old process starts it, gives it the sockets, and ends when it is ready.
//!
//! Both ends of the conversation are here: `heir` is the old process, which starts the new one; `origin` the new one,
//! which asks where it came from. They speak over one socket pair (`link`) that the new process has as its standard
//! input: no path on disk and no name that another process could connect to, and no descriptor is left open in a child
//! by accident. In this order:
//!
//! 1. the old one stops writing to disk, starts the new one, and sends its sockets and what limits have learned;
//! 2. the new one reads the config, binds what is new, serves, and says that it is ready;
//! 3. the old one says that the new one is on its own, stops accepting, finishes what it has begun, and ends.
//!
//! Before the third step the old one loses nothing if the new one fails: it kills it and goes on.

mod heir;
mod link;
mod origin;
mod program;
mod verb;

pub(super) use heir::{Handed, Heir, raise};
pub(super) use origin::{Activation, Origin};
pub(super) use program::Program;
pub(super) use verb::{UpgradeArgs, run};
