//! One file per verb; the only room that may end the process.

mod answer;
mod check;
mod command;
mod config;
pub mod demo;
mod doctor;
mod explain;
pub mod gateway;
mod healthcheck;
mod incidents;
mod inquiry;
mod notify;
mod recommend;
mod run;
mod runtime;
mod schema;
mod signals;
mod terminal;
mod upgrade;

pub use command::{command, main};
pub use explain::faults;
