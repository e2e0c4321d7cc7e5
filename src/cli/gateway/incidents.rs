//! The loop that looks for incidents, and tells of them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::IncidentsPlan,
    snapshot::Snapshot,
    telemetry::{Hook, HookToken, Rules, Telemetry, Webhook},
};

/// How often the counts are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Begins to look for incidents, and to tell the webhook of them, as `tasks` that end at `stop`.
pub(super) fn begin(
    tasks: &TaskTracker,
    snapshot: &Arc<ArcSwap<Snapshot>>,
    telemetry: &Arc<Telemetry>,
    stop: &CancellationToken,
) {
    let (webhook, deliveries) = Webhook::new(telemetry);
    tasks.spawn(deliveries.run(stop.clone()));
    let (snapshot, telemetry) = (Arc::clone(snapshot), Arc::clone(telemetry));
    tasks.spawn(follow(snapshot, telemetry, webhook, stop.clone()));
}

/// Looks for incidents by the rules in force, each second until `stop`, and tells `webhook` where there is one.
async fn follow(
    snapshot: Arc<ArcSwap<Snapshot>>,
    telemetry: Arc<Telemetry>,
    webhook: Webhook,
    stop: CancellationToken,
) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased; // stop first
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let snapshot = snapshot.load_full();
        let plan = &snapshot.plan.incidents;
        let rules = rules(plan);
        let turns = telemetry.look_for_incidents(Instant::now(), SystemTime::now(), &rules);
        for turn in turns {
            if let Some(hook) = hook(&snapshot) {
                webhook.tell(hook, &turn);
            }
        }
    }
}

const fn rules(plan: &IncidentsPlan) -> Rules {
    Rules {
        min_faults: plan.min_faults,
        min_share: plan.min_share,
        window: plan.window,
        end_after: plan.end_after,
    }
}

/// Who is told, with what its files hold.
fn hook(snapshot: &Snapshot) -> Option<Hook> {
    let plan = snapshot.plan.incidents.webhook.as_ref()?;
    let files = snapshot.webhook.as_ref()?;
    let token = files.token.as_ref();
    Some(Hook {
        url: plan.url.clone(),
        token: token.map(|secret| HookToken::new(secret.expose())),
        tls: files.tls.clone(),
        timeout: plan.timeout,
    })
}
