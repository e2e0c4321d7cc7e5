//! What a running process cannot change.

use std::net::SocketAddr;

use crate::{
    config::{ListenerPlan, ListenerTlsPlan, Plan},
    names::ListenerName,
};

/// The sections of the config whose change from `running` to `next` needs a restart; empty: none.
#[must_use]
pub fn needs_restart(running: &Plan, next: &Plan) -> Vec<&'static str> {
    let mut found = Vec::new();
    if running.admin != next.admin {
        found.push("[admin]");
    }
    if running.log != next.log {
        found.push("[log]");
    }
    if running.history != next.history {
        found.push("[history]");
    }
    if !running
        .listeners
        .iter()
        .map(socket)
        .eq(next.listeners.iter().map(socket))
    {
        found.push("the addresses or TLS of [[listeners]]");
    }
    found
}

/// What of a listener is fixed once it is bound.
fn socket(plan: &ListenerPlan) -> (&ListenerName, SocketAddr, Option<&ListenerTlsPlan>) {
    (&plan.name, plan.bind, plan.tls.as_ref())
}
