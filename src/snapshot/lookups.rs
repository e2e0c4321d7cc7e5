//! One lookup loop for each name that the plan mentions, and servers that are asked for it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};

use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::standing::{EndpointsOf, Users};
use crate::{
    config::{DnsPlan, DnsTrusts, EndpointSource, NameServer, NameServers, Plan, UpstreamPlan},
    names::UpstreamName,
    pool::Registry,
    resolve::{Answer, Followed, Records, Resolver, StandIn, follow},
    telemetry::Telemetry,
};

/// The loops, and what each said last.
#[derive(Debug)]
pub(super) struct Lookups {
    names: HashMap<NameKey, Loop>,
    resolvers: HashMap<Asked, Arc<Resolver>>,
    /// What the resolvers and loops were made from.
    plan: Option<DnsPlan>,
    trusts: DnsTrusts,
    /// Who answers in the place of name servers.
    stand_in: Option<Arc<dyn StandIn>>,
    endpoints: Arc<Registry>,
    changed: Arc<Notify>,
    tasks: TaskTracker,
}

/// A name, what it is asked for, and of whom. Upstreams that agree in all three share one loop.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct NameKey {
    name: Box<str>,
    records: Records,
    asked: Asked,
}

/// Who is asked, and who vouches for them: others that are trusted make other connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Asked {
    servers: NameServers,
    /// Of the authorities; `None` where nobody is asked over TLS.
    print: Option<[u8; 32]>,
}
#[derive(Debug)]
struct Loop {
    answer: watch::Receiver<Answer>,
    users: Users,
    stop: CancellationToken,
}

// === impl Lookups ===

impl Lookups {
    /// No loop yet. `endpoints` knows how the hosts of names do; `stand_in` answers in the place of name servers.
    pub(super) fn new(endpoints: Arc<Registry>, stand_in: Option<Arc<dyn StandIn>>) -> Self {
        Self {
            names: HashMap::new(),
            resolvers: HashMap::new(),
            plan: None,
            trusts: DnsTrusts::new(),
            stand_in,
            endpoints,
            changed: Arc::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// Rings when any answer changed.
    pub(super) fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// What `source` of `upstream` says; `None` where it is an address.
    pub(super) fn answer(
        &self,
        upstream: &UpstreamPlan,
        source: &EndpointSource,
    ) -> Option<watch::Receiver<Answer>> {
        let key = NameKey::of(source, &self.asked_of(upstream))?;
        self.names.get(&key).map(|followed| followed.answer.clone())
    }

    /// Follows the names of `plan` and no other. A loop starts anew, from its last answer, where `[dns]` is another
    /// one, where other servers are asked or checked against other authorities, or where other upstreams use it.
    pub(super) fn follow(&mut self, plan: &Plan, trusts: &DnsTrusts, telemetry: &Telemetry) {
        let restart = self.plan.as_ref() != Some(&plan.dns);
        if restart {
            self.resolvers.clear();
            self.plan = Some(plan.dns.clone());
        }
        self.trusts.clone_from(trusts);
        let wanted = self.named(plan);
        let unwanted: Vec<_> = self
            .names
            .keys()
            .filter(|key| !wanted.contains_key(key))
            .cloned()
            .collect();
        let mut next = HashMap::new();
        for (key, users) in wanted {
            let kept = match self.names.remove(&key) {
                Some(running) if !restart && running.users == users => running,
                other => {
                    let last = other
                        .map(Loop::end)
                        .or_else(|| self.last_of(&key, &unwanted));
                    self.start(&key, last.unwrap_or_default(), users, &plan.dns, telemetry)
                }
            };
            next.insert(key, kept);
        }
        self.stop();
        self.resolvers
            .retain(|asked, _| next.keys().any(|key| key.asked == *asked));
        self.names = next;
    }

    /// The files of the system that say how names are resolved; none where no name is.
    pub(super) fn system_files(&self) -> BTreeSet<PathBuf> {
        let resolvers = self.resolvers.values();
        resolvers.flat_map(|resolver| resolver.files()).collect()
    }

    /// The files of the system may have changed: reads them again, off the loop that calls.
    pub(super) fn look_again(&self) {
        for resolver in self.resolvers.values() {
            let resolver = Arc::clone(resolver);
            self.tasks.spawn_blocking(move || resolver.look_again());
        }
    }

    /// Ends every loop.
    pub(super) fn stop(&self) {
        self.names
            .values()
            .for_each(|followed| followed.stop.cancel());
    }

    /// The last answer to the same question, put to servers that nobody asks it any more.
    fn last_of(&self, key: &NameKey, unwanted: &[NameKey]) -> Option<Answer> {
        let mut unwanted = unwanted.iter();
        let old = unwanted.find(|old| old.name == key.name && old.records == key.records)?;
        Some(self.names.get(old)?.answer.borrow().clone())
    }

    fn asked_of(&self, upstream: &UpstreamPlan) -> Asked {
        let servers = match &self.plan {
            Some(plan) if upstream.name_servers.list.is_empty() => &plan.servers,
            _ => &upstream.name_servers,
        };
        let encrypted = servers.list.iter().any(NameServer::is_encrypted);
        let trust = self.trusts.get(&servers.ca).filter(|_| encrypted);
        Asked {
            servers: servers.clone(),
            print: trust.map(|trust| trust.print),
        }
    }

    /// Every name of `plan`, with the upstreams that use it, and at which port.
    fn named(&self, plan: &Plan) -> BTreeMap<NameKey, Users> {
        let mut names: BTreeMap<NameKey, Users> = BTreeMap::new();
        for upstream in plan.upstreams.values() {
            let asked = self.asked_of(upstream);
            for endpoint in &upstream.endpoints {
                let Some(key) = NameKey::of(&endpoint.source, &asked) else {
                    continue;
                };
                let port = match endpoint.source {
                    EndpointSource::Dns { port, .. } => Some(port),
                    EndpointSource::Srv { .. } | EndpointSource::Address(_) => None,
                };
                names
                    .entry(key)
                    .or_default()
                    .insert((upstream.name.clone(), port));
            }
        }
        names
    }

    fn start(
        &mut self,
        key: &NameKey,
        last: Answer,
        users: Users,
        plan: &DnsPlan,
        telemetry: &Telemetry,
    ) -> Loop {
        let (said, answer) = watch::channel(last);
        let stop = CancellationToken::new();
        let upstreams: BTreeSet<&UpstreamName> =
            users.iter().map(|(upstream, _)| upstream).collect();
        let handles: Vec<_> = upstreams
            .into_iter()
            .map(|name| telemetry.upstream(name))
            .collect();
        let standing = EndpointsOf::new(Arc::clone(&self.endpoints), users.clone());
        let resolver = self.resolver(&key.asked, plan);
        let (key, plan) = (key.clone(), plan.clone());
        let (mut heard, changed, token) = (answer.clone(), self.changed(), stop.clone());
        self.tasks.spawn(async move {
            let followed = Followed {
                name: &key.name,
                records: key.records,
                plan: &plan,
                handles: &handles,
                standing: &standing,
            };
            follow(followed, &resolver, &said, &token).await;
        });
        self.tasks.spawn(async move {
            while heard.changed().await.is_ok() {
                changed.notify_one();
            }
        });
        Loop {
            answer,
            users,
            stop,
        }
    }

    fn resolver(&mut self, asked: &Asked, plan: &DnsPlan) -> Arc<Resolver> {
        let servers = &asked.servers;
        let tls = self.trusts.get(&servers.ca).map(|trust| &trust.config);
        let made = || match &self.stand_in {
            Some(stand_in) => Resolver::of(Arc::clone(stand_in)),
            None => Resolver::new(&servers.list, &plan.resolv_conf, tls),
        };
        let entry = self.resolvers.entry(asked.clone());
        Arc::clone(entry.or_insert_with(|| Arc::new(made())))
    }
}

// === impl NameKey ===

impl NameKey {
    /// What `source` asks, of whom is `asked`; `None` where it is an address.
    fn of(source: &EndpointSource, asked: &Asked) -> Option<Self> {
        let (name, records) = match source {
            EndpointSource::Address(_) => return None,
            EndpointSource::Dns { name, .. } => (name, Records::Addresses),
            EndpointSource::Srv { name } => (name, Records::Services),
        };
        Some(Self {
            name: name.clone(),
            records,
            asked: asked.clone(),
        })
    }
}

// === impl Loop ===

impl Loop {
    /// Ends it, and returns what it said last.
    fn end(self) -> Answer {
        self.stop.cancel();
        self.answer.borrow().clone()
    }
}
