//! The routes of a plan, laid out so that a lookup does not depend on how many there are.
//!
//! Three layers: the host (exact, then wildcards from the longest suffix, then none), the path (exact, then
//! prefixes from the longest), and a short list of routes that share both, the narrowest first. A route whose
//! other conditions fail is passed over, down to less specific paths and then hosts.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use crate::config::{HostMatch, PathMatch, RoutePlan};

use super::{
    Head,
    matching::{holds, narrowness},
    path::normalise,
};

/// All routes, by host and path. Immutable; built once for each snapshot.
///
/// A lookup allocates nothing and makes at most `labels × segments` hash look-ups, where both are bounded by
/// the longest wildcard and the longest prefix of the config, whatever a client sends.
#[derive(Debug, Default)]
pub struct Table {
    exact: HashMap<Box<str>, Site>,
    /// By what stands behind `*.`.
    wildcard: HashMap<Box<str>, Site>,
    /// Longest key of `wildcard`, in bytes.
    longest_wildcard: usize,
    any: Site,
}

/// The routes of one host.
#[derive(Debug, Default)]
struct Site {
    exact: HashMap<Box<str>, Rules>,
    /// Without trailing slash; empty is every path.
    prefixes: HashMap<Box<str>, Rules>,
    /// Longest key of `prefixes`, in bytes.
    longest_prefix: usize,
}

/// Routes of the same host and path, the narrowest first.
type Rules = Vec<Rule>;

#[derive(Debug, Clone)]
struct Rule {
    /// Its place among the plan's routes.
    index: usize,
    plan: Arc<RoutePlan>,
}

// === impl Table ===

impl Table {
    /// The table of `routes`; what [`Self::find`] gives are places in this slice.
    #[must_use]
    pub fn new(routes: &[Arc<RoutePlan>]) -> Self {
        let mut table = Self::default();
        for (index, plan) in routes.iter().enumerate() {
            let rule = Rule {
                index,
                plan: Arc::clone(plan),
            };
            table.insert(&rule);
        }
        table.sites_mut().for_each(Site::sort);
        table
    }

    /// The route that takes a request, as its place in the slice that the table was made of.
    #[must_use]
    pub fn find(&self, head: &Head<'_>) -> Option<usize> {
        let exact = self.exact.get(head.host).and_then(|site| site.find(head));
        exact
            .or_else(|| self.find_wildcard(head))
            .or_else(|| self.any.find(head))
    }

    fn find_wildcard(&self, head: &Head<'_>) -> Option<usize> {
        let mut rest = head.host;
        while let Some((_label, suffix)) = rest.split_once('.') {
            rest = suffix;
            if suffix.len() > self.longest_wildcard {
                continue;
            }
            if let Some(found) = self.wildcard.get(suffix).and_then(|site| site.find(head)) {
                return Some(found);
            }
        }
        None
    }

    fn insert(&mut self, rule: &Rule) {
        let plan = Arc::clone(&rule.plan);
        if plan.matcher.hosts.is_empty() {
            self.any.insert(rule.clone());
        }
        for host in &plan.matcher.hosts {
            let site = match host {
                HostMatch::Exact(name) => self.exact.entry(name.clone()),
                HostMatch::Wildcard(suffix) => {
                    self.longest_wildcard = self.longest_wildcard.max(suffix.len());
                    self.wildcard.entry(suffix.clone())
                }
            };
            site.or_default().insert(rule.clone());
        }
    }

    fn sites_mut(&mut self) -> impl Iterator<Item = &mut Site> {
        let hosts = self.exact.values_mut().chain(self.wildcard.values_mut());
        hosts.chain(std::iter::once(&mut self.any))
    }
}

// === impl Site ===

impl Site {
    fn find(&self, head: &Head<'_>) -> Option<usize> {
        let exact = self
            .exact
            .get(head.path)
            .and_then(|rules| first(rules, head));
        exact.or_else(|| {
            borders(head.path, self.longest_prefix)
                .filter_map(|prefix| self.prefixes.get(prefix))
                .find_map(|rules| first(rules, head))
        })
    }

    /// Paths of the plan are brought to the form of requests, so that the two cannot drift apart.
    fn insert(&mut self, rule: Rule) {
        let plan = Arc::clone(&rule.plan);
        let rules = match &plan.matcher.path {
            PathMatch::Exact(path) => {
                let path = normalise(path).unwrap_or(Cow::Borrowed(path));
                self.exact.entry(path.into())
            }
            PathMatch::Prefix(prefix) => {
                let prefix = normalise(prefix).unwrap_or(Cow::Borrowed(prefix));
                let prefix = prefix.trim_end_matches('/');
                self.longest_prefix = self.longest_prefix.max(prefix.len());
                self.prefixes.entry(prefix.into())
            }
        };
        rules.or_default().push(rule);
    }

    /// The narrowest first; between equals the name decides, never the place in the file.
    fn sort(&mut self) {
        for rules in self.exact.values_mut().chain(self.prefixes.values_mut()) {
            rules.sort_by(|a, b| {
                let narrower = narrowness(&b.plan.matcher).cmp(&narrowness(&a.plan.matcher));
                narrower.then_with(|| a.plan.name.cmp(&b.plan.name))
            });
        }
    }
}

fn first(rules: &[Rule], head: &Head<'_>) -> Option<usize> {
    let taken = rules.iter().find(|rule| holds(&rule.plan.matcher, head));
    taken.map(|rule| rule.index)
}

/// The prefixes of `path` that end on a segment border, from the longest of at most `longest` bytes to the
/// empty one. `/a/b` has `/a/b`, `/a` and the empty one.
fn borders(path: &str, longest: usize) -> impl Iterator<Item = &str> {
    // A border beyond `longest` cannot be a key; one byte more shows whether `longest` itself is a border.
    let start = path.get(..=longest).map_or(path, parent);
    std::iter::successors(Some(start), |prefix| {
        (!prefix.is_empty()).then(|| parent(prefix))
    })
}

/// `path` without its last segment and the slash before that.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(before, _last)| before)
}

#[cfg(test)]
mod tests;
