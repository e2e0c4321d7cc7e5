//! What outlives the process.

use std::{sync::Arc, time::Duration};

use tidegate::{
    admission::SystemSignals,
    cli::{
        demo::{Backend, Clients, Fragility, Load},
        gateway::{Begin, Gateway},
    },
    config,
    reload::Learned,
};

use crate::support::{gateway::TestGateway, until};

fn config(backend: &Backend, more: &str) -> String {
    format!(
        "{more}[upstreams.up]\nendpoints = [{{ address = \"{}\" }}]\n\
         [[routes]]\nname = \"all\"\nupstream = \"up\"\n",
        backend.address()
    )
}

const HISTORY: &str = "[history]\ndir = \"kept\"\n";

/// The limit of the only endpoint, as the law says it.
fn limit(gate: &TestGateway) -> f64 {
    gate.gateway.snapshot().remember()[0].limit
}

/// A limit that is learned under load until it is well above the initial one.
async fn learned(more: &str) -> (TestGateway, Backend) {
    let fragility = Fragility {
        workers: 32,
        service: Duration::from_millis(40),
        ..Fragility::default()
    };
    let backend = Backend::start("127.0.0.1:0".parse().expect("an address"), fragility)
        .await
        .expect("a port");
    let gate = TestGateway::start(&config(&backend, more)).await;
    let load = Load::new(gate.web, Clients::default());
    let running = tokio::task::spawn({
        let load = Arc::clone(&load);
        async move {
            let rate = move |_| fragility.capacity() * 1.5;
            load.run(Duration::from_secs(60), rate).await;
        }
    });
    until("the limit has grown", || {
        let snapshot = gate.gateway.snapshot();
        let known = snapshot.remember();
        known.first().is_some_and(|one| one.limit >= 16.0)
    })
    .await;
    running.abort();
    (gate, backend)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_started_anew_begins_at_the_limit_that_it_had_learned() {
    let (gate, _backend) = learned(HISTORY).await;
    let gate = gate.restart().await;
    let known = limit(&gate);
    assert!(known >= 14.0, "{known}");
    let lane = &gate.gateway.snapshot().upstreams[0].roster;
    let applied = lane.lane(0).expect("a lane").limit();
    assert_eq!(applied.map(f64::from), Some(known.round()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_folder_for_it_nothing_is_written_and_a_start_knows_nothing() {
    let (gate, _backend) = learned("").await;
    let folder = gate.path();
    let files = || {
        let folder = folder.parent().expect("a folder");
        std::fs::read_dir(folder).expect("read").count()
    };
    let gate = gate.restart().await;
    assert!(gate.gateway.snapshot().remember().is_empty());
    assert_eq!(files(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_over_begins_at_the_limit_of_the_one_before_though_no_disk_knows_it() {
    let (gate, _backend) = learned("").await;
    let bytes = gate.gateway.learned().expect("a page");
    let loaded = config::read(&gate.path()).unwrap_or_else(|errors| panic!("{errors}"));
    let mut begin = Begin {
        learned: Learned::parse(&bytes),
        ..Begin::default()
    };
    let heir = Gateway::start_from(&mut begin, loaded, None, SystemSignals::new());
    let heir = heir.expect("it starts");
    let known = heir.snapshot().remember()[0].limit;
    assert!(known >= 14.0, "{known}");
}
