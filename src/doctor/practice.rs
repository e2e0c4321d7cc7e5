//! What is gone by, and where to.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

use http::{HeaderMap, Method, Uri, uri::PathAndQuery};

use super::report::{Code, Finding, Section, Stage};
use crate::{
    config::{self, ActionPlan, DnsTrusts, Loaded, Plan, RoutePlan, UpstreamPlan},
    names::UpstreamName,
    resolve::Resolver,
    route::{self, Head},
    snapshot::Snapshot,
    telemetry::Telemetry,
    upstream::Connector,
};

/// A plan, and how it connects: of a gateway that runs, or of a file.
#[derive(Debug, Clone)]
pub struct Practice {
    pub(super) plan: Arc<Plan>,
    connectors: BTreeMap<UpstreamName, Arc<Connector>>,
    name_servers: DnsTrusts,
}

/// What a target means.
#[derive(Debug, Clone)]
pub struct Visit {
    pub(super) practice: Practice,
    /// As it was typed; `None`: everything.
    pub(super) target: Option<String>,
    pub(super) upstreams: Vec<Arc<UpstreamPlan>>,
    /// What is asked in the place of what the config says.
    pub(super) path: Option<PathAndQuery>,
    /// What was found on the way to this.
    pub(super) found: Vec<Section>,
}

/// Nothing is known by this target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoSuchTarget {
    /// It is no route and no upstream.
    Name(String),
    /// It is no URL of a host.
    Url(String),
}

/// What URLs begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Plain,
    Secure,
}

// === impl Scheme ===

impl Scheme {
    fn of(url: &Uri) -> Option<Self> {
        match url.scheme_str()? {
            "http" => Some(Self::Plain),
            "https" => Some(Self::Secure),
            _ => None,
        }
    }
}

// === impl Practice ===

impl Practice {
    /// By what is in force.
    #[must_use]
    pub fn of_running(snapshot: &Snapshot) -> Self {
        let upstreams = snapshot.upstreams.iter();
        Self {
            plan: Arc::clone(&snapshot.plan),
            connectors: upstreams
                .map(|live| (live.plan.name.clone(), Arc::clone(&live.connector)))
                .collect(),
            name_servers: snapshot.name_servers.clone(),
        }
    }

    /// By a file that nothing runs by.
    #[must_use]
    pub fn of_file(loaded: &Loaded) -> Self {
        let telemetry = Telemetry::new(); // nobody reads it
        let connector = |plan: &Arc<UpstreamPlan>| {
            let tls = loaded.files.upstreams.get(&plan.name).cloned();
            let connector = Connector::new(plan, tls, telemetry.upstream(&plan.name));
            (plan.name.clone(), Arc::new(connector))
        };
        Self {
            plan: Arc::new(loaded.plan.clone()),
            connectors: loaded.plan.upstreams.values().map(connector).collect(),
            name_servers: loaded.files.name_servers.clone(),
        }
    }

    /// What `target` means: a route, an upstream, a URL, or everything. May read the system's authorities, and so block
    /// for some milliseconds.
    ///
    /// # Errors
    /// Where it means nothing.
    pub fn visit(&self, target: Option<&str>) -> Result<Visit, NoSuchTarget> {
        let Some(text) = target else {
            let all = self.plan.upstreams.values().cloned().collect();
            return Ok(self.to(None, all));
        };
        if text.contains("://") {
            return self.visit_url(text);
        }
        let routes = self.plan.routes.iter();
        let of_routes = routes.filter(|route| route.name.as_str() == text);
        let mut upstreams: Vec<_> = of_routes.flat_map(|route| self.behind(route)).collect();
        let named = self.plan.upstreams.values();
        upstreams.extend(named.filter(|plan| plan.name.as_str() == text).cloned());
        let is_route = self.plan.routes.iter().any(|it| it.name.as_str() == text);
        if !is_route && upstreams.is_empty() {
            return Err(NoSuchTarget::Name(text.to_owned()));
        }
        upstreams.sort_by(|a, b| a.name.cmp(&b.name));
        upstreams.dedup_by(|a, b| a.name == b.name);
        let mut visit = self.to(Some(text), upstreams);
        if visit.upstreams.is_empty() {
            visit.note(by_itself(text));
        }
        Ok(visit)
    }

    /// The route that takes a request for `url`, or the host itself where none does.
    fn visit_url(&self, text: &str) -> Result<Visit, NoSuchTarget> {
        let wrong = || NoSuchTarget::Url(text.to_owned());
        let url: Uri = text.parse().map_err(|_| wrong())?;
        let authority = url.authority().ok_or_else(wrong)?;
        let scheme = Scheme::of(&url).ok_or_else(wrong)?;
        let host = route::host_of(authority.as_str()).map_err(|_| wrong())?;
        let path = route::normalise(url.path()).map_err(|_| wrong())?;
        let head = Head {
            host: &host.name,
            path: &path,
            query: url.query(),
            method: &Method::GET,
            headers: &HeaderMap::new(),
        };
        let taken = route::Table::new(&self.plan.routes).find(&head);
        let Some(plan) = taken.and_then(|index| self.plan.routes.get(index)) else {
            return self.visit_host(text, &url, scheme, &host).ok_or_else(wrong);
        };
        let mut visit = self.to(Some(text), self.behind(plan).collect());
        let says = format!("route {} takes it", plan.name);
        visit.note(Finding::well(Stage::Route, says));
        if visit.upstreams.is_empty() {
            visit.note(by_itself(plan.name.as_str()));
        }
        Ok(visit)
    }

    /// A host that no route leads to, as an upstream of one endpoint with defaults; its name is asked of the
    /// configured servers.
    fn visit_host(
        &self,
        text: &str,
        url: &Uri,
        scheme: Scheme,
        host: &route::Host<'_>,
    ) -> Option<Visit> {
        let (tls, port) = match scheme {
            Scheme::Plain => ("", 80),
            Scheme::Secure => ("tls = {}\nprotocol = \"auto\"\n", 443),
        };
        let port = host.port.unwrap_or(port);
        let at = format!("{}:{port}", host.name);
        let source = if at.parse::<std::net::SocketAddr>().is_ok() {
            "address"
        } else {
            "dns"
        };
        let file = format!(
            "[[listeners]]\nbind = \"127.0.0.1:0\"\n\
             [upstreams.url]\nendpoints = [{{ {source} = \"{at}\" }}]\n{tls}\
             [[routes]]\nupstream = \"url\"\n"
        );
        let mut loaded = config::parse(&file, Path::new("url")).ok()?;
        loaded.plan.dns = self.plan.dns.clone();
        let mut practice = Self::of_file(&loaded);
        practice.name_servers.clone_from(&self.name_servers);
        let upstreams = practice.plan.upstreams.values().cloned().collect();
        let mut visit = practice.to(Some(text), upstreams);
        visit.path = url.path_and_query().cloned();
        visit.note(Finding::new(
            Stage::Route,
            super::Mark::Skipped,
            Code::NoRoute,
            "no route takes it: it is looked at as it is",
        ));
        Some(visit)
    }

    fn to(&self, target: Option<&str>, upstreams: Vec<Arc<UpstreamPlan>>) -> Visit {
        Visit {
            practice: self.clone(),
            target: target.map(str::to_owned),
            upstreams,
            path: None,
            found: Vec::new(),
        }
    }

    /// The upstreams that requests of a route may go to, its fallback's among them.
    fn behind<'a>(&'a self, route: &'a RoutePlan) -> impl Iterator<Item = Arc<UpstreamPlan>> + 'a {
        let split = match &route.action {
            ActionPlan::Forward(split) => split.as_slice(),
            ActionPlan::Respond { .. } | ActionPlan::Redirect { .. } => &[],
        };
        let fallback = route.fallback.as_ref().and_then(|it| it.upstream());
        let names = split.iter().map(|share| &share.upstream).chain(fallback);
        names.filter_map(|name| self.plan.upstreams.get(name).cloned())
    }

    pub(super) fn connector(&self, upstream: &UpstreamName) -> Option<&Arc<Connector>> {
        self.connectors.get(upstream)
    }

    /// Who is asked for the names of `upstream`. Reads resolv.conf anew.
    pub(super) fn resolver(&self, upstream: &UpstreamPlan) -> Resolver {
        let dns = &self.plan.dns;
        let own = &upstream.name_servers;
        let servers = if own.list.is_empty() {
            &dns.servers
        } else {
            own
        };
        let trust = self.name_servers.get(&servers.ca);
        let trust = trust.map(|trust| &trust.config);
        Resolver::new(&servers.list, &dns.resolv_conf, trust)
    }
}

// === impl Visit ===

impl Visit {
    fn note(&mut self, finding: Finding) {
        if let Some(section) = self.found.first_mut() {
            section.findings.push(finding);
            return;
        }
        self.found.push(Section {
            upstream: None,
            about: self.target.clone().unwrap_or_default(),
            findings: vec![finding],
        });
    }
}

fn by_itself(route: &str) -> Finding {
    let says = format!("route {route} answers by itself: there is no upstream behind it");
    Finding::new(Stage::Route, super::Mark::Ok, Code::NoUpstream, says)
}

// === impl NoSuchTarget ===

impl fmt::Display for NoSuchTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "there is no route and no upstream `{name}`"),
            Self::Url(url) => write!(f, "`{url}` is not a URL like https://HOST/PATH"),
        }
    }
}

impl std::error::Error for NoSuchTarget {}
