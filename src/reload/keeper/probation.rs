//! A new config on probation: what the guard watches, and how the one before comes back.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Keeper, carry};
use crate::{
    config::{ConfigHash, GuardPlan, Loaded, Touched},
    reload::{
        Trigger, Verdict,
        guard::{self, Finding},
        order::Holds,
        traffic::Counts,
    },
    telemetry::ConfigEvent,
};

/// See the module.
#[derive(Debug)]
pub(super) struct Probation {
    plan: GuardPlan,
    until: Instant,
    touched: Touched,
    /// What ended in the minute before.
    before: Counts,
    /// The totals when it began.
    start: Counts,
    /// What comes back.
    previous: Loaded,
}

// === impl Probation ===

impl Probation {
    /// How often it is looked at.
    pub(super) const LOOK: Duration = Duration::from_secs(1);
}

// === impl Keeper ===

impl Keeper {
    /// The config that just came into force is watched, where it asks for that: unless it was taken back before and is
    /// asked for again, or is itself what came back.
    pub(super) fn begin_probation(
        &mut self,
        previous: Loaded,
        touched: Touched,
        trigger: Trigger,
    ) -> Option<Probation> {
        let again = self.doubted.take_if(|hash| *hash == self.running.hash);
        let plan = self.running.plan.reload.guard?;
        if trigger == Trigger::Guard || again.is_some() {
            return None;
        }
        Some(Probation {
            plan,
            until: Instant::now() + plan.window,
            touched,
            before: self.traffic.last_minute(),
            start: self.traffic.totals(),
            previous,
        })
    }

    /// Takes the config back where requests fail under it; ends its probation where that is over.
    pub(super) async fn look_at_probation(&mut self) {
        let Some(probation) = &self.probation else {
            return;
        };
        let after = self.traffic.totals().since(&probation.start);
        let Probation {
            plan,
            touched,
            before,
            ..
        } = probation;
        let found = guard::judge(plan, touched, before, &after);
        let over = Instant::now() >= probation.until;
        if found.is_none() && !over {
            return;
        }
        let ended = self.probation.take();
        if let (Some(finding), Some(probation)) = (found, ended) {
            self.take_back(probation.previous, &finding).await;
        }
    }

    /// Puts `previous` into force again, in the file too where that still holds what is taken back and may be written.
    async fn take_back(&mut self, previous: Loaded, finding: &Finding) {
        let bad = self.running.hash.clone();
        let why = finding.to_string();
        let beside = match self.prepare_beside(&previous).await {
            Ok(beside) => beside,
            Err(error) => {
                tracing::error!(%bad, "config cannot be taken back ({why}): {error}");
                return;
            }
        };
        self.note(|history| history.rolled_back(&why));
        self.doubted = Some(bad.clone());
        let text = Arc::clone(&previous.text);
        let (good, written) = (previous.hash.clone(), self.write_back(text, &bad).await);
        self.put_into_force(previous, beside, Trigger::Guard);
        self.telemetry.rolled_back();
        self.telemetry.events().tell(ConfigEvent::TakenBack {
            bad: bad.to_string().into(),
            back: good.to_string().into(),
            route: finding.route().cloned(),
            before: finding.before,
            after: finding.after,
            requests: finding.requests,
            file: written.as_ref().err().map(|why| why.as_str().into()),
            why: why.as_str().into(),
        });
        let verdict = match written {
            Ok(()) => Verdict::Applied,
            Err(_) => Verdict::TakenBack(why),
        };
        self.tell(Trigger::Guard, verdict);
        self.look_at_named().await; // certificates may have changed since it was in force
    }

    /// Writes the file; why not, where it cannot be.
    async fn write_back(&mut self, text: Arc<str>, bad: &ConfigHash) -> Result<(), String> {
        let Some(file) = self.file.clone() else {
            return Ok(());
        };
        match carry::write(file, text, Holds::Just(bad.clone())).await {
            Ok(seen) => {
                self.seen = seen;
                Ok(())
            }
            Err(refused) => Err(refused.to_string()),
        }
    }
}
