//! Defects of the gateway itself. Its code has none that can be asked for: one scene breaks what it logs with, the other
//! what it is put into.

use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tidegate::{
    admission::Pressure,
    fault::Kind,
    proxy::{Entrance, GateService},
    telemetry::{AccessLog, AccessTo, LineFormat},
};
use tokio::net::TcpListener;
use tracing::{Event, Metadata, Subscriber, span};

use crate::{
    origin::nobody,
    scene::{Place, Played, Scene, Told::Problem, gate, route, scene},
    support::{client, upstream::Upstream},
};

pub const SCENES: &[Scene] = &[
    scene(
        Kind::Panicked,
        "500 proxy_internal_error/panic internal head tidegate",
        Problem,
        || Box::pin(panics()),
    )
    .played_in(Place::Process),
    scene(
        Kind::Internal,
        "500 proxy_internal_error/bug internal accept tidegate",
        Problem,
        || Box::pin(stray()),
    ),
];

/// A log that panics where an endpoint is ejected, which happens on the way of a request.
struct Broken;

impl Subscriber for Broken {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let is_of = |name| event.metadata().fields().field(name).is_some();
        assert!(
            !(is_of("because") && is_of("endpoint")),
            "the log is broken"
        );
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

async fn panics() -> Played {
    tracing::subscriber::set_global_default(Broken).expect("the first of this process");
    let up = Upstream::saying("ok").await;
    let down = nobody().await;
    let gate = gate(&format!(
        "[upstreams.up]\nbalance = \"round_robin\"\nejection = {{ consecutive_failures = 1 }}\n\
         endpoints = [{{ address = \"{down}\" }}, {{ address = \"{}\" }}]\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\nretry = {{ attempts = 1 }}\n",
        up.address
    ))
    .await;
    for _ in 0..10 {
        let reply = client::get(gate.web, "/").await;
        if reply.status == 500 {
            return Played::told(gate, reply);
        }
    }
    panic!("nothing was ejected");
}

/// The data path behind a server that is not one of its listeners.
async fn stray() -> Played {
    let upstream = Upstream::saying("ok").await;
    let gate = gate(&route(upstream.address, "", "")).await;
    let snapshot = gate.gateway.snapshot();
    let telemetry = Arc::clone(gate.gateway.telemetry());
    let log = AccessTo::File(gate.path().with_file_name("access.log"));
    let access = AccessLog::start(log, LineFormat::Json, &telemetry).expect("a log");
    let pressure = Pressure::new(snapshot.plan.pressure);
    let entrance = Entrance::new(
        Arc::new(ArcSwap::new(snapshot)),
        telemetry,
        Arc::new(access),
        pressure,
    );
    let service = GateService::new(Arc::new(entrance));
    let router = axum::Router::new().fallback_service(service);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::task::spawn(async move {
        let (stream, _) = listener.accept().await.expect("accepted");
        let service = TowerToHyperService::new(router);
        let http = hyper::server::conn::http1::Builder::new();
        http.serve_connection(TokioIo::new(stream), service).await
    });
    let reply = client::get(address, "/").await;
    Played::told(gate, reply)
}
