//! One lookup loop for each name that the plan mentions.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{DnsPlan, EndpointSource, Plan},
    resolve::{Answer, Followed, Resolver, follow},
    telemetry::{Telemetry, UpstreamHandles},
};

/// The loops, and what each said last.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    names: HashMap<Box<str>, Loop>,
    resolver: Option<(DnsPlan, Arc<Resolver>)>,
    changed: Arc<Notify>,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Loop {
    answer: watch::Receiver<Answer>,
    stop: CancellationToken,
}

// === impl Lookups ===

impl Lookups {
    /// Rings when any answer changed.
    pub(super) fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// What `source` said last; `None` where it is an address.
    pub(super) fn answer(&self, source: &EndpointSource) -> Option<Answer> {
        match source {
            EndpointSource::Address(_) => None,
            EndpointSource::Dns { name, .. } => self
                .names
                .get(name)
                .map(|followed| followed.answer.borrow().clone()),
        }
    }

    /// Follows the names of `plan` and no other. Another `[dns]` starts every loop anew, from its last answer.
    pub(super) fn follow(&mut self, plan: &Plan, telemetry: &Telemetry) {
        let wanted = named(plan, telemetry);
        if wanted.is_empty() {
            self.stop();
            self.names.clear();
            return; // a resolver reads resolv.conf, and may complain of it
        }
        let resolver = self.resolver(&plan.dns);
        let restart = self
            .resolver
            .as_ref()
            .is_none_or(|(_, running)| !Arc::ptr_eq(running, &resolver));
        let mut next = HashMap::new();
        for (name, handles) in wanted {
            let running = self.names.remove(&name);
            let kept = match running {
                Some(running) if !restart => running,
                other => {
                    let last = other.map(|old| {
                        old.stop.cancel();
                        old.answer.borrow().clone()
                    });
                    self.start(
                        &name,
                        last.unwrap_or_default(),
                        &resolver,
                        &plan.dns,
                        handles,
                    )
                }
            };
            next.insert(name, kept);
        }
        self.stop();
        self.names = next;
        self.resolver = Some((plan.dns.clone(), resolver));
    }

    /// Ends every loop.
    pub(super) fn stop(&self) {
        self.names
            .values()
            .for_each(|followed| followed.stop.cancel());
    }

    fn resolver(&self, plan: &DnsPlan) -> Arc<Resolver> {
        match &self.resolver {
            Some((running, resolver)) if running == plan => Arc::clone(resolver),
            _ => Arc::new(Resolver::new(plan)),
        }
    }

    fn start(
        &self,
        name: &str,
        last: Answer,
        resolver: &Arc<Resolver>,
        plan: &DnsPlan,
        handles: Vec<Arc<UpstreamHandles>>,
    ) -> Loop {
        let (said, answer) = watch::channel(last);
        let stop = CancellationToken::new();
        let (name, resolver, plan) = (Box::<str>::from(name), Arc::clone(resolver), plan.clone());
        let (mut heard, changed, token) = (answer.clone(), Arc::clone(&self.changed), stop.clone());
        self.tasks.spawn(async move {
            let followed = Followed {
                name: &name,
                plan: &plan,
                handles: &handles,
            };
            follow(followed, &resolver, &said, &token).await;
        });
        self.tasks.spawn(async move {
            while heard.changed().await.is_ok() {
                changed.notify_one();
            }
        });
        Loop { answer, stop }
    }
}

/// Every name of `plan`, with the upstreams that count its lookups.
fn named(plan: &Plan, telemetry: &Telemetry) -> BTreeMap<Box<str>, Vec<Arc<UpstreamHandles>>> {
    let mut names: BTreeMap<Box<str>, Vec<_>> = BTreeMap::new();
    for upstream in plan.upstreams.values() {
        let mentioned: BTreeSet<_> = upstream
            .endpoints
            .iter()
            .filter_map(|endpoint| match &endpoint.source {
                EndpointSource::Dns { name, .. } => Some(name),
                EndpointSource::Address(_) => None,
            })
            .collect();
        for name in mentioned {
            names
                .entry(name.clone())
                .or_default()
                .push(telemetry.upstream(&upstream.name));
        }
    }
    names
}
