//! The steps of a request's way that are pure or nearly so, each by itself.
#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

use std::{fmt::Write as _, hint::black_box, net::IpAddr, path::Path, sync::Arc};

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, Method};
use tidegate::{
    admission::{Gate, Pick, RateLimit, RateSubject, charge},
    config,
    names::Priority,
    route::{Head, Table, normalise},
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

struct Always;

impl Pick for Always {
    type Endpoint = usize;

    fn pick(&self, _: &dyn Fn(&usize) -> bool) -> Option<usize> {
        Some(0)
    }
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
    let gate = Arc::new(Gate::new(&upstream.concurrency));
    criterion.bench_function("admit and give back, nobody waiting", |bench| {
        bench.iter(|| {
            runtime
                .block_on(gate.admit(Priority::Normal, None, &Always))
                .is_ok()
        });
    });
}

criterion_group!(benches, steps);
criterion_main!(benches);
