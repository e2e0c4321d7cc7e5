//! `tidegate demo`: the same rising load on three copies of a fragile service: behind a limit that the gateway
//! finds, behind one that was set wrong, and without a gateway.

mod backend;
mod load;
mod show;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use http::HeaderValue;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use backend::{Backend, Fragility};
pub use load::{Clients, Load, Tally};

use super::gateway::Gateway;
use crate::{config, snapshot::Snapshot};
use show::{Scene, Second};

/// What `tidegate demo` takes.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// End after so many seconds; without it, on Ctrl-C.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// One JSON object a second instead of a table.
    #[arg(long)]
    json: bool,
    /// Run the fragile upstream alone, on this address.
    #[arg(long, value_name = "ADDRESS")]
    backend: Option<SocketAddr>,
}

/// Over how long the load climbs from [`GENTLE`] to [`CRUSHING`] times the capacity; then it stays there.
const CLIMB: Duration = Duration::from_secs(20);
const GENTLE: f64 = 0.5;
const CRUSHING: f64 = 3.0;
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// By how much the limit that is set by hand is wrong.
const WRONG: u32 = 4;
/// What clients of the limit that is set by hand ask for.
const FIXED_HOST: &str = "fixed.demo";

/// A quarter of the rate of [`Fragility::default`]: three services and their clients share the machine, and a
/// process that is short of time shows nothing but that.
const FRAGILITY: Fragility = Fragility {
    workers: 16,
    service: Duration::from_millis(80),
    collapse: 0.2,
    max_waiting: 50_000,
};
const CLIENTS: Clients = Clients {
    patience: Duration::from_secs(2),
    in_time: Duration::from_millis(800),
    max_under_way: 4_000,
};

/// Runs the demo until its time is over or Ctrl-C.
///
/// # Errors
/// Where a port cannot be bound.
pub async fn run(args: &DemoArgs, stop: CancellationToken) -> io::Result<()> {
    match args.backend {
        Some(address) => alone(address, stop).await,
        None => compare(args, stop).await,
    }
}

/// The upstream alone, for a gateway that runs elsewhere.
async fn alone(address: SocketAddr, stop: CancellationToken) -> io::Result<()> {
    let backend = Backend::start(address, Fragility::default()).await?;
    show::line(&format!(
        "listening name=backend address={}",
        backend.address()
    ));
    stop.cancelled().await;
    Ok(())
}

async fn compare(args: &DemoArgs, stop: CancellationToken) -> io::Result<()> {
    let adaptive = Backend::start(LOOPBACK, FRAGILITY).await?;
    let fixed = Backend::start(LOOPBACK, FRAGILITY).await?;
    let bare = Backend::start(LOOPBACK, FRAGILITY).await?;
    let wrong = FRAGILITY.workers * WRONG;
    let gateway = gateway_for(adaptive.address(), fixed.address(), wrong)?;
    let entrance = gateway.address("web").unwrap_or(LOOPBACK);
    let scene = Scene {
        fragility: FRAGILITY,
        gateway: entrance,
        admin: gateway.address("admin"),
        adaptive: adaptive.address(),
        fixed: fixed.address(),
        bare: bare.address(),
        wrong,
    };
    show::opening(args.json, &scene);
    let loads = [
        Load::new(entrance, CLIENTS),
        Load::of_host(entrance, HeaderValue::from_static(FIXED_HOST), CLIENTS),
        Load::new(bare.address(), CLIENTS),
    ];
    let how_long = args.seconds.map_or(Duration::MAX, Duration::from_secs);
    let tasks = TaskTracker::new();
    for load in &loads {
        let (load, stop) = (Arc::clone(load), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased; // stop first
                () = stop.cancelled() => {}
                () = load.run(how_long, |since| FRAGILITY.capacity() * climb(since)) => {}
            }
        });
    }
    tasks.close();
    let limit = || limit_found(&gateway.snapshot());
    let totals = watch(args, &loads, limit, how_long, &stop).await;
    stop.cancel();
    tasks.wait().await;
    show::closing(args.json, &scene, &totals);
    gateway.drain(Duration::ZERO, Duration::from_secs(2)).await;
    Ok(())
}

/// How many times the capacity is offered, so long after the start.
fn climb(since: Duration) -> f64 {
    let way = (since.as_secs_f64() / CLIMB.as_secs_f64()).min(1.0);
    GENTLE + (CRUSHING - GENTLE) * way
}

/// The limit that holds now for the one endpoint of the adaptive upstream, looks above and below it included.
fn limit_found(snapshot: &Snapshot) -> Option<u32> {
    let upstream = snapshot.upstream_named(&"adaptive".into())?;
    upstream.roster.lane(0)?.limit()
}

/// Shows each second until the end; returns what the seconds at full load had together.
async fn watch(
    args: &DemoArgs,
    loads: &[Arc<Load>; 3],
    limit: impl Fn() -> Option<u32>,
    how_long: Duration,
    stop: &CancellationToken,
) -> Second {
    let began = Instant::now();
    let mut tick = tokio::time::interval_at(began + Duration::from_secs(1), Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut crushed = Second::default();
    let mut number = 0;
    while began.elapsed() < how_long {
        tokio::select! {
            biased; // stop first
            () = stop.cancelled() => break,
            _ = tick.tick() => {}
        }
        number += 1;
        let [adaptive, fixed, bare] = loads.each_ref().map(|load| load.take());
        let mut second = Second {
            seconds: 1,
            limit: limit(),
            adaptive,
            fixed,
            bare,
        };
        show::second(args.json, number, &mut second);
        if began.elapsed() > CLIMB {
            crushed.add(&second);
        }
    }
    crushed
}

/// A gateway in front of two of them, with what the file would say. It does not look after the process, which is
/// that of the clients and the services too.
fn gateway_for(adaptive: SocketAddr, fixed: SocketAddr, wrong: u32) -> io::Result<Gateway> {
    let text = format!(
        r#"
[admin]
bind = "127.0.0.1:0"
[log]
access = "off"
level = "warn"
[pressure]
enabled = false
[[listeners]]
name = "web"
bind = "127.0.0.1:0"
[upstreams.adaptive]
endpoints = [{{ address = "{adaptive}" }}]
slow_start = "0s"
[upstreams.fixed]
endpoints = [{{ address = "{fixed}" }}]
concurrency = {{ mode = "fixed", limit = {wrong} }}
slow_start = "0s"
[[routes]]
name = "demo"
upstream = "adaptive"
[[routes]]
name = "fixed"
hosts = ["{FIXED_HOST}"]
upstream = "fixed"
"#
    );
    let loaded = config::parse(&text, Path::new("demo.toml"))
        .map_err(|errors| io::Error::other(errors.to_string()))?;
    Gateway::start(loaded, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_climbs_to_its_height_and_stays_there() {
        let at = |seconds| climb(Duration::from_secs(seconds));
        assert_eq!([at(0), at(20), at(500)], [GENTLE, CRUSHING, CRUSHING]);
        assert!(at(4) < 1.0 + 1e-9 && at(5) > 1.0);
    }

    #[tokio::test]
    async fn the_gateway_finds_a_limit_for_one_service_and_is_told_the_other() {
        let nobody = |port| SocketAddr::new(LOOPBACK.ip(), port);
        let gateway = gateway_for(nobody(9), nobody(10), 64).unwrap();
        let snapshot = gateway.snapshot();
        assert_eq!(limit_found(&snapshot), Some(10));
        let fixed = snapshot.upstream_named(&"fixed".into()).unwrap();
        assert_eq!(fixed.gate.view().limit, Some(64));
    }
}
