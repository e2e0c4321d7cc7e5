//! `tidegate demo`: the same rising load on the same fragile service, behind the gateway and without it.

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
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use backend::{Backend, Fragility};
pub use load::{Clients, Load, Tally};

use super::gateway::Gateway;
use crate::config;
use show::Second;

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
    let fragility = Fragility::default();
    let (guarded, bare) = (
        Backend::start(LOOPBACK, fragility).await?,
        Backend::start(LOOPBACK, fragility).await?,
    );
    let gateway = gateway_for(guarded.address())?;
    let entrance = gateway.address("web").unwrap_or(LOOPBACK);
    let how_long = args.seconds.map_or(Duration::MAX, Duration::from_secs);
    show::opening(
        args.json,
        fragility,
        entrance,
        gateway.address("admin"),
        guarded.address(),
        bare.address(),
    );
    let loads = [
        Load::new(entrance, Clients::default()),
        Load::new(bare.address(), Clients::default()),
    ];
    let tasks = TaskTracker::new();
    for load in &loads {
        let (load, stop) = (Arc::clone(load), stop.clone());
        let capacity = fragility.capacity();
        tasks.spawn(async move {
            tokio::select! {
                biased; // stop first
                () = stop.cancelled() => {}
                () = load.run(how_long, move |since| capacity * climb(since)) => {}
            }
        });
    }
    tasks.close();
    let totals = watch(args, &loads, how_long, &stop).await;
    stop.cancel();
    tasks.wait().await;
    show::closing(args.json, fragility, &totals);
    gateway.drain(Duration::ZERO, Duration::from_secs(2)).await;
    Ok(())
}

/// How many times the capacity is offered, so long after the start.
fn climb(since: Duration) -> f64 {
    let way = (since.as_secs_f64() / CLIMB.as_secs_f64()).min(1.0);
    GENTLE + (CRUSHING - GENTLE) * way
}

/// Shows each second until the end; returns what the seconds at full load had together.
async fn watch(
    args: &DemoArgs,
    loads: &[Arc<Load>; 2],
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
        let mut second = Second {
            seconds: 1,
            guarded: loads[0].take(),
            bare: loads[1].take(),
        };
        show::second(args.json, number, &mut second);
        if began.elapsed() > CLIMB {
            crushed.add(&second);
        }
    }
    crushed
}

/// A gateway in front of `backend`, with what the file would say.
fn gateway_for(backend: SocketAddr) -> io::Result<Gateway> {
    let text = format!(
        r#"
[admin]
bind = "127.0.0.1:0"
[log]
access = "off"
level = "warn"
[[listeners]]
name = "web"
bind = "127.0.0.1:0"
[upstreams.fragile]
endpoints = [{{ address = "{backend}" }}]
[upstreams.fragile.concurrency]
mode = "fixed"
limit = 16
queue = {{ max_waiting = 64, max_wait = "100ms" }}
[[routes]]
name = "demo"
upstream = "fragile"
"#
    );
    let loaded = config::parse(&text, Path::new("demo.toml"))
        .map_err(|errors| io::Error::other(errors.to_string()))?;
    Gateway::start(loaded, None)
}
