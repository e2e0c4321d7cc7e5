//! What the gateway is for: a service that is overrun keeps most of its goodput behind it, and loses it without.

use std::{sync::Arc, time::Duration};

use tidegate::cli::demo::{Backend, Clients, Fragility, Load};

use crate::support::gateway::TestGateway;

/// How much of the backend's best was done in time, of three times as much offered; the first second is not counted.
async fn goodput(load: &Arc<Load>, fragility: Fragility, seconds: u64) -> f64 {
    let running = tokio::task::spawn({
        let load = Arc::clone(load);
        async move {
            let rate = move |_| fragility.capacity() * 3.0;
            load.run(Duration::from_secs(seconds + 2), rate).await;
        }
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let _ = load.take();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let good = load.take().good;
    running.abort();
    f64::from(u32::try_from(good).expect("few"))
        / (fragility.capacity() * f64::from(u32::try_from(seconds).expect("few")))
}

/// As the file says it by hand.
const FIXED: &str = "concurrency = { mode = \"fixed\", limit = 16, queue = { max_waiting = 32, max_wait = \"100ms\" } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_three_times_its_capacity_a_service_keeps_its_goodput_behind_a_limit_and_loses_it_without()
 {
    let (with, without) = (
        goodput_behind(Some(FIXED)).await,
        goodput_behind(None).await,
    );
    assert!(with >= 0.70, "behind the gateway: {with:.2}");
    assert!(without <= 0.30, "without it: {without:.2}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_three_times_its_capacity_a_service_keeps_its_goodput_without_a_number_in_the_file() {
    let with = goodput_behind(Some("")).await;
    assert!(with >= 0.70, "behind the gateway: {with:.2}");
}

/// What is left of a service at three times its capacity: behind a gateway with this of its upstream, or alone.
async fn goodput_behind(of_upstream: Option<&str>) -> f64 {
    // Half the demo's rate, so that a busy machine can offer it.
    let fragility = Fragility {
        service: Duration::from_millis(40),
        ..Fragility::default()
    };
    let backend = start(fragility).await;
    let clients = Clients {
        in_time: Duration::from_millis(400),
        ..Clients::default()
    };
    let Some(of_upstream) = of_upstream else {
        return goodput(&Load::new(backend.address(), clients), fragility, 5).await;
    };
    let gate = TestGateway::start(&format!(
        "[upstreams.up]\nendpoints = [{{ address = \"{}\" }}]\n{of_upstream}\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n",
        backend.address()
    ))
    .await;
    goodput(&Load::new(gate.web, clients), fragility, 5).await
}

async fn start(fragility: Fragility) -> Backend {
    Backend::start("127.0.0.1:0".parse().expect("an address"), fragility)
        .await
        .expect("a port")
}
