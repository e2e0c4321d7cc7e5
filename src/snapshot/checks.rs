//! One check loop for each endpoint whose upstream asks for active checks.

use std::{collections::HashMap, sync::Arc};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::UpstreamLive;
use crate::{
    config::HealthPlan,
    health::{self, Watched},
    names::EndpointId,
    upstream::{Connector, HttpProbe},
};

/// The loops that run, by endpoint.
#[derive(Debug, Default)]
pub(super) struct Checks {
    running: HashMap<EndpointId, Running>,
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
        for upstream in upstreams {
            for seat in upstream.seats.as_slice() {
                let Some(plan) = &upstream.plan.health else {
                    seat.endpoint.health.forget_checks(now);
                    continue;
                };
                let id = &seat.endpoint.id;
                let kept = self.running.remove(id).and_then(|old| {
                    let same =
                        old.plan == *plan && Arc::ptr_eq(&old.connector, &upstream.connector);
                    if !same {
                        old.stop.cancel();
                    }
                    same.then_some(old)
                });
                next.insert(
                    id.clone(),
                    kept.unwrap_or_else(|| self.start(upstream, seat, plan)),
                );
            }
        }
        self.stop();
        self.running = next;
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
    ) -> Running {
        let stop = CancellationToken::new();
        let probe = HttpProbe::new(
            Arc::clone(&upstream.connector),
            seat.clone(),
            plan.path.as_deref(),
        );
        let endpoint = Arc::clone(&seat.endpoint);
        let handles = Arc::clone(&upstream.handles);
        let (of, token) = (plan.clone(), stop.clone());
        self.tasks.spawn(async move {
            let watched = Watched {
                endpoint: &endpoint.id,
                plan: &of,
                handles: &handles,
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
