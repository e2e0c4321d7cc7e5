//! One check loop for each endpoint whose upstream asks for active checks.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::UpstreamLive;
use crate::{
    config::HealthPlan,
    health::{self, Consensus, StandstillNotice, Watched},
    names::{EndpointId, UpstreamName},
    upstream::{Connector, EndpointProbe},
};

/// The loops that run, by endpoint.
#[derive(Debug, Default)]
pub(super) struct Checks {
    running: HashMap<EndpointId, Running>,
    /// What the loops of each upstream come to together.
    consensus: HashMap<UpstreamName, Arc<Consensus>>,
    notice: Arc<StandstillNotice>,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Running {
    plan: HealthPlan,
    connector: Arc<Connector>,
    stop: CancellationToken,
}

// === impl Checks ===

impl Checks {
    /// Runs the checks that `upstreams` want and no other. A loop whose plan did not change goes on undisturbed;
    /// what a changed one found so far stays with the endpoint.
    pub(super) fn reconcile(&mut self, upstreams: &[Arc<UpstreamLive>], now: Instant) {
        let mut next = HashMap::new();
        let mut consensus = HashMap::new();
        for upstream in upstreams {
            let together = self.consensus.remove(&upstream.plan.name);
            let together = together.unwrap_or_default();
            let checked = upstream.plan.health.is_some();
            let seats = upstream.seats.as_slice().iter().filter(|_| checked);
            let ids: BTreeSet<_> = seats.map(|seat| seat.endpoint.id.clone()).collect();
            together.follow(ids);
            for seat in upstream.seats.as_slice() {
                let Some(plan) = &upstream.plan.health else {
                    seat.endpoint.health.forget_checks(now);
                    continue;
                };
                let id = &seat.endpoint.id;
                let kept = self.running.remove(id).filter(|old| {
                    let same = Arc::ptr_eq(&old.connector, &upstream.connector);
                    let kept = same && old.plan == *plan;
                    if !kept {
                        old.stop.cancel();
                    }
                    kept
                });
                next.insert(
                    id.clone(),
                    kept.unwrap_or_else(|| self.start(upstream, seat, plan, &together)),
                );
            }
            consensus.insert(upstream.plan.name.clone(), together);
        }
        self.stop();
        (self.running, self.consensus) = (next, consensus);
    }

    /// Ends every loop.
    pub(super) fn stop(&self) {
        self.running
            .values()
            .for_each(|running| running.stop.cancel());
    }

    fn start(
        &self,
        upstream: &UpstreamLive,
        seat: &crate::pool::Seat,
        plan: &HealthPlan,
        together: &Arc<Consensus>,
    ) -> Running {
        let stop = CancellationToken::new();
        let connector = Arc::clone(&upstream.connector);
        let probe = EndpointProbe::new(connector, seat.clone(), plan.clone());
        let endpoint = Arc::clone(&seat.endpoint);
        let handles = Arc::clone(&upstream.handles);
        let (of, token) = (plan.clone(), stop.clone());
        let (together, notice) = (Arc::clone(together), Arc::clone(&self.notice));
        self.tasks.spawn(async move {
            let watched = Watched {
                endpoint: &endpoint.id,
                plan: &of,
                handles: &handles,
                consensus: &together,
                notice: &notice,
            };
            health::watch(&probe, &endpoint.health, watched, &token).await;
        });
        let plan = plan.clone();
        Running {
            plan,
            connector: Arc::clone(&upstream.connector),
            stop,
        }
    }
}
