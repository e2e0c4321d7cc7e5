//! Which routes a change touches.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::flat::Name;
use crate::{
    config::{ActionPlan, FallbackPlan, Plan, RoutePlan},
    names::{RouteName, UpstreamName},
};

/// Which routes a change touches: those whose plan it changes, those that come or go, and those that forward or fall back to an
/// upstream whose plan it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// Every route: it changes how all requests come in, are resolved or are shed.
    All,
    /// These.
    Routes(BTreeSet<RouteName>),
}

/// Two plans, and their routes by name.
pub(super) struct Sides<'p> {
    plans: [&'p Plan; 2],
    routes: [HashMap<&'p str, &'p Arc<RoutePlan>>; 2],
}

// === impl Touched ===

impl Touched {
    /// Whether it touches the route of this name.
    #[must_use]
    pub fn contains(&self, route: &RouteName) -> bool {
        match self {
            Self::All => true,
            Self::Routes(routes) => routes.contains(route),
        }
    }
}

// === impl Sides ===

impl<'p> Sides<'p> {
    pub(super) fn of(old: &'p Plan, new: &'p Plan) -> Self {
        let plans = [old, new];
        let routes = plans.map(|plan| {
            let named = plan.routes.iter().map(|route| (route.name.as_str(), route));
            named.collect()
        });
        Self { plans, routes }
    }

    /// What the change touches.
    pub(super) fn touched(&self) -> Touched {
        let [old, new] = self.plans;
        if old.listeners != new.listeners || old.dns != new.dns || old.pressure != new.pressure {
            return Touched::All;
        }
        let names = self.plans.iter().flat_map(|plan| plan.upstreams.keys());
        let changed: BTreeSet<&UpstreamName> =
            names.filter(|name| !self.same_upstream(name)).collect();
        let routes = self.plans.iter().flat_map(|plan| &plan.routes);
        let touched = routes.filter(|route| {
            !self.same_route(route.name.as_str()) || forwards(route).any(|to| changed.contains(to))
        });
        Touched::Routes(touched.map(|route| route.name.clone()).collect())
    }

    /// Whether what is named means the same on both sides.
    pub(super) fn is_same(&self, of: Name<'_>) -> bool {
        match (of.section, of.name) {
            ("routes", Some(name)) => self.same_route(name),
            ("upstreams", Some(name)) => self.same_upstream(&UpstreamName::from(name)),
            _ => false,
        }
    }

    fn same_route(&self, name: &str) -> bool {
        let [old, new] = &self.routes;
        old.get(name)
            .is_some_and(|route| new.get(name) == Some(route))
    }

    fn same_upstream(&self, name: &UpstreamName) -> bool {
        let [old, new] = self.plans.map(|plan| plan.upstreams.get(name));
        old.is_some() && old == new
    }
}

fn forwards(route: &RoutePlan) -> impl Iterator<Item = &UpstreamName> {
    let split = match &route.action {
        ActionPlan::Forward(split) => split.as_slice(),
        ActionPlan::Respond { .. } | ActionPlan::Redirect { .. } => &[],
    };
    let fallback = route.fallback.as_ref().and_then(FallbackPlan::upstream);
    split.iter().map(|share| &share.upstream).chain(fallback)
}
