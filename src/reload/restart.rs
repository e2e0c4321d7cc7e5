//! What a running process cannot change.

use crate::config::Plan;

/// The sections of the config whose change from `running` to `next` needs a restart; empty: none.
#[must_use]
pub fn needs_restart(running: &Plan, next: &Plan) -> Vec<&'static str> {
    let mut found = Vec::new();
    if running.log != next.log {
        found.push("[log]");
    }
    if running.history != next.history {
        found.push("[history]");
    }
    found
}
