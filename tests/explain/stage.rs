//! A gateway with its services and its clients, before anything is done to them.

use std::{net::IpAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rand::{RngExt, rngs::StdRng};
use tidegate::{
    admin::{Around, Surroundings},
    admission::{Readings, Signals},
    telemetry::{Case, Filter},
};

use super::{
    authority::Authority,
    crowd::{Crowd, a_while},
    draft::Draft,
    server::{Manner, Server},
};
use crate::support::{
    dns::{DnsServer, Reply},
    gateway::TestGateway,
};

/// What a fault needs to find.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a need of its own")]
pub struct Needs {
    /// So many servers at least.
    pub servers: usize,
    pub tls: bool,
    /// The endpoint is a name.
    pub name: bool,
    /// The name does not resolve from the start.
    pub nameless: Option<Reply>,
    /// A limit of so many requests at once.
    pub limit: Option<u32>,
    /// A rate of one client.
    pub rate: Option<u32>,
    /// How long a request takes.
    pub takes_ms: Option<u64>,
    /// Requests a second.
    pub per_second: Option<f64>,
    /// Requests that are not tried again.
    pub post: bool,
    /// A failing name is empty at once.
    pub forgets: bool,
}

/// The name of the service, where it has one.
pub const NAME: &str = "shop.internal";

/// See the module.
pub struct Stage {
    pub gate: TestGateway,
    pub draft: Draft,
    pub servers: Vec<Server>,
    pub authority: Authority,
    pub dns: Option<DnsServer>,
    pub crowd: Crowd,
    pub memory: Memory,
    _other: Server,
}

/// How full the memory is said to be.
#[derive(Clone)]
pub struct Memory(Arc<Mutex<f64>>);

// === impl Stage ===

impl Stage {
    pub async fn set(needs: &Needs, rng: &mut StdRng) -> Self {
        let authority = Authority::new();
        let least = needs.servers.max(1);
        let most = if needs.name { 1 } else { 4 };
        let count = rng.random_range(least..=most.max(least));
        let takes = needs.takes_ms.unwrap_or_else(|| rng.random_range(2..15));
        let manner = Manner::Well(Duration::from_millis(takes));
        let start = |_| Server::start(manner, needs.tls.then(|| authority.right()));
        let servers: Vec<_> = (0..count).map(start).collect();
        let other = Server::start(Manner::Well(Duration::from_millis(2)), None);
        let dns = if needs.name {
            let dns = DnsServer::start().await;
            let home = Reply::addresses(["127.0.0.1"], 0);
            dns.says(NAME, needs.nameless.clone().unwrap_or(home));
            Some(dns)
        } else {
            None
        };
        let draft = first_draft(needs, &servers, &other, dns.as_ref(), rng);
        let memory = Memory(Arc::new(Mutex::new(0.1)));
        let gate = if needs.tls {
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("written");
            TestGateway::start_in(folder, &draft.text())
        } else {
            TestGateway::start_with(&draft.text(), memory.clone()).await
        };
        let crowd = Crowd {
            rate: needs
                .per_second
                .unwrap_or_else(|| rng.random_range(20.0..50.0)),
            clients: 6,
            post: needs.post,
            paths: &["/a", "/b", "/b/c", "/d", "/other/x"],
            odd: None,
            greedy: None,
        };
        Self {
            gate,
            draft,
            servers,
            authority,
            dns,
            crowd,
            memory,
            _other: other,
        }
    }

    /// Traffic for about so long.
    pub async fn goes_on(&self, around: Duration, rng: &mut StdRng) {
        let time = around.mul_f64(rng.random_range(0.75..1.25));
        self.crowd.asks(self.gate.web, time, rng).await;
    }

    /// The draft comes into force.
    pub async fn reloads(&self) {
        self.gate.reload(&self.draft.text()).await;
    }

    /// What operators do besides: a change that means nothing to requests, a file that is refused.
    pub async fn stirs(&mut self, rng: &mut StdRng) {
        if rng.random_bool(0.3) {
            self.draft.other_idle_s += 1;
            self.reloads().await;
        }
        if rng.random_bool(0.3) {
            self.draft.idle_s += 1;
            self.reloads().await;
        }
        if rng.random_bool(0.2) {
            self.gate.write("[upstreams.shop]\nendpoint = []\n");
            a_while(Duration::from_millis(700), rng).await; // it is seen and refused
        }
    }

    /// What failed, or nothing.
    pub fn failed(&self) -> Vec<Arc<Case>> {
        let cases = self.gate.gateway.telemetry().cases();
        let mut failed = cases.select(&Filter::default(), usize::MAX);
        failed.sort_by(|one, other| one.request_id.cmp(&other.request_id)); // as they came
        failed
    }

    /// What a verdict on it sees.
    pub fn around(&self, case: &Case) -> Around {
        let gateway = &self.gate.gateway;
        let history = gateway.reload().history();
        let snapshot = gateway.snapshot();
        Surroundings::of(gateway.telemetry(), Some(history), &snapshot).around(case)
    }

    /// The name stands for these from now on.
    pub fn name_says(&self, reply: Reply) {
        self.dns.as_ref().expect("a name").says(NAME, reply);
    }

    /// Waits until the service's name has an address that is not home.
    pub async fn has_moved(&self) {
        crate::support::until("the name's new addresses are in force", || {
            let snapshot = self.gate.gateway.snapshot();
            let mut ups = snapshot.upstreams.iter();
            let home: IpAddr = [127, 0, 0, 1].into();
            ups.any(|up| {
                let seats = up.seats.as_slice();
                seats
                    .iter()
                    .any(|seat| seat.endpoint.id.address.ip() != home)
            })
        })
        .await;
    }
}

/// The config that it begins with.
fn first_draft(
    needs: &Needs,
    servers: &[Server],
    other: &Server,
    dns: Option<&DnsServer>,
    rng: &mut StdRng,
) -> Draft {
    let endpoint = |server: &Server| {
        if needs.name {
            format!("dns = \"{NAME}:{}\"", server.address.port())
        } else {
            format!("address = \"{}\"", server.address)
        }
    };
    Draft {
        endpoints: servers.iter().map(endpoint).collect(),
        prefix: "/",
        first_byte_ms: 400,
        attempts: if needs.post {
            1
        } else {
            rng.random_range(1..=2)
        },
        limit: needs.limit,
        adaptive: rng.random_bool(0.5),
        rate: needs.rate,
        ejection: rng.random_bool(0.5),
        tls: needs.tls,
        dns: dns.map(DnsServer::address),
        gone_after: 2,
        max_stale: if needs.forgets { "200ms" } else { "1h" },
        other: other.address,
        other_idle_s: 60,
        idle_s: 60,
    }
}

// === impl Memory ===

impl Memory {
    pub fn set(&self, share: f64) {
        *self.0.lock() = share;
    }
}

impl Signals for Memory {
    fn read(&mut self) -> Readings {
        Readings {
            memory: Some(*self.0.lock()),
            ..Readings::default()
        }
    }
}
