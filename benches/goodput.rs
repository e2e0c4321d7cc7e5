//! What a fragile service still does at three times its capacity: behind Tidegate, and without it.
//!
//! `cargo bench --bench goodput` prints a row a round and fails where the promise is not kept: at least 85 % of
//! the best behind a limit of 16, under 10 % without. The two run in turn, so that a slow machine slows both. The
//! best is what the service does behind the same gateway when it is offered exactly its capacity.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark prints, and fails by panicking"
)]

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tidegate::{
    cli::{
        demo::{Backend, Clients, Fragility, Load},
        gateway::Gateway,
    },
    config,
};
use tokio::runtime::Builder;

const ROUNDS: usize = 3;
const SECONDS: u64 = 8;
const WARM_UP: Duration = Duration::from_secs(2);
const WITH_AT_LEAST: f64 = 0.85;
const WITHOUT_AT_MOST: f64 = 0.10;

fn main() {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        println!("round  best/s  behind Tidegate  without");
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            let best = guarded(1.0).await;
            let kept = guarded(3.0).await / best;
            let left = bare(3.0).await / best;
            println!(
                "{round:>5}  {best:>6.0}  {:>13.0} %  {:>5.0} %",
                kept * 100.0,
                left * 100.0
            );
            with.push(kept);
            without.push(left);
        }
        let (with, without) = (median(with), median(without));
        println!(
            "median         {:>13.0} %  {:>5.0} %",
            with * 100.0,
            without * 100.0
        );
        assert!(with >= WITH_AT_LEAST, "behind the gateway: {with:.2}");
        assert!(without <= WITHOUT_AT_MOST, "without it: {without:.2}");
    });
}

/// Answers in time a second, behind a gateway, at `times` the capacity.
async fn guarded(times: f64) -> f64 {
    let backend = backend().await;
    let gateway = gateway(backend.address());
    let address = gateway.address("web").expect("a listener");
    let good = goodput(&Load::new(address, Clients::default()), times).await;
    gateway.drain(Duration::ZERO, Duration::from_secs(1)).await;
    good
}

/// The same without a gateway.
async fn bare(times: f64) -> f64 {
    let backend = backend().await;
    goodput(&Load::new(backend.address(), Clients::default()), times).await
}

async fn goodput(load: &Arc<Load>, times: f64) -> f64 {
    let capacity = Fragility::default().capacity();
    let running = {
        let load = Arc::clone(load);
        let how_long = WARM_UP + Duration::from_secs(SECONDS + 1);
        tokio::spawn(async move { load.run(how_long, move |_| capacity * times).await })
    };
    tokio::time::sleep(WARM_UP).await;
    drop(load.take());
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let good = load.take().good;
    running.abort();
    load.settle().await;
    f64::from(u32::try_from(good).expect("few")) / f64::from(u32::try_from(SECONDS).expect("few"))
}

async fn backend() -> Backend {
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    Backend::start(any, Fragility::default())
        .await
        .expect("a port")
}

fn gateway(backend: SocketAddr) -> Gateway {
    let text = format!(
        "[admin]\nbind = \"127.0.0.1:0\"\n[log]\naccess = \"off\"\n[[listeners]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\n\
         [upstreams.up]\nendpoints = [{{ address = \"{backend}\" }}]\n\
         concurrency = {{ mode = \"fixed\", limit = 16, queue = {{ max_waiting = 64, max_wait = \"100ms\" }} }}\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n"
    );
    let loaded =
        config::parse(&text, Path::new("bench.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    Gateway::start(loaded, None).expect("it starts")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().expect("some")
}
