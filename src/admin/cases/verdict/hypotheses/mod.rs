//! What may be at the root of a failure, each a function from a scene to how much speaks for it. They know nothing of
//! each other; the one with the most weight wins.

mod amount;
mod application;
mod client;
mod communication;
mod config;
mod dns;
mod network;
mod out;
mod overload;

use super::{scene::Scene, suspect::Finding};

/// Looks at a scene; `None`: nothing speaks for it.
type Hypothesis = fn(&Scene<'_>) -> Option<Finding>;

/// All of them.
const ALL: &[Hypothesis] = &[
    config::changed,
    config::files,
    config::no_route,
    dns::changed,
    dns::unresolved,
    network::unreached,
    communication::certificate,
    communication::kept_too_long,
    communication::broken,
    application::own_errors,
    application::restarted,
    application::slow,
    application::given_up_on,
    overload::capacity,
    overload::slower,
    overload::rate,
    overload::own_shortage,
    overload::stood_still,
    client::client,
    client::bug,
    out::taken_out,
    out::crowded_out,
];

/// What speaks for something, the most first.
pub(super) fn weigh(scene: &Scene<'_>) -> Vec<Finding> {
    let mut found: Vec<_> = ALL.iter().filter_map(|look| look(scene)).collect();
    found.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    found
}
