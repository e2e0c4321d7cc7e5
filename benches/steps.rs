//! The steps of a request's way that are pure or nearly so, each by itself.
#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

#[path = "../tests/support/only.rs"]
mod only;

use std::{fmt::Write as _, hint::black_box, net::IpAddr, path::Path, sync::Arc, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, Method};
use only::Only;
use rand::{SeedableRng, rngs::SmallRng};
use tidegate::{
    admission::{Gate, RateLimit, RateSubject, RouteNumber, Wish, charge},
    balance::{Candidates, EndpointView, Turn, pick},
    config::{self, BalancePolicy},
    names::{EndpointId, Priority},
    route::{Head, Table, normalise},
    telemetry::Events,
};
use tokio::{runtime::Builder, time::Instant};

/// A thousand tenants, each with its host, and a path prefix on each.
fn tenants() -> config::Plan {
    let mut text = String::from(
        "[[listeners]]\nbind = \"127.0.0.1:0\"\n[upstreams.up]\nendpoints = [{ address = \"127.0.0.1:9\" }]\n\
         [upstreams.up.concurrency]\nmode = \"fixed\"\nlimit = 64\n",
    );
    for tenant in 0..1_000 {
        write!(
            text,
            "[[routes]]\nname = \"t{tenant}\"\nhosts = [\"t{tenant}.example.com\"]\npath_prefix = \"/api/v1\"\n\
             upstream = \"up\"\n[[routes.rate_limits]]\nrate = \"1000000/s\"\n"
        )
        .expect("text");
    }
    config::parse(&text, Path::new("bench.toml"))
        .expect("right")
        .plan
}

fn steps(criterion: &mut Criterion) {
    let plan = tenants();
    let table = Table::new(&plan.routes);
    let headers = HeaderMap::new();
    criterion.bench_function("find a route among 1,000 hosts", |bench| {
        bench.iter(|| {
            table.find(black_box(&Head {
                host: "t777.example.com",
                path: "/api/v1/users/7",
                query: None,
                method: &Method::GET,
                headers: &headers,
            }))
        });
    });
    criterion.bench_function("normalise a path that is normal", |bench| {
        bench.iter(|| normalise(black_box("/api/v1/users/7")));
    });
    let limits: Vec<_> = plan
        .routes
        .first()
        .expect("a route")
        .rate_limits
        .iter()
        .collect();
    let limits: Vec<Arc<RateLimit>> = limits
        .into_iter()
        .map(|plan| RateLimit::new(plan, Instant::now()))
        .collect();
    let subject = RateSubject {
        client: IpAddr::from([127, 0, 0, 1]),
        headers: &headers,
    };
    criterion.bench_function("charge a limit by client address", |bench| {
        bench.iter(|| charge(&limits, black_box(&subject), Instant::now(), |_| {}).is_ok());
    });
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let upstream = plan.upstreams.values().next().expect("an upstream");
    let gate = Arc::new(Gate::new(&upstream.concurrency, Events::default()));
    let id = EndpointId::new(upstream.name.clone(), ([127, 0, 0, 1], 9).into());
    let only = Only(gate.lane(&id));
    let wish = Wish {
        priority: Priority::Normal,
        route: RouteNumber::default(),
        tenant: 0,
        deadline: None,
        retry: false,
    };
    criterion.bench_function("admit and give back, nobody waiting", |bench| {
        bench.iter(|| runtime.block_on(gate.admit(&wish, &only)).is_ok());
    });
}

/// Endpoints of which a few are busy and all are known.
struct Endpoints(Vec<EndpointView>);

impl Candidates for Endpoints {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn view(&self, index: usize) -> EndpointView {
        self.0.get(index).copied().unwrap_or_default()
    }
}

fn balance(criterion: &mut Criterion) {
    let (turn, mut rng) = (Turn::new(), SmallRng::seed_from_u64(1));
    for count in [3_u32, 50, 1_000] {
        let endpoint = |index: u32| EndpointView {
            can_serve: true,
            weight: 1.0,
            in_flight: index % 7,
            limit: Some(16),
            latency: Some(Duration::from_millis(u64::from(index % 13))),
            peak: Some(Duration::from_millis(u64::from(index % 17))),
        };
        let cold = Endpoints((0..count).map(endpoint).collect());
        let mut hot = cold.0.clone();
        for view in &mut hot {
            view.in_flight = 16;
        }
        let hot = Endpoints(hot);
        for (policy, name) in [
            (BalancePolicy::LeastRequest, "least_request"),
            (BalancePolicy::PeakEwma, "peak_ewma"),
        ] {
            for (endpoints, how) in [(&cold, "cold"), (&hot, "all hot")] {
                let name = format!("pick one of {count} by {name}, {how}");
                criterion.bench_function(&name, |bench| {
                    bench.iter(|| pick(policy, &turn, black_box(endpoints), &mut rng));
                });
            }
        }
    }
}

criterion_group!(benches, steps, balance);
criterion_main!(benches);
