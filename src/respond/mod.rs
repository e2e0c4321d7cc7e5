//! A fault → an answer: status, `Proxy-Status` (RFC 9209), and a body that the client can read.
//!
//! Programs get problem+json (RFC 9457), browsers a page, gRPC callers a status. What does not depend on the
//! request is made once for each kind of fault, since a gateway under overload sends little else. Nothing
//! the client sent is echoed but the request id; addresses and OS errors show only where the operator says so. Pages
//! are in the language that the browser asks for, where the operator gave texts ([`Pages`]).

mod accept;
mod action;
mod fields;
mod grpc;
mod language;
mod page;
mod pages;
mod problem;
mod ready;
mod render;
mod said;
mod visitor;

pub use action::{fixed, redirect, sorry};
pub use pages::Pages;
pub use render::{Ask, body_for, render};

#[cfg(test)]
mod tests;
