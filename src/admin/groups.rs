//! How the groups of an upstream stand.

use tokio::time::Instant;

use super::views::{GroupView, UpstreamView};
use crate::{
    snapshot::UpstreamLive,
    telemetry::{Exposition, catalog},
};

/// Every group of `live`, the main one first.
#[expect(
    clippy::cast_precision_loss,
    reason = "a share of a number of endpoints"
)]
pub(super) fn views(live: &UpstreamLive) -> Vec<GroupView> {
    let groups = live.seats.group_views(Instant::now());
    let view = |group: crate::pool::GroupView| GroupView {
        name: group.name.into(),
        endpoints: group.endpoints,
        healthy: group.healthy,
        healthy_share: group.healthy as f64 / group.endpoints.max(1) as f64,
        traffic_share: group.traffic,
        panic: group.panic,
    };
    groups.into_iter().map(view).collect()
}

/// The name of the group at `index`.
pub(super) fn name(groups: &[GroupView], index: usize) -> String {
    let group = groups.get(index);
    group.map(|group| group.name.clone()).unwrap_or_default()
}

/// The series of an upstream that has several.
pub(super) fn scrape(live: &mut Exposition, view: &UpstreamView) {
    if view.groups.len() < 2 {
        return;
    }
    for group in &view.groups {
        let at = [view.name.as_str(), group.name.as_str()];
        live.gauge(&catalog::GROUP_TRAFFIC_SHARE, at, group.traffic_share);
        live.gauge(&catalog::GROUP_HEALTHY, at, group.healthy_share);
    }
}
